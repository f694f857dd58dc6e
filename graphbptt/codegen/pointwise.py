"""Expressions as C statements: one for every distinct sub-expression, each computed once.

statement := const real v3 = v1 * v2;          a call, of loaded values, earlier statements and numbers
load      := const real v1 = h[j];  // note    a leaf, read once
store     := out[j] = v3;                      or += v3, after all loads and statements
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.text import comment
from graphbptt.ir.expression import Call, Expression, Leaf, Number, calls, leaves
from graphbptt.ir.functions import FUNCTIONS

__all__ = ["Access", "Store", "elementary_needs", "emit_stores", "spell_out"]


@dataclass(frozen=True, slots=True)
class Access:
    """How the text reads a leaf: a C expression, and what a reader should know of it."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """``target = expression`` or ``target += expression``, where `target` is text."""

    target: str
    expression: Expression
    accumulate: bool = False
    note: str = ""


OPERATORS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
}
"""Functions that C writes as operators; every other one is ``real_`` and its name."""

LARGEST_PRODUCT = 8
"""Up to this exponent a power is a product of squares: at most 4 units in the last place off, and without a call."""


def _product(base: Expression, exponent: int) -> Expression:
    """``base ** exponent`` by repeated squaring."""
    if exponent == 1:
        return base
    half = _product(base, exponent // 2)
    return half * half * base if exponent % 2 else half * half


def _power(arguments: tuple[Expression, ...]) -> Expression | None:
    base, exponent = arguments
    if exponent == Number(0.5):
        return FUNCTIONS["sqrt"](base)
    if isinstance(exponent, Number) and exponent.value in range(2, LARGEST_PRODUCT + 1):
        return _product(base, int(exponent.value))
    return None


_SPELLED_OUT: dict[str, Callable[[tuple[Expression, ...]], Expression | None]] = {
    "power": _power,
    "threshold": lambda arguments: FUNCTIONS["step"](*arguments),
    "logistic_of_minus": lambda arguments: FUNCTIONS["logistic"](-arguments[0]),
}


def spell_out(expressions: Sequence[Expression]) -> list[Expression]:
    """The same expressions in functions that C has.

    >>> from graphbptt.ir.expression import Net
    >>> print(*spell_out([Net() ** 3]))
    ((net * net) * net)
    """
    done: dict[Expression, Expression] = {}
    for call in calls(expressions):
        arguments = tuple(done.get(argument, argument) for argument in call.arguments)
        rewrite = _SPELLED_OUT.get(call.function.name)
        done[call] = (rewrite(arguments) if rewrite else None) or call.function(*arguments)
    return [done.get(expression, expression) for expression in expressions]


def elementary_needs(expressions: Sequence[Expression]) -> list[str]:
    """The functions of the prelude that the expressions call.

    >>> from graphbptt.ir.expression import Net
    >>> elementary_needs([FUNCTIONS["tanh"](Net()) + 1])
    ['real_tanh']
    """
    names = (call.function.name for call in calls(spell_out(expressions)))
    return sorted({f"real_{name}" for name in names if name not in OPERATORS})


def emit_stores(stores: Iterable[Store], access: Callable[[Leaf], Access], precision: Precision) -> list[str]:
    """The lines that load every leaf, compute every sub-expression and store the results.

    No store writes what another one loads; plain writes come before additions.

    >>> from graphbptt.codegen.precision import FLOAT32
    >>> from graphbptt.ir.expression import Net
    >>> y = FUNCTIONS["tanh"](Net())
    >>> stores = Store("h[j]", y), Store("s[j]", 1 - y * y)
    >>> print(*emit_stores(stores, lambda leaf: Access("z[j]"), FLOAT32), sep="\\n")
    const real v0 = z[j];  // net
    const real v1 = real_tanh(v0);
    const real v2 = v1 * v1;
    const real v3 = 1.0f - v2;
    h[j] = v1;  // tanh(net)
    s[j] = v3;  // (1 - (tanh(net) * tanh(net)))
    """
    ordered = sorted(stores, key=lambda store: store.accumulate)
    roots = spell_out([store.expression for store in ordered])
    names: dict[Expression, str] = {}
    lines: list[str] = []

    def spell(expression: Expression) -> str:
        return precision.literal(expression.value) if isinstance(expression, Number) else names[expression]

    def define(expression: Expression, text: str, note: str = "") -> None:
        names[expression] = f"v{len(names)}"
        lines.append(f"const real {names[expression]} = {text};{comment(note)}")

    for leaf in dict.fromkeys(leaf for root in roots for leaf in leaves(root)):
        reading = access(leaf)
        define(leaf, reading.text, reading.note or str(leaf))
    for call in calls(roots):
        define(call, _spell_call(call, [spell(argument) for argument in call.arguments]))
    for store, root in zip(ordered, roots, strict=True):
        sign = "+=" if store.accumulate else "="
        lines.append(f"{store.target} {sign} {spell(root)};{comment(store.note or str(store.expression))}")
    return lines


def _spell_call(call: Call, arguments: list[str]) -> str:
    name = call.function.name
    if name in OPERATORS:
        return OPERATORS[name].format(*arguments)
    return f"real_{name}({', '.join(arguments)})"
