"""networkx graph -> networkx graph: edges tied by what the graph says of its nodes and edges."""
