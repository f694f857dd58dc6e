"""The native backend: sweeps, products and derivatives as generated C, compiled by the system's C compiler."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphbptt.backend import log_once
from graphbptt.errors import BackendError
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt_native.cache import Cache, open_cache
from graphbptt_native.discover import Toolchain, check_system, find_toolchain
from graphbptt_native.executable import NativeExecutable
from graphbptt_native.load import SECONDS
from graphbptt_native.threads import count_cores

__all__ = ["VARIABLES", "Equipment", "NativeBackend", "NativeExecutable", "backend"]

VARIABLES = ("CC", "PATH", "GRAPHBPTT_CACHE", "XDG_CACHE_HOME", "HOME")
"""What of the environment says which compiler is taken, and where its objects are kept."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """Where compiled objects are kept, and the compiler is remembered; and the compiler, or why none works."""

    cache: Cache
    compiler: Toolchain | str


class NativeBackend:
    """Runs plans where a C compiler works, which may take `seconds` for one of them.

    What there is to compile with is found out once in a process, whatever comes of it, and again where one of
    `VARIABLES` has changed.
    """

    name = "native"
    precisions: tuple[ProductPrecision, ...] = ("full",)

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._equipment: dict[tuple[str | None, ...], Equipment] = {}

    @property
    def equipment(self) -> Equipment:
        key = tuple(os.environ.get(name) for name in VARIABLES)
        if key not in self._equipment:
            self._equipment[key] = _find_equipment()
        return self._equipment[key]

    @property
    def cache(self) -> Cache:
        return self.equipment.cache

    @property
    def toolchain(self) -> Toolchain:
        """The compiler.

        Raises
        ------
        BackendError
            None works here.
        """
        found = self.equipment.compiler
        if isinstance(found, str):
            raise BackendError(found)
        return found

    def missing(self) -> str | None:
        found = self.equipment.compiler
        return found if isinstance(found, str) else None

    def awaited(self) -> bool:
        return True

    def describe(self) -> Iterator[str]:
        """The compiler, its flags, where objects are kept, and between how many threads a batch is split at most."""
        toolchain = self.toolchain
        version = next(iter(toolchain.version.splitlines()), "of a version that it does not say")
        yield f"compiler: {shlex.join(toolchain.command)}, {version}"
        if toolchain.note:
            yield f"passed over: {toolchain.note}"
        yield f"flags: {shlex.join(toolchain.flags)}"
        yield f"cache: {self.cache.describe()}"
        yield f"threads: {count_cores()}"

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> NativeExecutable:
        """Write the plan's loops as C, compile them unless the cache has them, and load them.

        Raises
        ------
        BackendError
            They would be too long to compile.
        CompilerError
            The compiler fails, hangs, or makes nothing that can be loaded.
        """
        toolchain, cache = self.toolchain, self.cache
        if toolchain.note:
            log_once(f"graphbptt compiles with {shlex.join(toolchain.command)}; {toolchain.note}")
        if cache.note:
            log_once(f"graphbptt compiles anew in every process; {cache.note}")
        return NativeExecutable(plan, dtype, toolchain, cache, seconds=self.seconds)


def _find_equipment() -> Equipment:
    try:
        check_system()
    except BackendError as error:
        return Equipment(Cache(None, str(error)), str(error))
    cache = open_cache()
    try:
        return Equipment(cache, find_toolchain(cache))
    except BackendError as error:
        return Equipment(cache, str(error))


backend = NativeBackend()
