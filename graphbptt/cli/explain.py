"""``graphbptt explain``: the network, its unrolling, and its plan or its loops in C as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphbptt.cli.arguments import device_option, spec_arguments, steps_option

if TYPE_CHECKING:
    from graphbptt.codegen.persistent.device_limits import DeviceLimits
    from graphbptt.ir.unrolled import UnrolledGraph
    from graphbptt.model import Model
    from graphbptt.spec import Spec

COUNTED = 100_000
"""The layers of so many vertices are counted, vertex by vertex."""


@click.command()
@spec_arguments
@steps_option
@click.option(
    "--emit",
    type=click.Choice(["c"]),
    help="Print only the loops over time as source text, named and commented.",
)
@device_option
def explain(
    spec: Path, overrides: tuple[str, ...], steps: int | None, emit: str | None, device: DeviceLimits | None
) -> None:
    """Print what SPEC is compiled to: the folded network, its layers and copies unrolled, and the plan.

    Nothing runs: what is meant for a GPU is explained without one.
    """
    from graphbptt.codegen.persistent.text import format_persistent
    from graphbptt.codegen.precision import precision_of
    from graphbptt.spec import load

    if emit and steps is not None:
        raise click.UsageError("the text of a loop holds for any number of steps: leave --steps out")
    if emit and device is not None:
        raise click.UsageError("the loops in C are for no GPU: leave --device out")
    declared = load(spec, overrides)
    if emit:
        if (precision := declared.declaration.spec.precision) != "full":
            raise click.UsageError(f"the loops in C have no products of {precision}: add precision=full")
        click.echo(declared.compile(runs=False).emit_c())
        return
    model, refusal = _compile(declared, device)
    if steps is None:
        example = declared.data().train.take(slice(0, 1))
        with declared.locating():
            steps = model.bind(example.fields, example.steps).steps
    if declared.description:
        click.echo(declared.description)
        click.echo()
    click.echo(f"{spec}: {model.summary}")
    if refusal:
        click.echo(refusal)
    click.echo()
    click.echo(str(model.network))
    click.echo()
    click.echo(_format_unrolled(model.unroll(steps)))
    click.echo()
    batch = declared.training.batch
    click.echo(model.explain(steps, batch))
    if device is not None:
        click.echo()
        click.echo(format_persistent(model.plan, precision_of(model.dtype), steps, batch, device))


def _compile(declared: Spec, device: DeviceLimits | None) -> tuple[Model, str]:
    """The network, to be run by what the spec asks for; where that cannot be, or a device is asked about, to be looked
    at alone, and why it cannot."""
    from graphbptt.errors import BackendError, CompilerError

    if device is not None:
        return declared.compile(runs=False), ""
    try:
        return declared.compile(), ""
    except CompilerError:
        raise
    except BackendError as error:
        return declared.compile(runs=False), str(error).splitlines()[0]


def _format_unrolled(unrolled: UnrolledGraph) -> str:
    """Its extent, and the copies of each group."""
    size = f"{unrolled.number_of_vertices} vertices, {unrolled.number_of_arcs} arcs"
    if unrolled.number_of_vertices <= COUNTED:
        size = f"{len(unrolled.layers)} layers, {size}"
    else:
        size += f"; layers are counted up to {COUNTED} vertices"
    head = f"unrolled over {unrolled.steps} steps: {size}"
    return "\n".join(
        [head, *(f"  group {name}: {len(copies)} copies" for name, copies in unrolled.groups.items())]
    )
