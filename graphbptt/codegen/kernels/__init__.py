"""The kernels of a device: those of a plan's sweeps, and those of what stands at their edges."""
