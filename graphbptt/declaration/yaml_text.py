"""YAML text -> a tree of nodes with their places, by PyYAML, with the scalars of YAML 1.2 and within limits.

    null  := ~ | null | Null | NULL | nothing          bool := true | True | TRUE | false | False | FALSE
    int   := [-+] digits | 0o17 | 0x1F                  float := [-+] 1. | .5 | 1e-3 | .inf | .nan
    everything else is text: no, on, 1_000, 12:30

The limits are checked on the stream of events, which does not recurse, before any tree is made. JSON is read
the same way.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import BaseResolver

from graphbptt.errors import Place, Problem, SpecError

__all__ = ["compose_text"]

DEEPEST_NESTING = 64
# Counted with every alias written out, so that a few aliases of aliases cannot stand for billions of values.
LARGEST_DOCUMENT = 200_000


def compose_text(text: str, file: str) -> yaml.Node:
    """Compose the only document of a text.

    Raises
    ------
    SpecError
        It is no YAML, not exactly one document, nested too deeply, too large with its aliases written out, or
        it has a tag.

    Examples
    --------
    >>> compose_text("{rate: 1e-3, tie: no}", "a.yaml").value[0][1].tag
    'tag:yaml.org,2002:float'
    """
    try:
        node = _EventComposer(_check_events(text, file)).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _complain(_explain(error), "mend the YAML here", error.problem_mark, file) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        what = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise SpecError(
            Problem("syntax", what, "remove it, or write it as \\u... in double quotes", place)
        ) from None
    if node is None:
        raise SpecError(
            Problem("spec", "the file is empty", "write at least network: ...", Place(file, 1, 1))
        )
    return node


class _EventComposer(Composer, BaseResolver):
    """PyYAML's composer, reading events that were already checked."""

    def __init__(self, events: Iterable[yaml.Event]) -> None:
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._events = deque(events)

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        return bool(self._events) and (not kinds or isinstance(self._events[0], kinds))

    def peek_event(self) -> yaml.Event:
        return self._events[0]

    def get_event(self) -> yaml.Event:
        return self._events.popleft()


_SCALARS: dict[str, tuple[str, str | None]] = {
    "null": (r"~|null|Null|NULL|", None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
"""The core schema of YAML 1.2: for each type the texts that have it, and their first characters."""

for _name, (_pattern, _first) in _SCALARS.items():
    _EventComposer.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}",
        re.compile(f"(?:{_pattern})\\Z"),
        None if _first is None else list(_first),
    )


def _check_events(text: str, file: str) -> list[yaml.Event]:
    """The events of a text, if they stay within the limits."""
    events: list[yaml.Event] = []
    meter = _Meter()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        events.append(event)
        wrong = meter.pass_event(event)
        if wrong is not None:
            raise _complain(*wrong, event.start_mark, file)
    return events


class _Meter:
    """Measures depth and size of a document, with every alias written out, as its events go by."""

    def __init__(self) -> None:
        self._anchors: list[str | None] = []
        """The anchors of the collections around here; None for those without one."""
        self._sizes = [0]
        """The number of values so far: of the document, and of each collection around here."""
        self._named: dict[str, int | None] = {}
        """The size of what each anchor names; None while it is still open."""

    def pass_event(self, event: yaml.Event) -> tuple[str, str] | None:
        """Take in the next event; what is wrong with it and what to do instead, or None."""
        if isinstance(event, yaml.CollectionEndEvent):
            self._add(self._anchors.pop(), self._sizes.pop())
        elif isinstance(event, yaml.AliasEvent):
            size = self._named.get(str(event.anchor), 0)  # an unknown anchor is the composer's to report
            if size is None:
                return f"*{event.anchor} stands inside of itself", "write out what you mean"
            self._add(None, size)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag is not None:
                return f"the tag {event.tag} is not used here", "remove it"
            if isinstance(event, yaml.ScalarEvent):
                self._add(event.anchor, 1)
            else:
                self._open(event.anchor)
        if len(self._anchors) > DEEPEST_NESTING:
            return f"nested deeper than {DEEPEST_NESTING} levels", "a spec needs no more than ten"
        if self._sizes[-1] > LARGEST_DOCUMENT:
            what = f"more than {LARGEST_DOCUMENT:,} values, aliases written out"
            return what, "keep large arrays in data files"
        return None

    def _open(self, anchor: str | None) -> None:
        self._anchors.append(anchor)
        self._sizes.append(1)
        if anchor is not None:
            self._named[anchor] = None

    def _add(self, anchor: str | None, size: int) -> None:
        self._sizes[-1] += size
        if anchor is not None:
            self._named[anchor] = size


def _complain(what: str, instead: str, mark: Any, file: str) -> SpecError:
    place = Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)
    return SpecError(Problem("syntax", what, instead, place))


def _explain(error: yaml.MarkedYAMLError) -> str:
    what = ", ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in what:
        return "a tab where only spaces may stand"
    if "but found another document" in what:
        return "a second document begins; a spec is one document"
    return what
