"""Write docs/language.md: every key of a spec with its type, its default, its meaning and an example.

    python docs/write_language.py

What keys there are, and what they mean, is read from the schema (`graphbptt.declaration`), the names of functions,
losses, starting values, optimizers and tasks from their tables; so the page cannot say anything else than the code. To
add a key: give its field a ``Field(description=...)``, put an example of it into language_examples.yaml, and run this
script. A type that no key had before needs a word in `WORDS`.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import numpy as np
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from graphbptt.declaration.cells.choice import CellChoice
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.declaration.choices import Choice
from graphbptt.declaration.schema import SpecDeclaration
from graphbptt.declaration.sparse import Places
from graphbptt.ir.data import Last, Loss
from graphbptt.ir.expression import ARITHMETIC, Expression
from graphbptt.ir.functions import COMPOSITES, FUNCTIONS
from graphbptt.ir.indices import IndexMap
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.parameters import Draws, FrozenArray, Initializer

PAGE = Path(__file__).with_name("language.md")
EXAMPLES = Path(__file__).with_name("language_examples.yaml")

WORDS: Mapping[Any, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Expression: "function or expression",
    FrozenArray: "number or list of numbers",
    Initializer: "distribution",
    Draws: "distribution",
    IndexMap: "list of positions",
    Places: "list of lists",
    Last: "`{last: k}`",
    Loss: "[loss](#losses)",
    CellChoice: "cell",
    Any: "value",
}
"""What the types of values are called."""

ROOTS = (SpecDeclaration, *(cell.options for cell in SHIPPED.values()))
"""The mappings from which all others are found: those whose place another reads by itself."""

HEAD = """# The language of a spec

<!-- Written by docs/write_language.py from the schema; edit that, and run it again. -->

A spec is a YAML or JSON file. The attributes of nodes and edges in a hand-built networkx graph are the same keys, word
for word; other attributes of these are kept and mean nothing, unless they look like a misspelt key. A key without a
default has to be there; where the default is none, leaving the key out means something of its own. Steps count from 1,
units and positions from 0.
"""

WHOLE_ACTIVATIONS = """\
Two names are whole activations, and no part of an expression: `identity`, the net input itself, which an expression
calls `net`, and `softmax`, which works on the net inputs of all units of a node together."""

AVERAGING = """\
The loss of a target is a sum over units for each (example, step) pair, and then the mean over the pairs of the batch
that have a target: at the target's steps, and not behind the end of a sequence. A mask weights the pairs, and enters
the denominator: `sum(m * l) / sum(m)`, which is 0 where no pair counts. The total is the sum of each target's `weight`
times its mean, and of the penalties."""


def find_sections(roots: tuple[type[BaseModel], ...] = ROOTS) -> dict[type[BaseModel], None]:
    """Every mapping that a spec may hold, the outer ones first."""
    found: dict[type[BaseModel], None] = {}
    for model in roots:
        inside = [inner for field in model.model_fields.values() for inner in find_models(field.annotation)]
        for section in (model, *find_sections(tuple(inside))):
            found.setdefault(section)
    return found


def find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The mappings in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from find_models(argument)


def name_type(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """A type in words, with its bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return name_type(arguments[0], tuple(arguments[1:]))
    if origin in (Union, types.UnionType):
        parts = [name_type(argument) for argument in arguments if argument is not type(None)]
        text = " or ".join(dict.fromkeys(parts))
    elif origin is Literal:
        text = " or ".join(
            f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in arguments
        )
    elif origin in (list, tuple):
        text = f"list of {name_type(arguments[0])}"
    elif origin is dict:
        text = f"mapping from name to {name_type(arguments[1])}"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        text = f"[{title(annotation)}](#{anchor(annotation)})"
    else:
        text = WORDS[annotation]
    bounds = [_name_bound(item) for item in _open_bounds(metadata)]
    return ", ".join([text, *filter(None, bounds)])


