"""How much memory a process has needed; imports nothing that would itself need some."""

from __future__ import annotations

import resource
import sys

__all__ = ["measure_peak"]


def measure_peak() -> int:
    """The largest resident memory of this process so far, in bytes; systems count it in bytes or in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
