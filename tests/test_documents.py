"""What the documents say is so: their examples run, their links lead somewhere, their picture is a result."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import pytest

import graphbptt

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_networkx_example_prints_what_it_says() -> None:
    (example,) = blocks("python")
    said = re.findall(r"^print\(.*\)  # (.*)$", example, flags=re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    assert printed.getvalue().splitlines() == said == ["1.0"]


def test_spec_example_compiles(tmp_path: Path) -> None:
    (example,) = blocks("yaml")
    path = tmp_path / "spec.yaml"
    path.write_text(example)
    model = graphbptt.load(path).compile()
    assert list(model.parameters) == [
        "bits->hidden", "hidden->hidden", "hidden->sum", "hidden.bias", "hidden.initial", "sum.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("document", ["README.md", "docs/guide.md"])
def test_links(document: str) -> None:
    path = ROOT / document
    links = [link for link in re.findall(r"\]\(([^)]+)\)", path.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


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
