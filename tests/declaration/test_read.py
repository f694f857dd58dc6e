"""Whole spec files: what they declare, and every mistake with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphbptt.compiler import compile
from graphbptt.declaration.build import build_clamps, build_graph, build_targets
from graphbptt.declaration.cells.expand import expand_cells
from graphbptt.declaration.read import read_declaration
from graphbptt.errors import SpecError
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.passes.fold_graph import fold_graph

GOOD = """\
description: an echo
network:
  nodes:
    x: {units: 2}
    h:
      units: 3
      activation: (1 - leak) * h[t-2] + leak * tanh(net)
      coefficients: {leak: {init: 0.3}}
      initial: {init: {normal: {std: 1e-2}}}
    y:
  edges:
    - {from: x, to: h, to_units: [0, 2]}
    - {from: x, to: h, delay: 3, init: [[1, 2, 3], [4, 5, 6]]}
    - {from: h, to: h, tie: {group: W, scale: -1, transpose: true}}
    - {from: h, to: y, from_units: {start: 1}}
inputs:
  x: {field: input}
  h: [{field: cue, at: start, units: {start: 0, stop: 2}}, {field: push, at: [3, 5], mask: known}]
targets:
  y: {field: wanted, at: {last: 2}, weight: 2}
dtype: float64
seed: 7
"""

BAD = """\
descripton: an echo
network:
  nodes:
    x: {units: 0}
    h: {units: 3, activation: tahn, initail: learned, initial: lerned}
    g: {units: three, bias: maybe, coefficients: {net: 1, a: {init: {normal: {sdt: 1}}}}}
    y: {activation: "tanh(net) + foo[t-1]"}
  edges:
    - {from: x, to: hh}
    - {from: h, to: h, delay: 1.5, tie: {grup: W}}
    - {from: h, to: y, weight: 0.5}
    - {from: h, to: y, weight: spars, init: gloro}
    - {to: y}
    - {from: h, to: y, from_units: [0, 0], to_units: [-1]}
    - {from: h, to: y, tie: {group: W, scale: 0}}
    - {from: h, to: y, tie: {group: W, scale: .nan}}
    - {from: h, to: y, weight: wire, init: 1}
inputs:
  z: {field: input}
  x: [{field: 3}, {at: start}, {field: lengths}, {field: f, at: evry}]
targets:
  y: {field: wanted, loss: squared_eror, at: {last: 0}, weight: -1, mask: ''}
