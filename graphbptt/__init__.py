"""graphbptt: a declarative graph compiler for recurrent neural networks."""
