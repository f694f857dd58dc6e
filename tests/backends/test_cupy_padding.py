"""Sequences that end long before the steps do, on a device that is the host's memory: launched step by step, and as
persistent kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from loopback import build
from padding import BEYOND, RUNAWAY, assert_padding_reaches_nothing
from strategies import Case, cases

from graphbptt.codegen.persistent.device_limits import DEVICES, DeviceLimits
from graphbptt.compiler import compile_network

NETWORKS_TRIED = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""

ONE = replace(DEVICES["sm_90"], multiprocessors=1)
"""A GPU on which a block has as many examples as it can."""


@pytest.mark.parametrize("limits", [None, ONE], ids=["stepwise", "persistent"])
@settings(max_examples=NETWORKS_TRIED)
@given(case=cases(causal=True, beyond=BEYOND))
@example(case=RUNAWAY)
def test_what_overflows_behind_the_ends_reaches_nothing(limits: DeviceLimits | None, case: Case) -> None:
    plan = compile_network(case.fold())
    assert_padding_reaches_nothing(plan, build(plan, np.float64, limits=limits), case)
