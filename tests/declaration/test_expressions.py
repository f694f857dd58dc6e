"""Activations: what may be written, what it means, and how mistakes are explained."""

from __future__ import annotations

import time

import pytest

from graphbptt.declaration.expressions import DEEPEST_NESTING, parse_activation
from graphbptt.errors import SpecError
from graphbptt.ir.expression import Coefficient, Expression, Net, Number, State, gradients, substitute
from graphbptt.ir.functions import ACTIVATIONS, exp, maximum, softmax, tanh

NODES = ["h", "cell", "forget"]


def parse(text: str) -> Expression:
    return parse_activation(text, ["rate"], NODES)


def complaints(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(text)
    return [f"{problem.what}; {problem.instead}" for problem in caught.value.problems]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bare_name_is_the_function_of_net(name: str) -> None:
    assert parse(f" {name} ") == ACTIVATIONS[name]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("net", Net()),
        ("h", State("h", 0)),
        ("h[t]", State("h", 0)),
        ("h[t-2]", State("h", 2)),
        ("h[t + 1]", State("h", -1)),
        ("0.5", Number(0.5)),
        ("1e-3 * net", Number(1e-3) * Net()),
        ("-net ** 2", -(Net() * Net())),
        ("net ** -1", Net() ** Number(-1)),
        ("net ** (1 / 2)", Net() ** Number(0.5)),
        ("1 - rate", Number(1) - Coefficient("rate")),
        ("forget * cell[t-1] / 2", State("forget") * State("cell", 1) / Number(2)),
        ("exp(tanh(net) - 1)", exp(tanh(Net()) - Number(1))),
        ("maximum(net, 0)", maximum(Net(), 0)),
        ("tanh(\n  net\n)", tanh(Net())),
        ("softmax", softmax(Net())),
        (" softmax( net )", softmax(Net())),
    ],
)
def test_meaning(text: str, expression: Expression) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "what", "instead"),
    [
        ("tahn", "unknown activation 'tahn' at column 1", "did you mean 'tanh'?"),
        ("2 * softmax(net)", "stands only by itself at column 5", "give it a node of its own"),
        ("softmax(2 * net)", "stands only by itself at column 1", "give it a node of its own"),
        ("softmax + net", "stands only by itself at column 1", "give it a node of its own"),
        ("net + cel[t-1]", "unknown name 'cel' at column 7", "did you mean 'cell'?"),
        ("net * rat", "unknown name 'rat' at column 7", "did you mean 'rate'?"),
        ("tahn(net)", "unknown function 'tahn' at column 1", "did you mean 'tanh'?"),
        ("Swish(net)", "unknown function 'Swish' at column 1", "it is called silu here"),
        ("SiLU", "unknown activation 'SiLU' at column 1", "it is called silu here"),
        ("2 * identity(net)", "identity stands only by itself at column 5", "write its argument alone"),
        ("linear(net)", "linear stands only by itself at column 1", "write its argument alone"),
        ("maximum", "maximum is a function", "maximum(net, 0)"),
        ("net * tanh", "tanh is a function at column 7", "tanh(net)"),
        ("maximum(net)", "takes 2 arguments, not 1", "maximum(a, b)"),
        ("t * net", "t stands only inside brackets at column 1", "name[t-2]"),
        ("identity + 1", "identity stands only by itself", "write net"),
        ("net[t-1]", "net has no history", "only a node's state"),
        ("rate[t-1]", "rate has no history", "only a node's state"),
        ("h[1]", "'1' is not a step at column 3", "h[t-1]"),
        ("h[t-1.5]", "'t - 1.5' is not a step", "h[t-1]"),
        ("h[t-True]", "'t - True' is not a step", "h[t-1]"),
        ("h[t-2000000]", "a delay of 2,000,000 steps", "at most 1,000,000"),
        ("net ** h", "the exponent is not a constant at column 8", "exp(b * log(a))"),
        ("net ^ 2", "^ is not an operator", "**"),
        ("net > 0", "'net > 0' is not allowed here", "an activation is made of"),
        ("tanh(net, out=h)", "is not allowed here", "an activation is made of"),
        ("__import__('os').system('true')", "is not allowed here", "an activation is made of"),
        ("(lambda: 1)()", "is not allowed here", "an activation is made of"),
        ("True", "'True' is not allowed here", "an activation is made of"),
        ("net * 1j", "'1j' is not allowed here at column 7", "an activation is made of"),
        ("tanh(net", "cannot be read: '(' was never closed at column 5", "an activation is made of"),
        ("net net", "cannot be read: invalid syntax", "an activation is made of"),
        ("a\0b", "cannot be read", "an activation is made of"),
        ("", "an empty activation", "identity"),
        ("1e999 * net", "a number too large at column 1", "finite"),
        ("1" * 400, "a number too large at column 1", "finite"),
        ("1 / 0 + net", "a division by 0 at column 5", "divide by another number"),
        ("net / 0", "a division by 0 at column 7", "divide by another number"),
        ("0 / (h - h * 1 - 0) + 0 / -0.0 + net", "a division by 0 at column 27", "divide by another number"),
        ("net / (2 - 2)", "a division by 0 at column 8", "divide by another number"),
        ("log(0) + net", "the constant log(0) is not a finite number", "finite"),
        ("2 ** 2 ** 2 ** 2 ** 2 ** 2", "is not a finite number", "finite"),
    ],
)
def test_mistakes(text: str, what: str, instead: str) -> None:
    (complaint,) = complaints(text)
    assert what in complaint.partition("; ")[0]
    assert instead in complaint.partition("; ")[2]


def test_all_mistakes_are_reported() -> None:
    assert len(complaints("foo + bar[t-1] * baz(net)")) == 3


def test_columns_count_characters_not_bytes() -> None:
    with pytest.raises(SpecError, match="unknown name 'q' at column 7"):
        parse_activation("  é + q", nodes=["é"])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "-" * 9000 + "net",
        "+".join(["net"] * 3000),
        "tanh(" * 1500 + "net" + ")" * 1500,
        "net" * 5000,
    ],
)
def test_huge_text_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    assert len(complaints(text)) == 1
    assert time.perf_counter() - start < 2


def test_expression_that_explodes_when_written_out_is_refused() -> None:
    (complaint,) = complaints("(" * 30 + "net" + ")**2" * 30)
    assert "more than 20,000 operations" in complaint


def test_deepest_expression_can_be_differentiated_and_printed() -> None:
    expression = parse("tanh(" * (DEEPEST_NESTING - 1) + "net" + ")" * (DEEPEST_NESTING - 1))
    (slope,) = gradients(expression).values()
    assert str(substitute(slope, {Net(): State("h")})).count("h") > DEEPEST_NESTING
