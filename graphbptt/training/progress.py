"""What a run shows while it trains, and the table it ends with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from graphbptt.training.evaluation import Evaluation
from graphbptt.training.loop import Epoch

__all__ = ["format_epoch", "show_progress", "tabulate_figures"]

LINES = 20
"""About how many lines a run prints where there is no terminal."""

SMALL = 0.01
"""Below it, figures are written with as many decimals as they need."""

BAR = 12
"""The width of the bar; the losses beside it then fit into 80 columns."""


def format_epoch(epoch: Epoch) -> str:
    """One line.

    >>> format_epoch(Epoch(3, 0.25, 0.5, best=True))
    'epoch 3: train loss 0.25, validation loss 0.5 (best)'
    """
    return f"epoch {epoch.number}: {_format_losses(epoch)}"


def _format_losses(epoch: Epoch) -> str:
    validation = "" if epoch.validation_loss is None else f", validation loss {epoch.validation_loss:.4g}"
    return f"train loss {epoch.train_loss:.4g}{validation}{' (best)' if epoch.best else ''}"


@contextmanager
def show_progress(console: Console, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """A function that takes each epoch: it moves a bar on a terminal, elsewhere it prints some lines."""
    if not console.is_terminal:
        interval = math.ceil(epochs / LINES)

        def print_line(epoch: Epoch) -> None:
            if epoch.number % interval == 0 or epoch.number in (1, epochs):
                console.print(Text(format_epoch(epoch)), soft_wrap=True)

        yield print_line
        return
    columns = (BarColumn(BAR), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=epochs)
        yield lambda epoch: progress.update(task, advance=1, description=_format_losses(epoch))


def tabulate_figures(
    evaluations: Mapping[str, Evaluation], baseline: Mapping[str, Evaluation], baseline_name: str = ""
) -> Table:
    """The loss and the figures, a column for each part; those of a baseline below the network's own."""
    table = Table(box=None, pad_edge=False)
    table.add_column("target")
    table.add_column("figure")
    table.add_column("of")
    for part in evaluations:
        table.add_column(part, justify="right")
    losses = [_format(evaluation.loss) for evaluation in evaluations.values()]
    table.add_row("", "loss", "network", *losses)
    for target, metric in _rows(evaluations):
        for name, measured in (("network", evaluations), (baseline_name, baseline)):
            values = [measured[part].figures.get(target, {}).get(metric) for part in evaluations if measured]
            if any(value is not None for value in values):
                # Text, since the name of a node may look like markup.
                table.add_row(Text(target), metric, Text(name), *map(_format, values))
    return table


def _rows(evaluations: Mapping[str, Evaluation]) -> list[tuple[str, str]]:
    rows = {
        (target, metric): None
        for evaluation in evaluations.values()
        for target, figures in evaluation.figures.items()
        for metric in figures
    }
    return list(rows)


def _format(value: float | None) -> str:
    """Four decimals, or four digits of what would have few left.

    >>> [_format(value) for value in (12.5, 0.25, 0, 0.00012345, None)]
    ['12.5000', '0.2500', '0.0000', '0.0001234', '']
    """
    if value is None:
        return ""
    return f"{value:.4g}" if 0 < abs(value) < SMALL else f"{value:.4f}"
