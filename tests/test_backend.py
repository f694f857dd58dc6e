"""Which backend is found: by name, or the first that can run here; a broken one is reported, not raised."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt import backend
from graphbptt.backend import GROUP, Executable, build_executable, find_backend, list_backends
from graphbptt.cli import run
from graphbptt.errors import BackendError, CompilerError
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision

INSTALLED = {entry.name: entry.value for entry in metadata.entry_points(group=GROUP)}
BROKEN = "a_package_that_is_not_there:backend"

AUTO_ORDER = backend.AUTO_ORDER

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(name=module)`` stands for an environment with these entry points alone."""

    def replace(**values: str) -> None:
        entries = [metadata.EntryPoint(name, value, GROUP) for name, value in values.items()]
        monkeypatch.setattr(metadata, "entry_points", lambda group: entries if group == GROUP else [])
        monkeypatch.setattr(backend, "AUTO_ORDER", AUTO_ORDER)

    return replace


def test_auto_takes_only_what_is_in_its_order(install: Install) -> None:
    install(reference=INSTALLED["reference"])
    assert find_backend("reference").name == "reference"
    with pytest.raises(BackendError, match="no backend can run here; reinstall"):
        find_backend()


def test_auto_passes_over_a_broken_backend(install: Install) -> None:
    install(cupy=BROKEN, numpy=INSTALLED["numpy"])
    assert find_backend().name == "numpy"
    with pytest.raises(
        BackendError, match="backend 'cupy' cannot run here: it cannot be imported: No module"
    ):
        find_backend("cupy")


def test_auto_says_what_it_tried(install: Install) -> None:
    install(native=BROKEN)
    with pytest.raises(BackendError, match="backend 'native' cannot run here: it cannot be imported"):
        find_backend()


def test_every_backend_of_the_package_can_be_loaded() -> None:
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["entry-points"][GROUP]
    assert set(backend.AUTO_ORDER) <= set(AUTO_ORDER) <= set(declared)
    for name, value in declared.items():
        assert metadata.EntryPoint(name, value, GROUP).load().name == name


@pytest.mark.parametrize("name", ["nunpy", 3])
def test_unknown_backend(name: str) -> None:
    assert "numpy" in list_backends()
    with pytest.raises(BackendError, match=f"backend {name!r} is not installed"):
        find_backend(name)


@pytest.mark.parametrize("working", ["numpy", "reference"])
def test_list_names_broken_backends(
    working: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(cupy=BROKEN, **{working: INSTALLED[working]})
    assert run(["backends"]) == 0
    broken, other, *described = capsys.readouterr().out.splitlines()
    assert broken.startswith("cupy: cannot run here: it cannot be imported: No module named")
    assert other == f"{working}: available" + (" (auto)" if working == "numpy" else "")
    assert described == [f"  {line}" for line in find_backend(working).describe()]
    assert described


def test_to_describe_imports_nothing() -> None:
    """More than to ask what is missing."""
    code = (
        "import sys; from graphbptt.backend import list_backends, load_backend; "
        "usable = [b for b in map(load_backend, list_backends().values()) if not isinstance(b, str)]; "
        "before = set(sys.modules); lines = [line for b in usable for line in b.describe()]; "
        "print(len(usable), len(lines) > 2, *set(sys.modules) - before)"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.split()[1:] == ["True"]


class FailingBackend:
    """It can run here, and can make no plan ready."""

    name = "native"
    precisions: tuple[ProductPrecision, ...] = ("full",)

    def missing(self) -> str | None:
        return None

    def awaited(self) -> bool:
        return True

    def describe(self) -> tuple[str, ...]:
        return ("compiler: on fire",)

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> Executable:  # noqa: ARG002
        raise CompilerError("the C compiler is on fire\n  it said:\n  ouch")


failing = FailingBackend()
HERE = "test_backend"


class MissingBackend(FailingBackend):
    def missing(self) -> str | None:
        return "there is no C compiler; install one"


missing = MissingBackend()


class StrangeBackend(MissingBackend):
    """Nothing on this machine has to do with it."""

    def awaited(self) -> bool:
        return False


strange = StrangeBackend()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is logged in a process that has logged nothing, and in which this file can be imported."""
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])
    backend.log_once.cache_clear()
    return caplog


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("missing", "there is no C compiler; install one"),
        ("failing", "the C compiler is on fire ('backend: native' shows more)"),
    ],
)
def test_auto_goes_on_to_numpy_and_says_so_once(
    value: str, reason: str, install: Install, said: pytest.LogCaptureFixture
) -> None:
    install(native=f"{HERE}:{value}", numpy=INSTALLED["numpy"])
    for _ in range(3):
        model = graphbptt.compile(nx.DiGraph([("h", "h")]))
        assert model.backend == "numpy"
        assert model.run({}, steps=2)["h"].shape == (1, 2, 1)
    assert [record.getMessage() for record in said.records] == [
        f"graphbptt runs on numpy, not on the faster native: {reason}"
    ]


def test_auto_says_nothing_of_what_nobody_awaits(install: Install, said: pytest.LogCaptureFixture) -> None:
    install(cupy=f"{HERE}:strange", native=f"{HERE}:missing", numpy=INSTALLED["numpy"])
    assert graphbptt.compile(nx.DiGraph([("h", "h")])).backend == "numpy"
    assert [record.getMessage() for record in said.records] == [
        "graphbptt runs on numpy, not on the faster native: there is no C compiler; install one"
    ]
    with pytest.raises(BackendError, match="backend 'cupy' cannot run here: there is no C compiler"):
        graphbptt.compile(nx.DiGraph([("h", "h")]), backend="cupy")


def test_auto_says_why_of_each_that_is_awaited(install: Install, said: pytest.LogCaptureFixture) -> None:
    install(cupy=BROKEN, native=f"{HERE}:missing", numpy=INSTALLED["numpy"])
    graphbptt.compile(nx.DiGraph([("h", "h")]))
    broken, absent = [record.getMessage() for record in said.records]
    assert broken.startswith("graphbptt runs on numpy, not on the faster cupy: it cannot be imported")
    assert absent.startswith("graphbptt runs on numpy, not on the faster native: there is no C compiler")


def test_auto_says_nothing_where_the_first_runs(install: Install, said: pytest.LogCaptureFixture) -> None:
    install(numpy=INSTALLED["numpy"], reference=INSTALLED["reference"])
    assert graphbptt.compile(nx.DiGraph([("h", "h")])).backend == "numpy"
    assert not said.records


def test_backend_asked_for_by_name_is_not_replaced(install: Install, said: pytest.LogCaptureFixture) -> None:
    install(native=f"{HERE}:failing", numpy=INSTALLED["numpy"])
    with pytest.raises(CompilerError, match=r"on fire\n  it said:\n  ouch"):
        graphbptt.compile(nx.DiGraph([("h", "h")]), backend="native")
    install(native=f"{HERE}:missing", numpy=INSTALLED["numpy"])
    with pytest.raises(BackendError, match="backend 'native' cannot run here: there is no C compiler"):
        graphbptt.compile(nx.DiGraph([("h", "h")]), backend="native")
    assert not said.records


@pytest.mark.usefixtures("said")
def test_auto_without_any_that_runs_shows_all_reasons(install: Install) -> None:
    plan = graphbptt.compile(nx.DiGraph([("h", "h")])).plan
    install(native=f"{HERE}:failing")
    with pytest.raises(
        BackendError, match=r"(?s)cannot run here: the C compiler is on fire.*ouch\nno backend"
    ):
        build_executable("auto", plan, np.dtype("float32"))
