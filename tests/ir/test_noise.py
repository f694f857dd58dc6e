"""The noise of states: the generator that its module describes, and draws that depend on nothing else."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.ir.noise import Noise, draw_noise

WORD = 2**64 - 1


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Ten rounds of Philox4x64, by the book (Salmon et al. 2011)."""
    for turn in range(10):
        left, right = counter[0] * 0xD2E7470EE14C6C93, counter[2] * 0xCA5A826395121157
        keys = (
            (key[0] + turn * 0x9E3779B97F4A7C15) & WORD,
            (key[1] + turn * 0xBB67AE8584CAA73B) & WORD,
        )
        counter = (
            (right >> 64) ^ counter[1] ^ keys[0], right & WORD,
            (left >> 64) ^ counter[3] ^ keys[1], left & WORD,
        )  # fmt: skip
    return counter


def draw_one(seed: int, population: str, step: int, example: int, unit: int, units: int) -> float:
    digest = hashlib.sha256(f"{seed}:{population}".encode()).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    words = philox((1 + example * -(-units // 4) + unit // 4, 0, step, 0), key)
    u = [((word >> 11) + 0.5) / 2**53 for word in words]
    pair = unit % 4 // 2 * 2
    wave = math.cos if unit % 2 == 0 else math.sin
    return math.sqrt(-2 * math.log(u[pair])) * wave(2 * math.pi * u[pair + 1])


def test_the_generator_is_the_one_described() -> None:
    drawn = draw_noise(Noise(7, example=2), "h", range(5, 8), 2, 6)
    for (row, example, unit), found in np.ndenumerate(drawn):
        assert found == pytest.approx(draw_one(7, "h", 5 + row, 2 + example, unit, 6), abs=1e-14)


@given(
    first=st.integers(1, 2**40),
    before=st.integers(0, 10**6),
    skipped=st.integers(0, 3),
    later=st.integers(0, 3),
)
def test_a_part_of_a_batch_has_the_noise_it_has_in_the_whole(
    first: int, before: int, skipped: int, later: int
) -> None:
    whole = draw_noise(Noise(1, before), "h", range(first, first + 6), 5, 3)
    steps = range(first + later, first + 6)
    part = draw_noise(Noise(1, before + skipped), "h", steps, 5 - skipped, 3)
    np.testing.assert_array_equal(part, whole[later:, skipped:])


def test_moments_and_independence() -> None:
    draws = draw_noise(Noise(0), "h", range(1, 201), 50, 7)
    assert draws.mean() == pytest.approx(0, abs=0.01)
    assert draws.var() == pytest.approx(1, abs=0.02)
    assert (draws**4).mean() == pytest.approx(3, abs=0.1)
    others = [
        draw_noise(Noise(1), "h", range(1, 201), 50, 7),
        draw_noise(Noise(0), "g", range(1, 201), 50, 7),
        draw_noise(Noise(0, 50), "h", range(1, 201), 50, 7),
        draw_noise(Noise(0), "h", range(201, 401), 50, 7),
        np.roll(draws, 1, axis=-1),
    ]
    for other in others:
        assert np.corrcoef(draws.ravel(), other.ravel())[0, 1] == pytest.approx(0, abs=0.015)


def test_single_precision_draws_the_same() -> None:
    double, single = (draw_noise(Noise(3), "h", range(1, 50), 9, 8, dtype) for dtype in ("f8", "f4"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-4)
