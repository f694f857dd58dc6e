"""How sparse weights are kept: by cost, or as declared; and what `explain` says of it."""

from __future__ import annotations

from typing import Any

import pytest
from plans import draw

from graphbptt.compiler import compile_network
from graphbptt.ir.plan import EXPECTED_BATCH, Plan
from graphbptt.ir.plan_text import format_plan
from graphbptt.passes.choose_storage import CSR_COSTS, DENSE_COSTS, Costs


def build(units: int, density: float, storage: str | None = None, **edge: Any) -> Plan:
    weight = {"sparse": {"density": density}, "storage": storage}
    nodes = {"h": {"units": units, "activation": "tanh"}}
    return compile_network(draw(nodes, ("h", "h", 1, {"weight": weight, **edge}), targets=["h"]))


@pytest.mark.parametrize(
    ("units", "density", "storage"),
    [
        (10, 0.1, "dense"),
        (50, 0.02, "dense"),
        (1000, 0.9, "dense"),
        (1000, 0.01, "csr"),
        (3000, 0.001, "csr"),
    ],
)
def test_the_cheaper_is_chosen(units: int, density: float, storage: str) -> None:
    (choice,) = build(units, density).storages
    assert (choice.storage, choice.declared) == (storage, False)
    assert (choice.csr < choice.dense) == (storage == "csr")


@pytest.mark.parametrize(("units", "density", "storage"), [(10, 0.1, "csr"), (1000, 0.01, "dense")])
def test_what_is_declared_overrides_it(units: int, density: float, storage: str) -> None:
    plan = build(units, density, storage)
    (choice,) = plan.storages
    assert (choice.storage, choice.declared) == (storage, True)
    assert (len(plan.blocks), choice.csr < choice.dense) == (storage == "csr", storage == "dense")


def test_the_costs_of_parts_are_those_of_their_entries() -> None:
    """Turning states costs all units of both ends, a dense product those that are joined."""
    edge = {"from_units": {"stop": 40}, "to_units": {"start": 60}}
    (choice,) = build(100, 0.5, **edge).storages
    assert choice.dense == DENSE_COSTS.estimate(200, 40 * 40)
    assert choice.csr == CSR_COSTS.estimate(200, 800)


def test_costs_are_those_of_calls_units_and_weights() -> None:
    assert Costs(100, 3, 0.5).estimate(20, 1000) == 100 + EXPECTED_BATCH * (60 + 500)


def test_explain_says_which_and_why() -> None:
    plan = build(100, 0.05, "csr")
    (choice,) = plan.storages
    text = format_plan(plan)
    assert f"sparse weights: estimates for a step forward and backward at a batch of {EXPECTED_BATCH}" in text
    (row,) = (line for line in text.splitlines() if "in rows (CSR)" in line)
    assert row.split()[:5] == ["h->h", "in", "rows", "(CSR)", "as"]
    assert row.endswith(f"{choice.csr:,.0f} ns in rows, {choice.dense:,.0f} ns dense")
    assert "500 entries in rows" in text
