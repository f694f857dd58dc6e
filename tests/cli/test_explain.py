"""``graphbptt explain``: what it prints of a network that nothing runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import graphbptt
from graphbptt import backend
from graphbptt.backend import AUTO_ORDER
from graphbptt.cli import run

ADDITION = str(Path(__file__).parents[2] / "specs" / "binary_addition.yaml")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor CuPy."""
    monkeypatch.setattr(backend, "AUTO_ORDER", AUTO_ORDER)
    monkeypatch.setitem(sys.modules, "cupy", None)


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", ADDITION, "--steps", "7"]) == 0
    printed = capsys.readouterr().out
    assert "population hidden: 3 units" in printed
    assert "unrolled over 7 steps: 8 layers, 24 vertices, 21 arcs" in printed
    assert "group hidden->hidden: 7 copies" in printed
    assert run(["explain", ADDITION]) == 0
    assert "unrolled over 12 steps" in capsys.readouterr().out


def test_explain_of_any_number_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """So many as no list holds."""
    steps = 10**15
    assert run(["explain", ADDITION, "--steps", str(steps), "--device", "sm_90"]) == 0
    printed = capsys.readouterr().out
    size = f"{3 * steps + 3} vertices, {3 * steps} arcs; layers are counted up to 100000 vertices"
    assert f"unrolled over {steps} steps: {size}" in printed
    assert f"group hidden->hidden: {steps} copies" in printed


def test_explain_emits_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", ADDITION, "--emit", "c"]) == 0
    printed = capsys.readouterr().out
    assert printed == graphbptt.load(ADDITION).compile().emit_c() + "\n"
    assert printed.startswith(
        "// stage 0, given: nothing to compute: bits\n// stage 1, scanned forward: forward_1"
    )
    assert "@ W0  (hidden->hidden, bits->hidden, hidden.bias)" in printed
    assert run(["explain", ADDITION, "--emit", "c", "--steps", "3"]) == 2
    assert run(["explain", ADDITION, "--emit", "c", "backend=nativ"]) == 2
    assert "leave --steps out" in capsys.readouterr().err


@pytest.mark.usefixtures("no_gpu")
def test_what_is_for_a_gpu_is_explained_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ([], ["precision=tf32"], ["backend=cupy"], ["backend=cupy", "precision=bfloat16"]):
        assert run(["explain", ADDITION, "--device", "sm_90", *asked]) == 0
        printed, said = capsys.readouterr()
        assert not said
        plan, scans = printed.split("\n\non H100 SXM, for 12 steps of 64 examples in float32: scans")
        precision = asked[-1].removeprefix("precision=") if asked else ""
        assert (f"may round their factors to {precision}" in plan) == ("precision" in "".join(asked))
        assert "FLOPs per batch" not in scans
        assert "stage 1 forward, hidden: one launch for all steps" in scans
        assert "stage 1 backward, hidden: one launch for all steps" in scans


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("backend=cupy", "backend 'cupy' cannot run here: CuPy is not installed; pip install "),
        ("precision=tf32", "no backend that can run here has products of precision tf32; write "),
    ],
)
def test_what_cannot_run_here_is_shown_with_a_line_that_says_so(
    asked: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", ADDITION, "backend=numpy"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert run(["explain", ADDITION, asked]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(first.removesuffix("numpy"))
    assert shown[1].startswith(line)
    assert shown[2] == ""
    assert set(rest.splitlines()) <= set(shown)


def test_a_backend_that_is_not_installed_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--device", "sm_90"], ["--emit", "c"]):
        assert run(["explain", ADDITION, "backend=nunpy", *more]) == 2
        assert "did you mean 'numpy'" in capsys.readouterr().err


def test_a_gpu_is_known_by_its_architecture_and_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sm_89", "RTX 4090"):
        assert run(["explain", ADDITION, "--device", name]) == 0
        assert "on GeForce RTX 4090, for 12 steps" in capsys.readouterr().out
    assert run(["explain", ADDITION, "--device", "sm_10"]) == 2
    assert "'sm_10' is none of the GPUs that are known: sm_80 (A100), sm_86 (" in capsys.readouterr().err
    assert run(["explain", ADDITION, "--emit", "c", "--device", "sm_90"]) == 2
    assert "leave --device out" in capsys.readouterr().err


def test_loops_in_c_keep_all_digits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", ADDITION, "--emit", "c", "precision=tf32"]) == 2
    assert "the loops in C have no products of tf32: add precision=full" in capsys.readouterr().err


def test_a_model_that_is_to_be_looked_at_does_not_run() -> None:
    """It is the same plan."""
    spec = graphbptt.load(ADDITION)
    model, running = spec.compile(runs=False, backend="cupy", precision="tf32"), spec.compile(backend="numpy")
    assert model.plan.stages == running.plan.stages
    assert (model.vector == running.vector).all()
    assert model.summary.endswith("backend cupy, precision tf32")
    with pytest.raises(
        graphbptt.GraphbpttError, match="with runs=False, and nothing runs it; leave that out"
    ):
        model.run({"bits": [[[0, 1]]]})
