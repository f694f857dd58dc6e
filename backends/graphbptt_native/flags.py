"""What a compiler is told, by kind of machine, best first."""

from __future__ import annotations

__all__ = ["COMMON", "flag_choices"]

COMMON = (
    "-std=gnu11",
    "-O3",
    "-fPIC",
    "-shared",
    # Generated text reads neither errno nor the floating-point flags. It does need NaN and infinity: no -ffast-math.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
"""What every compiler knows."""

_FOR_THIS_MACHINE = {
    "x86_64": (("-march=native", "-mprefer-vector-width=512"), ("-march=native",)),
    "amd64": (("-march=native", "-mprefer-vector-width=512"), ("-march=native",)),
    "aarch64": (("-mcpu=native",),),
    "arm64": (("-mcpu=native",),),
}


def flag_choices(machine: str) -> tuple[tuple[str, ...], ...]:
    """The sets of flags to try, the last of which any compiler knows.

    >>> [flags[len(COMMON):] for flags in flag_choices("aarch64")]
    [('-mcpu=native',), ()]
    """
    return tuple((*COMMON, *extra) for extra in (*_FOR_THIS_MACHINE.get(machine.lower(), ()), ()))
