"""What the tasks draw is what they say."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from graphbptt.declaration.task_choices import TaskChoice
from graphbptt.errors import DataError
from graphbptt.training.tasks.embedded_reber import SHORTEST, SYMBOLS
from graphbptt.training.tasks.table import TASKS


def draw(task: str, steps: int, examples: int, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    choice = TaskChoice.model_validate({task: options})
    generators = np.random.default_rng(0), np.random.default_rng(1)
    return TASKS[task](choice.options, steps, examples, *generators)


def test_reber_strings_are_of_the_grammar_and_have_the_second_symbol_last_but_one() -> None:
    # The graph of the grammar as a regular expression; an X leads from its upper half into the lower one.
    lower = "T*V(?:PXT*V)*(?:V|PS)"
    inside = f"B(?:TS*X(?:S|X{lower})|P{lower})E"
    grammar = re.compile(f"B(?:T{inside}T|P{inside}P)")
    fields = draw("embedded_reber", 60, 500)
    for symbols, length in zip(fields["symbols"], fields["lengths"], strict=True):
        assert (symbols[:length].sum(axis=-1) == 1).all()
        assert not symbols[length:].any()
        assert grammar.fullmatch("".join(SYMBOLS[symbol] for symbol in symbols[:length].argmax(axis=-1)))


def test_every_reber_symbol_is_a_legal_successor_of_the_one_before() -> None:
    fields = draw("embedded_reber", 40, 500)
    for symbols, legal, length in zip(fields["symbols"], fields["legal"], fields["lengths"], strict=True):
        assert all(may @ following == 1 for may, following in pairwise_steps(legal, symbols, length))
        assert set(legal[:length].sum(axis=-1)) == {1, 2}
        assert not legal[length:].any()


def pairwise_steps(legal: Any, symbols: Any, length: int) -> list[tuple[Any, Any]]:
    return [(legal[before], symbols[after]) for before, after in pairwise(range(length))]


def test_reber_strings_are_of_any_length_up_to_the_longest_that_was_asked_for() -> None:
    assert set(draw("embedded_reber", SHORTEST, 50)["lengths"]) == {SHORTEST}
    assert set(draw("embedded_reber", 20, 2000)["lengths"]) == set(range(SHORTEST, 21))
    with pytest.raises(DataError, match="the shortest string of the embedded Reber grammar has 8 steps"):
        draw("embedded_reber", SHORTEST - 1, 50)


def test_a_sum_that_is_due_after_the_end_is_not_there() -> None:
    for delay in (6, 10**30):
        assert not draw("binary_addition", 6, 20, delay=delay)["sum"].any()


def test_the_marked_numbers_are_one_in_each_half_and_add_up() -> None:
    fields = draw("adding", 7, 1000)
    values, marks = fields["numbers"][..., 0], fields["numbers"][..., 1]
    assert set(np.unique(marks)) == {0, 1}
    assert (marks[:, :3].sum(axis=1) == 1).all()
    assert (marks[:, 3:].sum(axis=1) == 1).all()
    assert marks.any(axis=0).all()
    assert fields["sum"].shape == (1000, 1)
    np.testing.assert_allclose((values * marks).sum(axis=1), fields["sum"][:, 0])
    assert np.var(fields["sum"]) == pytest.approx(1 / 6, rel=0.1)
    with pytest.raises(DataError, match="1 step for two numbers"):
        draw("adding", 1, 10)


def test_a_wave_is_the_same_in_every_example_and_made_of_the_periods_asked_for() -> None:
    wave = draw("wave", 4096, 3, components=4, shortest=16, longest=64)["wave"]
    assert wave.shape == (3, 4096, 1)
    assert (wave == wave[0]).all()
    power = np.abs(np.fft.rfft(wave[0, :, 0])) ** 2
    within = slice(4096 // 64 - 1, 4096 // 16 + 2)
    assert power[within].sum() > 0.98 * power.sum()
    assert wave.var() == pytest.approx(1, abs=0.1)
    assert (
        draw("wave", 9, 1, components=4, shortest=16, longest=64)["wave"][0].tolist() == wave[0, :9].tolist()
    )
    with pytest.raises(ValidationError, match="a shortest period of 9 and a longest one of 8"):
        draw("wave", 9, 1, shortest=9, longest=8)


def test_the_parity_is_that_of_the_bits_around() -> None:
    fields = draw("parity_around", 12, 20, past=2, future=3)
    bits, parity, inside = (fields[name] for name in ("bits", "parity", "inside"))
    assert inside.tolist() == [[0, 0, *[1] * 7, 0, 0, 0]] * 20
    for step in range(2, 9):
        assert (parity[:, step] == (bits[:, step - 2] + bits[:, step + 3]) % 2).all()
    with pytest.raises(
        DataError, match="5 steps, of which none has a bit 2 steps before and one 3 steps after"
    ):
        draw("parity_around", 5, 20, past=2, future=3)


def test_the_evidence_is_for_the_choice_as_strong_as_its_coherence() -> None:
    fields = draw("perceptual_decision", 30, 5000, coherences=[0.25], noise=0.5, pause=10)
    evidence, choice = fields["evidence"], fields["choice"]
    assert not evidence[:, 20:].any()
    assert choice.mean() == pytest.approx(0.5, abs=0.05)
    everyone = np.arange(5000)
    means = [evidence[everyone, :20, choice].mean(), evidence[everyone, :20, 1 - choice].mean()]
    np.testing.assert_allclose(means, [0.625, 0.375], atol=0.01)
    np.testing.assert_allclose(evidence[everyone, :20, choice].std(), 0.5, atol=0.01)
    with pytest.raises(DataError, match="a pause of 10 of 10 steps leaves none for evidence"):
        draw("perceptual_decision", 10, 1, pause=10)
