"""Cells: reusable sub-graphs with input and output ports, expanded into plain nodes and edges.

A cell's file holds its options and the function that draws its body; `table` lists them. `expand` is the pass.
"""
