"""What compilers for GPUs say of generated kernels: they take the text, spill nothing, and use few registers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from gpu_compilers import ARCHITECTURES, AROUND_CALLS, Usage, measure_usage
from hypothesis import given, settings
from strategies import Case, cases

import graphbptt
from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels.update_kernels import write_update
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.ir.penalties import Penalty
from graphbptt.ir.plan import Plan
from graphbptt.training.optimizers import OPTIMIZERS, make_rule

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)
REGISTERS = 128
"""With so many, two blocks of 256 threads share a multiprocessor."""


def check_usage(plan: Plan, precision: Precision) -> None:
    kernels = write_kernels(plan, precision, CUDA)
    usages = measure_usage(kernels.text)
    for architecture in ARCHITECTURES:
        compiled = {usage.kernel for usage in usages if usage.architecture == f"sm_{architecture}"}
        assert {kernel.signature.kernel for kernel in kernels.kernels()} <= compiled
    check_frugal(usages, precision)


def check_frugal(usages: list[Usage], precision: Precision) -> None:
    for usage in usages:
        assert usage.spilled <= AROUND_CALLS[precision.name], usage
        assert usage.registers <= REGISTERS, usage


@BOTH
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_spill_nothing(path: Path, precision: Precision) -> None:
    check_usage(graphbptt.load(path).compile().plan, precision)


@BOTH
def test_random_graphs_spill_nothing(precision: Precision) -> None:
    @settings(max_examples=4)
    @given(case=cases())
    def check(case: Case) -> None:
        check_usage(compile_network(case.fold()), precision)

    check()


@BOTH
def test_entries_spill_nothing(precision: Precision) -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=40, activation="tanh")
    graph.add_edge("h", "h", weight={"sparse": {"density": 0.1}, "storage": "csr"})
    plan = graphbptt.compile(graph, [], [graphbptt.Target("h", "h")], "numpy", precision.name).plan
    assert plan.blocks
    check_usage(plan, precision)


@BOTH
@pytest.mark.parametrize("forced", [False, True], ids=["logits", "probabilities"])
def test_labels_among_many_units_spill_nothing(forced: bool, precision: Precision) -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("p", units=1000, activation="softmax")
    graph.add_edge("p", "p", weight="one_to_one")
    inputs = [graphbptt.Clamp("p", "set", mask="where")] if forced else []
    target = graphbptt.Target("p", "label", "cross_entropy")
    plan = graphbptt.compile(graph, inputs, [target], "numpy", precision.name).plan
    assert "JOIN_LANES(whole" in write_kernels(plan, precision, CUDA).text
    check_usage(plan, precision)


@BOTH
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_spill_nothing(name: str, precision: Precision) -> None:
    rule = make_rule(OptimizerChoice.model_validate({name: {"momentum": 0.9} if name == "sgd" else {}}))
    kernels = write_update(rule, 1.0, {"W": Penalty(0.1, 0.2)}, precision, CUDA)
    usages = measure_usage(kernels.text)
    assert {usage.kernel for usage in usages} == {signature.kernel for signature in kernels.signatures}
    check_frugal(usages, precision)
