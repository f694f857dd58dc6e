"""The arguments that subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["spec_arguments", "steps_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def spec_arguments(command: Command) -> Command:
    """SPEC, and any number of SECTION.KEY=VALUE, which replace what the spec says."""
    command = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")(command)
    return click.argument("spec", type=click.Path(path_type=Path))(command)


def steps_option(command: Command) -> Command:
    """--steps."""
    return click.option(
        "--steps",
        type=click.IntRange(1),
        help="The number of steps to unroll; by default, those of the data.",
    )(command)
