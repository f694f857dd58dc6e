"""What must hold of a launch plan, or an error says what does not."""

from __future__ import annotations

from graphbptt.errors import VerificationError

__all__ = ["require"]


def require(condition: bool, message: str) -> None:
    """Raise an error that says the message, unless the condition holds."""
    if not condition:
        raise VerificationError(message)
