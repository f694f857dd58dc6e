"""Which function a product of a plan calls: those of one shape share one, but for what is known to be zero in them."""

from __future__ import annotations

from collections.abc import Mapping

from graphbptt.codegen.products.guards import has_gaps
from graphbptt.codegen.products.panels import Kind
from graphbptt.codegen.products.product import PackedProduct
from graphbptt.codegen.products.spans import find_spans
from graphbptt.ir.operations import Product, View
from graphbptt.ir.plan import Matrix, Plan

__all__ = ["choose_product"]


def choose_product(plan: Plan, product: Product, guards: Mapping[Product, View]) -> PackedProduct:
    """The function for a product by a matrix, given the guards of its stage."""
    matrix = plan.weights[product.weights]
    assert isinstance(matrix, Matrix)
    depth, columns = product.source.width, product.out.width
    spans = find_spans(matrix, product.transposed, columns)
    kind: Kind = "guarded" if product in guards else "gapped" if has_gaps(plan, product, guards) else "plain"
    shape = f"{depth}_{columns}"
    which = f"{product.weights}_{'turned_' if product.transposed else ''}{shape}" if spans else shape
    return PackedProduct(f"{'product' if kind == 'plain' else kind}_{which}", depth, columns, spans, kind)
