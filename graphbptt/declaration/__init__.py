"""Declarations: spec files and their text -> checked declarations -> networkx graphs."""
