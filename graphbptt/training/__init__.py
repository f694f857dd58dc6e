"""Data, optimizers, the training loop, and the figures it ends with."""
