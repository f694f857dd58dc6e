"""The probe of a GPU, with a CuPy that is the host's memory."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from host_cupy import HostCupy

from benchmarks import probe


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> HostCupy:
    """A CuPy in the host's memory, which any import finds; of all networks the smallest is probed."""
    host = HostCupy()
    monkeypatch.setitem(sys.modules, "cupy", host)
    monkeypatch.setattr("graphbptt_cupy.gpu.open_cublas", HostCupy.open_cublas)
    monkeypatch.setattr(probe, "NETWORKS", ("tiny",))
    monkeypatch.setattr(probe, "_describe", lambda: iter(["described"]))
    return host


@pytest.mark.usefixtures("host")
def test_the_probe_tries_all_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("described", "0 failed")
    assert [line.split(":")[0] for line in lines] == [
        f"tiny, {dtype}, {way}" for dtype in ("float32", "float64") for way in probe.WAYS
    ]


def test_the_probe_names_the_kernel_that_fails(host: HostCupy, capsys: pytest.CaptureFixture[str]) -> None:
    """And goes on with what does not run it."""
    host.failing = "fill_history"
    assert probe.main(["--first"]) == 1
    said = capsys.readouterr().out
    assert said.count("FAILED\nTraceback") == 2
    assert re.search(r"DeviceError: kernel fill_history, 1 blocks of 256, .*: cudaErrorLaunchFailure", said)
    assert said.endswith("2 failed\n")


@pytest.mark.usefixtures("host")
def test_the_probe_says_what_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "TOLERANCE", {"float32": 1e-12})
    assert probe.main(["--first"]) == 1
    assert "recurrent by " in capsys.readouterr().out


@pytest.mark.usefixtures("host")
def test_the_probe_describes_what_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "cupy", HostCupy())
    lines = list(probe._describe())
    assert f"numpy: {np.__version__}" in lines
    assert "device: host" in lines
