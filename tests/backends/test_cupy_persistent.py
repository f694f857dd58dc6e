"""Persistent kernels in launch plans, against the reference: as C, with the barriers and the shared memory of a GPU."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from agreement import assert_agreement
from audited_device import AuditedDevice
from device_checks import check_case, check_network
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import BLOCK_LOOP, LoopbackDevice, VerifiedExecutable, build
from named_networks import NETWORKS, draw_fields, elman
from persistent_checks import check_cell, list_persistent
from strategies import Case, cases
from wide_networks import wide_cases

import graphbptt
from graphbptt.codegen.persistent.device_limits import DEVICES, DeviceLimits
from graphbptt.codegen.persistent.rounds import find_obstacle
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy.executable import DeviceExecutable

NETWORKS_TRIED = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""

ALONE = replace(DEVICES["sm_90"], resident_blocks=1)
"""A GPU whose multiprocessors run one block at a time: where several share one, each has fewer examples."""

SMALL, LARGE = (replace(ALONE, multiprocessors=number) for number in (1, 64))
"""A GPU on which a block has as many examples as it can, and one on which every example has a block of its own."""


def count_scans(plan: Plan) -> int:
    """The loops over steps that could be persistent kernels."""
    sweeps = (sweep for stage in plan.stages for sweep in (stage.forward, stage.backward))
    return sum(find_obstacle(plan, sweep) is None for sweep in sweeps)


def bind_elman() -> tuple[Plan, np.ndarray, Batch]:
    plan = compile_network(elman())
    batch = bind_batch(plan.network, draw_fields(4, 9, False), 9, np.float64)
    return plan, draw_parameters(plan.network, plan.layout, 1, np.float64), batch


@pytest.mark.parametrize("in_reverse", [False, True])
@settings(max_examples=NETWORKS_TRIED)
@given(case=cases(), limits=st.sampled_from([SMALL, LARGE]))
def test_random_graphs_agree_with_the_reference(in_reverse: bool, case: Case, limits: DeviceLimits) -> None:
    """Whether the threads of a block run in their order, up to each barrier, or in reverse."""
    plan = compile_network(case.fold())
    executable = build(plan, np.float64, in_reverse, limits)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    if case.steps > 1:
        assert len(list_persistent(executable, case.steps, batch.size)) == count_scans(plan)
    assert_agreement(plan, executable, case.draw_vector(plan.layout.size), batch)


@settings(max_examples=NETWORKS_TRIED)
@given(case=wide_cases())
def test_wide_networks_agree_with_the_reference(case: Case) -> None:
    check_case(partial(build, limits=SMALL), case, scale=0.3)


@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference(network: Callable[[], FoldedNetwork]) -> None:
    check_network(partial(build, limits=SMALL), network)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_cells_agree_with_the_reference_whatever_a_block_has(kind: str) -> None:
    """One example, two, four or eight: of a batch of 11 the last block is not always full."""
    blocks = []
    for multiprocessors in (11, 6, 3, 1):
        limits = replace(SMALL, multiprocessors=multiprocessors)
        forward, backward = check_cell(partial(build, limits=limits), kind, 48, steps=5, size=11)
        assert forward.grid == backward.grid
        blocks.append(forward.grid)
    assert blocks == [11, 6, 3, 2]


@pytest.mark.parametrize("in_reverse", [False, True])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_cells_whose_weights_are_partly_in_registers_agree_with_the_reference(
    kind: str, in_reverse: bool
) -> None:
    for multiprocessors in (11, 3):
        limits = replace(SMALL, multiprocessors=multiprocessors)
        whole = max(launch.shared for launch in check_cell(partial(build, limits=limits), kind, 48, 5, 11))
        less = replace(limits, shared=whole * 9 // 10)
        for launch in check_cell(partial(build, in_reverse=in_reverse, limits=less), kind, 48, 5, 11):
            assert launch.shared <= less.shared


def test_what_does_not_fit_is_launched_step_by_step() -> None:
    plan, vector, batch = bind_elman()
    executable = build(plan, np.float64, limits=replace(SMALL, shared=64))
    assert not list_persistent(executable, 9, 4)
    assert_agreement(plan, executable, vector, batch)


def test_blocks_have_the_shared_memory_that_they_use() -> None:
    texts: list[str] = []

    class Listening(LoopbackDevice):
        def load(self, text: str) -> ctypes.CDLL:
            texts.append(text)
            return super().load(text)

    plan, vector, batch = bind_elman()
    executable = DeviceExecutable(plan, np.dtype(np.float64), Listening(limits=SMALL))
    executable.loss(vector, batch)
    for launch in list_persistent(executable, 9, 4):
        text = texts[-1][texts[-1].index(f"void {launch.kernel}(") :]
        numbers = re.search(r"real shared\[(\d+)\];", text)
        assert numbers
        assert launch.shared == 8 * int(numbers[1])


@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_read_and_write_what_their_launches_say(
    network: Callable[[], FoldedNetwork],
) -> None:
    plan = compile_network(network())
    device = AuditedDevice()
    device.limits = SMALL
    executable = VerifiedExecutable(plan, np.dtype(np.float64), device)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for padded in (False, True):
        batch = bind_batch(plan.network, draw_fields(3, 7, padded), 7, np.float64)
        assert_agreement(plan, executable, vector, batch)
    audited = [name for name in device.audited if name.startswith("persistent")]
    assert len(audited) == count_scans(plan)


def test_models_explain_what_their_device_does() -> None:
    plan = compile_network(elman())
    model = graphbptt.Model(plan, backend="numpy", dtype="float64", seed=0)
    alone = model.explain(9, 4)
    for limits, said in ((SMALL, "one launch for all steps"), (None, "scans are launched step by step")):
        model._executable = build(plan, np.float64, limits=limits)
        assert said in model.explain(9, 4).removeprefix(alone)
        assert said not in model.explain()


STRETCH = re.compile(r"\n *}\n *BARRIER\n *TOGETHER\(\d+\) {")
"""Where one stretch ends and the next one begins."""


@pytest.mark.parametrize("in_reverse", [False, True])
@pytest.mark.parametrize("number", [0, 2])
def test_a_missing_barrier_is_seen(number: int, in_reverse: bool) -> None:
    """The one between the states that are staged and their product, in the loop forward and in that backward."""

    class Planted(LoopbackDevice):
        def load(self, text: str) -> ctypes.CDLL:
            if BLOCK_LOOP in text:
                barriers = list(STRETCH.finditer(text))
                assert len(barriers) == 3
                text = text[: barriers[number].start()] + text[barriers[number].end() :]
            return super().load(text)

    plan, vector, batch = bind_elman()
    executable = DeviceExecutable(plan, np.dtype(np.float64), Planted(in_reverse, SMALL))
    with pytest.raises(AssertionError):
        assert_agreement(plan, executable, vector, batch)
