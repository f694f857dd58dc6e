"""What a generated scan is given: one pointer for each argument.

argument := Rows(buffer)                    a buffer, at the first step of the loop
          | Held(population)                bytes (step, example, unit): where its states are set; NULL if none are
          | Holds(population)               numbers (step, example, unit): what they are set to
          | Padded()                        bytes (step, example): behind the sequences' ends; NULL if all are full
          | Lengths()                       whole numbers (example): of the sequences' own steps; NULL if all are full
          | Starts()                        numbers (example, column): what all populations start from, laid out as
                                            `codegen.lay_starts` says; NULL if all are full
          | Normals(population)               standard normal numbers (step, example, unit)
          | NoiseKey(population)              five words: its key, the examples and steps before, 1 if there is any
          | Summands(width)                   room for numbers (step, example, unit) that are then added up
          | Vector()                        the packed vector
          | Constant(width, expression)     a value of rows of that vector and numbers, once per sequence
          | Packed(weights, transposed, depth, columns)     weights of a product, in the order it reads them
          | Weights(matrix)                 a packed matrix of the plan, row by row
          | Entries(weights, transposed, part)              one of the arrays of weights that are kept as entries
          | Turned(depth)                       room for turned states (unit, example), each thread its own

A buffer that holds a block of steps and no more begins anew with each block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphbptt.ir.expression import Expression

__all__ = [
    "Argument",
    "Constant",
    "Entries",
    "EntryPart",
    "Held",
    "Holds",
    "Lengths",
    "NoiseKey",
    "Normals",
    "Packed",
    "Padded",
    "Rows",
    "Starts",
    "Summands",
    "Turned",
    "Vector",
    "Weights",
    "spell_type",
]


@dataclass(frozen=True, slots=True)
class Rows:
    buffer: str


@dataclass(frozen=True, slots=True)
class Held:
    population: str


@dataclass(frozen=True, slots=True)
class Holds:
    population: str


@dataclass(frozen=True, slots=True)
class Padded:
    pass


@dataclass(frozen=True, slots=True)
class Lengths:
    pass


@dataclass(frozen=True, slots=True)
class Starts:
    pass


@dataclass(frozen=True, slots=True)
class Normals:
    population: str


@dataclass(frozen=True, slots=True)
class NoiseKey:
    population: str


@dataclass(frozen=True, slots=True)
class Summands:
    width: int


@dataclass(frozen=True, slots=True)
class Vector:
    pass


@dataclass(frozen=True, slots=True)
class Constant:
    width: int
    expression: Expression


@dataclass(frozen=True, slots=True)
class Packed:
    weights: str
    transposed: bool
    depth: int
    columns: int


@dataclass(frozen=True, slots=True)
class Weights:
    matrix: str


EntryPart = Literal["starts", "sources", "values"]


@dataclass(frozen=True, slots=True)
class Entries:
    weights: str
    transposed: bool
    part: EntryPart


@dataclass(frozen=True, slots=True)
class Turned:
    depth: int


Argument = (
    Rows
    | Held
    | Holds
    | Padded
    | Lengths
    | Starts
    | Normals
    | NoiseKey
    | Summands
    | Vector
    | Constant
    | Packed
    | Weights
    | Entries
    | Turned
)


def spell_type(argument: Argument) -> str:
    """The type of its pointer in C, up to the name."""
    if isinstance(argument, Held | Padded):
        return "const unsigned char *const "
    if isinstance(argument, Lengths):
        return "const long long *const "
    if isinstance(argument, Entries) and argument.part != "values":
        return "const int *const "
    if isinstance(argument, NoiseKey):
        return "const word *const "
    return "real *const " if isinstance(argument, Rows | Summands | Turned) else "const real *const "
