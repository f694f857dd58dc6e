"""What a validation error means to the person who wrote the declaration.

A `Mistake` is a `Problem` before its place is known: the path is still a sequence of keys and indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from graphbptt.errors import did_you_mean

__all__ = ["KeyPath", "KeysOf", "Mistake", "describe_mistakes", "format_path"]

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at a path; `at_key` where it is the key itself and not its value."""

    path: KeyPath
    what: str
    instead: str
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class KeysOf:
    """In the annotation of a mapping that is kept as written: which keys it may have."""

    model: type[BaseModel]


def describe_mistakes(error: ValidationError, model: type[BaseModel], data: Any) -> list[Mistake]:
    """Every mistake in a validation error of `model` reading `data`."""
    return [_describe(details, model, data) for details in error.errors(include_url=False)]


def format_path(path: KeyPath) -> str:
    """A path as text.

    >>> format_path(("network", "edges", 2, "from"))
    'network.edges[2].from'
    """
    text = "".join(f"[{item}]" if isinstance(item, int) else f".{item}" for item in path)
    return text.removeprefix(".")


def _describe(details: ErrorDetails, model: type[BaseModel], data: Any) -> Mistake:
    location, context = details["loc"], details.get("ctx", {})
    written = _follow(location, data)
    match details["type"]:
        case "mistake":
            return Mistake(written, context["what"], context["instead"], location[-1:] == ("[key]",))
        case "extra_forbidden":
            key = str(location[-1])
            return Mistake(
                written, f"unknown key {key!r}", did_you_mean(key, _known_keys(model, location[:-1])), True
            )
        case "missing":
            key = str(location[-1])
            return Mistake(written, f"{key!r} is absent", f"write {key}: ...")
        case "value_error":
            what, _, instead = str(context["error"]).partition("; ")
            return Mistake(written, what, instead)
        case "literal_error":
            what = f"{_show(details['input'])} is not among the choices"
            return Mistake(written, what, _choose(details["input"], context["expected"]))
    return Mistake(written, *_name_type(details["type"], details["input"], context))


def _name_type(kind: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong and what to write, for errors of type and of range."""
    shown = _show(value)
    bounds = {
        "greater_than": ("gt", "write a number above"),
        "greater_than_equal": ("ge", "write at least"),
        "less_than": ("lt", "write a number below"),
        "less_than_equal": ("le", "write at most"),
    }
    if kind in bounds:
        key, remedy = bounds[kind]
        return f"{shown} is out of range", f"{remedy} {context[key]:,}"
    needed = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "int_parsing_size": "a smaller number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "string_type": "text, in quotes if it looks like something else",
        "string_too_short": "some text",
        "dict_type": "a mapping, {key: value}",
        "model_type": "a mapping, {key: value}",
        "model_attributes_type": "a mapping, {key: value}",
        "list_type": "a list, [item, ...]",
        "tuple_type": "a list, [item, ...]",
        "too_short": "at least one entry",
    }
    return f"{shown} cannot stand here", f"write {needed.get(kind, kind.replace('_', ' '))}"


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    text = "nothing" if value is None else text
    return text if len(text) <= 60 else f"{text[:57]}..."


def _choose(value: Any, expected: str) -> str:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    return did_you_mean(value if isinstance(value, str) else "", choices)


def _follow(location: Sequence[str | int], data: Any) -> KeyPath:
    """The part of a location that exists in the data: short forms have fewer levels than the model."""
    written: list[str | int] = []
    for item in location:
        entries = dict(enumerate(data)) if isinstance(data, list | tuple) else data
        if isinstance(entries, Mapping) and item in entries:
            written.append(item)
            data = entries[item]
    return tuple(written)


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that the models at a location know."""
    annotations: list[Any] = [model]
    for item in location:
        annotations = [inner for outer in annotations for inner in _enter(outer, item)] or annotations
    return [
        field.alias or name
        for annotation in annotations
        for found in _models(annotation)
        for name, field in found.model_fields.items()
    ]


def _enter(annotation: Any, item: str | int) -> Iterator[Any]:
    """The types of what lies at a key or an index of a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for argument in arguments:
            yield from _enter(argument, item)
    elif origin is Annotated:
        yield from _enter(arguments[0], item)
    elif origin is dict:
        yield arguments[1]
    elif origin is list:
        yield arguments[0]
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if item in (name, field.alias):
                yield Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _models(argument)
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
        yield from (item.model for item in annotation.__metadata__ if isinstance(item, KeysOf))
