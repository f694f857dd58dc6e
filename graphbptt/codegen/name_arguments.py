"""The arguments of a generated function, named in the order of their first use, and what of a buffer they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphbptt.codegen.arguments import (
    Argument,
    Constant,
    Entries,
    Held,
    Holds,
    Lengths,
    NoiseKey,
    Normals,
    Packed,
    Padded,
    Rows,
    Starts,
    Summands,
    Turned,
    Vector,
    Weights,
    spell_type,
)
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.text import comment, spell_place
from graphbptt.ir.operations import Operation, View
from graphbptt.ir.plan_text import format_operation, list_owners

__all__ = ["ROW", "Arguments", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an example lies at a step, as text: in rows of all steps, and in those of the current block alone."""

    row: str
    in_block: str


ROW = Place("row", "block_row")


class Arguments:
    """The arguments of one scan in the order of their first use, each with its name in C."""

    def __init__(self, lookup: Lookup) -> None:
        self.plan = lookup.plan
        self.texts = lookup.texts
        self._same = lookup.same
        self._passing = lookup.passing
        self._names: dict[Argument, str] = {}

    def __iter__(self) -> Iterator[Argument]:
        return iter(self._names)

    def items(self) -> Iterator[tuple[str, Argument]]:
        """Each with its name in front."""
        return ((name, argument) for argument, name in self._names.items())

    def name(self, argument: Argument) -> str:
        if argument not in self._names:
            name = self._new_name(argument)
            while name in self._names.values():  # buffers whose names differ by what C has no letters for
                name += "_"
            self._names[argument] = name
        return self._names[argument]

    def index(self, argument: Argument) -> int:
        """Where the pointer lies in the array of all pointers."""
        name = self.name(argument)
        return list(self._names.values()).index(name)

    def column(self, view: View, index: str, at: Place = ROW) -> str:
        """One column of a view, in a row of the current step."""
        row, width = at.in_block if self.is_passing(view) else at.row, self.stride(view)
        if view.shift:
            steps = "size" if abs(view.shift) == 1 else f"{abs(view.shift)} * size"
            row = f"({row} {'-' if view.shift < 0 else '+'} {steps})"
        return f"{self.name(Rows(self.home(view)))}[{spell_place(row, width, view.start, index)}]"

    def is_passing(self, view: View) -> bool:
        """Whether a view's buffer holds a block of steps and no more."""
        return view.buffer in self._passing

    def stride(self, view: View) -> int:
        """How many numbers further a view's next row lies."""
        return self.plan.buffer[self.home(view)].width

    def are_same(self, view: View, other: View) -> bool:
        """Whether two views are the same memory."""
        places = [(self.home(item), item.start, item.stop, item.shift) for item in (view, other)]
        return places[0] == places[1]

    def home(self, view: View) -> str:
        """The buffer in whose memory a view lies."""
        return self._same.get(view.buffer, view.buffer)

    def explain(self, operation: Operation) -> list[str]:
        """What an operation does, in the names of the network."""
        return list(format_operation(self.plan, self.texts, operation))

    def declarations(self) -> list[str]:
        """The lines that take the pointers out of an array."""
        return [
            f"{spell_type(argument)}{name} = arrays[{index}];{comment(self._describe(argument))}"
            for index, (argument, name) in enumerate(self._names.items())
        ]

    def parameters(self, qualifier: str = "") -> list[str]:
        """The pointers as parameters of a function, each with a qualifier."""
        before = f"{qualifier} " if qualifier else ""
        return [f"{spell_type(argument)}{before}{name}" for argument, name in self._names.items()]

    def _new_name(self, argument: Argument) -> str:
        match argument:
            case Rows(buffer):
                return buffer.replace(".", "_")
            case Vector():
                return "vector"
            case Padded():
                return "padded"
            case Lengths():
                return "lengths"
            case Starts():
                return "starts"
            case Packed(weights, transposed, _, columns):
                return f"{weights}_{'turned' if transposed else 'packed'}_{columns}"
            case Weights(matrix):
                return matrix
            case Entries(weights, transposed, part):
                return f"{weights}_{'turned_' if transposed else ''}{part}"
            case Turned(depth):
                return f"turned_{depth}"
            case _:
                return f"{type(argument).__name__.lower()}_{len(self._names)}"

    def _describe(self, argument: Argument) -> str:
        match argument:
            case Rows(buffer):
                return self.texts.residents(buffer, self.plan.buffer[buffer].width)
            case Held(population):
                return f"where {population} is set"
            case Holds(population):
                return f"what {population} is set to"
            case Starts():
                return "what all start from"
            case Normals(population):
                return f"noise of {population}"
            case NoiseKey(population):
                return f"what noise of {population} is drawn from"
            case Summands():
                return "numbers to be added up"
            case Constant(_, expression):
                return self.texts.expression(expression)
            case Packed(weights, transposed):
                return self._own(weights, transposed)
            case Weights(matrix):
                return self._own(matrix, False)
            case Entries(weights, transposed, part):
                return f"{part} of the entries of {self._own(weights, transposed)}"
            case Turned():
                return "room to turn states"
            case Padded():
                return "behind the end of a sequence"
            case Lengths():
                return "the steps of each sequence"
            case Vector():
                return "biases, coefficients, diagonal weights"

    def _own(self, weights: str, transposed: bool) -> str:
        """Weights with the connections and biases whose they are."""
        owners = list_owners(self.plan.weights[weights], longest=4)
        return f"{weights}{'.T' if transposed else ''}: {owners}"
