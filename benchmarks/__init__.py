"""Speed of compiled networks beside the same networks written by hand. Run with ``python -m benchmarks``."""
