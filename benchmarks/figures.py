"""The figures of the example specs over several seeds: ``python -m benchmarks.figures``.

sunspots         average relative variance on 1921 to 1955: the median is to be at most 0.11
binary_addition  share of 1,000 fresh sequences, three times as long, with every bit right: to be 1 for 4 of 5 seeds
attractor        share of bits right, at the targets and twenty steps later: to be at least 0.95
"""

from __future__ import annotations

import statistics
import sys
import time

import graphbptt
from graphbptt.training.metrics import RELATIVE_VARIANCE

SEEDS = range(5)
Evaluations = dict[str, graphbptt.Evaluation]


def run_spec(name: str, seed: int) -> tuple[Evaluations, Evaluations, float]:
    """Train a spec: the figures of the network and of the baseline, and the seconds it took."""
    started = time.perf_counter()
    spec = graphbptt.load(f"specs/{name}.yaml", [f"seed={seed}"])
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    network, baseline = spec.evaluate(model, parts), spec.evaluate_baseline(model, parts)
    return network, baseline, time.perf_counter() - started


def check_sunspots() -> bool:
    print("sunspots: average relative variance")
    reached = []
    for seed in SEEDS:
        network, linear, seconds = run_spec("sunspots", seed)
        figures = {name: network[name].figures["prediction"][RELATIVE_VARIANCE] for name in ("train", "test")}
        baseline = {name: linear[name].figures["prediction"][RELATIVE_VARIANCE] for name in ("train", "test")}
        reached.append(figures["test"])
        print(
            f"  seed {seed}: train {figures['train']:.4f}, test {figures['test']:.4f}; linear autoregression:"
            f" train {baseline['train']:.4f}, test {baseline['test']:.4f}  ({seconds:.1f} s)"
        )
    print(f"  median of the tests: {statistics.median(reached):.4f}")
    return statistics.median(reached) <= 0.11


def check_binary_addition() -> bool:
    print("binary_addition: sequences with every bit right")
    solved = 0
    for seed in SEEDS:
        network, _, seconds = run_spec("binary_addition", seed)
        right = network["test"].figures["sum"]["sequences right"]
        solved += right == 1
        print(f"  seed {seed}: {right:.4f}  ({seconds:.1f} s)")
    print(f"  all right for {solved} of {len(SEEDS)} seeds")
    return solved >= 4


def check_attractor() -> bool:
    print("attractor: bits right")
    worst = 1.0
    for seed in SEEDS:
        network, _, seconds = run_spec("attractor", seed)
        targets, later = (network[name].figures["memory"]["bits right"] for name in ("validation", "test"))
        worst = min(worst, targets, later)
        print(
            f"  seed {seed}: at the targets {targets:.4f}, twenty steps later {later:.4f}  ({seconds:.1f} s)"
        )
    print(f"  at least {worst:.4f}")
    return worst >= 0.95


def main() -> int:
    """Print every figure; 1 if one is not what it is to be."""
    reached = [check() for check in (check_sunspots, check_binary_addition, check_attractor)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
