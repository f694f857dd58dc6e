"""The figures of the example specs over several seeds: ``python -m benchmarks.figures``.

    promise := Promise(spec, target, metric, wanted, enough, parts, rival)
    rival   := Rival(name, overrides)

A promise is what the first comment of a spec says, in numbers; `PROMISES` lists them. A rival is the same spec with
other values, measured beside it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import graphbptt
from graphbptt.training.metrics import RELATIVE_VARIANCE

__all__ = ["BLIND", "LOUD", "PLAIN", "PROMISES", "SIMPLE", "Promise", "Rival"]

SEEDS = range(5)
RESULT = Path(__file__).parent / "results" / "figures.md"
Evaluations = Mapping[str, graphbptt.Evaluation]


@dataclass(frozen=True, slots=True)
class Rival:
    """What another network is called, and the overrides that make it."""

    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure of a spec: what is measured on which parts of the data, and when that is enough.

    `enough` sees the figures of all seeds and parts; `wanted` is the same in words.
    """

    spec: str
    target: str
    metric: str
    wanted: str
    enough: Callable[[Sequence[float]], bool]
    parts: tuple[str, ...] = ("test",)
    rival: Rival | None = None

    def read(self, evaluations: Evaluations) -> list[float]:
        """The figure of each part."""
        return [evaluations[part].figures[self.target][self.metric] for part in self.parts]


SIMPLE = Rival("a simple recurrent network", ("network.nodes.memory.cell=rnn",))

# The best of the rates that were tried; twice the updates take as long.
PLAIN = Rival(
    "a plain network, twice the updates",
    (
        "network.nodes.memory.cell={rnn: {recurrent: {init: orthogonal}}}",
        "training.optimizer.adam.rate=0.001",
        "training.epochs=1200",
    ),
)

LOUD = Rival("no penalties", ("network.nodes.hidden.penalty.l1=0", "network.edges.1.penalty.l1=0"))

BLIND = Rival("both look back", ("network.edges.3.delay=1",))

PROMISES = (
    Promise(
        "sunspots",
        "prediction",
        RELATIVE_VARIANCE,
        "median at most 0.11",
        lambda reached: statistics.median(reached) <= 0.11,
    ),
    Promise(
        "binary_addition",
        "sum",
        "sequences right",
        "1 for 4 of 5 seeds",
        lambda reached: [figure == 1 for figure in reached].count(True) >= 4,
    ),
    Promise(
        "quiet_addition",
        "sum",
        "sequences right",
        "1 for 4 of 5 seeds",
        lambda reached: [figure == 1 for figure in reached].count(True) >= 4,
        rival=LOUD,
    ),
    Promise(
        "attractor",
        "memory",
        "bits right",
        "at least 0.95, at the targets (validation) and twenty steps later (test)",
        lambda reached: min(reached) >= 0.95,
        parts=("validation", "test"),
    ),
    Promise("antisymmetric", "pattern", "bits right", "at least 0.95", lambda reached: min(reached) >= 0.95),
    Promise("lstm_reber", "legal", "sequences right", "1", lambda reached: min(reached) == 1),
    Promise(
        "adding",
        "sum",
        "mean squared error",
        "below 0.01",
        lambda reached: max(reached) < 0.01,
        rival=SIMPLE,
    ),
    Promise(
        "clockwork",
        "wave",
        "mean squared error",
        "below 0.005",
        lambda reached: max(reached) < 0.005,
        parts=("train",),
        rival=PLAIN,
    ),
    Promise(
        "karate",
        "other",
        "bits right",
        "23 of 24 members who were not trained on",
        lambda reached: min(reached) >= 23 / 24,
        parts=("train",),
    ),
    Promise("bidirectional", "parity", "bits right", "1", lambda reached: min(reached) == 1, rival=BLIND),
    Promise("ei_decision", "choice", "labels right", "at least 0.85", lambda reached: min(reached) >= 0.85),
)


def run_spec(name: str, seed: int, overrides: tuple[str, ...] = ()) -> tuple[Evaluations, Evaluations, float]:
    """Train a spec: the figures of the network and of the baseline, and the seconds it took."""
    started = time.perf_counter()
    spec = graphbptt.load(f"specs/{name}.yaml", [f"seed={seed}", *overrides])
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    network, baseline = spec.evaluate(model, parts), spec.evaluate_baseline(model, parts)
    return network, baseline, time.perf_counter() - started


def check_promise(promise: Promise, say: Callable[[str], None]) -> bool:
    """Run all seeds; whether the promise is kept."""
    say(f"\n{promise.spec}: {promise.metric} ({', '.join(promise.parts)}); wanted: {promise.wanted}")
    reached: list[float] = []
    for seed in SEEDS:
        network, baseline, seconds = run_spec(promise.spec, seed)
        reached += promise.read(network)
        said = f"  seed {seed}: {_show(promise.read(network))} ({seconds:.1f} s)"
        if baseline:
            said += f"; baseline: {_show(promise.read(baseline))}"
        if promise.rival is not None:
            rival, _, seconds = run_spec(promise.spec, seed, promise.rival.overrides)
            said += f"; {promise.rival.name}: {_show(promise.read(rival))} ({seconds:.1f} s)"
        say(said)
    kept = promise.enough(reached)
    say(f"  {'kept' if kept else 'BROKEN'}")
    return kept


def _show(figures: Sequence[float]) -> str:
    return ", ".join(f"{figure:.4f}" for figure in figures)


def main() -> int:
    """Print every figure and keep them in `RESULT`; 1 if a promise is not kept."""
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    kept = [check_promise(promise, say) for promise in PROMISES]
    title = "# The figures of the example specs, by seed\n\nWritten by `python -m benchmarks.figures`."
    text = "\n".join(lines).strip()
    RESULT.write_text(f"{title}\n\n```\n{text}\n```\n", encoding="utf-8")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
