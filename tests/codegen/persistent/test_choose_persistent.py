"""Which scans become persistent kernels on which GPU, and what shape their blocks have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recurrent_cells import plan_cell
from strategies import Case, cases

from graphbptt.codegen.persistent.choose_persistent import Choice, Persistent, choose_persistent, choose_scans
from graphbptt.codegen.persistent.device_limits import DEVICES, KIB, describe_device
from graphbptt.codegen.persistent.text import format_persistent
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.plan import Plan
from graphbptt.passes.fold_graph import fold_graph

STEPS = 100


def choose(plan: Plan, precision: Precision, size: int, device: str, backward: bool = False) -> Choice:
    """The choice for the only scan of a plan."""
    return next(
        choice
        for (_, is_backward), choice in choose_scans(plan, precision, STEPS, size, DEVICES[device]).items()
        if is_backward == backward
    )


@pytest.mark.parametrize(
    ("kind", "units", "precision", "device", "kept"),
    [
        ("rnn", 64, FLOAT32, "sm_86", (0, 0)),
        ("lstm", 64, FLOAT64, "sm_90", (0, 0)),  # 129 KiB
        ("lstm", 64, FLOAT64, "sm_86", (16, None)),
        ("lstm", 96, FLOAT32, "sm_80", (0, 0)),  # 144 KiB
        ("gru", 128, FLOAT32, "sm_90", (0, 0)),  # 193 KiB
        ("gru", 128, FLOAT32, "sm_80", (20, 64)),
        ("rnn", 256, FLOAT32, "sm_90", (32, 32)),  # 257 KiB
        ("rnn", 256, FLOAT32, "sm_86", (None, None)),
        ("lstm", 128, FLOAT32, "sm_90", (16, 68)),  # 257 KiB
        ("rnn", 300, FLOAT32, "sm_90", (None, None)),  # 353 KiB
    ],
)
def test_weights_have_to_fit(
    kind: str, units: int, precision: Precision, device: str, kept: tuple[int | None, int | None]
) -> None:
    """Into shared memory but for the rows that are kept in registers; None where these would be too many."""
    limits = DEVICES[device]
    for backward, rows in enumerate(kept):
        choice = choose(plan_cell(kind, units), precision, 32, device, bool(backward))
        if rows is None:
            assert isinstance(choice, str)
            assert choice.endswith(f"of shared memory, a block has {limits.shared / KIB:.1f} KiB")
        else:
            assert isinstance(choice, Persistent)
            assert choice.kept == rows
            assert choice.shared <= limits.shared
            assert choice.cycles < choice.launched


@pytest.mark.parametrize(
    ("size", "device", "examples"),
    [
        (1, "sm_90", 1),
        (132, "sm_90", 1),
        (133, "sm_90", 2),
        (132, "sm_86", 2),
        (512, "sm_90", 4),
        (4096, "sm_90", 8),
    ],
)
def test_a_batch_is_spread_over_the_multiprocessors(size: int, device: str, examples: int) -> None:
    choice = choose(plan_cell("lstm", 64), FLOAT32, size, device)
    assert isinstance(choice, Persistent)
    assert (choice.examples, choice.blocks) == (examples, -(-size // examples))


def choose_forward(plan: Plan, size: int, device: str, resident_blocks: int) -> list[Choice]:
    """Where a multiprocessor runs no more blocks at a time, whatever they take."""
    limits = DEVICES[device]
    fewer = replace(limits, resident_blocks=min(resident_blocks, limits.resident_blocks))
    choices = choose_scans(plan, FLOAT32, STEPS, size, fewer).items()
    return [choice for (_, backward), choice in choices if not backward]


def test_small_blocks_share_a_multiprocessor() -> None:
    """What one waits for leaves the arithmetic to others."""
    shared, alone = (choose_forward(plan_cell("rnn", 8), 4096, "sm_90", most)[0] for most in (32, 1))
    assert isinstance(shared, Persistent)
    assert isinstance(alone, Persistent)
    assert shared.examples == alone.examples == 8
    assert 2 * shared.cycles < alone.cycles


def test_a_block_that_fills_a_multiprocessor_has_it_alone() -> None:
    shared, alone = (choose_forward(plan_cell("gru", 128), 4096, "sm_90", most) for most in (32, 1))
    assert shared == alone


@given(
    case=cases(),
    size=st.integers(1, 50_000),
    device=st.sampled_from(sorted(DEVICES)),
    blocks=st.integers(1, 32),
)
def test_more_blocks_at_a_time_take_no_longer(case: Case, size: int, device: str, blocks: int) -> None:
    plan = compile_network(case.fold())
    few, one = (choose_forward(plan, size, device, count) for count in (blocks, 1))
    for shared, alone in zip(few, one, strict=True):
        if isinstance(alone, Persistent):
            assert isinstance(shared, Persistent)
            assert shared.cycles <= alone.cycles


def test_shared_memory_is_that_of_the_weights_and_of_the_states_that_they_meet() -> None:
    forward, backward = (choose(plan_cell("lstm", 64), FLOAT32, 32, "sm_90", way) for way in (False, True))
    assert isinstance(forward, Persistent)
    assert isinstance(backward, Persistent)
    assert forward.shared == 4 * (64 * 256 + 64)
    assert backward.shared == 4 * (256 * 65 + 256)  # rows of 64, turned, lie 65 apart


def test_few_launches_of_much_work_stay_launches() -> None:
    """Where there is room for one example beside the weights, and none in the registers of as many threads."""
    plan, limits = plan_cell("lstm", 130), replace(DEVICES["sm_90"], shared=4 * (130 * 520 + 130))
    sweep = next(stage.forward for stage in plan.stages if stage.forward.each)
    assert isinstance(choose_persistent(plan, sweep, FLOAT32, STEPS, 100, limits), Persistent)
    choice = choose_persistent(plan, sweep, FLOAT32, STEPS, 4096, limits)
    assert isinstance(choice, str)
    assert "launched step by step" in choice


def test_some_weights_lie_in_shared_memory() -> None:
    """Where there is room for the states alone, not all of the weights go to registers."""
    plan, limits = plan_cell("rnn", 8), replace(DEVICES["sm_90"], shared=4 * 8)
    for choice in choose_scans(plan, FLOAT32, STEPS, 1, limits).values():
        assert isinstance(choice, str)


def test_one_step_is_launched() -> None:
    plan = plan_cell("rnn", 16)
    for choice in choose_scans(plan, FLOAT32, 1, 8, DEVICES["sm_90"]).values():
        assert choice == "there is only one step"


def test_entries_are_launched() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=40, activation="tanh")
    graph.add_edge("h", "h", weight={"sparse": {"density": 0.1}, "storage": "csr"})
    plan = compile_network(fold_graph(graph, [], [Target("h", "h")]))
    choices = choose_scans(plan, FLOAT32, STEPS, 8, DEVICES["sm_90"])
    assert set(choices.values()) == {"its weights S0 are kept as entries"}


def test_what_does_not_recur_is_no_scan() -> None:
    plan = plan_cell("rnn", 16)
    scanned = {index for index, _ in choose_scans(plan, FLOAT32, STEPS, 8, DEVICES["sm_90"])}
    assert scanned == {
        index for index, stage in enumerate(plan.stages) if stage.mode in ("forward", "reverse")
    }
    batched = next(stage for stage in plan.stages if stage.mode == "batched")
    choice = choose_persistent(plan, batched.forward, FLOAT32, STEPS, 8, DEVICES["sm_90"])
    assert choice == "nothing in it recurs"


@given(
    case=cases(),
    size=st.integers(1, 5000),
    precision=st.sampled_from([FLOAT32, FLOAT64]),
    device=st.sampled_from(sorted(DEVICES)),
)
def test_blocks_fit_the_device_and_the_batch(
    case: Case, size: int, precision: Precision, device: str
) -> None:
    limits = DEVICES[device]
    for choice in choose_scans(compile_network(case.fold()), precision, STEPS, size, limits).values():
        if isinstance(choice, Persistent):
            assert choice.shared <= limits.shared
            assert choice.threads % 32 == 0
            assert 0 < choice.threads <= limits.threads
            assert size <= choice.blocks * choice.examples < size + choice.examples


@pytest.mark.parametrize(
    ("major", "minor", "kind"),
    [(7, 5, "sm_80"), (8, 0, "sm_80"), (8, 7, "sm_86"), (9, 0, "sm_90"), (12, 0, "sm_90")],
)
def test_a_device_has_the_arithmetic_of_its_kind_or_the_latest_before_it(
    major: int, minor: int, kind: str
) -> None:
    found = {
        "name": b"GPU",
        "major": major,
        "minor": minor,
        "multiProcessorCount": 7,
        "maxThreadsPerBlock": 512,
    }
    limits = describe_device(found | {"sharedMemPerBlockOptin": 65536})
    assert limits == replace(DEVICES[kind], name="GPU", multiprocessors=7, shared=65536, threads=512)


def test_text() -> None:
    lines = format_persistent(plan_cell("lstm", 96), FLOAT32, STEPS, 32, DEVICES["sm_80"]).splitlines()
    assert lines[0].startswith("on A100, for 100 steps of 32 examples in float32")
    assert [line.split(",")[0] for line in lines[1:]] == ["  stage 1 forward", "  stage 1 backward"]
    assert all("one launch for all steps, 32 blocks of 1 example and " in line for line in lines[1:])
    lines = format_persistent(plan_cell("lstm", 96), FLOAT32, STEPS, 32, DEVICES["sm_86"]).splitlines()
    assert ", 32 rows of weights in registers; about " in lines[1]
    assert ": launched step by step: its weights and states take 14" in lines[2]
