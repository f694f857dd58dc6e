"""Graphs in files of their own -> networkx graphs: a reader for each kind of file, and what they have in common."""
