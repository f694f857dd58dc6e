"""``graphbptt evaluate``: the figures of parameters that a run has kept."""

from __future__ import annotations

from pathlib import Path

import click

from graphbptt.cli.arguments import noise_option, spec_arguments


@click.command()
@spec_arguments
@click.option(
    "--parameters",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder that `train` made for a run, or the parameters.npz in it.",
)
@noise_option
def evaluate(spec: Path, overrides: tuple[str, ...], parameters: Path, noise: bool | int) -> None:
    """Print loss and figures of saved parameters on every part of the data of SPEC."""
    from rich.console import Console

    from graphbptt.spec import load
    from graphbptt.training.progress import tabulate_figures
    from graphbptt.training.run_folder import read_parameters

    declared = load(spec, overrides)
    model = declared.compile()
    read_parameters(model, parameters)
    parts = declared.data()
    evaluations, baseline = declared.evaluate(model, parts, noise), declared.evaluate_baseline(model, parts)
    Console().print(tabulate_figures(evaluations, baseline, declared.baseline_name))
