"""Matrix products of generated C, dense and by entries, and the derivatives by weights."""
