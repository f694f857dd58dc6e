"""Element-wise expressions: what a node computes from its weighted input, other states and its coefficients.

    expression := Number(value)
                | Net()                          the node's weighted input, bias included
                | State(node, delay)             the state of `node`, `delay` steps earlier
                | Coefficient(name)              one of the node's own coefficients
                | Load(slot)                     a value held by an executor (only after lowering)
                | Call(function, arguments)      arithmetic, or an entry of `graphbptt.ir.functions.FUNCTIONS`
    activation := expression | Call(softmax, (Net(),))      the softmax of the net input over the units of a node

Expressions are immutable and compare by structure, so equal sub-expressions are one dictionary key: every walk below
computes each of them once. Arithmetic operators build simplified expressions (``0 + x`` is ``x``).

A function's value, derivatives and text form stand side by side: the arithmetic here, the named ones in
`graphbptt.ir.functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ARITHMETIC",
    "Call",
    "Coefficient",
    "Expression",
    "Function",
    "Leaf",
    "Load",
    "Net",
    "Number",
    "State",
    "calls",
    "gradients",
    "leaves",
    "number",
    "substitute",
]


class Expression:
    """The base of all expressions; arithmetic on it builds new ones.

    >>> print((Net() + 0) * State("gate", 1) - 1)
    ((net * gate[t-1]) - 1)
    """

    __slots__ = ()

    def __add__(self, other: Expression | float) -> Expression:
        return add(self, other)

    def __radd__(self, other: float) -> Expression:
        return add(other, self)

    def __sub__(self, other: Expression | float) -> Expression:
        return subtract(self, other)

    def __rsub__(self, other: float) -> Expression:
        return subtract(other, self)

    def __mul__(self, other: Expression | float) -> Expression:
        return multiply(self, other)

    def __rmul__(self, other: float) -> Expression:
        return multiply(other, self)

    def __truediv__(self, other: Expression | float) -> Expression:
        return divide(self, other)

    def __pow__(self, other: Expression | float) -> Expression:
        return power(self, other)

    def __neg__(self) -> Expression:
        return negative(self)


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A constant."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}" if float(f"{self.value:g}") == self.value else repr(self.value)


@dataclass(frozen=True, slots=True)
class Net(Expression):
    """The node's weighted input, with its bias."""

    def __str__(self) -> str:
        return "net"


@dataclass(frozen=True, slots=True)
class State(Expression):
    """The state of `node` at step ``t - delay`` (a negative delay looks ahead)."""

    node: str
    delay: int = 0

    def __str__(self) -> str:
        return self.node if self.delay == 0 else f"{self.node}[t{-self.delay:+d}]"


