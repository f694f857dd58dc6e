"""Kernels are given their arguments by name, and take them in the order in which they declare them.

The names are those of the parameters in C, which stand in one place: beside the body of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphbptt.codegen.launches.commands import THREADS, ArgumentValue, Launch, Signature
from graphbptt.codegen.launches.device_arrays import Region

__all__ = ["launch", "order_arguments"]


def launch(
    signature: Signature,
    threads: int,
    *,
    reads: Iterable[Region | None] = (),
    writes: Iterable[Region | None] = (),
    **arguments: ArgumentValue | Region,
) -> Launch:
    """A kernel of so many independent threads, their number its first argument. It reads and writes nothing where
    there is nothing."""
    blocks = -(-threads // THREADS)
    ordered = order_arguments(signature, threads=threads, **arguments)
    return Launch(signature.kernel, threads, blocks, THREADS, ordered, _list(reads), _list(writes))


def order_arguments(signature: Signature, **arguments: ArgumentValue | Region) -> tuple[ArgumentValue, ...]:
    """All arguments of a kernel, in the order of its parameters. A region is where it begins, or NULL if it is empty.

    >>> from graphbptt.codegen.launches.device_arrays import Address
    >>> copy = Signature("copy", ("const ptrdiff_t threads", "const real *const source", "real *const out"))
    >>> order_arguments(copy, out=Address("state0", 6), source=None, threads=3)
    (3, None, Address(array='state0', offset=6))
    """
    kernel, names = signature.kernel, signature.names
    missing, unknown = set(names) - set(arguments), set(arguments) - set(names)
    assert len(set(names)) == len(names), f"{kernel} has two parameters of one name: {', '.join(names)}"
    assert not missing, f"{kernel} is not given {', '.join(sorted(missing))}"
    assert not unknown, f"{kernel} has no parameters {', '.join(sorted(unknown))}, only {', '.join(names)}"
    ordered = tuple(map(_locate, (arguments[name] for name in names)))
    for parameter, argument in zip(signature.parameters, ordered, strict=True):
        fits = ("*" in parameter) != isinstance(argument, int)
        assert fits, f"{kernel}: {argument} is given for {parameter!r}"
    return ordered


def _locate(argument: ArgumentValue | Region) -> ArgumentValue:
    if isinstance(argument, Region):
        return argument.address if argument.size else None
    return argument


def _list(regions: Iterable[Region | None]) -> tuple[Region, ...]:
    return tuple(region for region in regions if region is not None and region.size)
