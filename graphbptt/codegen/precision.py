"""The two floating-point types, as the constants that generated text is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FLOAT32", "FLOAT64", "Precision", "precision_of"]


@dataclass(frozen=True, slots=True)
class Precision:
    """A floating-point type of C.

    Attributes
    ----------
    name : str
        NumPy's name of it.
    real, bits : str
        The C types of a number and of its bits.
    suffix : str
        What ends the names of its functions in C's library, and its literals.
    mantissa, bias : int
        Stored bits of the mantissa; what is added to an exponent.
    """

    name: str
    real: str
    bits: str
    suffix: str
    mantissa: int
    bias: int

    def literal(self, value: float) -> str:
        """The shortest decimal number that is read back as `value`.

        >>> FLOAT32.literal(0.1), FLOAT64.literal(-2), FLOAT32.literal(np.inf)
        ('0.1f', '(-2.0)', 'INFINITE')
        """
        if math.isnan(value):
            return "UNDEFINED"
        with np.errstate(over="ignore"):
            rounded = np.dtype(self.name).type(value)
        if np.isinf(rounded):
            return "INFINITE" if rounded > 0 else "(-INFINITE)"
        # NumPy writes the shortest text for the type at hand, but without a point where a C literal needs one.
        text = np.format_float_scientific(rounded, trim="0", exp_digits=1)
        plain = repr(float(text)) if 1e-4 <= abs(rounded) < 1e16 or rounded == 0 else text
        return f"({plain}{self.suffix})" if math.copysign(1, value) < 0 else f"{plain}{self.suffix}"


FLOAT32 = Precision("float32", "float", "unsigned int", "f", 23, 127)
FLOAT64 = Precision("float64", "double", "unsigned long long", "", 52, 1023)


def precision_of(dtype: np.dtype[Any]) -> Precision:
    """The precision of a NumPy type.

    >>> precision_of(np.dtype("float64")).real
    'double'
    """
    return {precision.name: precision for precision in (FLOAT32, FLOAT64)}[dtype.name]