def _open_bounds(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _name_bound(item: Any) -> str:
    signs = {
        annotated_types.Ge: "≥",
        annotated_types.Gt: ">",
        annotated_types.Le: "≤",
        annotated_types.Lt: "<",
    }
    for kind, sign in signs.items():
        if isinstance(item, kind):
            return f"{sign} {getattr(item, kind.__name__.lower()):g}"
    return ""


def name_default(field: FieldInfo) -> str:
    """What holds where the key is left out."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, Choice):
        return f"`{value.name}`"
    if isinstance(value, FrozenArray):
        return f"`{value.values.tolist():g}`"
    if isinstance(value, BaseModel):
        return "its own defaults"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if str(value) else "empty"


def title(model: type[BaseModel]) -> str:
    """What a mapping is called: the name of its class without what all have in common."""
    name = model.__name__.removesuffix("Declaration").removesuffix("Choice")
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def anchor(model: type[BaseModel]) -> str:
    return title(model).replace(" ", "-")


def key_of(name: str, field: FieldInfo) -> str:
    return field.alias or name


def read_examples() -> dict[str, Any]:
    """For every mapping the path where it stands, what stands beside the key, and an example of each key."""
    content: dict[str, Any] = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    return content


def build_example(examples: Mapping[str, Any], section: str, key: str) -> dict[str, Any]:
    """A whole spec in which one key is written as in its example."""
    entry = examples[section]
    spec: dict[str, Any] = copy.deepcopy(examples["spec around"])
    beside = entry.get("except", {}).get(key, entry.get("beside", {}))
    written = {**copy.deepcopy(beside), key: entry["keys"][key]}
    if not entry["at"]:
        return spec | written
    if "around" in entry:
        spec[entry["at"][0]] = copy.deepcopy(entry["around"])
    inner: Any = spec
    for item in entry["at"][:-1]:
        if isinstance(inner, dict) and not isinstance(inner.get(item), dict | list):
            inner[item] = {}
        inner = inner[item]
    inner[entry["at"][-1]] = written
    return spec


def write_section(model: type[BaseModel], examples: Mapping[str, Any]) -> Iterator[str]:
    """The heading, the meaning and the table of one mapping."""
    yield f"\n## {title(model)}\n"
    yield f"{(model.__doc__ or '').strip().splitlines()[0].replace('``', '`')}\n"
    if not model.model_fields:
        yield "It has no keys."
        return
    yield "| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        key = key_of(name, field)
        example = yaml.safe_dump(
            {key: examples[title(model)]["keys"][key]}, default_flow_style=True, width=10**6, sort_keys=False
        )
        cells = (
            f"`{key}`",
            name_type(field.annotation, tuple(field.metadata)),
            name_default(field),
            field.description or "",
            f"`{example.strip()[1:-1]}`",
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_tables() -> Iterator[str]:
    """The names that stand in tables of their own."""
    yield "\n## Functions of activations\n"
    yield "A name with one argument is an activation of its own: `tanh` is short for `tanh(net)`.\n"
    named = {name: item for name, item in (FUNCTIONS | COMPOSITES).items() if item not in ARITHMETIC}
    yield ", ".join(f"`{name}({', '.join('xy'[: item.arity])})`" for name, item in named.items())
    yield f"\n{WHOLE_ACTIVATIONS}"
    yield f"\n## Losses\n\n{AVERAGING}\n"
    yield "| loss | wanted values | options and their defaults | what it is |\n| --- | --- | --- | --- |"
    for name, rule in LOSSES.items():
        low, high = rule.bounds
        values = "the right unit" if rule.labels else "any" if low == -np.inf else f"from {low:g} to {high:g}"
        options = ", ".join(f"`{key}: {value:g}`" for key, value in rule.options.items())
        yield f"| `{name}` | {values} | {options or 'none'} | {(rule.measure.__doc__ or '').strip()} |"
    yield "\n## Distributions of starting values\n"
    yield "| distribution | numbers and their defaults | for |\n| --- | --- | --- |"
    for name, distribution in DISTRIBUTIONS.items():
        numbers = ", ".join(f"{key}: {value:g}" for key, value in distribution.defaults.items())
        shapes = {"any": "anything", "matrix": "matrices", "square": "square matrices"}[distribution.shapes]
        yield f"| `{name}` | `{{{numbers}}}` | {shapes} |"


def write_language() -> str:
    """The whole page."""
    examples = read_examples()
    lines = [HEAD.rstrip()]
    for model in find_sections():
        lines.extend(write_section(model, examples))
    return "\n".join([*lines, *write_tables()]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(write_language(), encoding="utf-8")