@dataclass(frozen=True, slots=True)
class Coefficient(Expression):
    """A coefficient of the node, a scalar or one number per unit."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Load(Expression):
    """A value an executor holds, whatever it uses to address it."""

    slot: Hashable

    def __str__(self) -> str:
        return str(self.slot)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One element-wise function; calling it with expressions builds a `Call`.

    Attributes
    ----------
    name : str
        Its name in expressions (operators have one too: ``add`` is ``+``).
    arity : int
        The number of arguments.
    value : callable
        ``value(*arguments, out=None) -> array``, as a ufunc: float arrays in, one array of the broadcast shape out;
        `out` may be given by position.
    derivatives : callable
        ``derivatives(arguments, result)`` gives the partial derivative by each argument, as expressions. Where it can
        be written in the *result* (``1 - y*y`` for tanh) it is, because the result is what a forward pass keeps.
    text : str
        Its text form, a format string over the arguments.
    bounds : (float, float)
        The closed range its values lie in.
    costly : bool
        Whether computing it again costs more than loading a stored value.
    """

    name: str
    arity: int
    value: Callable[..., npt.NDArray[Any]]
    derivatives: Callable[[tuple[Expression, ...], Expression], tuple[Expression, ...]]
    text: str
    bounds: tuple[float, float] = (-np.inf, np.inf)
    costly: bool = False

    def __call__(self, *arguments: Expression | float) -> Expression:
        """Apply to expressions, simplified: constants are folded, neutral and absorbing elements vanish.

        >>> print(1 * Net(), number(2) + 3, 0 * Net())
        net 5 0
        """
        if len(arguments) != self.arity:
            raise TypeError(f"{self.name} takes {self.arity} arguments, not {len(arguments)}")
        operands = tuple(a if isinstance(a, Expression) else number(a) for a in arguments)
        folded = _fold(self, operands)
        if folded is not None:
            return folded
        simplify = _SIMPLIFY.get(self.name)
        simpler = simplify(*operands) if simplify else None
        return simpler if simpler is not None else Call(self, operands)


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function applied to as many arguments as it takes. Built by calling the `Function`, which simplifies."""

    function: Function
    arguments: tuple[Expression, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept, so that hashing a deep expression costs one level and not the whole tree.
        object.__setattr__(self, "_hash", hash((self.function, self.arguments)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self.function.text.format(*self.arguments)


Leaf = Net | State | Coefficient | Load


def number(value: float) -> Number:
    return Number(float(value))


def one() -> Number:
    return Number(1.0)


add = Function("add", 2, np.add, lambda a, y: (one(), one()), "({} + {})")
subtract = Function("subtract", 2, np.subtract, lambda a, y: (one(), -one()), "({} - {})")
multiply = Function("multiply", 2, np.multiply, lambda a, y: (a[1], a[0]), "({} * {})")
divide = Function("divide", 2, np.divide, lambda a, y: (one() / a[1], -y / a[1]), "({} / {})")
# The exponent is a number: the parser sees to it.
power = Function(
    "power", 2, np.power, lambda a, y: (a[1] * a[0] ** (a[1] - one()), number(0)), "({} ** {})", costly=True
)
negative = Function("negative", 1, np.negative, lambda a, y: (-one(),), "(-{})")

ARITHMETIC = (add, subtract, multiply, divide, power, negative)


def _fold(function: Function, operands: tuple[Expression, ...]) -> Number | None:
    values = [np.float64(a.value) for a in operands if isinstance(a, Number)]
    if len(values) < len(operands):
        return None
    with np.errstate(all="ignore"):
        value = float(function.value(*values))
    return Number(value) if np.isfinite(value) else None


def _is(expression: Expression, value: float) -> bool:
    return isinstance(expression, Number) and expression.value == value


def _add(a: Expression, b: Expression) -> Expression | None:
    if _is(a, 0):
        return b
    if _is(b, 0):
        return a
    if isinstance(b, Call) and b.function is negative:
        return subtract(a, b.arguments[0])
    return None


def _subtract(a: Expression, b: Expression) -> Expression | None:
    if _is(b, 0):
        return a
    return negative(b) if _is(a, 0) else None


def _multiply(a: Expression, b: Expression) -> Expression | None:
    if _is(a, 0) or _is(b, 0):
        return number(0)
    if _is(a, 1):
        return b
    if _is(b, 1):
        return a
    if _is(a, -1):
        return negative(b)
    return negative(a) if _is(b, -1) else None


def _divide(a: Expression, b: Expression) -> Expression | None:
    if _is(b, 1):
        return a
    return number(0) if _is(a, 0) else None


def _power(a: Expression, b: Expression) -> Expression | None:
    if _is(b, 1):
        return a
    if _is(b, 0):
        return one()
    return multiply(a, a) if _is(b, 2) else None


def _negative(a: Expression) -> Expression | None:
    return a.arguments[0] if isinstance(a, Call) and a.function is negative else None


_SIMPLIFY: dict[str, Callable[..., Expression | None]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "negative": _negative,
}


def calls(expressions: Iterable[Expression], known: Iterable[Expression] = ()) -> list[Call]:
    """Every distinct call below `expressions`, arguments first; nothing below a `known` expression is visited.

    >>> y = Net() + 1
    >>> [str(c) for c in calls([1 - y * y])]
    ['(net + 1)', '((net + 1) * (net + 1))', '(1 - ((net + 1) * (net + 1)))']
    """
    seen: set[Expression] = set(known)
    order: list[Call] = []

    def visit(expression: Expression) -> None:
        if expression in seen or not isinstance(expression, Call):
            return
        seen.add(expression)
        for argument in expression.arguments:
            visit(argument)
        order.append(expression)

    for expression in expressions:
        visit(expression)
    return order


def leaves(expression: Expression) -> Iterator[Leaf]:
    """The distinct leaves other than numbers, in order of first appearance.

    >>> [str(leaf) for leaf in leaves(Net() * State("a", 2) + Net())]
    ['net', 'a[t-2]']
    """
    seen: set[Expression] = set()
    stack = [expression]
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, Call):
            stack.extend(reversed(item.arguments))
        elif isinstance(item, Net | State | Coefficient | Load):
            yield item


def substitute(expression: Expression, replace: Mapping[Expression, Expression]) -> Expression:
    """The expression with every occurrence of a key (a leaf or a whole sub-expression) replaced by its value.

    >>> print(substitute(Net() * 2, {Net(): State("x", 0)}))
    (x * 2)
    """
    done: dict[Expression, Expression] = dict(replace)

    def visit(item: Expression) -> Expression:
        if item in done:
            return done[item]
        if not isinstance(item, Call):
            return item
        done[item] = item.function(*(visit(argument) for argument in item.arguments))
        return done[item]

    return visit(expression)


def gradients(expression: Expression) -> dict[Leaf, Expression]:
    """The partial derivative of `expression` by each of its leaves: one reverse walk over the distinct calls.

    >>> from graphbptt.ir.functions import tanh
    >>> slopes = gradients(tanh(Net()) * State("gate", 0))
    >>> print(slopes[Net()])
    (gate * (1 - (tanh(net) * tanh(net))))
    >>> print(slopes[State("gate", 0)])
    tanh(net)
    """
    adjoint: dict[Expression, Expression] = {expression: one()}
    for item in reversed(calls([expression])):
        incoming = adjoint.pop(item)
        slopes = item.function.derivatives(item.arguments, item)
        for argument, slope in zip(item.arguments, slopes, strict=True):
            if not isinstance(argument, Number):
                contribution = incoming * slope
                adjoint[argument] = adjoint[argument] + contribution if argument in adjoint else contribution
    return {
        leaf: slope for leaf, slope in adjoint.items() if isinstance(leaf, Net | State | Coefficient | Load)
    }
