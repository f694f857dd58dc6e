"""``graphbptt check``: is the spec valid, and are the derivatives right?"""

from __future__ import annotations

import math
from pathlib import Path

import click

from graphbptt.cli.arguments import noise_option, spec_arguments


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
    with declared.locating():
        report = check_gradients(model, data.fields, data.steps, noise=noise)
    if not math.isfinite(report.loss) or not math.isfinite(report.error):
        raise explain_divergence(model, bind_chunks(model, data, noise=noise), "before any update")
    vanishing = model.describe_vanishing()
    click.echo(f"{spec}: valid{', but ' * bool(vanishing)}{vanishing}")
    click.echo(report.format_groups())
    if report.error > tolerance:
        click.echo(f"the derivatives do not agree to {tolerance:g}", err=True)
        for kink in report.kinks:
            click.echo(kink, err=True)
        return 1
    return 0
