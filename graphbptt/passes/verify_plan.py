"""What holds for every Plan: views inside buffers, shapes that fit, every derivative taken once, in a right order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from graphbptt.errors import VerificationError
from graphbptt.ir.expression import Expression, Load, leaves
from graphbptt.ir.functions import is_softmax
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.operations import (
    Compute,
    Contract,
    Operation,
    Perturb,
    Product,
    Reduce,
    Restrain,
    Row,
    Silence,
    Softmax,
    SoftmaxGradient,
    View,
    views_of,
)
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Buffer, Matrix, Placement, Plan, Stage
from graphbptt.passes.column_ledger import Ledger
from graphbptt.passes.place_buffers import negate_logistic
from graphbptt.passes.verify_sweeps import check_backward, check_forward
from graphbptt.passes.verify_weights import (
    check_blocks,
    check_derivatives,
    check_matrices,
    check_products,
    check_vector,
)

__all__ = ["verify_forward", "verify_plan"]


def verify_plan(plan: Plan) -> None:
    """Check the invariants of `graphbptt.ir.plan`.

    Raises
    ------
    VerificationError
        One is broken: a bug in graphbptt, for every network that can be scheduled has a plan.
    """
    ledger = _verify_forward(plan)
    _raise(chain(check_derivatives(plan), _check_losses(plan), _check_initials(plan), _check_noise(plan)))
    _raise(_check_projection(plan))
    _raise(check_backward(plan, ledger))


def verify_forward(plan: Plan) -> None:
    """Check a plan whose backward sweeps are still to be made or settled.

    Raises
    ------
    VerificationError
        As `verify_plan`.
    """
    _verify_forward(plan)


def _verify_forward(plan: Plan) -> Ledger:
    # Each round looks up what the rounds before it have checked.
    _raise(_check_buffers(plan))
    _raise(chain(check_matrices(plan), check_blocks(plan), check_vector(plan)))
    _raise(chain(_check_placements(plan), _check_views(plan)))
    _raise(chain(_check_operations(plan), check_products(plan)))
    ledger = Ledger(plan)
    _raise(check_forward(plan, ledger))
    return ledger


def _raise(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise VerificationError("Plan: " + "; ".join(found))


def _check_buffers(plan: Plan) -> Iterator[str]:
    if len(plan.buffer) < len(plan.buffers):
        yield "two buffers have one name"
    for buffer in plan.buffers:
        if buffer.width < 1 or buffer.lanes < 1 or buffer.width % buffer.lanes:
            yield f"buffer {buffer.name} has {buffer.width} columns in {buffer.lanes} lanes"
        if min(buffer.before, buffer.after) < 0:
            yield f"buffer {buffer.name} has {buffer.before} rows before the steps and {buffer.after} behind"
        yield from _check_kind(plan, buffer)


def _check_kind(plan: Plan, buffer: Buffer) -> Iterator[str]:
    """States and net inputs have columns of their own, all others those of a buffer of these in the same stage."""
    source = plan.buffer.get(buffer.columns_of or "")
    wanted = {"state": None, "net": None, "netdelta": "net"}.get(buffer.kind, "state")
    if (wanted is None) != (buffer.columns_of is None) or wanted != (source and source.kind):
        yield f"buffer {buffer.name} of {buffer.kind} repeats the columns of {buffer.columns_of}"
    elif source and (source.stage, source.width, source.lanes) != (buffer.stage, buffer.width, buffer.lanes):
        yield f"buffer {buffer.name} differs from {source.name}, whose columns it repeats"


def _check_placements(plan: Plan) -> Iterator[str]:
    staged = [(name, index) for index, stage in enumerate(plan.stages) for name in stage.populations]
    placed = [(placement.population, placement.stage) for placement in plan.placements]
    if sorted(staged) != sorted(placed) or len(placed) != len(plan.network.populations):
        yield "the stages do not compute each population once, where it is placed"
        return
    for placement in plan.placements:
        units = plan.network.population[placement.population].units
        views = (placement.state, placement.net, placement.delta, placement.net_delta)
        if any(view is not None and (view.width, view.shift) != (units, 0) for view in views):
            yield f"{placement.population} has other than {units} columns, or not those of the current step"


def _check_views(plan: Plan) -> Iterator[str]:
    for owner, view in _list_views(plan):
        buffer = plan.buffer.get(view.buffer)
        if buffer is None:
            yield f"{owner}: there is no buffer {view.buffer}"
        elif not 0 <= view.start < view.stop <= buffer.width:
            yield f"{owner}: {view} is not inside the {buffer.width} columns of its buffer"
        elif not -buffer.before <= view.shift <= buffer.after:
            yield f"{owner}: {view} is not inside the rows around the steps of its buffer"
        elif buffer.lanes > 1 and (view.start % buffer.lane_width or view.stop % buffer.lane_width):
            yield f"{owner}: {view} cuts a lane of {buffer.lane_width} columns"


def _list_views(plan: Plan) -> Iterator[tuple[object, View]]:
    for placement in plan.placements:
        for view in (placement.state, placement.net, placement.delta, placement.net_delta):
            if view is not None:
                yield placement.population, view
    for stage in plan.stages:
        for operation in chain(stage.forward.operations(), stage.backward.operations()):
            for view in views_of(operation):
                yield operation, view
    for site in plan.losses:
        yield f"term {site.term}", site.predicted
        if site.delta is not None:
            yield f"term {site.term}", site.delta
    for initial in plan.initials:
        yield f"the initial state of {initial.population}", initial.delta
    for item in plan.clear:
        yield item, item.view


def _slots(expression: Expression) -> list[object]:
    """What an expression loads; a leaf that loads nothing is its own slot."""
    return [leaf.slot if isinstance(leaf, Load) else leaf for leaf in leaves(expression)]


def _check_operations(plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        yield from _check_places(stage)
        for operation in chain(stage.forward.operations(), stage.backward.operations()):
            for problem in _check_operation(plan, operation):
                yield f"{operation}: {problem}"


def _check_places(stage: Stage) -> Iterator[str]:
    """Which operations stand where: a backend may do whole sequences ahead of a loop in blocks, which a sum over steps
    does not allow."""
    names = ", ".join(stage.populations)
    if stage.mode in ("given", "batched") and (stage.forward.each or stage.backward.each):
        yield f"{names}: nothing recurs, but there is a loop"
    if stage.mode == "given" and any(chain(stage.forward.operations(), stage.backward.operations())):
        yield f"{names}: data are computed"
    if any(phase < 0 for phase, _ in (*stage.forward.each, *stage.backward.each)):
        yield f"{names}: a phase is negative"
    sums = Contract | Reduce
    derivatives = sums | Silence | SoftmaxGradient
    if any(isinstance(operation, derivatives) for operation in stage.forward.operations()):
        yield f"{names}: a forward sweep takes derivatives"
    early = (*stage.backward.before, *(operation for _, operation in stage.backward.each))
    if any(isinstance(operation, sums) for operation in early):
        yield f"{names}: a derivative is summed before the loop has ended"
    states = Softmax | Restrain | Perturb
    if any(isinstance(operation, states) for operation in stage.backward.operations()):
        yield f"{names}: a backward sweep sets states"
    if any(isinstance(operation, Perturb) for _, operation in stage.forward.each):
        yield f"{names}: noise is drawn inside the loop"


def _check_operation(plan: Plan, operation: Operation) -> Iterator[str]:
    if isinstance(operation, Product | Contract):
        yield from _check_product(plan, operation)
    elif isinstance(operation, Compute):
        for item in operation.assignments:
            yield from _check_expression(plan, item.expression, item.out.width)
    elif isinstance(operation, Reduce):
        if operation.row.stop > plan.vector_width:
            yield f"{operation.row} is not inside the vector"
        yield from _check_expression(plan, operation.expression, operation.row.width)
    elif isinstance(operation, Softmax | SoftmaxGradient):
        yield from _check_softmax(plan, operation)
    elif isinstance(operation, Perturb):
        if operation.population not in plan.placement:
            yield f"there is no population {operation.population}"
        elif operation.out != plan.placement[operation.population].net:
            yield f"{operation.out} is not the net input of {operation.population}"
    elif operation.population is not None:
        placement = plan.placement.get(operation.population)
        if placement is None or not placement.restrained:
            yield f"{operation.population} is not restrained"
        elif isinstance(operation, Restrain) and operation.state != placement.state:
            yield f"{operation.state} are not the states of {operation.population}"


def _check_product(plan: Plan, operation: Product | Contract) -> Iterator[str]:
    weights = plan.weights.get(operation.weights)
    if weights is None:
        yield f"there are no weights {operation.weights}"
        return
    states, nets = operation.source, operation.out if isinstance(operation, Product) else operation.delta
    backward = isinstance(operation, Product) and operation.transposed
    if backward:
        states, nets = nets, states
    # Back to the states alone, which come first in a matrix: what lies beside them has no derivative.
    part = backward and isinstance(weights, Matrix) and states.width <= weights.rows
    if nets.width != weights.columns or not (part or states.width == weights.rows):
        yield f"{operation.weights} has shape ({weights.rows}, {weights.columns})"
    for view in (states,) if isinstance(weights, Matrix) else (states, nets):
        if view.width > plan.buffer[view.buffer].lane_width:
            yield f"the columns of {view} do not lie side by side"


def _check_softmax(plan: Plan, operation: Softmax | SoftmaxGradient) -> Iterator[str]:
    """It joins the net input and the states of a population that is a softmax, or their derivatives."""
    places = [
        placement
        for placement in plan.placements
        if is_softmax(plan.network.population[placement.population].activation)
    ]
    if isinstance(operation, Softmax):
        fits = any(operation.source == placement.net for placement in places)
    else:
        ends = operation.out, operation.delta
        fits = any(ends == (placement.net_delta, placement.delta) for placement in places)
    if not fits:
        yield "it is not that of a population"
    views = (*operation.reads(), operation.out)
    if len({view.width for view in views}) > 1 or any(view.shift for view in views):
        yield "its views differ in width, or are not those of the current step"


def _check_expression(plan: Plan, expression: Expression, width: int) -> Iterator[str]:
    for slot in _slots(expression):
        if not isinstance(slot, View | Row):
            yield f"{slot} has no place in memory"
        elif slot.width < 1 or width % slot.width:
            yield f"{slot} does not repeat to {width} columns"
        elif isinstance(slot, Row) and not 0 <= slot.start < slot.stop <= plan.vector_width:
            yield f"{slot} is not inside the vector"


def _check_losses(plan: Plan) -> Iterator[str]:
    if [site.term for site in plan.losses] != list(range(len(plan.network.terms))):
        yield "the losses are not those of the network"
        return
    for site, term in zip(plan.losses, plan.network.terms, strict=True):
        placement = plan.placement[term.node]
        _, reads = resolve_loss(plan.network, term)
        wanted = (
            (placement.net, placement.net_delta) if reads == "net" else (placement.state, placement.delta)
        )
        if (site.predicted, site.delta) != wanted:
            yield f"term {site.term} does not read the {reads} of {term.node}, or not to its delta"
        if not site.accumulate and term.units is not None:
            yield f"term {site.term} writes the deltas of some units of {term.node} only"


def _check_noise(plan: Plan) -> Iterator[str]:
    """Every population that has noise gets it once, as much as the rest of its net input is scaled, and no other."""
    operations = [
        operation
        for stage in plan.stages
        for operation in stage.forward.operations()
        if isinstance(operation, Perturb)
    ]
    drawn = [operation.population for operation in operations]
    exposed = {t.node for t in plan.network.targets if resolve_loss(plan.network, t)[1] == "net"}
    for operation in operations:
        population = plan.network.population.get(operation.population)
        if population is not None:
            scale = population.noise * negate_logistic(population, population.name in exposed)[0]
            if operation.scale != scale:
                yield f"the noise of {population.name} is scaled by {operation.scale:g}, not {scale:g}"
    noisy = [p.name for p in plan.network.populations if p.noise and p.name not in plan.network.given]
    if sorted(drawn) != noisy:
        yield f"noise is drawn for {sorted(drawn)}, but {noisy} have some"


def _check_initials(plan: Plan) -> Iterator[str]:
    for site in plan.initials:
        placement: Placement | None = plan.placement.get(site.population)
        if placement is None or placement.delta != site.delta:
            yield f"the initial state of {site.population} is not where its delta is"
        elif not isinstance(plan.network.population[site.population].initial, Use):
            yield f"the initial state of {site.population} is not learned"


def _check_projection(plan: Plan) -> Iterator[str]:
    """A projection is that of the network's constraints, over all equations and all free parameters."""
    projection = plan.projection
    if projection is None:
        return
    if projection.constraints != plan.network.constraints:
        yield "its projection is that of other constraints"
    equations = sum(constraint.size for constraint in projection.constraints)
    shapes = {
        "matrix": (projection.matrix.shape, (equations, plan.layout.size)),
        "gram": (projection.gram.shape, (equations, equations)),
        "right": (projection.right.shape, (equations,)),
        "components": (projection.components.shape, (equations,)),
        "signs": (projection.signs.shape, (plan.layout.free,)),
    }
    for name, (shape, wanted) in shapes.items():
        if shape != wanted:
            yield f"the {name} of its projection has shape {shape}"
