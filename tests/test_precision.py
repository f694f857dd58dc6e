"""`precision` says what products keep of their factors: a word of specs, of Python and of the command line. It never
changes in silence: whoever cannot do it says so."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt import backend as backends
from graphbptt.backend import AUTO_ORDER, GROUP, list_backends, load_backend
from graphbptt.cli import run
from graphbptt.errors import BackendError, SpecError
from graphbptt.gradients import check_gradients
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt_cupy.presence import find_missing
from graphbptt_numpy import NumpyBackend, NumpyExecutable

HERE = "test_precision"

SPEC = """\
network: {nodes: {x: {units: 2}, h: {units: 3, activation: tanh}}, edges: [{from: x, to: h}, {from: h, to: h}]}
inputs: {x: {field: bits}}
targets: {h: {field: sum, units: [0]}}
data: {task: binary_addition, steps: 5, examples: 20}
training: {epochs: 1}
"""


class RoundingBackend(NumpyBackend):
    """Has products of every precision, and says with what it was asked to build."""

    name = "cupy"
    precisions: tuple[ProductPrecision, ...] = ("full", "tf32", "bfloat16")

    def __init__(self) -> None:
        self.built: list[tuple[str, str]] = []

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> NumpyExecutable:
        self.built.append((plan.precision, dtype.name))
        return super().build(plan, dtype)


rounding = RoundingBackend()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the backend above was asked for, which is installed beside the others here."""
    entries = list_backends() | {"cupy": metadata.EntryPoint("cupy", f"{HERE}:rounding", GROUP)}
    monkeypatch.setattr(backends, "list_backends", lambda: entries)
    monkeypatch.setattr(backends, "AUTO_ORDER", AUTO_ORDER)
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])
    rounding.built.clear()
    return rounding.built


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes the spec with more lines."""
    monkeypatch.chdir(tmp_path)

    def write(*lines: str) -> str:
        Path("a.yaml").write_text(SPEC + "".join(f"{line}\n" for line in lines))
        return "a.yaml"

    return write


def compile_small(**settings: Any) -> graphbptt.Model:
    return graphbptt.compile(nx.DiGraph([("h", "h")]), [], [graphbptt.Target("h", "h")], **settings)


@pytest.mark.parametrize("precision", ["full", "tf32", "bfloat16"])
@pytest.mark.parametrize("backend", ["auto", "cupy"])
def test_a_backend_gets_what_was_asked_for(
    precision: ProductPrecision, backend: str, built: list[tuple[str, str]]
) -> None:
    model = compile_small(precision=precision, backend=backend)
    assert copy.copy(model).plan is model.plan
    assert built == [(precision, "float32")] * 2
    assert model.summary == "2 parameters, backend cupy" + (
        f", precision {precision}" if precision != "full" else ""
    )


@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bfloat16", 7)])
@pytest.mark.usefixtures("built")
def test_the_plan_says_so(precision: ProductPrecision, bits: int) -> None:
    said = (
        f"products of matrices may round their factors to {precision}, {bits} bits behind the first one; they are "
        "added up in float32"
    )
    assert said in compile_small(precision=precision).explain().splitlines()
    assert "round" not in compile_small().explain()


@pytest.mark.usefixtures("built")
def test_derivatives_are_checked_with_all_digits(built: list[tuple[str, str]]) -> None:
    check_gradients(compile_small(precision="tf32"), {"h": np.ones((1, 3, 1))})
    assert built == [("tf32", "float32"), ("full", "float64")]


@pytest.mark.skipif(find_missing() is None, reason="there is a GPU")
@pytest.mark.parametrize("backend", ["numpy", "native", "reference"])
def test_a_backend_that_cannot_says_what_to_write(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "AUTO_ORDER", AUTO_ORDER)
    if isinstance(reason := load_backend(list_backends()[backend]), str):
        pytest.skip(reason)
    with pytest.raises(BackendError) as caught:
        compile_small(precision="tf32", backend=backend)
    said, cupy = str(caught.value).splitlines()
    assert said == f"{backend} has no products of precision tf32; write precision: full"
    assert cupy == f"backend 'cupy', which has them, cannot run here: {find_missing()}"


@pytest.mark.usefixtures("built")
def test_where_one_can_it_is_named() -> None:
    with pytest.raises(BackendError) as caught:
        compile_small(precision="tf32", backend="numpy")
    assert str(caught.value) == (
        "numpy has no products of precision tf32; write precision: full, or backend: cupy"
    )


@pytest.mark.skipif(find_missing() is None, reason="there is a GPU")
def test_auto_does_not_take_less_or_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where none that can do it runs here, that is an error, which says why of those that have it alone."""
    monkeypatch.setattr(backends, "AUTO_ORDER", AUTO_ORDER)
    said = ["no backend that can run here has products of precision bfloat16; write precision: full"]
    with pytest.raises(BackendError) as caught:
        compile_small(precision="bfloat16")
    assert str(caught.value).splitlines() == [*said, f"backend 'cupy' cannot run here: {find_missing()}"]
    numpy = list_backends()["numpy"]
    monkeypatch.setattr(backends, "list_backends", lambda: {"numpy": numpy})
    with pytest.raises(BackendError) as caught:
        compile_small(precision="bfloat16")
    assert str(caught.value).splitlines() == said
    assert not caplog.records


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"precision": "tf32", "dtype": "float64"}, "products of float64 are not rounded to tf32; write full here, or"),
        ({"precision": "tf23"}, "'tf23' is no precision of products; write full, tf32 or bfloat16"),
        ({"precision": None}, "None is no precision of products; write full, tf32 or bfloat16"),
        ({"precision": "float32"}, "'float32' is a dtype; write dtype: float32, and precision: full, where products"),
    ],
)  # fmt: skip
def test_precisions_that_cannot_be(
    settings: dict[str, Any], complaint: str, write: Callable[..., str]
) -> None:
    """In Python, in a spec with its place, and on the command line."""
    with pytest.raises(SpecError, match=f"^precision: {complaint}"):
        compile_small(**settings)
    lines = [f"{key}: {'null' if value is None else value}" for key, value in settings.items()]
    with pytest.raises(SpecError, match=rf"^a\.yaml:6:12: precision: {complaint}"):
        graphbptt.load(write(*lines))
    with pytest.raises(SpecError, match=rf"1:11: precision: {complaint}"):
        graphbptt.load(write(*lines[1:]), [lines[0].replace(": ", "=")])


