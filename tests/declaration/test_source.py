"""Spec files as text: the scalars of YAML 1.2, places, and files that are too much or not YAML."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from graphbptt.declaration.source import Source, read_source
from graphbptt.errors import Problem, SpecError


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


def read(path: Path, content: str | bytes, *overrides: str) -> Source:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(path, overrides)


def problems(path: Path, content: str | bytes, *overrides: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        read(path, content, *overrides)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1E+2", -100.0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("0b1", "0b1"),
        ("2001-01-01", "2001-01-01"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        ("'1'", "1"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(spec: Path, text: str, value: Any) -> None:
    found = read(spec, f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan(spec: Path) -> None:
    assert math.isnan(read(spec, "a: .nan").data["a"])


def test_json_with_tabs(tmp_path: Path) -> None:
    source = read(tmp_path / "a.json", '{\n\t"a":[1,2.5e-1,"x\\/y"],\n\t"b":\t{"c":null}\n}')
    assert source.data == {"a": [1, 0.25, "x/y"], "b": {"c": None}}
    assert str(source.place(("b", "c"), at_key=True)).endswith("a.json:3:8")


def test_places_of_keys_and_values(spec: Path) -> None:
    source = read(spec, "network:\n  nodes:\n    h: {units: 3, initial: [1, 2]}\n")
    path = ("network", "nodes", "h", "units")
    assert str(source.place(path)) == f"{spec}:3:16"
    assert str(source.place(path, at_key=True)) == f"{spec}:3:9"
    assert str(source.place(("network", "nodes", "h", "initial", 1))) == f"{spec}:3:28"
    assert str(source.place(("network", "missing"))) == f"{spec}:2:3"


def test_aliases_stand_for_their_values(spec: Path) -> None:
    assert read(spec, "a: &x {b: 1}\nc: [*x, *x]").data == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "1:1", "the file is empty"),
        ("- 1\n", "1:1", "the file is not a mapping"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document begins"),
        ("a: 1\nb: 2\na: 3\n", "3:1", "the key stands twice, first in line 1"),
        ("1: a\n", "1:1", "a key is a number, not text"),
        ("true: a\n", "1:1", "a key is true or false, not text"),
        ("[a]: b\n", "1:1", "a key is a collection, not text"),
        ("a: !!int 3\n", "1:4", "the tag tag:yaml.org,2002:int"),
        ("a: !x {}\n", "1:4", "the tag !x"),
        ("a: [1, 2\n", "2:1", "expected ',' or ']'"),
        ("a:\n\tb: 1\n", "2:1", "a tab where only spaces may stand"),
        ("a: *b\n", "1:4", "found undefined alias"),
        ("a: &a [*a]\n", "1:8", "*a stands inside of itself"),
        ("a: b\x07\n", "1:5", "the character U+0007"),
        ('a: "\\ud83d"\n', "1:4", "half of a surrogate pair"),
        ("a: " + "9" * 5000, "1:4", "a number of 5000 digits"),
        (b"a: 1\nb: \xff\n", "2:4", "not UTF-8"),
        ("a: 1".encode("utf-16"), "1:1", "not UTF-8"),
    ],
)
def test_what_is_no_spec(spec: Path, content: str | bytes, place: str, what: str) -> None:
    (problem,) = problems(spec, content)
    assert str(problem.place) == f"{spec}:{place}"
    assert what in problem.what
    assert problem.instead


def test_all_doubtful_keys_are_reported(spec: Path) -> None:
    assert len(problems(spec, "a: 1\na: 2\n3: 4\nb: {c: 1, c: 2}\n")) == 3


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[" * 200_000, "nested deeper"),
        ('{"a":' * 200_000, "nested deeper"),
        ("- " * 200_000, "nested deeper"),
        ("a: " + "[\n" * 200_000, "nested deeper"),
        (BOMB, "more than 200,000 values"),
        (" " * 8_000_001, "larger than 8,000,000 bytes"),
    ],
    ids=["sequences", "mappings", "block", "lines", "bomb", "large"],
)
def test_too_much_is_refused_at_once(spec: Path, content: str, what: str) -> None:
    spec.write_text(content)
    start = time.perf_counter()
    with pytest.raises(SpecError, match=what) as caught:
        read_source(spec)
    assert time.perf_counter() - start < 5
    assert len(caught.value.problems) == 1


def test_file_of_100_megabytes_is_not_read(spec: Path) -> None:
    with spec.open("wb") as stream:
        stream.truncate(100_000_000)
    start = time.perf_counter()
    with pytest.raises(SpecError, match="larger than"):
        read_source(spec)
    assert time.perf_counter() - start < 1


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: no such file"):
        read_source(tmp_path / "missing.yaml")
    with pytest.raises(SpecError, match="cannot be read: is a directory"):
        read_source(tmp_path)


def test_overrides_replace_and_add(spec: Path) -> None:
    source = read(spec, "a: {b: [1, {c: 2}]}", "a.b.1.c=1e-3", "d.e={f: no}")
    assert source.data == {"a": {"b": [1, {"c": 1e-3}]}, "d": {"e": {"f": "no"}}}
    assert str(source.place(("a", "b", 1, "c"))) == "override a.b.1.c=1e-3:1:9"


def test_nothing_inside_of_a_replaced_value_keeps_its_place(spec: Path) -> None:
    source = read(spec, "a: {b: {c: 1}, d: 2}", "a={d: 3}", "a.d=4")
    assert set(source.values) == {(), ("a",), ("a", "d")}
    assert set(source.keys) == {("a",), ("a", "d")}


def test_overrides_are_a_list(spec: Path) -> None:
    spec.write_text("a: 1")
    with pytest.raises(SpecError, match=r"overrides: 'a=2' is one text, not a list of them; write \['a=2'\]"):
        read_source(spec, "a=2")


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("a.b", "'a.b' is no override"),
        (".a=1", "'.a=1' is no override"),
        ("a.b.2=1", "a.b is a list of 2"),
        ("a.b.0.c=1", "a.b[0] has no parts"),
        ("a.b=[", "expected the node content"),
    ],
)
def test_overrides_that_cannot_be(spec: Path, override: str, what: str) -> None:
    (problem,) = problems(spec, "a: {b: [1, 2]}", override)
    assert what in problem.what
    assert problem.place is not None
    assert problem.place.file == f"override {override}"


@pytest.mark.parametrize("path", [None, 3, b"spec.yaml"])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(SpecError, match=r"path: .* is no path; name a spec file"):
        read_source(path)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(SpecError, match="cannot be read: embedded null"):
        read_source("a\0b")
