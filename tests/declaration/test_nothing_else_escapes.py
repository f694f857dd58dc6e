"""Whatever is written: it is read, or a SpecError says why not."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphbptt.declaration.build import build_clamps, build_graph, build_targets
from graphbptt.declaration.cells.expand import expand_cells
from graphbptt.declaration.expressions import parse_activation
from graphbptt.declaration.read import read_declaration
from graphbptt.errors import Problem, SpecError
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.verify_folded import verify_folded

SPEC: dict[str, Any] = {
    "network": {
        "nodes": {
            "x": {"units": 2},
            "h": {
                "units": 3,
                "activation": "k * h[t-2] + tanh(net)",
                "coefficients": {"k": {"init": [1, 2, 3], "tie": {"group": "c", "scale": 2}}},
                "bias": [1, 2, 3],
                "initial": {"init": {"normal": {"std": 0.1}}, "trainable": False},
            },
            "y": {"activation": "logistic", "bias": {"init": "uniform", "tie": "b"}},
        },
        "edges": [
            {"from": "x", "to": "h", "to_units": [0, 2], "init": [[1, 2], [3, 4]]},
            {
                "from": "h",
                "to": "h",
                "tie": {"group": "W", "scale": -1, "transpose": True, "combine": "mean"},
            },
            {"from": "h", "to": "y", "delay": -2, "from_units": {"start": 1, "stop": 3}, "trainable": False},
            {"from": "y", "to": "y", "weight": "scalar", "tie": "w"},
        ],
    },
    "inputs": {"x": {"field": "x"}, "h": [{"field": "h", "units": [1], "at": [1, 2], "mask": "m"}]},
    "targets": {"y": {"field": "y", "loss": "binary_cross_entropy", "at": {"last": 2}, "weight": 0.5}},
    "data": {"task": {"binary_addition": {"delay": 2}}, "steps": 12, "examples": 10},
    "training": {"optimizer": {"adam": {"rate": 0.01}}, "epochs": 5},
    "seed": 1,
}


def list_paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from list_paths(value, (*path, key))


words = st.sampled_from(
    ["", "x", "h", "y", "W", "h.bias", "x->h", "tanh", "net", "every", "last", "learned", "dense"]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.just(10**30) | st.floats(-2, 2) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)


def read_and_fold(path: Path) -> list[Problem]:
    """What is wrong with a spec file; where nothing is, the network it folds to is verified."""
    try:
        declaration = read_declaration(path)
        expanded = expand_cells(build_graph(declaration))
        network = fold_graph(
            expanded, build_clamps(declaration, expanded), build_targets(declaration, expanded)
        )
    except SpecError as error:
        return list(error.problems)
    verify_folded(network)
    return []


def replace(data: Any, path: Sequence[Any], value: Any) -> None:
    """Put a value at a path, if an earlier change has not taken the path away."""
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specs")


@given(st.lists(st.tuples(st.sampled_from(list(list_paths(SPEC))), junk), min_size=0, max_size=2))
def test_any_value_anywhere(folder: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    spec = copy.deepcopy(SPEC)
    for path, value in changes:
        replace(spec, path, value)
    (folder / "a.json").write_text(json.dumps(spec))
    assert all(problem.place and problem.instead for problem in read_and_fold(folder / "a.json"))


@given(st.text() | st.text(alphabet="[]{}:,-&*a\n \"'#?|>!%@~0.e"))
@settings(suppress_health_check=list(HealthCheck))
def test_any_text_as_a_file(folder: Path, text: str) -> None:
    (folder / "a.yaml").write_bytes(text.encode(errors="surrogatepass"))
    assert all(problem.place and problem.instead for problem in read_and_fold(folder / "a.yaml"))


@given(st.text() | st.text(alphabet="hnet()[]+-*/ .t12,"))
def test_any_text_as_an_activation(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert str(parse_activation(text, ["k"], ["h"]))
