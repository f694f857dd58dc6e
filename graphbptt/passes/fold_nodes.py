"""Declared nodes -> their parameters before ties, and populations once the ties are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphbptt.declaration.network_schema import NodeDeclaration, Parameter
from graphbptt.errors import Problem
from graphbptt.ir.folded import Population
from graphbptt.ir.parameters import Draws, FrozenArray, Use
from graphbptt.passes.fold_ties import DeclaredParameter

__all__ = ["list_parameters", "populate"]

DEFAULT_STATE = FrozenArray(0.0)


def list_parameters(
    name: str, node: NodeDeclaration, history: int, weighted: bool, problems: list[Problem]
) -> Iterator[DeclaredParameter]:
    """The parameters of a node; checks the shapes of its constants too."""
    vector = (node.units,)
    initial = (history, node.units) if history > 1 else vector
    bias = Parameter() if node.bias is None and weighted else node.bias
    if isinstance(bias, Parameter):
        yield DeclaredParameter(f"{name}.bias", f"node {name}.bias", vector, bias, DEFAULT_STATE)
    if isinstance(node.initial, Parameter):
        yield DeclaredParameter(
            f"{name}.initial", f"node {name}.initial", initial, node.initial, DEFAULT_STATE
        )
    else:
        _check_shape(node.initial, {vector, (history, node.units)}, f"node {name}.initial", problems)
    for key, coefficient in node.coefficients.items():
        path = f"node {name}.coefficients.{key}"
        if isinstance(coefficient, Parameter):
            init = coefficient.init
            per_unit = isinstance(init, Draws) or (isinstance(init, FrozenArray) and init.values.ndim > 0)
            yield DeclaredParameter(f"{name}.{key}", path, vector if per_unit else (), coefficient, None)
        else:
            _check_shape(coefficient, {vector}, path, problems)


def _check_shape(
    constant: FrozenArray, shapes: set[tuple[int, ...]], path: str, problems: list[Problem]
) -> None:
    shape = constant.values.shape
    if shape != () and shape not in shapes:
        wanted = " or ".join(str(shape) for shape in sorted(shapes, key=len))
        problems.append(
            Problem(path, f"values of shape {shape}", f"write one number, or values of shape {wanted}")
        )


def populate(name: str, node: NodeDeclaration, history: int, uses: Mapping[str, Use]) -> Population:
    """The population that a node is."""
    return Population(
        name,
        node.units,
        history,
        node.activation,
        tuple(
            (key, value if isinstance(value, FrozenArray) else uses[f"{name}.{key}"])
            for key, value in sorted(node.coefficients.items())
        ),
        uses.get(f"{name}.bias"),
        node.initial if isinstance(node.initial, FrozenArray) else uses[f"{name}.initial"],
        node.noise,
        (node.penalty.penalty or None) if node.penalty is not None else None,
    )
