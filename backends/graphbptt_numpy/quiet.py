"""Calls without NumPy's warnings about numbers, where `numpy.errstate` would take as long as the arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np

__all__ = ["make_quiet"]

IN_CONTEXT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
"""Whether NumPy's settings belong to the context that code runs in; before, they belonged to the thread."""


def make_quiet(in_context: bool = IN_CONTEXT) -> Callable[..., Any]:
    """A function that calls another one, ``quiet(function, *arguments)``, whose arithmetic warns of nothing.

    Only one thread at a time may use it, and not within itself.

    >>> quiet = make_quiet()
    >>> quiet(np.log, np.zeros(1))
    array([-inf])
    """
    if not in_context:
        return np.errstate(all="ignore")(_call)
    context = Context()
    context.run(partial(np.seterr, all="ignore"))
    return context.run


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
