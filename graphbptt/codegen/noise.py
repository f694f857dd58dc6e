"""The noise of states in C: the words of `graphbptt.ir.noise` to the last bit, the normal numbers to a few units in it.

    draw_noise(key, example, step, steps, size, units, out)     standard normal numbers (step, example, unit)
    draw_normal(key, example, step, unit, fours)                one of them, as the one thread of a GPU draws it

The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, SC11, 2011), whose constants are those of its authors.
Sine and cosine come from one reduction of the angle to an eighth of a turn around zero, and their Taylor series, which
end there below half a unit in the last place; NumPy's own are as far from the exact ones.
"""

from __future__ import annotations

import math
from fractions import Fraction
from string import Template

import numpy as np

from graphbptt.codegen.dialect import C, Dialect
from graphbptt.codegen.precision import FLOAT64, Precision

__all__ = ["NOISE_NEEDS", "emit_noise", "emit_normal"]

NOISE_NEEDS = ("real_log", "real_sqrt")
"""What of the prelude it calls."""

PAIRS = 64
"""Pairs of numbers that are drawn at a time."""

PI = Fraction(31415926535897932384626433832795028841971693993751, 10**49)

TERMS = {"float32": 4, "float64": 8}
"""How many terms of sine and cosine follow the first one."""

WORDS = """\
typedef unsigned long long word;

/* The product of two words, of which the upper half is returned. */
$inline word multiply_words(word a, word b, word *low) {
#if defined(__CUDA_ARCH__)
    *low = a * b;
    return __umul64hi(a, b);
#elif defined(__SIZEOF_INT128__)
    const unsigned __int128 product = (unsigned __int128)a * b;
    *low = (word)product;
    return (word)(product >> 64);
#else
    const word a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    const word middle = a1 * b0 + ((a0 * b0) >> 32), other = a0 * b1 + (middle & 0xffffffffu);
    *low = a * b;
    return a1 * b1 + (middle >> 32) + (other >> 32);
#endif
}

/* The four words of a counter whose second and fourth word are zero. */
$inline void draw_words(const word *key, word first, word third, word *out) {
    word c0 = first, c1 = 0, c2 = third, c3 = 0, k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        word low0, low1;
        const word high0 = multiply_words(0xd2e7470ee14c6c93ull, c0, &low0);
        const word high1 = multiply_words(0xca5a826395121157ull, c2, &low1);
        c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9e3779b97f4a7c15ull, k1 += 0xbb67ae8584caa73bull;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}
"""

UNIFORM = """\
/* A uniform number between 0 and 1. */
$inline real uniform(word drawn) { return (real)(((double)(long long)(drawn >> 11) + 0.5) * $two_to_minus_53); }
"""

NORMALS = """\
/* Two normal numbers in place of each two words (Box and Muller 1958); loops of one width each, to be vectorised. */
static void pair_normals(ptrdiff_t pairs, const word *restrict drawn, real *restrict out) {
    real radii[$pairs], angles[$pairs];
    for (ptrdiff_t i = 0; i < pairs; i++) {
        radii[i] = uniform(drawn[2 * i]);
        angles[i] = $two_pi * uniform(drawn[2 * i + 1]);
    }
    for (ptrdiff_t i = 0; i < pairs; i++) radii[i] = real_sqrt($minus_two * real_log(radii[i]));
    for (ptrdiff_t i = 0; i < pairs; i++) {
        const real quarters = (angles[i] * $per_quarter + $shifter) - $shifter;
        const real r = ((angles[i] - quarters * $quarter0) - quarters * $quarter1) - quarters * $quarter2;
        const real z = r * r, sine = r + r * z * $sine, cosine = $one + z * $cosine;
        const real c = (quarters == $one) | (quarters == $three) ? sine : cosine;
        const real s = (quarters == $one) | (quarters == $three) ? cosine : sine;
        angles[i] = radii[i] * ((quarters == $two) | (quarters == $three) ? -s : s);
        radii[i] = radii[i] * ((quarters == $one) | (quarters == $two) ? -c : c);
    }
    for (ptrdiff_t i = 0; i < pairs; i++) {
        out[2 * i] = radii[i];
        out[2 * i + 1] = angles[i];
    }
}

void draw_noise(const word *key, word example, word step, ptrdiff_t steps, ptrdiff_t size, ptrdiff_t units,
                real *restrict out) {
    const ptrdiff_t fours = (units + 3) / 4;
    word drawn[2 * $pairs];
    real normals[2 * $pairs];
    for (ptrdiff_t row = 0; row < steps * size; row++) {
        const word first = 1 + (example + (word)(row % size)) * (word)fours, third = step + (word)(row / size);
        for (ptrdiff_t begin = 0; begin < fours; begin += $pairs / 2) {
            const ptrdiff_t left = fours - begin, count = left < $pairs / 2 ? left : $pairs / 2;
            for (ptrdiff_t i = 0; i < count; i++) draw_words(key, first + (word)(begin + i), third, drawn + 4 * i);
            pair_normals(2 * count, drawn, normals);
            const ptrdiff_t rest = units - 4 * begin, width = rest < 4 * count ? rest : 4 * count;
            memcpy(out + row * units + 4 * begin, normals, sizeof(real) * (size_t)width);
        }
    }
}
"""


