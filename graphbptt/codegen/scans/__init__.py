"""The sweeps of a plan as C: one function for each direction of a stage, and all of them as one text."""
