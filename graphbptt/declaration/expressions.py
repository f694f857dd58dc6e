"""The text of an activation -> an expression tree: parsed, checked against a whitelist, never evaluated.

activation := name                              short for name(net), e.g. tanh
            | softmax | softmax(net)            over the units of the node; no part of an expression
            | sum
sum        := sum (+ | - | * | / ) sum | sum ** constant | -sum | (sum)
            | number
            | net                               the node's weighted input, with its bias
            | coefficient                       a coefficient of the node
            | node | node[t-2] | node[t+1]      the state of a node: now, two steps earlier, one step ahead;
                                                a node inside a cell is called as there, h.forget
            | function(sum, ...)                an entry of `FUNCTIONS` or `COMPOSITES` in `graphbptt.ir.functions`
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from graphbptt.errors import Problem, SpecError, did_you_mean
from graphbptt.ir.expression import (
    ARITHMETIC,
    Coefficient,
    Expression,
    Function,
    Net,
    Number,
    State,
    add,
    calls,
    divide,
    leaves,
    multiply,
    power,
    subtract,
)
from graphbptt.ir.functions import ACTIVATIONS, COMPOSITES, FUNCTIONS, Composite

__all__ = ["LARGEST_DELAY", "RESERVED_NAMES", "parse_activation", "suggest_function"]

LONGEST_TEXT = 10_000
# Derivatives nest a few times deeper than their expression, and walks over expressions recurse.
DEEPEST_NESTING = 60
# Squares and shared parts make an expression far larger written out than it is in memory.
LARGEST_EXPRESSION = 20_000
LARGEST_DELAY = 1_000_000
"""Delays in steps, of connections and of states in activations, go up to here."""

CALLABLE: dict[str, Function | Composite] = {
    name: function for name, function in FUNCTIONS.items() if function not in ARITHMETIC
} | COMPOSITES
RESERVED_NAMES = frozenset({"net", "t", *ACTIVATIONS, *CALLABLE})
"""Names with a meaning of their own in activations; no coefficient may have one."""

OTHER_NAMES = {
    "sigmoid": "logistic",
    "hard_sigmoid": "hard_logistic",
    "hardsigmoid": "hard_logistic",
    "hardtanh": "hard_tanh",
    "leakyrelu": "leaky_relu",
    "swish": "silu",
    "linear": "identity",
    "heaviside": "step",
    "ln": "log",
    "max": "maximum",
    "min": "minimum",
}
"""What other libraries call a function, in small letters, and what it is called here."""

OPERATORS: dict[type[ast.operator], Function] = {
    ast.Add: add,
    ast.Sub: subtract,
    ast.Mult: multiply,
    ast.Div: divide,
    ast.Pow: power,
}
GRAMMAR = "an activation is made of numbers, net, states, coefficients, + - * / ** and functions"


def suggest_function(name: str, known: Sequence[str]) -> str:
    """What to write in place of an unknown function.

    >>> suggest_function("sigmoid", list(ACTIVATIONS))
    'it is called logistic here'
    >>> suggest_function("tahn", list(ACTIVATIONS))
    "did you mean 'tanh'?"
    >>> suggest_function("ReLU", list(ACTIVATIONS))
    'it is called relu here'
    """
    small = name.lower()
    other = OTHER_NAMES.get(small, small)
    return f"it is called {other} here" if other in known else did_you_mean(name, known)


def parse_activation(
    text: str,
    coefficients: Collection[str] = (),
    nodes: Collection[str] | None = None,
    path: str = "activation",
) -> Expression:
    """Parse the text of an activation.

    Parameters
    ----------
    text : str
        The activation, e.g. ``"tanh"`` or ``"forget * cell[t-1] + net"``.
    coefficients : collection of str
        The names of the node's own coefficients.
    nodes : collection of str, optional
        The nodes of the network; without them every other name is taken for a node.
    path : str
        What to call the text in error messages.

    Raises
    ------
    SpecError
        With every problem found; each names the column inside the text, counted from 1.

    Examples
    --------
    >>> print(parse_activation("tanh"))
    tanh(net)
    >>> print(parse_activation("(1 - rate) * h[t-1] + rate * tanh(net)", ["rate"]))
    (((1 - rate) * h[t-1]) + (rate * tanh(net)))
    >>> parse_activation("tanh(nt)", nodes=["h"])
    Traceback (most recent call last):
    graphbptt.errors.SpecError: activation: unknown name 'nt' at column 6 of 'tanh(nt)'; did you mean 'net'?
    """
    bare = text.strip()
    if bare in ACTIVATIONS:
        return ACTIVATIONS[bare]
    reader = _Reader(text, frozenset(coefficients), nodes, path)
    tree = reader.parse()
    if tree is not None and ast.unparse(tree) == "softmax(net)":
        return ACTIVATIONS["softmax"]
    expression: Expression = Net() if tree is None else reader.read(tree)
    if not reader.problems:
        reader.check_values(expression)
    if reader.problems:
        raise SpecError(reader.problems)
    return expression


@dataclass(frozen=True, slots=True)
class _Reader:
    """A walk over the syntax tree that notes every problem and goes on."""

    text: str
    coefficients: frozenset[str]
    nodes: Collection[str] | None
    path: str
    problems: list[Problem] = field(default_factory=list)

    def parse(self) -> ast.expr | None:
        """The syntax tree, if the text is an expression of a bearable size."""
        if len(self.text) > LONGEST_TEXT:
            self._note(
                None,
                f"{len(self.text):,} characters",
                f"at most {LONGEST_TEXT:,}; split it over several nodes",
            )
            return None
        blank = "".join(" " if character.isspace() else character for character in self.text)
        indent = len(blank) - len(blank.lstrip())
        if not blank.strip():
            self._note(None, "an empty activation", "write identity for the weighted input itself")
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's advice on the text (`1(x)`) is not ours
                tree = ast.parse(blank.strip(), mode="eval").body
        except SyntaxError as error:
            column = indent + min(max(error.offset or 1, 1), len(blank.strip()))
            self._note(column, f"cannot be read: {error.msg.partition(';')[0]}", GRAMMAR)
            return None
        except (MemoryError, RecursionError):
            tree = None
        except ValueError as error:
            self._note(None, f"cannot be read: {error}", GRAMMAR)
            return None
        if tree is None or _nests_deeper(tree, DEEPEST_NESTING):
            remedy = "give parts of it to nodes of their own"
            self._note(None, f"nested deeper than {DEEPEST_NESTING} levels", remedy)
            return None
        return tree

    def read(self, tree: ast.expr) -> Expression:
        """The expression of a syntax tree; where there is a problem, a placeholder."""
        match tree:
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                return self._read_number(tree, value)
            case ast.Name(id=name):
                return self._read_name(tree, name)
            case ast.Attribute() if name := _join_name(tree):
                return State(name) if self._knows(tree, name) else Net()
            case ast.Subscript(value=node, slice=index) if name := _join_name(node):
                return self._read_state(tree, name, index)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
                base, other = self.read(left), self.read(right)
                if isinstance(operator, ast.Pow) and any(True for _ in leaves(other)):
                    return self._note(
                        right, "the exponent is not a constant", "write exp(b * log(a)) for a to the b"
                    )
                if isinstance(operator, ast.Div) and isinstance(other, Number) and other.value == 0:
                    return self._note(right, "a division by 0", "divide by another number")
                return OPERATORS[type(operator)](base, other)
            case ast.BinOp(op=ast.BitXor()):
                return self._note(tree, "^ is not an operator here", "write a power as **")
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._read_call(tree, name, arguments)
        return self._note(tree, f"{_shorten(ast.unparse(tree))!r} is not allowed here", GRAMMAR)

    def check_values(self, expression: Expression) -> None:
        """Note constants that are no finite number, and expressions too large to write out."""
        sizes: dict[Expression, int] = {}
        for call in calls([expression]):
            sizes[call] = 1 + sum(sizes.get(argument, 1) for argument in call.arguments)
            if sizes[call] > LARGEST_EXPRESSION:
                what = f"more than {LARGEST_EXPRESSION:,} operations when written out"
                self._note(None, what, "give parts of it to nodes of their own")
                return
            if all(isinstance(argument, Number) for argument in call.arguments):
                self._note(None, f"the constant {call} is not a finite number", "write a finite one")

    def _read_number(self, tree: ast.expr, value: float) -> Expression:
        try:
            constant = float(value)
        except OverflowError:
            constant = math.inf
        if not math.isfinite(constant):
            return self._note(tree, "a number too large", "write a finite one")
        return Number(constant)

    def _read_name(self, tree: ast.expr, name: str) -> Expression:
        if name == "net":
            return Net()
        if name in self.coefficients:
            return Coefficient(name)
        if name == "t":
            return self._note(
                tree, "t stands only inside brackets", "write a state two steps earlier as name[t-2]"
            )
        if name == "identity":
            return self._note(tree, "identity stands only by itself", "write net for the weighted input")
        if name == "softmax":
            return self._note_softmax(tree)
        if name in CALLABLE:
            arguments = ", ".join(["net", "0"][: CALLABLE[name].arity])
            return self._note(tree, f"{name} is a function", f"apply it to something: {name}({arguments})")
        return State(name) if self._knows(tree, name) else Net()

    def _read_state(self, tree: ast.expr, name: str, index: ast.expr) -> Expression:
        if name in self.coefficients or name in RESERVED_NAMES:
            return self._note(
                tree, f"{name} has no history: it is no node", "only a node's state takes [t-1]"
            )
        match index:
            case ast.Name(id="t"):
                delay = 0
            case ast.BinOp(left=ast.Name(id="t"), op=ast.Sub(), right=ast.Constant(value=steps)) if (
                type(steps) is int
            ):
                delay = steps
            case ast.BinOp(left=ast.Name(id="t"), op=ast.Add(), right=ast.Constant(value=steps)) if (
                type(steps) is int
            ):
                delay = -steps
            case _:
                what = f"{_shorten(ast.unparse(index))!r} is not a step"
                return self._note(index, what, f"write {name}[t-1], {name}[t] or {name}[t+1]")
        if abs(delay) > LARGEST_DELAY:
            return self._note(index, f"a delay of {abs(delay):,} steps", f"at most {LARGEST_DELAY:,}")
        return State(name, delay) if self._knows(tree, name) else Net()

    def _read_call(self, tree: ast.expr, name: str, arguments: list[ast.expr]) -> Expression:
        operands = [self.read(argument) for argument in arguments]
        if name == "softmax":
            return self._note_softmax(tree)
        if OTHER_NAMES.get(name.lower(), name) == "identity":
            return self._note(tree, f"{name} stands only by itself", "write its argument alone")
        function = CALLABLE.get(name)
        if function is None:
            remedy = suggest_function(name, list(CALLABLE))
            return self._note(tree, f"unknown function {name!r}", remedy)
        if len(operands) != function.arity:
            what = f"{name} takes {function.arity} argument{'s' * (function.arity > 1)}, not {len(operands)}"
            return self._note(tree, what, f"write {function.text.format(*'ab')}")
        return function(*operands)

    def _knows(self, tree: ast.expr, name: str) -> bool:
        if self.nodes is None or name in self.nodes:
            return True
        if self.text.strip() == name:
            remedy = suggest_function(name, [*ACTIVATIONS, *self.nodes])
            self._note(tree, f"unknown activation {name!r}", remedy)
        else:
            known = ["net", *self.coefficients, *self.nodes]
            self._note(tree, f"unknown name {name!r}", did_you_mean(name, known))
        return False

    def _note_softmax(self, tree: ast.expr) -> Expression:
        what = "softmax works on all units of a node together, so it stands only by itself"
        return self._note(tree, what, "give it a node of its own, of its net input, and read that node here")

    def _note(self, at: ast.expr | int | None, what: str, instead: str) -> Expression:
        if isinstance(at, ast.expr):
            indent = len(self.text) - len(self.text.lstrip())
            # ast counts bytes, people count characters.
            at = indent + len(self.text.strip().encode()[: at.col_offset].decode(errors="ignore")) + 1
        where = "" if at is None else f" at column {at} of {_shorten(self.text)!r}"
        self.problems.append(Problem(self.path, f"{what}{where}", instead))
        return Net()


def _join_name(tree: ast.expr) -> str:
    """A name, or names joined by dots; empty for anything else."""
    if isinstance(tree, ast.Attribute):
        owner = _join_name(tree.value)
        return owner and f"{owner}.{tree.attr}"
    return tree.id if isinstance(tree, ast.Name) else ""


def _nests_deeper(tree: ast.AST, levels: int) -> bool:
    """Whether a syntax tree has more levels; seen level by level, so that no depth exhausts the stack."""
    level: list[ast.AST] = [tree]
    while level and levels:
        levels -= 1
        level = [
            child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
        ]
    return bool(level)


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
