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