def test_both_settings_are_judged_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        compile_small(precision="half", dtype="int8", seed=-1)
    assert [problem.path for problem in caught.value.problems] == ["dtype", "seed", "precision"]


def test_a_spec_says_which(write: Callable[..., str], built: list[tuple[str, str]]) -> None:
    spec = graphbptt.load(write("precision: tf32"))
    assert spec.compile().plan.precision == "tf32"
    assert spec.compile(precision="full").plan.precision == "full"
    assert graphbptt.load(write(), ["precision=bfloat16"]).compile().plan.precision == "bfloat16"
    assert built == [("tf32", "float32"), ("full", "float32"), ("bfloat16", "float32")]
    with pytest.raises(SpecError, match="precision: products of float64 are not rounded to tf32"):
        spec.compile(dtype="float64")


def test_the_command_line(
    write: Callable[..., str], built: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is trained, kept, evaluated and checked with what it says, and a run's spec repeats it."""
    path = write()
    assert run(["train", path, "precision=tf32"]) == 0
    assert "backend cupy, precision tf32" in capsys.readouterr().out
    assert "precision: tf32" in Path("runs/a-1/spec.yaml").read_text()
    for command in (["explain"], ["evaluate", "--parameters", "runs/a-1"], ["check"]):
        assert run([*command, "runs/a-1/spec.yaml"]) == 0
    assert "may round their factors to tf32" in capsys.readouterr().out
    assert built == [*[("tf32", "float32")] * 4, ("full", "float64")]


def test_where_nothing_has_it_the_command_line_says_so(
    write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", write("backend: numpy"), "precision=tf32"]) == 2
    said = "numpy has no products of precision tf32; write precision: full"
    assert capsys.readouterr().err.startswith(said)
    assert run(["check", write("backend: numpy", "precision: tf32"), "precision=full"]) == 0
