"""C text: blocks and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["block", "comment", "remark", "spell_place"]

LONGEST_COMMENT = 100


def comment(note: str) -> str:
    """A comment that ends a line. A note can hold anything a node may be called: it cannot end the comment.

    >>> comment("net of h"), comment("")
    ('  // net of h', '')
    >>> comment("a\\nsystem();" + chr(92))
    '  // a?system();?'
    """
    if not note:
        return ""
    # A backslash would join the next line to the comment, and so would the trigraph that stands for one.
    plain = re.sub(r"\?+", "?", "".join(c if c.isprintable() and c != "\\" else "?" for c in note))
    return f"  // {plain if len(plain) <= LONGEST_COMMENT else plain[: LONGEST_COMMENT - 3] + '...'}"


def remark(notes: Iterable[str]) -> list[str]:
    """Comments on lines of their own.

    >>> remark(["h = tanh(net)"])
    ['// h = tanh(net)']
    """
    return [comment(note).strip() for note in notes]


def block(head: str, body: Iterable[str]) -> list[str]:
    """Lines in braces, one level deeper.

    >>> print(*block("for (;;)", ["x += 1;"]), sep="\\n")
    for (;;) {
        x += 1;
    }
    """
    return [f"{head} {{" if head else "{", *(f"    {line}" if line else "" for line in body), "}"]


def spell_place(row: str, stride: int, start: int, column: str) -> str:
    """Where a column lies in rows that are `stride` numbers apart, as short as can be.

    >>> spell_place("row", 5, 2, "j"), spell_place("row", 5, 0, "0"), spell_place("row", 1, 0, "0")
    ('row * 5 + 2 + j', 'row * 5', 'row')
    >>> spell_place("0", 1, 2, "j"), spell_place("0", 1, 0, "0")
    ('2 + j', '0')
    """
    terms = (row if stride == 1 else f"{row} * {stride}", str(start), column)
    return " + ".join(term for term in terms if term != "0") or "0"
