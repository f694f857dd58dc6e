"""The weights of a plan: each entry inside its matrix, each trainable number's derivative taken exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphbptt.ir.expression import Load, leaves
from graphbptt.ir.operations import Compute, Contract, Product, Reduce, Row
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import MatrixEntry, Plan, Selection, Stage

__all__ = ["check_blocks", "check_derivatives", "check_matrices", "check_products", "check_vector"]


def check_matrices(plan: Plan) -> Iterator[str]:
    """Their names, and that every entry lies inside its matrix and has the shape of its part."""
    if len(plan.weights) < len(plan.matrices) + len(plan.blocks):
        yield "two matrices, or blocks, have one name"
    for matrix in plan.matrices:
        for entry in matrix.entries:
            if not (_fits(entry.rows, matrix.rows) and _fits(entry.columns, matrix.columns)):
                yield f"{entry.owner} is not inside {matrix.name}, of shape ({matrix.rows}, {matrix.columns})"
            elif not _fills(plan, entry):
                yield f"{entry.owner} does not fill its part of {matrix.name}"


def _fits(selection: Selection, size: int) -> bool:
    if isinstance(selection, range):
        return selection.step == 1 and 0 <= selection.start < selection.stop <= size
    return (
        bool(selection)
        and min(selection) >= 0
        and max(selection) < size
        and len(set(selection)) == len(selection)
    )


def _fills(plan: Plan, entry: MatrixEntry) -> bool:
    block = (len(entry.rows), len(entry.columns))
    if entry.diagonal and block[0] != block[1]:
        return False
    if entry.use is None:
        return entry.diagonal
    shape = entry.use.copy_shape(plan.network.group[entry.use.group].shape)
    if entry.pattern is not None:
        return shape == (entry.pattern.size,) and entry.pattern.fits(*block)
    if entry.diagonal:
        return shape in ((), block[1:])
    return shape == block or (block[0] == 1 and shape == block[1:])  # a bias is one row


def check_blocks(plan: Plan) -> Iterator[str]:
    """The same for sparse weights that are kept as entries; and that every sparse connection is kept in one way."""
    for block in plan.blocks:
        shape = block.use.copy_shape(plan.network.group[block.use.group].shape)
        if not block.pattern.fits(block.rows, block.columns) or shape != (block.pattern.size,):
            yield f"{block.owner} does not fill {block.name}, of shape ({block.rows}, {block.columns})"
    entries = [entry.owner for matrix in plan.matrices for entry in matrix.entries if entry.pattern]
    kept = [(name, "dense") for name in entries] + [(block.owner, "csr") for block in plan.blocks]
    if sorted(kept) != sorted((choice.connection, choice.storage) for choice in plan.storages):
        yield "the sparse connections are not kept as was chosen"


def check_vector(plan: Plan) -> Iterator[str]:
    """The rows lie one behind the other, and what fills each has its width or is repeated."""
    stop = 0
    for entry in plan.vector:
        if entry.row.start != stop or entry.row.width < 1:
            yield f"{entry.row} does not begin where the row before it ends, at {stop}"
        value = entry.value
        shape = (
            value.values.shape
            if isinstance(value, FrozenArray)
            else value.copy_shape(plan.network.group[value.group].shape)
        )
        if shape not in ((), (entry.row.width,)):
            yield f"{value} does not fill {entry.row}"
        stop = entry.row.stop


def check_products(plan: Plan) -> Iterator[str]:
    """One forward product reads each matrix, and each block."""
    if sorted(product.weights for product, _ in _list_products(plan)) != sorted(plan.weights):
        yield "the matrices are not read by one forward product each"


def check_derivatives(plan: Plan) -> Iterator[str]:
    """Each matrix with trainable weights is contracted once, each trainable row reduced once, and no others.

    In stages that no derivative reaches there are none. Nor is there one by a coefficient that its activation does not
    depend on smoothly.
    """
    live = {index for index, stage in enumerate(plan.stages) if _is_live(plan, stage)}
    yield from _check_contractions(plan, live)
    yield from _check_reductions(plan, live)


def _is_live(plan: Plan, stage: Stage) -> bool:
    return any(stage.backward.operations()) or any(
        plan.placement[name].net_delta is not None for name in stage.populations
    )


def _is_trainable(plan: Plan, value: Use | FrozenArray | None) -> bool:
    return isinstance(value, Use) and plan.network.group[value.group].trainable


def _list_products(plan: Plan) -> Iterator[tuple[Product, int]]:
    """Every forward product, and its stage."""
    for index, stage in enumerate(plan.stages):
        for operation in stage.forward.operations():
            if isinstance(operation, Product):
                yield operation, index


def _check_contractions(plan: Plan, live: set[int]) -> Iterator[str]:
    contractions: dict[str, list[Contract]] = {name: [] for name in plan.weights}
    for stage in plan.stages:
        for operation in stage.backward.after:
            if isinstance(operation, Contract):
                contractions[operation.weights].append(operation)
    for product, index in _list_products(plan):
        name = product.weights
        found = contractions[name]
        trainable = any(_is_trainable(plan, use) for use in plan.weights[name].uses())
        if len(found) != (index in live and trainable):
            yield f"{name} is contracted {len(found)} times"
        for item in found:
            columns = (item.delta.start, item.delta.stop, item.delta.shift)
            if item.source != product.source or columns != (product.out.start, product.out.stop, 0):
                yield f"{item} does not fit {product}"


def _check_reductions(plan: Plan, live: set[int]) -> Iterator[str]:
    reduced = np.zeros(plan.vector_width, np.int64)
    for stage in plan.stages:
        for operation in stage.backward.after:
            if isinstance(operation, Reduce):
                reduced[operation.row.start : operation.row.stop] += 1
    least, most = np.zeros_like(reduced), np.zeros_like(reduced)
    for index in live:
        for row, linear in _list_rows(plan, plan.stages[index]):
            least[row.start : row.stop] |= linear
            most[row.start : row.stop] = 1
    for entry in plan.vector:
        part = slice(entry.row.start, entry.row.stop)
        trainable = _is_trainable(plan, entry.value)
        if (reduced[part] < least[part] * trainable).any() or (reduced[part] > most[part] * trainable).any():
            yield f"{entry.row} is reduced {reduced[part].max()} times"


def _list_rows(plan: Plan, stage: Stage) -> Iterator[tuple[Row, bool]]:
    """The rows that a forward sweep reads, and whether net inputs are linear in them."""
    nets = {placement.net.buffer for placement in plan.placements if placement.net is not None}
    for operation in stage.forward.operations():
        if isinstance(operation, Compute):
            for item in operation.assignments:
                for leaf in leaves(item.expression):
                    if isinstance(leaf, Load) and isinstance(leaf.slot, Row):
                        yield leaf.slot, item.out.buffer in nets
