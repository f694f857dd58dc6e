"""What the documents say is so: their examples run, their links lead somewhere, their picture is a result."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

import graphbptt
from benchmarks.registry import OURS

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/tour.md"])
def test_examples_print_what_they_say(document: str) -> None:
    examples = blocks(document, "python")
    said = re.findall(r"^print\(.*\)  # (.*)$", "".join(examples), flags=re.MULTILINE)
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        for example in examples:
            exec(compile(example, document, "exec"), names)
    assert printed.getvalue().splitlines() == said
    assert said


def test_spec_examples_compile(tmp_path: Path) -> None:
    addition, memory = blocks("README.md", "yaml")
    path = tmp_path / "spec.yaml"
    path.write_text(addition)
    model = graphbptt.load(path).compile()
    assert list(model.parameters) == [
        "bits->hidden", "hidden->hidden", "hidden->sum", "hidden.bias", "hidden.initial", "sum.bias",
    ]  # fmt: skip
    assert memory in (ROOT / "specs/adding.yaml").read_text()


TIMED = {
    "rnn": "tanh RNN, 256 units, batch 64, 256 steps",
    "lstm_small": "LSTM, 128 units, batch 32, 256 steps",
    "lstm_large": "LSTM, 512 units, batch 64, 100 steps",
    "gru": "GRU, 256 units, batch 64, 100 steps",
    "custom": "three gated populations of 128, cross feedback, delays 1, 2 and 5",
    "clockwork": "clockwork, 8 modules of 64, 512 steps",
    "leaky": "excitatory and inhibitory leaky network, 512 units, noise",
    "sparse": "sparse, 10,000 units, 1,000,000 connections",
    "units": "256 single units, 4,096 connections",
    "tiny": "16 units, batch 1, 1,000 steps",
}
"""What the README calls the workloads of the benchmark."""


def test_figures_are_those_that_were_measured() -> None:
    """Figures of the README are those of the file that a measurement wrote."""
    times: dict[str, dict[str, float]] = {}
    for row in json.loads((ROOT / "benchmarks/results/cpu.json").read_text())["rows"]:
        times.setdefault(row["workload"], {})[row["contender"]] = row["min_ms"]

    def show(milliseconds: float) -> str:
        return f"{milliseconds:,.{0 if milliseconds >= 100 else 2}f}"

    wanted = []
    for workload, title in TIMED.items():
        peers = {name: time for name, time in times[workload].items() if name not in {*OURS, "floor"}}
        fastest = min(peers, key=peers.__getitem__)
        native, peer = times[workload]["native"], peers[fastest]
        wanted.append(f"| {title} | {show(native)} | {show(peer)} | {fastest} | {native / peer:.2f} |")
    table = "\n".join(
        ["| network | graphbptt | fastest peer | which | ratio |", "| --- | --- | --- | --- | --- |", *wanted]
    )
    assert table in (ROOT / "README.md").read_text(), f"write\n{table}"


def test_the_gallery_shows_every_spec() -> None:
    shown = re.findall(
        r"^\| \[(\w+)\]\(\.\./specs/(\w+)\.yaml\) \|", (ROOT / "docs/gallery.md").read_text(), re.MULTILINE
    )
    assert sorted(shown) == [(path.stem, path.stem) for path in SPECS]


@pytest.mark.parametrize("document", ["README.md", "docs/guide.md", "docs/tour.md", "docs/gallery.md"])
def test_links(document: str) -> None:
    path = ROOT / document
    links = [link for link in re.findall(r"\]\(([^)]+)\)", path.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("document", ["README.md", "docs/guide.md", "docs/tour.md", "docs/gallery.md"])
def test_prose_is_as_wide_as_that_of_the_code(document: str) -> None:
    """Rows of tables cannot be broken."""
    lines = (ROOT / document).read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_guide_names_every_pass() -> None:
    guide = (ROOT / "docs/guide.md").read_text()
    passes = [path.name for path in (ROOT / "graphbptt/passes").glob("[!_]*.py")]
    assert [name for name in passes if name not in guide] == []


def test_picture_is_up_to_date() -> None:
    draw = load_script(ROOT / "docs/draw_unrolling.py")
    network = draw.declare_network()
    drawn = draw.draw_picture(network, draw.unroll_network(network, draw.STEPS))
    assert drawn == draw.PICTURE.read_text()


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script
