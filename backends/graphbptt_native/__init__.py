"""The native backend's groundwork: finds a C compiler, compiles generated text once, loads it from a private cache."""
