"""The native backend: sweeps, products and derivatives as generated C, compiled by the system's C compiler."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np

from graphbptt.errors import BackendError
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt_native.cache import Cache, open_cache
from graphbptt_native.discover import Toolchain, check_system, find_toolchain
from graphbptt_native.executable import NativeExecutable
from graphbptt_native.load import SECONDS

__all__ = ["NativeBackend", "NativeExecutable", "backend"]

logger = logging.getLogger(__name__)


class NativeBackend:
    """Runs plans where a C compiler works, which may take `seconds` for one of them."""

    name = "native"
    precisions: tuple[ProductPrecision, ...] = ("full",)

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds

    @cached_property
    def cache(self) -> Cache:
        """Where compiled objects are kept, and the compiler is remembered."""
        opened = open_cache()
        if opened.note:
            logger.warning("graphbptt compiles anew in every process; %s", opened.note)
        return opened

    @cached_property
    def toolchain(self) -> Toolchain:
        """The compiler.

        Raises
        ------
        BackendError
            None works here.
        """
        if isinstance(self._found, str):
            raise BackendError(self._found)
        return self._found

    @cached_property
    def _found(self) -> Toolchain | str:
        """The compiler, or why none works; tried out once in a process, whatever comes of it."""
        try:
            check_system()
            return find_toolchain(self.cache)
        except BackendError as error:
            return str(error)

    def missing(self) -> str | None:
        return self._found if isinstance(self._found, str) else None

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> NativeExecutable:
        """Write the plan's loops as C, compile them unless the cache has them, and load them.

        Raises
        ------
        BackendError
            They would be too long to compile.
        CompilerError
            The compiler fails, hangs, or makes nothing that can be loaded.
        """
        return NativeExecutable(plan, dtype, self.toolchain, self.cache, seconds=self.seconds)


backend = NativeBackend()
