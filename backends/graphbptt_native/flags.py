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

_SHORTER = "--param=max-completely-peeled-insns=100"
"""GCC's own 200 lets it write loops of 16 columns out, within loops: up to four times as long to compile, no faster."""

_X86 = (
    ("-march=native", "-mprefer-vector-width=512", _SHORTER),
    ("-march=native", "-mprefer-vector-width=512"),
    ("-march=native",),
)
_ARM = (("-mcpu=native", _SHORTER), ("-mcpu=native",))
_FOR_THIS_MACHINE = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}


def flag_choices(machine: str) -> tuple[tuple[str, ...], ...]:
    """The sets of flags to try, the last of which any compiler knows.

    >>> [flags[len(COMMON):] for flags in flag_choices("aarch64")]
    [('-mcpu=native', '--param=max-completely-peeled-insns=100'), ('-mcpu=native',), ()]
    """
    return tuple((*COMMON, *extra) for extra in (*_FOR_THIS_MACHINE.get(machine.lower(), ()), ()))
