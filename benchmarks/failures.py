"""A plugin of pytest, ``-p benchmarks.failures``, for a run on a GPU that may be stopped before its end.

What fails is said whole when it does, and not at the end. A GPU that has stopped does nothing more for a process: one
of several that run tests is ended then, so that another takes its place; tests behind it fail for their own reasons.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

__all__ = ["Failures", "pytest_configure"]

ENDED = 70
"""The exit code of a process whose GPU has stopped."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Failures(config))


class Failures:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._works = hasattr(config, "workerinput")
        self._failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed
        if report.failed and not self._works:
            terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
            terminal.write_line(f"\n{report.nodeid}, {report.when}:\n{report.longreprtext}")

    def pytest_runtest_logfinish(self) -> None:
        if self._failed and self._works and has_stopped():
            os._exit(ENDED)
        self._failed = False


def has_stopped() -> bool:
    """Whether the current GPU does nothing more."""
    runtime = importlib.import_module("cupy").cuda.runtime
    try:
        runtime.deviceSynchronize()
    except runtime.CUDARuntimeError:
        return True
    return False
