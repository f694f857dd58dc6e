"""Expressions as C-family text, the same arithmetic for C and for CUDA.

What all text is made of lies here. From it come the work on rows (`rows`) and products (`products`), of which the
sweeps of the native backend are made (`scans`); and the kernels of a device (`kernels`, `persistent`), what it does
for a shape of batches as data (`launches`), and how the one becomes the other (`schedules`).
"""
