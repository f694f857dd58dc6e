"""Expressions as C: the values of every function and of its slopes, each sub-expression once, names that do no harm."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import Loops, load_source, loop_text, toolchain

from graphbptt.codegen.dialect import CUDA, C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores, spell_out
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.codegen.text import block, comment
from graphbptt.ir import expression as expressions
from graphbptt.ir import functions
from graphbptt.ir.expression import Call, Expression, Function, Load, Net, Number, State, gradients, number

Array = npt.NDArray[Any]
BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)

TABLE: dict[str, Function] = {
    f.name: f
    for module in (expressions, functions)
    for f in vars(module).values()
    if isinstance(f, Function) and f is not functions.softmax
}
"""Every element-wise function, those that only the compiler writes included."""
POWERS = (-2.0, -0.5, 0.5, 1.5, 2.0, 3.0, 5.0, 7.0, 8.0, 9.0)
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40)


def samples() -> dict[str, Expression]:
    """Every function of loaded values; powers take a number."""
    plain = {
        name: function(*map(Load, range(function.arity)))
        for name, function in TABLE.items()
        if name != "power"
    }
    composites = {name: composite(Load(0)) for name, composite in functions.COMPOSITES.items()}
    return plain | composites | {f"power {exponent:g}": Load(0) ** number(exponent) for exponent in POWERS}


def evaluate(expression: Expression, values: Mapping[Expression, Array]) -> Array:
    """The value as the table has it."""
    if isinstance(expression, Number):
        return np.full_like(next(iter(values.values())), expression.value)
    if isinstance(expression, Call):
        return expression.function.value(*(evaluate(argument, values) for argument in expression.arguments))
    return values[expression]


def with_slopes(expression: Expression) -> list[Expression]:
    return [expression, *gradients(expression).values()]


def close(value: Array, wanted: Array, precision: Precision) -> None:
    relative = 2e-6 if precision is FLOAT32 else 1e-14
    np.testing.assert_allclose(value, wanted, rtol=relative, atol=relative)


@BOTH
def test_values_and_slopes(precision: Precision) -> None:
    cases = samples()
    loops = Loops([with_slopes(expression) for expression in cases.values()], precision)
    random = np.random.default_rng(0)
    inputs = random.uniform(-3, 3, (2, 1003)).astype(precision.name)
    inputs[1, :7] = inputs[0, :7]
    values = {Load(row): inputs[row].astype(np.float64) for row in range(2)}
    for index, (name, expression) in enumerate(cases.items()):
        results = loops.run(index, inputs)
        with np.errstate(all="ignore"):
            for result, wanted in zip(results, with_slopes(expression), strict=True):
                if name != "finite":
                    close(result, evaluate(wanted, values).astype(precision.name), precision)


@BOTH
def test_what_is_not_a_number_stays_so(precision: Precision) -> None:
    cases = samples()
    loops = Loops([[expression] for expression in cases.values()], precision)
    a, b = np.meshgrid(np.array(SPECIAL, precision.name), np.array((*SPECIAL, 1.5), precision.name))
    inputs = np.stack([a.ravel(), b.ravel()])
    values = {Load(row): inputs[row] for row in range(2)}
    for index, expression in enumerate(cases.values()):
        with np.errstate(all="ignore"):
            wanted = evaluate(expression, values)
        if str(expression) == "(0 ** 0.5)":
            wanted[inputs[0] == -np.inf] = np.nan  # where C's and NumPy's powers are infinite, and no root is
        np.testing.assert_allclose(loops.run(index, inputs)[0], wanted, rtol=1e-6, err_msg=str(expression))


@BOTH
def test_random_expressions(precision: Precision) -> None:
    random = np.random.default_rng(2)
    smooth = [
        TABLE[name] for name in ("tanh", "logistic", "sin", "add", "subtract", "multiply", "erf", "softplus")
    ]

    def grow(depth: int) -> Expression:
        if depth == 0:
            return Load(int(random.integers(4))) if random.random() < 0.8 else number(random.normal())
        function = smooth[random.integers(len(smooth))]
        return function(*(grow(depth - 1) for _ in range(function.arity)))

    lists = [with_slopes(grow(4)) for _ in range(30)]
    loops = Loops(lists, precision)
    inputs = random.uniform(-1, 1, (4, 64)).astype(precision.name)
    values = {Load(row): inputs[row].astype(np.float64) for row in range(4)}
    for index, wanted in enumerate(lists):
        for result, expression in zip(loops.run(index, inputs), wanted, strict=True):
            exact = evaluate(expression, values)
            tolerance = 1e-5 if precision is FLOAT32 else 1e-13
            np.testing.assert_allclose(result, exact, rtol=tolerance, atol=tolerance * abs(exact).max())


def test_everything_is_computed_once() -> None:
    y = TABLE["tanh"](Net()) * State("gate", 1)
    stores = [Store("h[j]", y), Store("slope[j]", y * y + TABLE["tanh"](Net())), Store("sum[j]", y, True)]
    lines = emit_stores(
        stores, lambda leaf: Access("z[j]" if leaf == Net() else "g[j]", f"the {leaf}"), FLOAT32
    )
    assert lines == [
        "const real v0 = z[j];  // the net",
        "const real v1 = g[j];  // the gate[t-1]",
        "const real v2 = real_tanh(v0);",
        "const real v3 = v2 * v1;",
        "const real v4 = v3 * v3;",
        "const real v5 = v4 + v2;",
        "h[j] = v3;  // (tanh(net) * gate[t-1])",
        "slope[j] = v5;  // (((tanh(net) * gate[t-1]) * (tanh(net) * gate[t-1])) + tanh(net))",
        "sum[j] += v3;  // (tanh(net) * gate[t-1])",
    ]


def test_writes_come_before_additions() -> None:
    stores = [Store("a[j]", Load("x"), accumulate=True), Store("a[j]", Load("y"))]
    lines = emit_stores(stores, lambda leaf: Access(f"{leaf}[j]"), FLOAT64)
    assert [line.split("  //")[0] for line in lines[2:]] == ["a[j] = v0;", "a[j] += v1;"]


def test_powers_are_products_of_squares() -> None:
    (seventh,) = spell_out([Net() ** 7])
    assert str(seventh) == "((((net * net) * net) * ((net * net) * net)) * net)"
    assert elementary_needs([Net() ** 8]) == []
    assert elementary_needs([Net() ** 9, Net() ** 0.5]) == ["real_power", "real_sqrt"]


@pytest.mark.parametrize(
    "value", [0.1, -1e-45, 3.0, 1e38, 16777217.0, 1e300, -np.inf, np.nan, -0.0, 1e22, 5e-324]
)
@BOTH
def test_literals_are_read_back(precision: Precision, value: float) -> None:
    source = prelude([], precision, C) + f"\nvoid read(real *x) {{ *x = {precision.literal(value)}; }}\n"
    with np.errstate(over="ignore"):
        wanted = np.array(value).astype(precision.name)
    got = np.zeros_like(wanted)
    load_source(source).read(got.ctypes.data_as(ctypes.c_void_p))
    np.testing.assert_array_equal(got, wanted)
    assert np.isnan(value) or np.signbit(got) == np.signbit(wanted)


@pytest.mark.parametrize(
    "name", ["h\nsystem();", "h\\", "h??/", "h???/", "h\u2028x();", "h\r#include <x>", "*/ x(); /*", "höhe"]
)
def test_names_cannot_leave_a_comment(name: str) -> None:
    body = [f"x[0] = 1;{comment(name)}", "x[0] += 1;"]
    assert comment(name).count("\n") == 0
    value = np.zeros(1, np.float32)
    source = "\n".join([prelude([], FLOAT32, C), *block("void write(real *x)", body), ""])
    load_source(source).write(value.ctypes.data_as(ctypes.c_void_p))
    assert value == 2


@BOTH
def test_cuda_text_is_the_same_arithmetic(precision: Precision, tmp_path: Path) -> None:
    """A C++ compiler, told to overlook three words of CUDA, takes the text and computes the same bits."""
    toolchain()
    cases = list(samples().values())
    needs, body = elementary_needs(cases), loop_text("loop", cases, precision)
    one, other = (prelude(needs, precision, dialect) for dialect in (C, CUDA))
    assert one.split("typedef", 1)[1].replace(C.inline, CUDA.inline) == other.split("typedef", 1)[1]
    overlook = "#define __device__\n#define __forceinline__ inline\n#define __global__\n"
    path = tmp_path / "text.cpp"
    headers = "".join(f"#include <{header}>\n" for header in C.headers)
    path.write_text(overlook + headers + other + body.replace("restrict", CUDA.restrict))
    subprocess.run(["c++", "-Wall", "-Werror", "-Wno-unused", "-fsyntax-only", str(path)], check=True)
