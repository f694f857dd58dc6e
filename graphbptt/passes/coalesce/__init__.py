"""The parts of `coalesce_units`: tables of nodes and edges, ranks, ties, classes of nodes and blocks of edges."""
