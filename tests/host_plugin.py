"""A plugin of pytest, ``-p host_plugin``: the tests of a GPU run without one, by CuPy itself on `host_runtime`."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from host_runtime import HostRuntime, install

HOST = HostRuntime()


def pytest_configure() -> None:
    """As a plugin alone, before anything imports CuPy: to import this module, as a search for doctests does, changes
    nothing."""
    install(HOST)
    from graphbptt_cupy import gpu

    gpu.open_cublas = HOST.open_cublas


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """What was done wrong does not pass through C as an error; it is one here."""
    outcome = yield
    mistakes, HOST.mistakes = HOST.mistakes, []
    assert not mistakes, "\n".join(mistakes)
    return outcome
