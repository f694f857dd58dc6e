"""The networks that are measured, a file each: the graph that graphbptt compiles and the same by hand."""
