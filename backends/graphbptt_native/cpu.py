"""What the processor can do: an object compiled for one may not run on another."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

__all__ = ["describe_cpu"]

_TELLING = ("model name", "flags", "Features", "CPU implementer", "CPU part")


@cache
def describe_cpu() -> str:
    """The machine's architecture with the model and the features of its first core, as far as the system says."""
    lines = [platform.machine(), platform.processor()]
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                key, _, value = line.partition(":")
                if key.strip() in _TELLING:
                    lines.append(value.strip())
    except OSError:
        pass  # not a Linux: the architecture has to do
    return "\n".join(lines)
