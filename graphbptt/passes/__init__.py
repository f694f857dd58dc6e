"""The passes: one file each, a pure function from one representation to the next, and the verifiers."""
