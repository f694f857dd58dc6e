"""From kernels and a shape of batches to launches, in order."""
