"""How sparse weights are kept: as a dense matrix with zeros, or as entries in rows (CSR).

A dense product works on every crossing of rows and columns, with the full speed of a matrix product. A sparse one
works on the entries alone, but each costs several times as much, and states are turned so that the examples of a unit
lie side by side. The estimates are times of the numpy backend, for float32 and one thread, measured by
`benchmarks/calibrate_storage.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphbptt.ir.folded import Connection, FoldedNetwork, Storage
from graphbptt.ir.plan import EXPECTED_BATCH, StorageChoice

__all__ = ["choose_storage", "list_sparse"]


class Costs(NamedTuple):
    """Nanoseconds for a step forward and backward, its share of the weight derivative included: for calls, and for each
    example times the units and times the weights that are kept."""

    calls: float
    unit: float
    weight: float

    def estimate(self, units: int, weights: int) -> float:
        """The cost of a step at the expected batch."""
        return self.calls + EXPECTED_BATCH * (self.unit * units + self.weight * weights)


DENSE_COSTS = Costs(0, 0, 0.08)
CSR_COSTS = Costs(0, 3, 0.5)


def list_sparse(network: FoldedNetwork) -> Iterator[Connection]:
    """The sparse connections that carry something."""
    return (
        connection
        for connection in network.connections
        if connection.kind == "sparse" and connection.target not in network.given
    )


def choose_storage(network: FoldedNetwork, connection: Connection) -> StorageChoice:
    """The declared storage of a sparse connection, or the one that is estimated to take less time."""
    if connection.pattern is None:
        raise AssertionError(f"{connection.name} is not sparse")
    source, target = (network.population[name].units for name in (connection.source, connection.target))
    rows = source if connection.from_units is None else len(connection.from_units)
    columns = target if connection.to_units is None else len(connection.to_units)
    dense = DENSE_COSTS.estimate(source + target, rows * columns)
    csr = CSR_COSTS.estimate(source + target, connection.pattern.size)
    cheaper: Storage = "csr" if csr < dense else "dense"
    return StorageChoice(
        connection.name, connection.storage or cheaper, connection.storage is not None, dense, csr
    )
