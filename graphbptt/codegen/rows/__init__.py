"""Element-wise work on the units of an example: as loops in C, and as what one thread of a kernel does."""
