"""What a device does for one shape of batch, as data: its grammar, its text, and what must hold for it."""
