"""Matrix products: merged connections and biases, or one sparse connection kept as entries.

forward     out (+)= source @ W
backward    source.delta += out.delta @ W.T
            dW += source.T @ out.delta          (once, at the end; at the entries of a sparse W alone)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphbptt.ir.folded import Connection
from graphbptt.ir.operations import Contract, Operation, Product, View
from graphbptt.ir.plan import MatrixEntry, Selection, SparseBlock
from graphbptt.passes.lowering.draft import Draft, NetInputs, scale_use
from graphbptt.passes.lowering.reversal import Reversal
from graphbptt.passes.merge_products import Box
from graphbptt.passes.place_buffers import Site

__all__ = ["list_biases", "list_weights", "lower_block", "lower_product", "reverse_product", "states_of"]


def lower_product(
    draft: Draft, source: View, out: View, entries: Sequence[MatrixEntry], net: NetInputs
) -> Product:
    """The product of some columns with a new matrix of these entries."""
    weights = draft.matrix(source.width, out, entries)
    return Product(out, source, weights, transposed=False, accumulate=net.claim(out))


def lower_block(draft: Draft, connection: Connection, net: NetInputs) -> Product:
    """The product of a whole source with a sparse connection's weights, kept as entries, into the whole target."""
    source, target = draft.sites[connection.source], draft.sites[connection.target]
    if connection.pattern is None or connection.weight is None:
        raise AssertionError(f"{connection.name} is not sparse")
    pattern, order = connection.pattern.place(connection.from_units, connection.to_units)
    use = scale_use(connection.weight, target.net_scale)
    if order is not None:
        use = replace(use, index=order if use.index is None else order.follow(use.index))
    name, out = f"S{len(draft.blocks)}", draft.net_of(connection)
    draft.blocks.append(
        SparseBlock(name, connection.name, use, source.state.width, target.state.width, pattern)
    )
    states = replace(source.state, shift=-connection.delay)
    return Product(out, states, name, transposed=False, accumulate=net.claim(out))


def states_of(draft: Draft, box: Box) -> View:
    """The states a product reads, at the step it reads them."""
    first = box.connections[0]
    return View(draft.sites[first.source].state.buffer, box.top, box.bottom, -first.delay)


def list_weights(draft: Draft, box: Box, top: int, left: int) -> Iterator[MatrixEntry]:
    """The connections of a product in a matrix whose first row and column are those of the buffers it connects."""
    for connection in box.connections:
        rows, columns = draft.extent(connection)
        scale = draft.sites[connection.target].net_scale
        yield MatrixEntry(
            connection.name,
            None if connection.weight is None else scale_use(connection.weight, scale),
            _shift(rows, -top),
            _shift(columns, -left),
            diagonal=connection.kind not in ("dense", "sparse"),
            constant=scale,
            pattern=connection.pattern,
        )


def list_biases(sites: Sequence[Site], row: int, left: int) -> Iterator[MatrixEntry]:
    """Biases as a row of a matrix."""
    for site in sites:
        bias, net = site.population.bias, site.net
        if bias is not None and net is not None:
            columns = range(net.start - left, net.stop - left)
            owner = f"{site.population.name}.bias"
            yield MatrixEntry(owner, scale_use(bias, site.net_scale), range(row, row + 1), columns)


def _shift(selection: Selection, by: int) -> Selection:
    if isinstance(selection, range):
        return range(selection.start + by, selection.stop + by)
    return tuple(index + by for index in selection)


def reverse_product(reversal: Reversal, product: Product, final: list[Operation]) -> Iterator[Operation]:
    """The product with the transpose; the derivative of the weights waits for the end."""
    out = reversal.net_delta(product.out)
    if any(use.group in reversal.free for use in reversal.plan.weights[product.weights].uses()):
        final.append(Contract(product.weights, product.source, out))
    if reversal.is_wanted(product.source):
        # What lies beside the states, data and ones, has no derivative.
        stop = len(reversal.wanted[product.source.buffer])
        source = replace(product.source, stop=min(product.source.stop, stop))
        yield Product(reversal.delta(source), out, product.weights, transposed=True, accumulate=True)
