"""The text of a linear constraint -> its sparse matrix: parsed, checked against a whitelist, never evaluated.

    constraint := sum == sum
    sum        := sum (+ | - | * | /) sum | -sum | (sum) | number
                | parameter                    its name: W, h.bias, x->h, h->h@2; that of a group, or of a copy
                | sum.T | sum[0, :] | sum[1:3] transposed, or a part of it
                | sum(sum) | sum(sum, axis=0)  added up

Only numbers multiply and divide. Shapes broadcast as in NumPy. Names are found in the text before anything else, the
longest first; a name may also be quoted, which it must be where it is ``sum`` or ``axis``.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from graphbptt.errors import Problem, SpecError, did_you_mean
from graphbptt.ir.constraints import Constraint
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.parameters import FrozenArray, Use

__all__ = ["Term", "parse_constraint", "read_equality"]

LONGEST_TEXT = 2_000
LARGEST_SIZE = 10_000_000
SMALLEST, LARGEST = 1e-150, 1e150
"""What the factors lie between: their squares are ordinary numbers."""
GRAMMAR = "a constraint is made of numbers, parameters, + - * /, .T, [...], sum(..., axis=...) and one =="


@dataclass(frozen=True, slots=True)
class _Linear:
    """An array of linear forms: ``matrix @ x + constant``, one row for each entry of `shape` in C order."""

    matrix: sparse.csr_array
    constant: npt.NDArray[np.float64]
    shape: tuple[int, ...]

    def take(self, positions: npt.NDArray[np.int64]) -> _Linear:
        flat = positions.ravel()
        return _Linear(self.matrix[flat], self.constant[flat], positions.shape)

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        return np.arange(self.constant.size).reshape(self.shape)

    def scale(self, factor: float) -> _Linear:
        return _Linear(self.matrix * factor, self.constant * factor, self.shape)


@dataclass(frozen=True, slots=True)
class Term:
    """One side of an equality of two parameters: ``factor * name``, transposed if so said."""

    name: str
    factor: float
    transpose: bool


NUMBER = r"\d+\.?\d*(?:[eE][+-]?\d+)?"
SIDE = re.compile(rf"\s*(?:(-?{NUMBER})\s*\*\s*)?(-?)\s*(['\"]?)(.+?)\3(\.T)?(?:\s*/\s*({NUMBER}))?\s*")


def read_equality(text: str, names: Set[str]) -> tuple[Term, Term] | None:
    """The two sides of a text that says no more than that a parameter equals another; None for all others.

    >>> read_equality("2 * a.T == -'x->h'", {"a", "x->h"})
    (Term(name='a', factor=2.0, transpose=True), Term(name='x->h', factor=-1.0, transpose=False))
    >>> read_equality("a == b + 1", {"a", "b"})
    """
    sides = [_read_side(side, names) for side in text.split("==")]
    match sides:
        case [Term() as one, Term() as other]:
            return one, other
    return None


def _read_side(text: str, names: Set[str]) -> Term | None:
    match = SIDE.fullmatch(text)
    if match is None:
        return None
    factor, minus, _, name, turned, divisor = match.groups()
    if name not in names or name + (turned or "") in names - {name}:
        return None
    number = float(factor or 1) / float(divisor or 1) if float(divisor or 1) else 0.0
    if number == 0 or not math.isfinite(number):
        return None
    return Term(name, -number if minus else number, turned is not None)


class _Mistake(Exception):
    """What is wrong at a node of the syntax tree."""

    def __init__(self, node: ast.AST, what: str, instead: str = GRAMMAR) -> None:
        super().__init__(what)
        self.node, self.what, self.instead = node, what, instead


def parse_constraint(
    text: str, layout: ParameterLayout, copies: Mapping[str, Use] = MappingProxyType({})
) -> Constraint:
    """Parse the text of a constraint between the parameters of a layout and, by their own names, copies of them.

    Raises
    ------
    SpecError
        It is no linear equality of parameters; the column counts from 1.

    Examples
    --------
    >>> from graphbptt.ir.layout import Slot
    >>> layout = ParameterLayout((Slot("h->h", 0, (2, 2)),), 4, 4)
    >>> constraint = parse_constraint("sum(h->h, axis=1) == 1", layout)
    >>> constraint.columns.values, constraint.right.values
    (array([0., 1., 2., 3.]), array([1., 1.]))
    """
    path = f"constraint {text}"
    if len(text) > LONGEST_TEXT:
        raise SpecError(Problem(path[:80], "it is too long", f"write at most {LONGEST_TEXT} characters"))
    reader = _Reader(text, layout, copies)
    try:
        return reader.parse()
    except _Mistake as mistake:
        column = getattr(mistake.node, "col_offset", 0) + 1
        raise SpecError(Problem(path, f"{mistake.what} at column {column}", mistake.instead)) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SpecError(Problem(path, "it cannot be read", GRAMMAR)) from None


class _Reader:
    def __init__(self, text: str, layout: ParameterLayout, copies: Mapping[str, Use]) -> None:
        self.text, self.layout, self.copies = text, layout, copies
        self.known = {*layout.slot, *copies}
        self.names: dict[int, str] = {}

    def parse(self) -> Constraint:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # about texts that Python takes for slips
            tree = ast.parse(self._hide_names(), mode="eval").body
            if not isinstance(tree, ast.Compare) or [type(op) for op in tree.ops] != [ast.Eq]:
                raise _Mistake(tree, "it is no single equality")
            linear = self._add(tree, self.read(tree.left), self.read(tree.comparators[0]).scale(-1))
        matrix = linear.matrix.tocoo()
        kept = matrix.data != 0
        factors = np.abs(matrix.data[kept])
        if not (
            (factors > SMALLEST).all()
            and (factors < LARGEST).all()
            and (np.abs(linear.constant) < LARGEST).all()
        ):
            raise _Mistake(
                tree, "its numbers are out of range", "divide both sides by a number that mends it"
            )
        if not kept.any():
            raise _Mistake(tree, "no parameter is left in it", "name a parameter whose terms do not cancel")
        order = np.lexsort((matrix.col[kept], matrix.row[kept]))
        rows, columns, values = (
            FrozenArray(numbers[kept][order]) for numbers in (matrix.row, matrix.col, matrix.data)
        )
        # Adding 0 turns a right side of -0 into 0.
        return Constraint(self.text, rows, columns, values, FrozenArray(0.0 - linear.constant))

    def _hide_names(self) -> str:
        """The text with every name replaced by an identifier of the same length, found again by its column."""
        longest = sorted(self.known, key=len, reverse=True)
        quoted = [re.escape(f"{mark}{name}{mark}") for name in longest for mark in "'\""]
        bare = [re.escape(name) for name in longest if name not in ("sum", "axis")]
        pattern = "|".join([*quoted, rf"(?<![\w.])(?:{'|'.join(bare)})(?!\w)"] if bare else quoted)

        def hide(match: re.Match[str]) -> str:
            found = match.group()
            self.names[match.start()] = found if found in self.known else found[1:-1]
            return "P" + "_" * (len(found) - 1)

        return re.sub(pattern, hide, self.text) if self.layout.slots else self.text

    def read(self, node: ast.expr) -> _Linear:
        match node:
            case ast.Name() | ast.Constant(value=str()) if node.col_offset in self.names:
                return self._read_parameter(self.names[node.col_offset])
            case ast.Constant(value=int() | float() as written) if not isinstance(written, bool):
                number = float(written) if abs(written) < 1e300 else math.inf
                return _Linear(sparse.csr_array((1, self.layout.size)), np.array([number]), ())
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return self.read(inner).scale(-1)
            case ast.BinOp(op=ast.Add() | ast.Sub() as op):
                sign = 1 if isinstance(op, ast.Add) else -1
                return self._add(node, self.read(node.left), self.read(node.right).scale(sign))
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._multiply(node)
            case ast.Attribute(value=inner, attr="T"):
                value = self.read(inner)
                return value.take(value.positions.T)
            case ast.Subscript(value=inner, slice=part):
                value = self.read(inner)
                try:
                    return value.take(np.asarray(value.positions[_read_part(part)]))
                except IndexError:
                    what = f"it has shape {value.shape}, and no such part"
                    raise _Mistake(node, what, "indices count from 0") from None
            case ast.Call(func=ast.Name(id="sum"), args=[inner]):
                return self._sum(node, self.read(inner))
            case ast.Name(id=name) | ast.Constant(value=str() as name):
                raise _Mistake(node, f"no parameter is named {name!r}", did_you_mean(name, list(self.known)))
        raise _Mistake(node, "this has no meaning here")

    def _read_parameter(self, name: str) -> _Linear:
        use = Use(name) if name in self.layout.slot else self.copies[name]
        slot = self.layout.slot[use.group]
        if use.index is None:
            positions = np.arange(slot.offset, slot.stop).reshape(slot.shape)
            positions, factors = positions.T if use.transpose else positions, np.array(use.scale)
        else:
            positions = use.index.positions + slot.offset
            factors = np.full(positions.shape, use.scale)
            factors *= 1 if use.index.factors is None else use.index.factors
            factors[use.index.positions < 0] = 0
        places = (np.arange(positions.size), np.maximum(positions.ravel(), 0))
        values = np.broadcast_to(factors, positions.shape).ravel()
        matrix = sparse.csr_array((values, places), shape=(positions.size, self.layout.size))
        return _Linear(matrix, np.zeros(positions.size), positions.shape)

    def _add(self, node: ast.AST, one: _Linear, other: _Linear) -> _Linear:
        try:
            shape = np.broadcast_shapes(one.shape, other.shape)
        except ValueError:
            what = f"shapes {one.shape} and {other.shape} do not fit"
            raise _Mistake(node, what, "make them equal, by .T, [...] or sum(..., axis=...)") from None
        if math.prod(shape) > LARGEST_SIZE:
            what = f"it makes {math.prod(shape):,} equations"
            raise _Mistake(node, what, f"constrain fewer, at most {LARGEST_SIZE:,}")
        one, other = (side.take(np.broadcast_to(side.positions, shape)) for side in (one, other))
        return _Linear((one.matrix + other.matrix).tocsr(), one.constant + other.constant, shape)

    def _multiply(self, node: ast.BinOp) -> _Linear:
        one, other = self.read(node.left), self.read(node.right)
        if isinstance(node.op, ast.Mult) and not one.shape and not one.matrix.nnz:
            one, other = other, one
        if other.shape or other.matrix.nnz:
            raise _Mistake(node, "it is not linear", "multiply and divide by numbers only")
        number = float(other.constant[0])
        if isinstance(node.op, ast.Mult):
            return one.scale(number)
        if number == 0:
            raise _Mistake(node, "it divides by 0", "divide by another number")
        return one.scale(1 / number)

    def _sum(self, node: ast.Call, value: _Linear) -> _Linear:
        shape: tuple[int, ...]
        match [(keyword.arg, _read_integer(keyword.value)) for keyword in node.keywords]:
            case []:
                positions, shape = value.positions.reshape(-1, 1), ()
            case [("axis", axis)] if axis is not None and -len(value.shape) <= axis < len(value.shape):
                positions = np.moveaxis(value.positions, axis, 0)
                positions, shape = positions.reshape(positions.shape[0], -1), positions.shape[1:]
            case _:
                what = f"there is no such sum of shape {value.shape}"
                raise _Mistake(node, what, "write sum(W), or sum(W, axis=0)")
        rows = np.broadcast_to(np.arange(positions.shape[1]), positions.shape).ravel()
        ones = (np.ones(positions.size), (rows, positions.ravel()))
        adder = sparse.csr_array(ones, shape=(positions.shape[1], value.constant.size))
        return _Linear((adder @ value.matrix).tocsr(), np.asarray(adder @ value.constant), shape)


def _read_part(node: ast.expr) -> Any:
    """An index: a whole number, a slice, or several of them."""
    if isinstance(node, ast.Tuple):
        return tuple(_read_part(item) for item in node.elts)
    if isinstance(node, ast.Slice):
        ends = [None if end is None else _read_part(end) for end in (node.lower, node.upper, node.step)]
        if any(isinstance(end, slice) for end in ends) or ends[2] == 0:
            raise _Mistake(node, "this is no part", "write e.g. [0, :] or [1:3]")
        return slice(*ends)
    number = _read_integer(node)
    if number is None:
        raise _Mistake(node, "this is no index", "write e.g. [0, :] or [1:3]")
    return number


def _read_integer(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and abs(value) < 2**31:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)) if value < 2**31:
            return -value
    return None
