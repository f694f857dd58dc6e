"""The cupy backend with NumPy's arrays for those of CuPy and its kernels as C: all but CuPy itself, without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from device_checks import (
    check_case,
    check_entries,
    check_network,
    check_noise,
    check_single_steps,
    check_stretch,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import build
from named_networks import NETWORKS
from strategies import Case, cases
from wide_networks import wide_cases

from graphbptt.ir.folded import FoldedNetwork

EXAMPLES = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""


@pytest.mark.parametrize("in_reverse", [False, True])
@settings(max_examples=EXAMPLES)
@given(case=cases())
def test_random_graphs_agree_with_the_reference(in_reverse: bool, case: Case) -> None:
    """Whether threads run in their order or in reverse."""
    check_case(partial(build, in_reverse=in_reverse), case)


@settings(max_examples=EXAMPLES)
@given(case=wide_cases())
def test_wide_networks_agree_with_the_reference(case: Case) -> None:
    check_case(build, case, scale=0.3)


@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference(network: Callable[[], FoldedNetwork]) -> None:
    check_network(build, network)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True), data=st.data())
def test_stretches_agree_with_the_reference(case: Case, data: st.DataObject) -> None:
    check_stretch(build, case, data)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True))
def test_single_steps_are_the_whole(case: Case) -> None:
    check_single_steps(build, case)


def test_noise_is_drawn_in_the_kernels() -> None:
    check_noise(build)


@pytest.mark.parametrize("delay", [0, 1])
def test_weights_kept_as_entries(delay: int) -> None:
    check_entries(build, delay)
