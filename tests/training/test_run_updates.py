"""In which order updates are prepared, started and finished, whatever ends them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from named_networks import NETWORKS, draw_fields

from graphbptt.backend import Outcome, Updater
from graphbptt.ir.batch import Batch
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.training.run_updates import run_updates


class WrittenDown(Updater):
    """Does nothing but to say what it was asked for; `failing` is at which number of asking it stops."""

    def __init__(self, failing: int | None = None) -> None:
        self.asked: list[str] = []
        self.failing = failing

    def ask(self, what: str) -> None:
        self.asked.append(what)
        if len(self.asked) == self.failing:
            raise KeyboardInterrupt

    def prepare(self, batch: Batch) -> None:
        self.ask(f"prepare {batch.steps}")

    def start(self) -> None:
        self.ask("start")

    def finish(self) -> Outcome:
        self.ask("finish")
        return Outcome(np.zeros(1), 0.0, float(len(self.asked)), finite=True)

    def settle(self) -> None:
        self.ask("settle")


def draw_batches(steps: int) -> Iterator[Batch]:
    """Batches of 1, 2 and so on steps."""
    network = NETWORKS[0]()
    for number in range(1, steps + 1):
        yield bind_batch(network, draw_fields(2, number, padded=False), number, np.float64)


def test_the_next_batch_is_prepared_while_an_update_runs_and_started_when_that_is_judged() -> None:
    updater = WrittenDown()
    seen = []
    for batch, outcome in run_updates(updater, draw_batches(3)):
        seen.append((batch.steps, outcome.norm))
        updater.ask("judge")
    assert updater.asked == [
        "prepare 1", "start", "prepare 2", "finish", "judge", "start", "prepare 3", "finish", "judge", "start",
        "finish", "judge", "settle",
    ]  # fmt: skip
    assert seen == [(1, 4), (2, 8), (3, 11)]


def test_without_batches_there_are_no_updates() -> None:
    assert list(run_updates(WrittenDown(), [])) == []


def test_nothing_is_started_behind_an_update_that_is_refused() -> None:
    def refuse(_: tuple[Batch, Outcome]) -> None:
        raise ValueError

    updater = WrittenDown()
    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        list(map(refuse, run_updates(updater, draw_batches(3))))
    assert updater.asked == ["prepare 1", "start", "prepare 2", "finish", "settle"]


@pytest.mark.parametrize("failing", range(1, 9))
def test_an_interrupt_leaves_no_update_running(failing: int) -> None:
    """Wherever it comes, the last thing is to wait for whatever runs, and it is the interrupt that arrives."""
    updater = WrittenDown(failing)
    with pytest.raises(KeyboardInterrupt):
        list(run_updates(updater, draw_batches(3)))
    assert len(updater.asked) == failing + 1
    assert updater.asked[-1] == "settle"


def test_an_error_in_a_batch_leaves_no_update_running() -> None:
    def fail() -> Iterator[Batch]:
        yield from draw_batches(2)
        raise MemoryError

    updater = WrittenDown()
    with pytest.raises(MemoryError):
        list(run_updates(updater, fail()))
    assert updater.asked[-2:] == ["start", "settle"]