NORMAL = """\
/* `from` is the key in two words, how many examples and steps come before, and whether there is noise at all. */
$inline real draw_normal(const word *from, ptrdiff_t example, ptrdiff_t step, ptrdiff_t unit, ptrdiff_t fours) {
    word drawn[4];
    draw_words(from, 1 + (from[2] + (word)example) * (word)fours + (word)(unit / 4), 1 + from[3] + (word)step, drawn);
    const real radius = real_sqrt($minus_two * real_log(uniform(unit & 2 ? drawn[2] : drawn[0])));
    const real angle = $two_pi * uniform(unit & 2 ? drawn[3] : drawn[1]);
    const real quarters = (angle * $per_quarter + $shifter) - $shifter;
    const real r = ((angle - quarters * $quarter0) - quarters * $quarter1) - quarters * $quarter2;
    const real z = r * r;
    const int turns = (int)quarters, odd = (turns ^ (int)unit) & 1;
    const real size = odd ? r + r * z * $sine : $one + z * $cosine;
    const int negative = unit & 1 ? (turns & 2) : ((turns + 1) & 2);
    return radius * (negative ? -size : size);
}
"""


def emit_normal(precision: Precision, dialect: Dialect) -> list[str]:
    """The lines of ``draw_normal`` and of what it calls."""
    return _substitute(WORDS + "\n" + UNIFORM + "\n" + NORMAL, precision, dialect)


def emit_noise(precision: Precision) -> list[str]:
    """The lines of ``draw_noise`` and of what it calls."""
    return _substitute(WORDS + "\n" + UNIFORM + "\n" + NORMALS, precision, C)


def _substitute(text: str, precision: Precision, dialect: Dialect) -> list[str]:
    literal, terms = precision.literal, TERMS[precision.name]
    quarters = _split_quarter(precision)
    numbers = {
        "inline": dialect.inline,
        "two_to_minus_53": FLOAT64.literal(2.0**-53),
        "pairs": str(PAIRS),
        "minus_two": literal(-2),
        "two_pi": literal(2 * math.pi),
        "per_quarter": literal(2 / math.pi),
        "shifter": literal(1.5 * 2.0**precision.mantissa),
        "one": literal(1),
        "two": literal(2),
        "three": literal(3),
        "sine": _series([(-1) ** k / math.factorial(2 * k + 1) for k in range(1, terms + 1)], precision),
        "cosine": _series([(-1) ** k / math.factorial(2 * k) for k in range(1, terms + 2)], precision),
        **{f"quarter{index}": literal(part) for index, part in enumerate(quarters)},
    }
    return [*Template(text).substitute(numbers).splitlines(), ""]


def _split_quarter(precision: Precision) -> list[float]:
    """A quarter of a turn in three parts, the first two so short that a product with 0 to 4 is exact."""
    left, parts = PI / 2, []
    for short in (True, True, False):
        bits = precision.mantissa + 1 - (8 if short else 0)
        scale = Fraction(2) ** (bits - math.frexp(float(left))[1])
        parts.append(float(Fraction(math.floor(left * scale)) / scale))
        left -= Fraction(parts[-1])
    return [float(np.dtype(precision.name).type(part)) for part in parts]


def _series(coefficients: list[float], precision: Precision) -> str:
    """A polynomial of z as nested products and sums."""
    text = precision.literal(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"({precision.literal(coefficient)} + z * {text})"
    return text
