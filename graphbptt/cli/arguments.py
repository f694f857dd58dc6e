"""The arguments that subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from graphbptt.codegen.persistent.device_limits import DeviceLimits, find_device, list_devices

__all__ = ["device_option", "noise_option", "spec_arguments", "steps_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def spec_arguments(command: Command) -> Command:
    """SPEC, and any number of SECTION.KEY=VALUE, which replace what the spec says."""
    command = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")(command)
    return click.argument("spec", type=click.Path(path_type=Path))(command)


def noise_option(command: Command) -> Command:
    """--noise, as `Model.run` takes it: True, False or a seed."""
    return click.option(
        "--noise",
        metavar="on|off|SEED",
        default="on",
        show_default=True,
        callback=_read_noise,
        help="Whether nodes have the noise they declare, and the seed it is drawn from; on is the spec's seed.",
    )(command)


def _read_noise(context: click.Context, parameter: click.Parameter, value: str) -> bool | int:  # noqa: ARG001
    if value in ("on", "off"):
        return value == "on"
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is not on, off, or a seed, which is a whole number from 0.")
    return int(value)


def steps_option(command: Command) -> Command:
    """--steps."""
    return click.option(
        "--steps",
        type=click.IntRange(1),
        help="The number of steps to unroll; by default, those of the data.",
    )(command)


def device_option(command: Command) -> Command:
    """--device, a kind of GPU by its architecture or by the name of a product."""
    return click.option(
        "--device",
        metavar="GPU",
        callback=_read_device,
        help=f"Add which scans such a GPU would do in one launch each, and why not others: {list_devices()}.",
    )(command)


def _read_device(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> DeviceLimits | None:
    if value is None:
        return None
    found = find_device(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is none of the GPUs that are known: {list_devices()}.")
    return found
