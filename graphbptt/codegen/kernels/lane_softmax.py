"""The softmax as a kernel: as many threads to a row as a multiprocessor runs at once, its lanes.

Each lane takes every so manyth unit; what all lanes have is then put together lane by lane. In C a row has one lane.
"""

from __future__ import annotations

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.text import block
from graphbptt.ir.operations import Softmax, SoftmaxGradient

__all__ = ["SOFTMAX_NEEDS", "count_lanes", "emit_lanes", "write_softmax"]

SOFTMAX_NEEDS = ("real_exp", "real_maximum")
"""What of the prelude it calls."""

_LANES = {
    "CUDA": """
/* Of a row; all of them are there, since none is left out by itself. In the end each has what they have together. */
#define LANES 32
#define JOIN_LANES(x, joined) \\
    for (int apart = LANES / 2; apart > 0; apart /= 2) { \\
        const real other = __shfl_xor_sync(0xffffffffu, x, apart); \\
        x = joined; \\
    }
""",
    "C": """
#define LANES 1
#define JOIN_LANES(x, joined)
""",
}


def count_lanes(dialect: Dialect) -> int:
    """How many threads a row has."""
    return 32 if dialect.name == "CUDA" else 1


def emit_lanes(dialect: Dialect) -> list[str]:
    """What the statements need."""
    return _LANES[dialect.name].splitlines()


def write_softmax(arguments: Arguments, operation: Softmax | SoftmaxGradient) -> list[str]:
    """Statements that know ``row`` and the lane ``j``."""
    if isinstance(operation, Softmax):
        return _write_value(arguments, operation)
    return _write_gradient(arguments, operation)


def _write_value(arguments: Arguments, operation: Softmax) -> list[str]:
    loop, column = _loop(operation.out.width), arguments.column
    return block(
        "",
        [
            f"const real *const source = &{column(operation.source, '0')};",
            f"real *const out = &{column(operation.out, '0')};",
            "real largest = -INFINITE, sum = 0;",
            f"{loop} largest = real_maximum(largest, source[k]);",
            "JOIN_LANES(largest, real_maximum(largest, other))",
            *block(
                loop,
                ["const real value = real_exp(source[k] - largest);", "out[k] = value;", "sum += value;"],
            ),
            "JOIN_LANES(sum, sum + other)",
            f"{loop} out[k] /= sum;",
        ],
    )


def _write_gradient(arguments: Arguments, operation: SoftmaxGradient) -> list[str]:
    loop, column = _loop(operation.out.width), arguments.column
    sign = "+=" if operation.accumulate else "="
    return block(
        "",
        [
            f"const real *const delta = &{column(operation.delta, '0')};",
            f"const real *const slopes = &{column(operation.slopes, '0')};",
            f"const real *const probabilities = &{column(operation.probabilities, '0')};",
            f"real *const out = &{column(operation.out, '0')};",
            "real sum = 0;",
            f"{loop} sum += slopes[k] * delta[k];",
            "JOIN_LANES(sum, sum + other)",
            f"{loop} out[k] {sign} slopes[k] * delta[k] - probabilities[k] * sum;",
        ],
    )


def _loop(width: int) -> str:
    return f"for (ptrdiff_t k = j; k < {width}; k += LANES)"
