"""``graphbptt explain``: the network, its unrolling, and its plan or its loops in C as text."""

from __future__ import annotations

from pathlib import Path

import click

from graphbptt.cli.arguments import spec_arguments, steps_option
from graphbptt.codegen.persistent.device_limits import DEVICES


@click.command()
@spec_arguments
@steps_option
@click.option(
    "--emit",
    type=click.Choice(["c"]),
    help="Print only the loops over time as source text, named and commented.",
)
@click.option(
    "--device",
    type=click.Choice(sorted(DEVICES)),
    help="Add which scans a GPU of this kind would do in one launch each, and why not others.",
)
def explain(
    spec: Path, overrides: tuple[str, ...], steps: int | None, emit: str | None, device: str | None
) -> None:
    """Print what SPEC is compiled to: the folded network, its layers and copies unrolled, and the plan."""
    from graphbptt.backend import check_installed
    from graphbptt.codegen.persistent.text import format_persistent
    from graphbptt.codegen.precision import precision_of
    from graphbptt.spec import load

    if emit and steps is not None:
        raise click.UsageError("the text of a loop holds for any number of steps: leave --steps out")
    if emit and device is not None:
        raise click.UsageError("the loops in C are for no GPU: leave --device out")
    declared = load(spec, overrides)
    if emit:  # text needs no compiler, nor that the backend can run here
        check_installed(declared.declaration.spec.backend)
        click.echo(declared.compile(backend="numpy").emit_c())
        return
    model = declared.compile()
    if steps is None:
        example = declared.data().train.take(slice(0, 1))
        with declared.locating():
            steps = model.bind(example.fields, example.steps).steps
    unrolled = model.unroll(steps)
    if declared.description:
        click.echo(declared.description)
        click.echo()
    click.echo(f"{spec}: {model.summary}")
    click.echo()
    click.echo(str(model.network))
    click.echo()
    click.echo(f"unrolled over {steps} steps: {len(unrolled.layers)} layers")
    for group, copies in unrolled.groups.items():
        click.echo(f"  group {group}: {len(copies)} copies")
    click.echo()
    batch = declared.training.batch
    click.echo(model.explain(steps, batch))
    if device is not None:
        click.echo()
        click.echo(format_persistent(model.plan, precision_of(model.dtype), steps, batch, DEVICES[device]))