data: {task: binary_adition, steps: 12, examples: none}
training: {optimizer: {adm: {rate: 0.1}}, epochs: -5, batch: true}
dtype: float16
seed: 1.5
"""


@pytest.fixture(autouse=True)
def _inside_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that messages name the file alone


def fold(text: str, *overrides: str) -> FoldedNetwork:
    Path("a.yaml").write_text(text)
    declaration = read_declaration("a.yaml", overrides)
    graph = expand_cells(build_graph(declaration))
    return fold_graph(graph, build_clamps(declaration, graph), build_targets(declaration, graph))


def complaints(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        fold(text, *overrides)
    return str(caught.value).splitlines()


def test_what_is_declared_is_folded(golden: Callable[[str, str], None]) -> None:
    golden("folded_echo", str(fold(GOOD)))


def test_inputs_and_targets() -> None:
    network = fold(GOOD)
    assert network.clamps == (
        Clamp("x", "input"),
        Clamp("h", "cue", (0, 1), "start"),
        Clamp("h", "push", None, (3, 5), "known"),
    )
    assert network.targets == (Target("y", "wanted", at=Last(2), weight=2),)


def test_settings_and_defaults() -> None:
    Path("a.yaml").write_text(GOOD)
    spec = read_declaration("a.yaml").spec
    assert (spec.backend, spec.dtype, spec.seed, spec.description) == ("auto", "float64", 7, "an echo")
    assert spec.data is None


def test_json_declares_the_same() -> None:
    Path("a.json").write_text('{"network":{"nodes":{"h":{"units":2}},"edges":[{"from":"h","to":"h"}]}}')
    declared = fold_graph(build_graph(read_declaration("a.json")))
    assert declared == fold("network: {nodes: {h: {units: 2}}, edges: [{from: h, to: h}]}")


def test_every_mistake_is_reported_at_once(golden: Callable[[str, str], None]) -> None:
    golden("mistakes", "\n".join(complaints(BAD)))


def test_overrides_are_checked_like_the_file() -> None:
    assert fold(GOOD, "network.nodes.x.units=5", "network.edges.1.init=normal").population["x"].units == 5
    (complaint,) = complaints(GOOD, "network.nodes.x.units=none")
    assert complaint.startswith(
        "override network.nodes.x.units=none:1:23: network.nodes.x.units: 'none' cannot"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1", "a.yaml:1:1: spec: 'network' is absent; write network: ..."),
        ("network: {}", "a.yaml:1:10: network: 'nodes' is absent; write nodes: ..."),
        (
            "network: {nodes: {}}",
            "a.yaml:1:18: network.nodes: an empty mapping cannot stand here; write at least one",
        ),
        ("network: [1]", "a.yaml:1:10: network: a list cannot stand here; write a mapping"),
        (
            "network: {nodes: {h: {units: 2}}}\ninputs: {h: {field: f, units: {start: 1, stop: 3}}}",
            "a.yaml:2:31: clamp h.units: unit 2 of 2; write units from 0 to 1",
        ),
        (
            "network: {nodes: {h: {units: 2}}}\ninputs: {h: [{field: f}, {field: f, units: {start: 2}}]}",
            "a.yaml:2:44: clamp h[1].units: no units are listed",
        ),
        (
            "network:\n  nodes: {h: {units: 2}}\n  edges: [{from: h, to: h, init: [1]}]",
            "a.yaml:3:34: edge h->h.init: starting values of shape (1,)",
        ),
        (
            "network:\n  nodes:\n    h:\n      units: 2\n      bias: [1]",
            "a.yaml:5:13: node h.bias.init: starting values of shape (1,)",
        ),
        (
            "network: {nodes: {h: {}}}\ntargets: {h: {field: f, loss: cross_entropy}}",
            "a.yaml:2:31: target h.loss: cross_entropy over one unit",
        ),
    ],
)
def test_places_of_mistakes(text: str, complaint: str) -> None:
    lines = complaints(text)
    assert any(line.startswith(complaint) for line in lines), lines


def test_parallel_edges_keep_their_places() -> None:
    text = "network:\n  nodes: {h: {units: 2}}\n  edges:\n" + "".join(
        f"    - {{from: h, to: h, delay: {delay}, init: [{delay}]}}\n" for delay in (1, 2, 2)
    )
    starts = [line.partition(": starting")[0] for line in complaints(text)]
    assert starts == [
        "a.yaml:4:40: edge h->h@1.init",
        "a.yaml:5:40: edge h->h@2#1.init",
        "a.yaml:6:40: edge h->h@2#2.init",
    ]


def test_problems_of_several_parts_come_in_the_order_of_the_file() -> None:
    lines = complaints(
        "targets: {h: {field: f, loss: binary_cross_entropy}}\n"
        "network:\n  nodes: {h: {activation: tanh, initial: [1, 2]}}\n  edges: [{from: h, to: h, tie: x->h}]\n"
    )
    assert [line.split(":")[1] for line in lines] == ["1", "3", "4"]


def test_mistakes_found_by_later_passes_have_their_place() -> None:
    Path("a.yaml").write_text(
        "network:\n"
        "  nodes:\n    a: {}\n    b:\n      activation: a + tanh(net)\n"
        "  edges:\n    - {from: a, to: b}\n    - {from: b, to: a, delay: 0}\n"
    )
    with pytest.raises(
        SpecError, match=r"^a\.yaml:(8:7: edge b->a|5:19: node b\.activation): a cycle without delay"
    ):
        compile(build_graph(read_declaration("a.yaml")))


@pytest.mark.parametrize("section", ["inputs", "targets"])
@pytest.mark.parametrize("said", ["{}", "{h: {field: wanted}}"])
def test_overrides_may_drop_what_the_file_declares(section: str, said: str) -> None:
    network = fold(GOOD, f"{section}={said}")
    items = network.clamps if section == "inputs" else network.targets
    assert [item.node for item in items] == ([said[1]] if len(said) > 2 else [])
