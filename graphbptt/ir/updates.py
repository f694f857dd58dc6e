"""Rules by which optimizers change parameters, as expressions of one number of the flat vector.

    rule   := UpdateRule(step, moments)
    moment := (name, expression)            what is kept from update to update, 0 before the first: its new value
    leaf   := GRADIENT | PARAMETER | Load(name of a moment) | Load(TotalWeight(decay))

A `Load` of a moment is its old value, which only its own new value reads; what else depends on the moment contains that
expression. So each new value may be written where the old one was, in the order of the moments, the step last.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.ir.expression import Expression, Load, leaves

__all__ = ["GRADIENT", "PARAMETER", "TotalWeight", "UpdateRule"]

GRADIENT = Load("gradient")
PARAMETER = Load("parameter")


@dataclass(frozen=True, slots=True)
class TotalWeight:
    """The sum of the weights of a running mean that an update multiplies by `decay`: ``1 - decay ** count``."""

    decay: float

    def measure(self, count: int) -> float:
        """After so many updates, in double precision."""
        return 1.0 - self.decay**count

    def __str__(self) -> str:
        return f"(1 - {self.decay:g} ** count)"


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """What is added to a parameter, and what is kept for the next update. See the module's grammar."""

    step: Expression
    moments: tuple[tuple[str, Expression], ...] = ()

    @property
    def roots(self) -> tuple[Expression, ...]:
        """All expressions, in the order in which they may be written."""
        return (*(expression for _, expression in self.moments), self.step)

    @property
    def weights(self) -> tuple[TotalWeight, ...]:
        """The weights that they read."""
        found = (
            leaf.slot
            for root in self.roots
            for leaf in leaves(root)
            if isinstance(leaf, Load) and isinstance(leaf.slot, TotalWeight)
        )
        return tuple(dict.fromkeys(found))
