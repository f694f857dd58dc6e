"""What can go wrong, where it went wrong, and what to write instead.

Every mistake a user can make ends as one of these exceptions. Each knows the exit code of the command line, and a
`SpecError` or a `DataError` carries *all* problems found, not only the first.

    place   := (file, line, column)
    problem := (path, what, instead, place)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "BackendError",
    "CollectedError",
    "CompilerError",
    "DataError",
    "DeviceError",
    "DivergenceError",
    "GraphbpttError",
    "Place",
    "Problem",
    "SpecError",
    "VerificationError",
    "did_you_mean",
]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a spec file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: its path in the declaration, what is wrong, and what to write instead.

    `path` names the node, edge or key (``network.nodes.h.units``, ``edge x->h``); `place` is known where the
    declaration came from a file.
    """

    path: str
    what: str
    instead: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.place else self.path
        return f"{where}: {self.what}; {self.instead}" if self.instead else f"{where}: {self.what}"


class GraphbpttError(Exception):
    """The base of every error a user can cause; `exit_code` is what the command line returns."""

    exit_code = 1


class CollectedError(GraphbpttError):
    """The base of the errors that carry every problem found, not only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class SpecError(CollectedError):
    """The network, its inputs or its targets cannot be what was declared. Carries every problem found."""

    exit_code = 2


class BackendError(GraphbpttError):
    """The backend asked for does not exist or cannot run here. The first line of its message can stand alone."""

    exit_code = 2


class CompilerError(BackendError):
    """The C compiler fails on generated text, takes too long, or makes nothing that can be loaded."""

    exit_code = 1


class DataError(CollectedError):
    """A field is absent, of the wrong shape, or holds values that cannot be used."""

    exit_code = 3


class DivergenceError(GraphbpttError):
    """A state or a derivative became NaN or infinite; names the node and the step where it began."""

    exit_code = 4


class DeviceError(GraphbpttError):
    """A device stopped in the middle of its work; what was written to files before is whole."""

    exit_code = 6


class VerificationError(Exception):
    """An invariant of an intermediate representation is broken: a bug in graphbptt, not in your network."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A remedy for a misspelt name: the closest known one, else the list of them.

    >>> did_you_mean("unts", ["units", "bias"])
    "did you mean 'units'?"
    >>> did_you_mean("zzz", ["units", "bias"])
    'known: bias, units'
    >>> did_you_mean("zzz", ["units", "units"])
    'known: units'
    """
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    names = sorted(set(known))
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return f"known: {shown}" if names else "none are known here"
