"""What a persistent kernel keeps in shared memory: the weights of its products, and the states that one of them reads.

    memory   := resident ... staged             each begins at a multiple of ALIGNED numbers
    resident := number (k, j) of the weights at ``offset + (k - kept) * stride + j``, from k = kept on
    staged   := number k of the states of example e at ``offset + k * examples + e``

Products that read the same weights in the same way share them. Where weights are transposed, neighbours of the packed
matrix come to lie a stride apart: it is odd, so that threads that write them use different banks.

Of the largest weights the first rows may be `kept` in registers, by the thread that makes their column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Sweep

__all__ = ["ALIGNED", "Resident", "SharedMemory", "find_largest", "lay_out_shared"]

ALIGNED = 4
"""Four numbers can be read at once."""


@dataclass(frozen=True, slots=True)
class Resident:
    """Weights as a product reads them: `depth` rows of `columns` numbers, of which `kept` lie in registers."""

    weights: str
    transposed: bool
    depth: int
    columns: int
    offset: int
    kept: int = 0

    @property
    def own(self) -> str:
        """The name of the rows that each thread keeps for its column."""
        return f"own_{self.offset}"

    @property
    def start(self) -> str:
        """The address of its first number, as text."""
        return f"shared + {self.offset}" if self.offset else "shared"

    @property
    def stride(self) -> int:
        return self.columns | 1 if self.transposed else self.columns

    def serves(self, product: Product) -> bool:
        mine = (self.weights, self.transposed, self.depth, self.columns)
        return mine == (product.weights, product.transposed, product.source.width, product.out.width)


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Offsets in numbers, and how many numbers there are."""

    residents: tuple[Resident, ...]
    staged: int
    numbers: int

    def find(self, product: Product) -> Resident:
        """The weights of a product."""
        return next(resident for resident in self.residents if resident.serves(product))


def lay_out_shared(sweep: Sweep, examples: int, kept: int = 0) -> SharedMemory:
    """The shared memory of a block that has so many examples, and keeps rows of its largest weights elsewhere."""
    residents: list[Resident] = []
    offset, largest = 0, find_largest(sweep)
    for product in _find_products(sweep):
        if not any(resident.serves(product) for resident in residents):
            depth, columns = product.source.width, product.out.width
            resident = Resident(product.weights, product.transposed, depth, columns, offset)
            if largest is not None and resident.serves(largest):
                resident = replace(resident, kept=min(kept, depth))
            residents.append(resident)
            offset += -(-(depth - resident.kept) * resident.stride // ALIGNED) * ALIGNED
    deepest = max((product.source.width for product in _find_products(sweep)), default=0)
    return SharedMemory(tuple(residents), offset, offset + deepest * examples)


def find_largest(sweep: Sweep) -> Product | None:
    """The product with the most weights."""
    return max(
        _find_products(sweep),
        key=lambda product: product.source.width * product.out.width,
        default=None,
    )


def _find_products(sweep: Sweep) -> Iterator[Product]:
    return (operation for _, operation in sweep.each if isinstance(operation, Product))
