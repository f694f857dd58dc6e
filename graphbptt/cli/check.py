"""``graphbptt check``: is the spec valid, and are the derivatives right?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphbptt.cli.arguments import noise_option, spec_arguments

if TYPE_CHECKING:
    from graphbptt.ir.folded import FoldedNetwork


@click.command()
@spec_arguments
@click.option(
    "--examples",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="How many training examples the derivatives are compared on.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-6,
    show_default=True,
    help="The largest relative error that passes; finite differences in float64 leave about 1e-9.",
)
@noise_option
def check(spec: Path, overrides: tuple[str, ...], examples: int, tolerance: float, noise: bool | int) -> int:
    """Validate SPEC, compare its derivatives with finite differences, and print each group's worst."""
    from graphbptt.gradients import check_gradients
    from graphbptt.spec import load
    from graphbptt.training.divergence import explain_divergence
    from graphbptt.training.evaluation import bind_chunks

    declared = load(spec, overrides)
    model = declared.compile()
    parts = declared.data()
    if declared.declaration.spec.training is not None:
        declared.check_purpose(model, parts)
    data = parts.train.take(slice(0, examples))
    report = check_gradients(model, data.fields, data.steps, noise=noise)
    if not math.isfinite(report.loss) or not math.isfinite(report.error):
        raise explain_divergence(model, bind_chunks(model, data, noise=noise), "before any update")
    click.echo(f"{spec}: valid")
    click.echo(str(report))
    if report.error > tolerance:
        click.echo(f"the derivatives do not agree to {tolerance:g}", err=True)
        kinked = _find_kinked(model.network)
        if kinked:
            click.echo(
                f"the activations of {', '.join(kinked)} have kinks, where differences say nothing; a net input of"
                " exactly 0, as of zero states and biases, is often on one: start their biases elsewhere, e.g."
                " bias: {init: {normal: {std: 0.1}}}",
                err=True,
            )
        if penalized := _find_penalized(model.network):
            click.echo(
                f"the l1 penalties of {', '.join(penalized)} have a kink at 0, where differences say nothing: compare"
                " without them",
                err=True,
            )
        return 1
    return 0


def _find_kinked(network: FoldedNetwork) -> list[str]:
    """The populations whose activation has a kink somewhere."""
    from graphbptt.ir.expression import calls
    from graphbptt.ir.functions import KINKED

    return [
        population.name
        for population in network.populations
        if any(call.function in KINKED for call in calls([population.activation]))
    ]


def _find_penalized(network: FoldedNetwork) -> list[str]:
    """The populations and the groups with a penalty on absolute values."""
    penalties = [(item.name, item.penalty) for item in network.populations]
    penalties += [(item.name, item.penalty) for item in network.groups]
    return [name for name, penalty in penalties if penalty is not None and penalty.l1]
