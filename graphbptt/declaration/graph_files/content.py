"""The bytes of a graph file, with a limit, and the text that they are."""

from __future__ import annotations

from pathlib import Path

from graphbptt.errors import Place, Problem, SpecError

__all__ = ["read_content", "read_text"]


def read_content(path: Path, largest: int, field: str = "network.graph") -> bytes:
    """The bytes of a file.

    Raises
    ------
    SpecError
        It cannot be read, or has more than `largest` bytes.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, ValueError) as error:  # a ValueError where the path holds a NUL
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        what = f"{path} cannot be read: {reason}"
        raise SpecError(Problem(field, what, "a path is relative to the spec")) from None
    if len(content) > largest:
        what = f"{path} is larger than {largest:,} bytes"
        raise SpecError(Problem(field, what, "build the graph in Python and compile it there"))
    return content


def read_text(path: Path, largest: int, field: str = "network.graph") -> str:
    """The text of a file in UTF-8.

    Raises
    ------
    SpecError
        As `read_content`, and where it is no such text.
    """
    content = read_content(path, largest, field)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        what = "the file is not UTF-8 text"
        raise SpecError(Problem(field, what, "save it as UTF-8", Place(str(path), line, column))) from None
