"""A spec file -> plain data, each part of which knows its file, line and column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graphbptt.declaration.mistakes import KeyPath, Mistake, format_path
from graphbptt.declaration.yaml_text import compose_text
from graphbptt.errors import Place, Problem, SpecError

__all__ = ["Source", "read_source"]

LARGEST_FILE = 8_000_000
MOST_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Source:
    """What a spec file says.

    Attributes
    ----------
    file : str
        The file, as it is named in messages.
    data : dict
        Its content: dicts with text keys, lists, text, numbers, True, False and None.
    keys, values : dict
        The place of every key, and of every value but the scalars in lists, by path.
    """

    file: str
    data: dict[str, Any]
    keys: dict[KeyPath, Place]
    values: dict[KeyPath, Place]

    def place(self, path: KeyPath, at_key: bool = False) -> Place:
        """The place of a path, or of the nearest one around it."""
        places = self.keys if at_key and path in self.keys else self.values
        while path not in places:
            path = path[:-1]
        return places[path]

    def report(self, mistake: Mistake) -> Problem:
        """A mistake as a problem that knows its place."""
        place = self.place(mistake.path, mistake.at_key)
        return Problem(format_path(mistake.path) or "spec", mistake.what, mistake.instead, place)


def read_source(path: str | Path, overrides: Sequence[str] = ()) -> Source:
    """Read a YAML or JSON file.

    Parameters
    ----------
    path : str or Path
        The file: UTF-8, at most 8 MB, one document, a mapping.
    overrides : sequence of str
        Values that replace those of the file: ``training.epochs=5``, ``network.edges.0.delay=2``.

    Raises
    ------
    SpecError
        It cannot be read, or what it says has no meaning; with every problem found.
    """
    if not isinstance(path, str | Path):
        raise SpecError(Problem("path", f"{path!r} is no path", "name a spec file"))
    file = str(path)
    text = _read_text(Path(path), file)
    reader = _TreeReader()
    data = reader.read(compose_text(text, file), (), file)
    if not isinstance(data, dict):
        remedy = "write network: ... at the top"
        reader.problems.append(Problem("spec", "the file is not a mapping", remedy, reader.values[()]))
    elif isinstance(overrides, str):
        what = f"{overrides!r} is one text, not a list of them"
        reader.problems.append(Problem("overrides", what, f"write [{overrides!r}]"))
    else:
        for override in overrides:
            reader.override(data, override)
    if reader.problems:
        raise SpecError(reader.problems)
    return Source(file, data, reader.keys, reader.values)


def _read_text(path: Path, file: str) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # the latter where the name holds a null character
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise SpecError(
            Problem(repr(file) if "\0" in file else file, f"cannot be read: {reason}", "name a spec file")
        ) from None
    if len(content) > LARGEST_FILE:
        what = f"the file is larger than {LARGEST_FILE:,} bytes"
        raise SpecError(Problem(file, what, "keep data and large arrays in files of their own"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        place = Place(file, line, column)
        raise SpecError(Problem("syntax", "the file is not UTF-8 text", "save it as UTF-8", place)) from None
    # In JSON a tab can only stand between values; PyYAML knows no tabs there.
    return text.replace("\t", " ") if path.suffix == ".json" else text


class _TreeReader:
    """Plain data from composed nodes, with their places; notes every problem and goes on."""

    def __init__(self) -> None:
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []

    def read(self, node: yaml.Node, path: KeyPath, file: str) -> Any:
        """The data of a node."""
        self.values[path] = _place(node, file)
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path, file)
        if isinstance(node, yaml.SequenceNode):
            return [
                self._read_scalar(item, (*path, index), file)
                if isinstance(item, yaml.ScalarNode)
                else self.read(item, (*path, index), file)
                for index, item in enumerate(node.value)
            ]
        return self._read_scalar(node, path, file)

    def override(self, data: dict[str, Any], override: str) -> None:
        """Replace one value, as ``section.key=value`` says; its place is the override itself."""
        if not isinstance(override, str):
            what = f"an override is {override!r}, which is no text"
            self.problems.append(Problem("overrides", what, 'write texts, such as ["training.epochs=5"]'))
            return
        name, equals, text = override.partition("=")
        file = f"override {override}"
        here = Place(file, 1, 1)
        keys = name.split(".")
        if not equals or not all(keys):
            self._note((), f"{override!r} is no override", "write section.key=value", here)
            return
        if not text.strip():
            self._note(
                tuple(keys), f"{override!r} sets nothing", f"write {name}=value, or leave it out", here
            )
            return
        path: KeyPath = ()
        inside: Any = data
        for depth, key in enumerate(keys):
            item: str | int = key
            if isinstance(inside, list):
                if not key.isdecimal() or int(key) >= len(inside):
                    remedy = (
                        f"write a number from 0 to {len(inside) - 1}" if inside else "write the whole list"
                    )
                    self._note((*path, key), f"{format_path(path)} is a list of {len(inside)}", remedy, here)
                    return
                item = int(key)
            elif not isinstance(inside, dict):
                self._note(
                    (*path, key),
                    f"{format_path(path)} has no parts",
                    f"write {format_path(path)}=value",
                    here,
                )
                return
            path = (*path, item)
            self.keys[path] = here
            if depth < len(keys) - 1:
                if isinstance(inside, dict) and inside.get(key) is None:
                    inside[key] = {}
                    self.values[path] = here
                inside = inside[item]
        # Blanks in place of the name, so that columns count from the start of the override.
        try:
            node = compose_text(" " * (len(name) + 1) + text, file)
        except SpecError as error:
            self.problems.extend(error.problems)
        else:
            self._forget(path)
            inside[path[-1]] = self.read(node, path, file)

    def _forget(self, path: KeyPath) -> None:
        """Drop the places of what stood inside of a value that is replaced."""
        for places in (self.keys, self.values):
            for old in [old for old in places if len(old) > len(path) and old[: len(path)] == path]:
                del places[old]

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath, file: str) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node, file)
            if not isinstance(key_node, yaml.ScalarNode) or _type(key_node) != "str":
                written = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
                kind = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}
                what = f"a key is {kind.get(_type(key_node), 'a collection')}, not text"
                self._note(
                    path, what, f'write it in quotes: "{written}"' if written else "write a name", place
                )
                continue
            inner = (*path, key_node.value)
            if key_node.value in mapping:
                what = f"the key stands twice, first in line {self.keys[inner].line}"
                self._note(inner, what, "keep one of them", place)
                continue
            self.keys[inner] = place
            mapping[key_node.value] = self.read(value_node, inner, file)
        return mapping

    def _read_scalar(self, node: yaml.Node, path: KeyPath, file: str) -> str | float | bool | None:
        text: str = node.value
        kind = _type(node)
        if kind == "int":
            if len(text) > MOST_DIGITS:
                self._note(path, f"a number of {len(text)} digits", "write a smaller one", _place(node, file))
                return 0
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if kind == "float":
            return float(re.sub(r"\.(?=[a-zA-Z])", "", text))  # .inf and .nan
        if kind in ("null", "bool"):
            return None if kind == "null" else text.lower() == "true"
        return self._join_surrogates(node, path, file)

    def _join_surrogates(self, node: yaml.Node, path: KeyPath, file: str) -> str:
        """Text whose characters beyond U+FFFF JSON wrote as two escapes."""
        text: str = node.value
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._note(path, "half of a surrogate pair", "write both halves", _place(node, file))
            return ""

    def _note(self, path: KeyPath, what: str, instead: str, place: Place) -> None:
        self.problems.append(Problem(format_path(path) or "spec", what, instead, place))


def _type(node: yaml.Node) -> str:
    """The type of a node, the last part of its tag."""
    kind: str = node.tag.rpartition(":")[2]
    return kind


def _place(node: yaml.Node, file: str) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
