"""Which cell a node uses, and with which options: ``cell: lstm``, ``cell: {lstm: {forget_bias: 1}}``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from graphbptt.declaration.cells.body import CellOptions
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.declaration.mistakes import describe_mistakes
from graphbptt.declaration.values import mistake
from graphbptt.errors import did_you_mean

__all__ = ["CellChoice", "read_choice"]


@dataclass(frozen=True, slots=True)
class CellChoice:
    """The name of a cell and its options: of a shipped one as its model, of the user's own by name."""

    name: str
    options: CellOptions | Mapping[str, Any]
    reverse: bool


def read_choice(value: Any, own: Mapping[str, Any]) -> CellChoice:
    """The choice that a node's `cell` makes; `own` holds the user's cells, as declared."""
    opened = {value: None} if isinstance(value, str) else value
    if not isinstance(opened, Mapping) or len(opened) != 1:
        raise mistake(f"{value!r} is no cell", "write the name of one, or {name: {option: value}}")
    ((name, given),) = opened.items()
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise mistake(f"the options of {name} have names", f"write {{{name}: {{option: value}}}}")
    if name in own:
        return _read_own(name, dict(given), own[name])
    if name not in SHIPPED:
        raise mistake(f"unknown cell {name!r}", did_you_mean(str(name), [*SHIPPED, *own]))
    model = SHIPPED[name].options
    try:
        options = model.model_validate(dict(given))
    except ValidationError as error:
        raise _relocate(error, model, name, given) from None
    return CellChoice(name, options, options.reverse)


def _read_own(name: str, given: dict[str, Any], declared: Any) -> CellChoice:
    reverse = given.pop("reverse", False)
    if not isinstance(reverse, bool):
        raise mistake(f"reverse is {reverse!r}", "write true or false")
    defaults = declared.get("options") if isinstance(declared, Mapping) else None
    defaults = defaults if isinstance(defaults, Mapping) else {}
    for option in given:
        if option not in defaults:
            raise mistake(
                f"{name} has no option {option!r}", did_you_mean(str(option), [*defaults, "reverse"])
            )
    values = {**defaults, **given}
    absent = [option for option, value in values.items() if value is None]
    if absent:
        raise mistake(f"{name} needs its option {absent[0]!r}", f"write {{{name}: {{{absent[0]}: ...}}}}")
    return CellChoice(name, values, reverse)


def _relocate(error: ValidationError, model: type[CellOptions], name: str, given: Any) -> ValidationError:
    """The same mistakes, each at its place inside the node's `cell`."""
    return ValidationError.from_exception_data(
        "cell",
        [
            InitErrorDetails(
                type=mistake(found.what, found.instead),
                loc=(name, *found.path, *(("[key]",) if found.at_key else ())),
                input=given,
            )
            for found in describe_mistakes(error, model, given)
        ],
    )
