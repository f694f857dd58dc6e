"""``graphbptt train``: train a spec, keep its parameters, print the figures."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from graphbptt.cli.arguments import spec_arguments


@click.command()
@spec_arguments
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where the folder of this run is made.",
)
def train(spec: Path, overrides: tuple[str, ...], runs: Path) -> None:
    """Train the network of SPEC and print its loss and figures on every part of the data.

    The run's folder holds the parameters, the history of all epochs, the figures, and the spec as it was
    run. The parameters are those with the lowest validation loss; without a validation part, those of the
    last epoch. An interrupt, or SIGTERM, keeps those so far and the history.
    """
    from rich.console import Console

    from graphbptt.spec import load
    from graphbptt.training.admission import check_parts
    from graphbptt.training.loop import Epoch, History
    from graphbptt.training.loop import train as train_model
    from graphbptt.training.progress import show_progress, tabulate_figures
    from graphbptt.training.run_folder import RunFolder

    declared = load(spec, overrides)
    model = declared.compile()
    parts = declared.data()
    with declared.locating():
        check_parts(model, parts)
    declared.check_purpose(model, parts)
    baseline = declared.evaluate_baseline(model, parts)
    settings = declared.training
    console = Console()
    folder = RunFolder.create(runs, spec.stem)
    folder.write_spec(declared.format())
    if declared.description:
        click.echo(declared.description)
    click.echo(f"{spec}: {model.summary}")
    epochs: list[Epoch] = []
    history: History | None = None
    try:
        with show_progress(console, settings.epochs) as show:

            def report(epoch: Epoch) -> None:
                epochs.append(epoch)
                show(epoch)

            history = train_model(model, parts, **dict(settings), report=report)
    finally:
        folder.write_parameters(model)
        folder.write_history(epochs)
        click.echo(f"kept in {folder.path}")
        if history is None:
            again = shlex.join(
                ["graphbptt", "evaluate", *map(str, (folder.spec, "--parameters", folder.path))]
            )
            click.echo(f"stopped after {len(epochs)} of {settings.epochs} epochs; the figures: {again}")
    chosen = "best by validation" if history.kept.best else "the last"
    click.echo(f"epoch {history.kept.number} of {len(history.epochs)}, {chosen}")
    evaluations = declared.evaluate(model, parts)
    folder.write_figures(evaluations, baseline)
    console.print(tabulate_figures(evaluations, baseline, declared.baseline_name))
