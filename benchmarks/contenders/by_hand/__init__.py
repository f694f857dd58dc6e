"""Networks written by hand with NumPy and SciPy, a file each."""
