"""What compilers for GPUs say of persistent kernels: they take the text, spill nothing, and a block fits the registers
of a multiprocessor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from gpu_compilers import AROUND_CALLS, measure_usage
from hypothesis import given, settings
from named_networks import NETWORKS
from recurrent_cells import plan_cell
from strategies import Case, cases

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.persistent.choose_persistent import Persistent, choose_scans
from graphbptt.codegen.persistent.device_limits import DEVICES
from graphbptt.codegen.persistent.write_persistent import write_persistent
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.compiler import compile_network
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.plan import Plan

BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)
REGISTERS = 65536
"""Of a multiprocessor (CUDA C++ Programming Guide), and the most that a block may have."""


def check_usage(plan: Plan, precision: Precision, size: int) -> list[Persistent]:
    choices = choose_scans(plan, precision, 100, size, DEVICES["sm_90"])
    chosen = {scan: choice for scan, choice in choices.items() if isinstance(choice, Persistent)}
    written = write_persistent(plan, chosen, precision, CUDA)
    shapes = {kernel.signature.kernel: kernel.shape for kernel in written.kernels.values()}
    usages = measure_usage(written.text) if shapes else []
    assert len(usages) == 2 * len(shapes)
    for usage in usages:
        assert usage.spilled <= AROUND_CALLS[precision.name], usage
        assert usage.registers * shapes[usage.kernel].threads <= REGISTERS, usage
    return list(shapes.values())


@BOTH
@pytest.mark.parametrize(("size", "examples"), [(32, 1), (2000, 8)])
@pytest.mark.parametrize(("kind", "units"), [("rnn", 128), ("lstm", 64), ("gru", 64)])
def test_cells_spill_nothing(kind: str, units: int, size: int, examples: int, precision: Precision) -> None:
    shapes = check_usage(plan_cell(kind, units), precision, size)
    assert [shape.examples for shape in shapes] == [examples] * 2


@pytest.mark.parametrize(
    ("kind", "units", "size", "precision"),
    [
        ("rnn", 256, 64, FLOAT32),
        ("lstm", 128, 32, FLOAT32),
        ("lstm", 128, 300, FLOAT32),
        ("rnn", 180, 64, FLOAT64),
    ],
)
def test_cells_with_weights_in_registers_spill_nothing(
    kind: str, units: int, size: int, precision: Precision
) -> None:
    """They are as wide as the benchmark's, or nearly so."""
    shapes = check_usage(plan_cell(kind, units), precision, size)
    assert all(shape.kept for shape in shapes)
    assert len(shapes) == 2


@BOTH
@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_spill_nothing(network: Callable[[], FoldedNetwork], precision: Precision) -> None:
    """A softmax that is fed back among them."""
    check_usage(compile_network(network()), precision, 8)


@BOTH
def test_random_graphs_spill_nothing(precision: Precision) -> None:
    @settings(max_examples=4)
    @given(case=cases())
    def check(case: Case) -> None:
        check_usage(compile_network(case.fold()), precision, 8)

    check()
