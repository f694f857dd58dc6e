"""C text: blocks and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["block", "comment", "remark"]

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
