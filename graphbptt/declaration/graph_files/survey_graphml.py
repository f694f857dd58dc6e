"""The elements of a GraphML file one by one: the lines of its nodes and edges, and what a whole reader passes over.

networkx says of a value only that it is none, and makes a node of every name that an edge has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from graphbptt.errors import Place, Problem, did_you_mean

__all__ = ["Survey", "survey_graphml"]

Ends = tuple[str, ...]

WHOLE, REAL, TRUTH = "a whole number", "a number", "true or false"
KINDS: Mapping[str, str] = {"int": WHOLE, "long": WHOLE, "float": REAL, "double": REAL, "boolean": TRUTH}
"""What the values of an attribute of each type are; any other type is text."""


@dataclass(slots=True)
class Survey:
    """What is found: the first line of every node (its name) and every edge (its ends), and the mistakes."""

    lines: dict[Ends, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def survey_graphml(file: str, content: bytes) -> Survey:
    """Read the elements of a file.

    Raises
    ------
    xml.parsers.expat.ExpatError
        It is no XML.
    """
    reader = _ElementReader(file)
    reader.parser.Parse(content, True)
    reader.check_ends()
    return reader.survey


class _ElementReader:
    """Follows the elements from start to end."""

    def __init__(self, file: str) -> None:
        self.file, self.survey = file, Survey()
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._read_text
        self.nodes: set[str] = set()
        self.edges: dict[Ends, Place] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.owners: list[str] = []  # of the elements around
        self.open: tuple[str, str, str, Place] | None = (
            None  # the path and the type of a value, its text, its place
        )

    def check_ends(self) -> None:
        """Whether every edge is between nodes of the file, which may declare them after it."""
        for ends, place in self.edges.items():
            for name in ends:
                if name not in self.nodes:
                    remedy = f'write <node id="{name}"/>; {did_you_mean(name, sorted(self.nodes))}'
                    what = f"the node {name!r} is declared nowhere in the file"
                    self.survey.problems.append(Problem(f"edge {'->'.join(ends)}", what, remedy, place))

    def _start(self, element: str, said: dict[str, str]) -> None:
        kind = element.rpartition(":")[2]
        line = self.parser.CurrentLineNumber
        place = Place(self.file, line, self.parser.CurrentColumnNumber + 1)
        owner = self.owners[-1] if self.owners else ""
        self.open = None  # a value with elements inside is a drawing
        if kind == "node" and "id" in said:
            owner = f"node {said['id']}"
            self.nodes.add(said["id"])
            self.survey.lines.setdefault((said["id"],), line)
        elif kind == "edge" and "source" in said and "target" in said:
            ends = said["source"], said["target"]
            owner = f"edge {'->'.join(ends)}"
            self.survey.lines.setdefault(ends, line)
            self.edges.setdefault(ends, place)
        elif kind == "key" and "id" in said:
            self.keys[said["id"]] = said.get("attr.name", said["id"]), said.get("attr.type", "string")
            owner = f"key {said['id']}"
        elif kind == "default" and owner.startswith("key "):
            self.open = f"{owner}.default", self.keys[owner.removeprefix("key ")][1], "", place
        elif kind == "data" and said.get("key") in self.keys:
            name, type_ = self.keys[said["key"]]
            self.open = f"{owner or 'graph'}.{name}", type_, "", place
        self.owners.append(owner)

    def _read_text(self, text: str) -> None:
        if self.open is not None:
            path, kind, before, place = self.open
            self.open = path, kind, before + text, place

    def _end(self, _element: str) -> None:
        self.owners.pop()
        if self.open is not None:
            path, kind, text, place = self.open
            wanted = KINDS.get(kind)
            if wanted is not None and text and not _is(wanted, text):
                self.survey.problems.append(
                    Problem(path, f"{text!r} is not {wanted}", f"write {wanted}", place)
                )
        self.open = None


def _is(wanted: str, text: str) -> bool:
    if wanted == TRUTH:
        return text.lower() in ("true", "false", "0", "1")
    try:
        int(text) if wanted == WHOLE else float(text)
    except ValueError:
        return False
    return True
