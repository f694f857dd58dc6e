"""The native backend: sweeps as generated C, compiled by the system's C compiler; the rest is NumPy's."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np

from graphbptt.errors import BackendError
from graphbptt.ir.plan import Plan
from graphbptt_native.cache import Cache, open_cache
from graphbptt_native.discover import Toolchain, check_system, find_toolchain
from graphbptt_native.executable import NativeExecutable

__all__ = ["NativeBackend", "NativeExecutable", "backend"]

logger = logging.getLogger(__name__)


class NativeBackend:
    """Runs plans where a C compiler works."""

    name = "native"

    @cached_property
    def cache(self) -> Cache:
        """Where compiled objects are kept, and the compiler is remembered."""
        opened = open_cache()
        if opened.note:
            logger.warning("graphbptt compiles anew in every process; %s", opened.note)
        return opened

    @cached_property
    def toolchain(self) -> Toolchain:
        """The compiler, tried out at first use.

        Raises
        ------
        BackendError
            None works here.
        """
        check_system()
        return find_toolchain(self.cache)

    def missing(self) -> str | None:
        try:
            _ = self.toolchain
        except BackendError as error:
            return str(error)
        return None

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> NativeExecutable:
        """Write the plan's loops as C, compile them unless the cache has them, and load them.

        Raises
        ------
        CompilerError
            The compiler fails, hangs, or makes nothing that can be loaded.
        """
        return NativeExecutable(plan, dtype, self.toolchain, self.cache)


backend = NativeBackend()
