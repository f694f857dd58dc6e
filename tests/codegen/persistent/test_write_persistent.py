"""Persistent kernels as text to read, and where their shared memory holds what."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from named_networks import NETWORKS, elman
from strategies import Case, cases

from graphbptt.codegen.dialect import CUDA, C, Dialect
from graphbptt.codegen.persistent.choose_persistent import EXAMPLES, Persistent, choose_scans
from graphbptt.codegen.persistent.device_limits import DEVICES
from graphbptt.codegen.persistent.memory import ALIGNED, lay_out_shared
from graphbptt.codegen.persistent.write_persistent import write_persistent
from graphbptt.codegen.precision import FLOAT32
from graphbptt.compiler import compile_network
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Plan, Sweep


def write(plan: Plan, dialect: Dialect) -> str:
    """The text of all scans, for a batch of which each block has several examples."""
    choices = choose_scans(plan, FLOAT32, 10, 500, DEVICES["sm_90"])
    chosen = {scan: choice for scan, choice in choices.items() if isinstance(choice, Persistent)}
    text = write_persistent(plan, chosen, FLOAT32, dialect).text
    return text[text.index("#define TOGETHER") :].rstrip()


def test_text(golden: Callable[[str, str], None]) -> None:
    golden("persistent_elman", write(compile_network(elman()), CUDA))


@pytest.mark.parametrize("network", NETWORKS)
def test_kernels_do_the_same_in_c(network: Callable[[], FoldedNetwork]) -> None:
    """All that differs is how a kernel begins."""
    plan = compile_network(network())
    in_c, in_cuda = ([list(body) for body in list_bodies(write(plan, dialect))] for dialect in (C, CUDA))
    assert in_c == in_cuda


def list_bodies(text: str) -> Iterator[Iterator[str]]:
    """For each kernel what stands behind its frame, without indents and closing braces."""
    _, *kernels = text.split("const int count = ")
    for kernel in kernels:
        body = kernel.split("\n}\n")[0]
        yield (line.strip() for line in body.splitlines() if line.strip() != "}")


@given(case=cases(), examples=st.sampled_from(EXAMPLES))
def test_shared_memory_holds_each_thing_at_its_place(case: Case, examples: int) -> None:
    for sweep in list_loops(compile_network(case.fold())):
        memory = lay_out_shared(sweep, examples)
        products = [operation for _, operation in sweep.each if isinstance(operation, Product)]
        ends = [0]
        for resident in memory.residents:
            assert resident.offset % ALIGNED == 0
            assert resident.offset >= ends[-1]
            assert resident.stride % 2 or not resident.transposed
            ends.append(resident.offset + (resident.depth - 1) * resident.stride + resident.columns)
        assert memory.staged % ALIGNED == 0
        assert memory.staged >= ends[-1]
        for product in products:
            assert memory.staged + product.source.width * examples <= memory.numbers
            assert memory.find(product).weights == product.weights
        assert len(memory.residents) <= len(products)


def list_loops(plan: Plan) -> Iterator[Sweep]:
    for stage in plan.stages:
        yield from (sweep for sweep in (stage.forward, stage.backward) if sweep.each)
