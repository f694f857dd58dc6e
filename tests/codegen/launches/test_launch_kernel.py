"""Arguments by name: in any order, and none that is missing, unknown, or of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from graphbptt.codegen.launches.commands import COUNT, THREADS, Signature
from graphbptt.codegen.launches.device_arrays import Address, Region
from graphbptt.codegen.launches.launch_kernel import launch, order_arguments

COPY = Signature(
    "copy", (COUNT, "const ptrdiff_t columns", "const real *const restrict source", "real *const out")
)
GIVEN = {"threads": 6, "columns": 3, "source": Address("x", 2), "out": Address("y")}


def test_arguments_stand_in_the_order_of_the_parameters() -> None:
    assert COPY.names == ("threads", "columns", "source", "out")
    backwards = dict(reversed(GIVEN.items()))
    assert order_arguments(COPY, **backwards) == (6, 3, Address("x", 2), Address("y"))


def test_a_region_is_where_it_begins() -> None:
    given = GIVEN | {"source": Region("x", 5, 0, 3, 3), "out": Region("y", 7, 2, 3, 4)}
    assert order_arguments(COPY, **given) == (6, 3, None, Address("y", 7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "copy is not given columns, out"),
        ({"columns": 3}, "copy is not given out"),
        ({"columns": 3, "out": None, "rows": 2}, "copy has no parameters rows, only threads, columns, source, out"),
        ({"columns": Address("x"), "out": None}, r"copy: Address\(.*\) is given for 'const ptrdiff_t columns'"),
        ({"columns": None, "out": None}, "copy: None is given for 'const ptrdiff_t columns'"),
        ({"columns": Region("x", 0, 1, 1, 1), "out": None}, "is given for 'const ptrdiff_t columns'"),
        ({"columns": 3, "out": 0}, r"copy: 0 is given for 'real \*const out'"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        order_arguments(COPY, threads=6, source=None, **change)


def test_parameters_of_one_name() -> None:
    twice = Signature("copy", (*COPY.parameters, "const real *const out"))
    with pytest.raises(AssertionError, match=r"copy has two parameters of one name: .*out, out"):
        order_arguments(twice, **GIVEN)


def test_a_launch_has_the_blocks_that_its_threads_need() -> None:
    out, nothing = Region("y", 0, 300, 1, 1), Region("x", 0, 0, 3, 3)
    command = launch(COPY, 300, reads=(None, nothing), writes=(out,), columns=1, source=nothing, out=out)
    assert (command.grid, command.block) == (2, THREADS)
    assert command.arguments == (300, 1, None, Address("y"))
    assert (command.reads, command.writes) == ((), (out,))
