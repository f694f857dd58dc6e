"""The figures of the example specs over several seeds: ``python -m benchmarks.figures``.

sunspots         average relative variance on 1921 to 1955: the median is to be at most 0.11
binary_addition  share of 1,000 fresh sequences, three times as long, with every bit right: to be 1 for 4 of 5 seeds
attractor        share of bits right, at the targets and twenty steps later: to be at least 0.95
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import graphbptt
from graphbptt.training.metrics import RELATIVE_VARIANCE

SEEDS = range(5)
RESULT = Path(__file__).parent / "results" / "figures.md"
Say = Callable[[str], None]
Evaluations = dict[str, graphbptt.Evaluation]


def run_spec(name: str, seed: int) -> tuple[Evaluations, Evaluations, float]:
    """Train a spec: the figures of the network and of the baseline, and the seconds it took."""
    started = time.perf_counter()
    spec = graphbptt.load(f"specs/{name}.yaml", [f"seed={seed}"])
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    network, baseline = spec.evaluate(model, parts), spec.evaluate_baseline(model, parts)
    return network, baseline, time.perf_counter() - started


def check_sunspots(say: Say) -> bool:
    say("sunspots: average relative variance")
    reached = []
    for seed in SEEDS:
        network, linear, seconds = run_spec("sunspots", seed)
        figures = {name: network[name].figures["prediction"][RELATIVE_VARIANCE] for name in ("train", "test")}
        baseline = {name: linear[name].figures["prediction"][RELATIVE_VARIANCE] for name in ("train", "test")}
        reached.append(figures["test"])
        say(
            f"  seed {seed}: train {figures['train']:.4f}, test {figures['test']:.4f}; linear autoregression:"
            f" train {baseline['train']:.4f}, test {baseline['test']:.4f}  ({seconds:.1f} s)"
        )
    say(f"  median of the tests: {statistics.median(reached):.4f}")
    return statistics.median(reached) <= 0.11


def check_binary_addition(say: Say) -> bool:
    say("binary_addition: sequences with every bit right")
    solved = 0
    for seed in SEEDS:
        network, _, seconds = run_spec("binary_addition", seed)
        right = network["test"].figures["sum"]["sequences right"]
        solved += right == 1
        say(f"  seed {seed}: {right:.4f}  ({seconds:.1f} s)")
    say(f"  all right for {solved} of {len(SEEDS)} seeds")
    return solved >= 4


def check_attractor(say: Say) -> bool:
    say("attractor: bits right")
    worst = 1.0
    for seed in SEEDS:
        network, _, seconds = run_spec("attractor", seed)
        targets, later = (network[name].figures["memory"]["bits right"] for name in ("validation", "test"))
        worst = min(worst, targets, later)
        say(f"  seed {seed}: at the targets {targets:.4f}, twenty steps later {later:.4f}  ({seconds:.1f} s)")
    say(f"  at least {worst:.4f}")
    return worst >= 0.95


def main() -> int:
    """Print every figure and keep them in `RESULT`; 1 if one is not what it is to be."""
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    reached = [check(say) for check in (check_sunspots, check_binary_addition, check_attractor)]
    title = "# The figures of the example specs, by seed\n\nWritten by `python -m benchmarks.figures`."
    text = "\n".join(lines)
    RESULT.write_text(f"{title}\n\n```\n{text}\n```\n", encoding="utf-8")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
