"""Choose the settings of specs/sunspots.yaml on the training years alone: ``python -m benchmarks.choose_sunspots``.

The years 1709 to 1920 are cut into five blocks. Each is left out of training in turn, and predicted by the network
that has not been trained on it; the inputs of all years are known throughout. Later years are never read. Printed is
the average relative variance over all five blocks, for every candidate and after several numbers of epochs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

import graphbptt

SPEC = "specs/sunspots.yaml"
UNITS = (6, 12, 24)
DECAYS = (0.1, 0.3, 0.8)
EPOCHS = (250, 500, 750, 1000, 1250, 1500)
SEEDS = (100, 101, 102)
BLOCKS = 5


def divide_blocks(record: graphbptt.Dataset) -> Iterator[tuple[graphbptt.Dataset, graphbptt.Dataset]]:
    """The training years without a block, and the block."""
    scored = record.fields["scored"][0]
    for block in np.array_split(np.flatnonzero(scored), BLOCKS):
        left_out = np.zeros_like(scored)
        left_out[block] = 1
        masks = scored - left_out, left_out
        kept, held = (graphbptt.Dataset({**record.fields, "scored": mask[None]}) for mask in masks)
        yield kept, held


def measure_candidate(units: int, decay: float) -> np.ndarray:
    """The average relative variance on the blocks, after each of `EPOCHS`."""
    overrides = [f"network.nodes.hidden.units={units}", f"training.optimizer.adamw.weight_decay={decay}"]
    spec = graphbptt.load(SPEC, [*overrides, f"training.epochs={max(EPOCHS)}"])
    parts = spec.data()
    errors = np.zeros(len(EPOCHS))
    years = 0.0
    for seed, (kept, held) in itertools.product(SEEDS, divide_blocks(parts.train)):
        history = graphbptt.train(spec.compile(seed=seed), kept, validation=held, **dict(spec.training))
        losses = [history.epochs[number - 1].validation_loss or 0.0 for number in EPOCHS]
        # The loss is half the mean squared error over the block.
        errors += 2 * np.array(losses) * held.fields["scored"].sum()
        years += held.fields["scored"].sum()
    return errors / years / parts.variance["sunspots"]


def main() -> None:
    print("units  decay  " + "  ".join(f"{number:>5} epochs" for number in EPOCHS))
    for units, decay in itertools.product(UNITS, DECAYS):
        figures = "  ".join(f"{figure:12.4f}" for figure in measure_candidate(units, decay))
        print(f"{units:5}  {decay:5}  {figures}", flush=True)


if __name__ == "__main__":
    main()
