"""The text form of a plan, which ``graphbptt explain`` prints and golden files hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import calls
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import logistic_of_minus
from graphbptt.ir.operations import (
    Compute,
    Contract,
    Operation,
    Perturb,
    Product,
    Reduce,
    Restrain,
    Softmax,
    SoftmaxGradient,
)
from graphbptt.ir.parameters import Group
from graphbptt.ir.plan import EXPECTED_BATCH, Matrix, Plan, SparseBlock, Stage, Sweep
from graphbptt.ir.plan_costs import count_flops, count_zeros, measure_buffers, measure_weights
from graphbptt.ir.plan_names import PlanNames, join_names
from graphbptt.ir.product_precision import PRODUCT_BITS

__all__ = ["format_operation", "format_plan", "list_owners"]

LEGEND = (
    "h is the state of population h at step t, h[t-1] one step earlier, net its weighted input; delta and netdelta",
    "are the derivatives of the loss by them. Slopes, the derivatives of activations, wait in netdelta or a buffer of",
    "their own, until the delta comes that they multiply; saved is what they need again of the forward sweep.",
    "state1[x][t-1] is a copy of this step's x beside the states one step earlier, with which a product reads it.",
)
NEGATED = (
    "Where it says logistic(-net), the weights that lead there are packed with the opposite sign: logistic is then",
    "1 / (1 + exp(x)) of what arrives.",
)


def format_plan(
    plan: Plan, steps: int | None = None, batch: int | None = None, dtype: npt.DTypeLike = "float32"
) -> str:
    """A plan for someone who knows recurrent networks but not this compiler.

    Parameters
    ----------
    plan : Plan
        A plan after all passes, or after some of them.
    steps, batch : int, optional
        T and B, the numbers of steps and of examples: where both are given, totals are numbers too.
    dtype : data-type
        The type of all numbers, for their size.

    Returns
    -------
    str
        Parameters, packed matrices, buffers with their bytes, and the stages with their operations.
    """
    size = None if steps is None or batch is None else (steps, batch)
    names, kind = PlanNames(plan), np.dtype(dtype)
    sections = [
        _format_parameters(plan, steps),
        _format_penalties(plan.network),
        _format_matrices(plan, kind.itemsize),
        _format_storages(plan),
        _format_buffers(plan, names, kind, size),
        [*LEGEND, *(NEGATED if _negates(plan) else ())],
        *(_format_stage(plan, names, index) for index in range(len(plan.stages))),
        _format_flops(plan, size),
        _format_precision(plan, kind),
        _format_projection(plan),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _negates(plan: Plan) -> bool:
    """Whether some weights are packed with the opposite sign."""
    return any(
        call.function is logistic_of_minus
        for stage in plan.stages
        for operation in stage.forward.operations()
        if isinstance(operation, Compute)
        for call in calls([item.expression for item in operation.assignments])
    )


def _format_parameters(plan: Plan, steps: int | None) -> list[str]:
    layout, copies = plan.layout, _format_copies(plan.network, steps)
    rows = [
        (slot.group, f"{slot.offset}-{slot.stop}", f"shape {slot.shape}", copies[slot.group])
        for slot in layout.slots
    ]
    return [
        f"parameters: one vector of {layout.size} numbers, {layout.free} of them trainable",
        *_align(rows),
    ]


def _format_copies(network: FoldedNetwork, steps: int | None) -> dict[str, str]:
    """How many copies the unrolled network has of each group, and what becomes of their derivatives."""
    if steps is None:
        # Linear in T from the last step that a clamp lists.
        last = max((max(fixed) for fixed in network.fixed_steps.values()), default=1)
        at_last, after = network.count_copies(last), network.count_copies(last + 1)
        counts = {
            group: _format_line(after[group] - count, count - (after[group] - count) * last)
            for group, count in at_last.items()
        }
    else:
        counts = {group: str(count) for group, count in network.count_copies(steps).items()}
    return {
        group: f"{copies} {'copy' if copies == '1' else 'copies'}, {_describe_sharing(network.group[group])}"
        for group, copies in counts.items()
    }


def _format_line(slope: int, rest: int) -> str:
    """A linear function of the number of steps.

    >>> _format_line(2, -3), _format_line(1, 1), _format_line(0, 0)
    ('2T - 3', 'T + 1', '0')
    """
    terms = [f"{slope if slope > 1 else ''}T"] if slope else []
    terms += [str(rest)] if rest > 0 or not terms else []
    return " + ".join(terms) + (f" - {-rest}" if rest < 0 else "")


def _describe_sharing(group: Group) -> str:
    if not group.trainable:
        return "fixed"
    combined = "derivatives averaged" if group.combine == "mean" else "derivatives added"
    return f"{combined}, penalty {group.penalty}" if group.penalty else combined


def _format_penalties(network: FoldedNetwork) -> list[str]:
    rows = [f"  {p.penalty} of the states of {p.name}" for p in network.populations if p.penalty]
    return ["penalties: means over all steps and examples, added to the loss", *rows] if rows else []


def _format_matrices(plan: Plan, itemsize: int) -> list[str]:
    rows = [
        (
            matrix.name,
            f"{matrix.rows} x {matrix.columns}",
            f"{count_zeros(matrix) / (matrix.rows * matrix.columns):.0%} zeros",
            list_owners(matrix, longest=12),
        )
        for matrix in plan.matrices
    ]
    rows.extend(
        (block.name, f"{block.rows} x {block.columns}", f"{block.pattern} in rows", block.owner)
        for block in plan.blocks
    )
    head = f"matrices: packed once per sequence, {_format_bytes(measure_weights(plan, itemsize))} with biases"
    return [head, *_align(rows)] if rows else []


def _format_storages(plan: Plan) -> list[str]:
    """How every sparse connection is kept, and why."""
    rows = [
        (
            choice.connection,
            "in rows (CSR)" if choice.storage == "csr" else "as a dense matrix",
            "as declared" if choice.declared else "the cheaper",
            f"{choice.csr:,.0f} ns in rows, {choice.dense:,.0f} ns dense",
        )
        for choice in plan.storages
    ]
    head = f"sparse weights: estimates for a step forward and backward at a batch of {EXPECTED_BATCH}"
    return [head, *_align(rows)] if rows else []


def list_owners(weights: Matrix | SparseBlock, longest: int) -> str:
    """The connections, and biases, whose weights a matrix or a block holds."""
    if isinstance(weights, SparseBlock):
        return weights.owner
    return join_names(dict.fromkeys(entry.owner for entry in weights.entries), longest)


def _format_buffers(
    plan: Plan, names: PlanNames, dtype: np.dtype[np.generic], size: tuple[int, int] | None
) -> list[str]:
    rows = []
    for buffer in plan.buffers:
        around = [f"{buffer.before} before"] if buffer.before else []
        around += [f"{buffer.after} behind"] if buffer.after else []
        shape = f"{buffer.lanes} lanes of {buffer.lane_width}" if buffer.lanes > 1 else str(buffer.width)
        rows.append(
            (
                buffer.name,
                shape,
                " and ".join(["T rows", *around]),
                f"{measure_buffers([buffer], dtype.itemsize)} bytes",
                names.residents(buffer.name, buffer.width),
            )
        )
    memory = measure_buffers(plan.buffers, dtype.itemsize)
    total = f"{memory} bytes" + (f" = {_format_bytes(memory.total(*size))}" if size else "")
    where = f"T = {size[0]} steps, B = {size[1]} examples" if size else "T steps, B examples"
    return [f"buffers of {dtype} with axes (step, example, column), for {where}: {total}", *_align(rows)]


def _format_stage(plan: Plan, names: PlanNames, index: int) -> list[str]:
    stage = plan.stages[index]
    members = join_names(stage.populations)
    if stage.mode == "given":
        return [f"stage {index}: {members}, given by the data"]
    how = {"batched": "all steps at once", "forward": "scanned forward", "reverse": "scanned in reverse"}
    lines = [f"stage {index}: {members}, {how[stage.mode]}"]
    for direction, sweep in (("forward", stage.forward), ("backward", stage.backward)):
        if any(sweep.operations()):
            flops = count_flops(plan, sweep.operations())
            lines.append(f"  {direction}: {flops:,} FLOPs per step and example")
            lines.extend(_format_sweep(plan, names, stage, sweep, direction == "backward"))
    return lines


def _format_sweep(plan: Plan, names: PlanNames, stage: Stage, sweep: Sweep, backward: bool) -> Iterator[str]:
    def lines(operations: Iterable[Operation], lag: str = "") -> Iterator[str]:
        for operation in operations:
            yield from (f"      {lag}{line}" for line in format_operation(plan, names, operation))

    if sweep.before:
        yield "    all steps"
        yield from lines(sweep.before)
    if sweep.each:
        lagging = any(phase for phase, _ in sweep.each)
        last = f"T + {max(phase for phase, _ in sweep.each)}" if lagging else "T"
        first, last = (last, "1") if backward else ("1", last)
        if lagging:
            yield f"    each iteration from {first} to {last}; those marked -k are k steps behind it"
        else:
            ends = (last, first) if stage.mode == "reverse" else (first, last)
            yield f"    each step from {ends[0]} to {ends[1]}"
        for phase, operation in sweep.each:
            yield from lines([operation], f"{f'-{phase}' if phase else '':3} " if lagging else "")
    if sweep.after:
        yield "    all steps"
        yield from lines(sweep.after)


def format_operation(plan: Plan, names: PlanNames, operation: Operation) -> Iterator[str]:
    """What an operation computes, in the names of the network."""
    if isinstance(operation, Compute):
        for item in operation.assignments:
            sign = "+=" if item.accumulate else "="
            yield f"{names.result(item.out)} {sign} {names.expression(item.expression)}"
    elif isinstance(operation, Product):
        sign, turned = "+=" if operation.accumulate else "=", ".T" if operation.transposed else ""
        weights = plan.weights[operation.weights]
        entries = "" if isinstance(weights, Matrix) else f", {weights.pattern}"
        product = f"{names.view(operation.source)} @ {weights.name}{turned}{entries}"
        yield f"{names.view(operation.out)} {sign} {product}  ({list_owners(weights, longest=4)})"
    elif isinstance(operation, Contract):
        weights = plan.weights[operation.weights]
        entries = "" if isinstance(weights, Matrix) else f" at {weights.pattern}"
        product = f"{names.view(operation.source)}.T @ {names.view(operation.delta)}{entries}"
        owners = list_owners(weights, longest=4)
        yield f"d({weights.name}) = {product}, over steps and examples  ({owners})"
    elif isinstance(operation, Reduce):
        summed = names.expression(operation.expression)
        yield f"d({names.row(operation.row)}) = sum of {summed}, over steps and examples"
    elif isinstance(operation, Softmax):
        yield f"{names.view(operation.out)} = softmax({names.view(operation.source)})"
    elif isinstance(operation, SoftmaxGradient):
        sign, states = "+=" if operation.accumulate else "=", names.view(operation.probabilities)
        arriving = f"{names.view(operation.slopes)} * {names.view(operation.delta)}"
        yield f"{names.view(operation.out)} {sign} a - {states} * sum(a) over units, a = {arriving}"
    elif isinstance(operation, Perturb):
        sign = "+=" if operation.accumulate else "="
        yield f"{names.view(operation.out)} {sign} {operation.scale:g} * noise of {operation.population}"
    elif isinstance(operation, Restrain):
        yield f"set {operation.population} where it is clamped, and behind the end of a sequence"
    else:
        where = (
            f"where {operation.population} is set" if operation.population else "behind the end of a sequence"
        )
        yield f"{', '.join(names.view(slope) for slope in operation.slopes)} = 0 {where}"


def _format_flops(plan: Plan, size: tuple[int, int] | None) -> list[str]:
    forward = sum(count_flops(plan, stage.forward.operations()) for stage in plan.stages)
    backward = sum(count_flops(plan, stage.backward.operations()) for stage in plan.stages)
    lines = [f"FLOPs per step and example: {forward:,} forward, {backward:,} backward"]
    if size is not None:
        steps, batch = size
        total = (forward + backward) * steps
        lines.append(f"FLOPs per sequence: {total:,}; per batch: {total * batch:,}")
    return lines


def _format_precision(plan: Plan, dtype: np.dtype[np.generic]) -> list[str]:
    if plan.precision == "full":
        return []
    bits = PRODUCT_BITS[plan.precision]
    return [
        f"products of matrices may round their factors to {plan.precision}, {bits} bits behind the first one; they "
        f"are added up in {dtype}"
    ]


def _format_projection(plan: Plan) -> list[str]:
    """What is done to the parameters after every update."""
    if plan.projection is None:
        return []
    cost, signed = plan.projection.cost, int(np.count_nonzero(plan.projection.signs))
    lines = ["after every update, the parameters move to the nearest point that meets"]
    if cost.equations:
        lines.append(
            f"  {cost.equations:,} equations in {cost.components:,} components, over {cost.parameters:,} parameters"
        )
    if signed:
        lines.append(f"  the signs of {signed:,} parameters")
    return [*lines, f"  {cost.flops:,} FLOPs, more where signs meet equations; {_format_bytes(cost.bytes)}"]


def _format_bytes(count: int) -> str:
    """Bytes in the largest unit that leaves a number above 1.

    >>> _format_bytes(1000), _format_bytes(3 * 2**19)
    ('1000 bytes', '1.5 MiB')
    """
    power = min(3, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.4g} {('bytes', 'KiB', 'MiB', 'GiB')[power]}"


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of text, two spaces apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
