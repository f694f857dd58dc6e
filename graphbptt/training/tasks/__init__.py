"""Built-in tasks: a file for each, which draws its fields; `table` lists them by name."""
