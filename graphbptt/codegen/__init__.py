"""Expressions as C-family text, the same arithmetic for C and for CUDA."""
