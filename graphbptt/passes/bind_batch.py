"""(FoldedNetwork, fields) -> Batch: check the data of one call and lay it out as the executors read it.

Every minibatch passes through here: each field is copied once, into (time, batch, unit) order and the
executors' type, and checked in place. A value that nothing uses (padding, other steps, where a mask is zero)
may be anything: it is replaced by zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch, BoundClamp, BoundTarget, CarriedState
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.noise import Noise
from graphbptt.passes.check_clamped_states import check_clamped_states
from graphbptt.passes.check_memory import check_batch, measure_memory
from graphbptt.passes.lay_out_fields import (
    AXES,
    START_AXES,
    both,
    lay_out,
    report_infinite,
    report_wrong,
    spread,
    time_major,
)
from graphbptt.passes.read_fields import FieldReader, Layout

__all__ = ["LENGTHS", "UNREAD", "Label", "bind_batch", "name_node", "pick_columns"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Read = tuple[Array | None, Array | None]
"""The values and the mask of a clamp or a target, as the user gave them."""

Item = Clamp | Target
Label = Callable[[Item], str]
"""What messages call the node, or the nodes, of a clamp or a target."""

UNREAD = BoundClamp(np.empty((0, 0, 0)), None)
"""What is bound for a clamp at the start where a batch goes on from earlier steps."""

DEFAULT_NOISE = Noise(0)

LENGTHS = "lengths"
"""The field that holds the number of steps of each sequence."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """What all fields of a batch share; `real` (steps, batch) is False at padding, None if there is none."""

    size: int
    steps: int
    dtype: np.dtype[Any]
    lengths: npt.NDArray[np.int64] | None
    real: Mask | None


def name_node(item: Item) -> str:
    """The node as the network calls it."""
    return str(item.node)


def bind_batch(
    network: FoldedNetwork,
    fields: Mapping[str, npt.ArrayLike],
    steps: int | None = None,
    dtype: npt.DTypeLike = np.float32,
    targets: bool = True,
    carried: CarriedState | None = None,
    size: int | None = None,
    noise: Noise | None = DEFAULT_NOISE,
    label: Label = name_node,
) -> Batch:
    """Check the fields a network reads and lay them out as a batch.

    Parameters
    ----------
    network : FoldedNetwork
        Its clamps and targets say which fields are read; others are left alone, so that data may have more fields
        than a network reads.
    fields : mapping
        Arrays by field name. Values have shape (batch, time, units), or (batch, units) for a static field,
        which holds at every step; labels have shape (batch, time) or (batch,). A clamp at the start takes
        (batch, units) for all history rows, or (batch, history, units). A clamp's mask has its values' shape,
        or (batch, time), or (batch, time, 1) where the values are static; a target's mask has shape
        (batch, time) or (batch,). ``lengths`` (batch,) holds the number of steps of each sequence; later
        steps are padding. A field that nothing declares, named almost like it, is an error.
    steps : int, optional
        The number of steps; needed only where no field has a time axis.
    dtype : data-type
        The type the executors compute with.
    targets : bool
        False leaves the targets' fields out, to run a network without knowing what is wanted.
    carried : CarriedState, optional
        What the batch goes on from; fields of clamps at the start are then not read.
    size : int, optional
        The number of sequences that is carried.
    noise : Noise, optional
        What the noise of states is drawn from; None leaves it out.
    label : callable
        What messages call the nodes of a clamp or a target.

    Returns
    -------
    Batch

    Raises
    ------
    DataError
        A field is absent, has a wrong shape or type, or holds values that cannot be used; names them all. Or the states
        of so many steps are more than there is memory.

    Examples
    --------
    >>> from graphbptt.ir.data import Clamp
    >>> from graphbptt.ir.expression import Net
    >>> from graphbptt.ir.folded import FoldedNetwork, Population
    >>> from graphbptt.ir.parameters import FrozenArray
    >>> x = Population("x", 2, 1, Net(), (), None, FrozenArray(0))
    >>> network = FoldedNetwork((x,), (), (), (), clamps=(Clamp("x", "data"),))
    >>> bind_batch(network, {"data": np.zeros((3, 5, 2))}).clamps[0].values.shape
    (5, 3, 2)
    >>> bind_batch(network, {"date": np.zeros((3, 5, 2))}, steps=5)
    Traceback (most recent call last):
    graphbptt.errors.DataError: field data: is absent, but the clamp of x reads it; did you mean 'date'?
    """
    reader = FieldReader(fields)
    network = network.after(0 if carried is None else carried.offset)
    clamps = [
        (UNREAD.values, None)
        if clamp.at == "start" and carried is not None
        else _read_clamp(reader, network, clamp, label(clamp))
        for clamp in network.clamps
    ]
    wanted = [
        _read_target(reader, network, target, label(target))
        for target in (network.targets if targets else ())
    ]
    reader.reject_near(LENGTHS, set(_list_declared(network)))
    lengths = reader.read(LENGTHS, "batch", ("batch",), integers=True) if LENGTHS in reader else None
    extent = reader.measure(steps, size)
    if extent is None:
        reader.raise_problems()
        raise AssertionError("sizes that do not agree are a problem")
    if (memory := measure_memory()) is not None:
        check_batch(network, *extent, memory, np.dtype(dtype).itemsize)
    frame = _frame(reader, *extent, np.dtype(dtype), lengths)
    # Bind what could be read even where something else could not: its values may have problems too.
    bound_clamps = [
        UNREAD if values is UNREAD.values else _bind_clamp(reader, frame, network, clamp, values, mask)
        for clamp, (values, mask) in zip(network.clamps, clamps, strict=True)
        if values is not None
    ]
    bound_targets = [
        _bind_target(reader, frame, network, target, values, mask)
        for target, (values, mask) in zip(network.targets, wanted, strict=False)
        if values is not None
    ]
    reader.raise_problems()
    check_clamped_states(reader, network, bound_clamps, bound_targets, label)
    reader.raise_problems()
    return Batch(
        frame.size,
        frame.steps,
        frame.lengths,
        tuple(bound_clamps),
        tuple(bound_targets),
        carried,
        noise,
        tuple(_bind_penalties(network, frame)) if targets else (),
    )


def _list_declared(network: FoldedNetwork) -> Iterator[str]:
    """The fields that clamps and targets name, whether or not this call reads them."""
    declared: tuple[Item, ...] = (*network.clamps, *network.targets)
    for item in declared:
        yield item.field
        if item.mask is not None:
            yield item.mask


def _bind_penalties(network: FoldedNetwork, frame: _Frame) -> Iterator[BoundTarget]:
    """All real pairs of every penalty on states."""
    if len(network.terms) == len(network.targets):
        return
    real = np.ones((frame.steps, frame.size), np.bool_) if frame.real is None else frame.real
    bound = BoundTarget(np.empty((frame.steps, 0)), real.astype(frame.dtype), float(real.sum()))
    yield from repeat(bound, len(network.terms) - len(network.targets))


def _count_units(network: FoldedNetwork, item: Clamp | Target) -> int:
    return network.population[item.node].units if item.units is None else len(item.units)


def _count_columns(network: FoldedNetwork, item: Clamp | Target) -> int:
    """The units of an item's field, which it may share with others."""
    return _count_units(network, item) if item.columns is None else item.columns.width


def pick_columns(item: Clamp | Target, array: Array | None) -> Array | None:
    """What an item has of the units of a field, on the last axis."""
    return array if array is None or item.columns is None else array[..., list(item.columns.indices)]


def _read_clamp(reader: FieldReader, network: FoldedNetwork, clamp: Clamp, name: str) -> Read:
    values, mask = _read_shared_clamp(reader, network, clamp, name)
    if mask is None or values is None:
        return pick_columns(clamp, values), mask
    for_all = _is_per_step(clamp, values, mask) or mask.shape[-1] != values.shape[-1]
    return pick_columns(clamp, values), mask if for_all else pick_columns(clamp, mask)


def _is_per_step(clamp: Clamp, values: Array, mask: Array) -> bool:
    """Whether a mask has the axes (batch, time)."""
    return clamp.at != "start" and mask.ndim == 2 and values.ndim == 3


def _read_shared_clamp(reader: FieldReader, network: FoldedNetwork, clamp: Clamp, name: str) -> Read:
    units = _count_columns(network, clamp)
    static: Layout = ("batch", units)
    user = f"clamp of {name}"
    if clamp.at == "start":
        layouts: tuple[Layout, ...] = (static, ("batch", network.population[clamp.node].history, units))
        values = reader.read(clamp.field, user, *layouts)
        return values, reader.read(clamp.mask, f"mask of the {user}", *layouts) if clamp.mask else None
    values = reader.read(clamp.field, user, ("batch", "time", units), static)
    if clamp.mask is None:
        return values, None
    per_step: Layout = static if values is not None and values.ndim == 2 else ("batch", "time")
    layouts = (("batch", "time", units), ("batch", "time", 1), per_step)
    return values, reader.read(clamp.mask, f"mask of the {user}", *layouts)


def _read_target(reader: FieldReader, network: FoldedNetwork, target: Target, name: str) -> Read:
    labels = LOSSES[target.loss_name].labels
    units: Layout = () if labels else (_count_columns(network, target),)
    user = f"target of {name}"
    layouts: tuple[Layout, ...] = (("batch", "time", *units), ("batch", *units))
    values = reader.read(target.field, user, *layouts, integers=labels)
    mask = (
        reader.read(target.mask, f"mask of the {user}", ("batch", "time"), ("batch",))
        if target.mask
        else None
    )
    return values if labels else pick_columns(target, values), mask


def _frame(reader: FieldReader, size: int, steps: int, dtype: np.dtype[Any], lengths: Array | None) -> _Frame:
    if lengths is None:
        return _Frame(size, steps, dtype, None, None)
    for example in np.flatnonzero((lengths < 1) | (lengths > steps))[:1]:
        reader.report(
            f"field {LENGTHS}",
            f"{lengths[example]} at example {example}",
            f"a length is at least 1 and at most the number of steps, {steps}",
        )
    if (lengths == steps).all():
        return _Frame(size, steps, dtype, None, None)
    lengths = lengths.astype(np.int64)
    return _Frame(size, steps, dtype, lengths, np.arange(1, steps + 1)[:, None] <= lengths)


def _bind_clamp(
    reader: FieldReader,
    frame: _Frame,
    network: FoldedNetwork,
    clamp: Clamp,
    values: Array,
    mask: Array | None,
) -> BoundClamp:
    start = clamp.at == "start"
    axes = START_AXES if start else AXES
    real = None if start or frame.real is None else frame.real[..., None]
    chosen = None
    if isinstance(clamp.at, tuple):
        chosen = np.isin(np.arange(1, frame.steps + 1), clamp.at)[:, None, None]
    if mask is not None:
        given = time_major(mask[..., None] if _is_per_step(clamp, values, mask) else mask)
        wrong = (given != 0) & (given != 1) & (True if real is None else real)
        report_wrong(reader, f"field {clamp.mask}", given, wrong, axes, "a mask holds zeros and ones")
        chosen = both(chosen, given != 0)
    used = both(chosen, real)
    laid = lay_out(time_major(values), used, frame.dtype)
    report_infinite(reader, f"field {clamp.field}", laid, axes)
    rows = network.population[clamp.node].history if start else frame.steps
    shape = (rows, frame.size, values.shape[-1])
    free_somewhere = used if chosen is not None else None
    return BoundClamp(
        spread(laid, shape),
        None if free_somewhere is None else spread(free_somewhere, shape),
    )


def _bind_target(
    reader: FieldReader,
    frame: _Frame,
    network: FoldedNetwork,
    target: Target,
    values: Array,
    mask: Array | None,
) -> BoundTarget:
    rule = LOSSES[target.loss_name]
    weights = _weigh_steps(reader, frame, target, mask)
    units: tuple[int, ...] = () if rule.labels else values.shape[-1:]
    static = values.ndim == 1 + len(units)
    used = weights != 0
    used = used.any(axis=0, keepdims=True) if static else used
    used = used[..., None] if units else used
    dtype = np.dtype(np.int64) if rule.labels else frame.dtype
    laid = lay_out(values[None] if static else np.swapaxes(values, 0, 1), used, dtype)
    path = f"field {target.field}"
    if not rule.labels:
        report_infinite(reader, path, laid, AXES)
    low, high = (0, _count_units(network, target) - 1) if rule.labels else rule.bounds
    if np.isfinite((low, high)).any():
        wrong = ((laid < low) | (laid > high)) & used
        report_wrong(
            reader, path, laid, wrong, AXES, f"{target.loss_name} takes values from {low:g} to {high:g}"
        )
    return BoundTarget(spread(laid, (frame.steps, frame.size, *units)), weights, float(np.sum(weights)))


def _weigh_steps(reader: FieldReader, frame: _Frame, target: Target, mask: Array | None) -> Array:
    """The weight of each (step, example) pair."""
    if target.at == "every" and mask is None and frame.lengths is None:
        return np.ones((frame.steps, frame.size), frame.dtype)
    step = np.arange(1, frame.steps + 1)[:, None]
    last = np.full(frame.size, frame.steps) if frame.lengths is None else frame.lengths
    chosen: Mask = step <= last
    if isinstance(target.at, tuple):
        chosen = chosen & np.isin(step, target.at)
    elif target.at != "every":
        chosen = chosen & (step > last - (target.at.steps if isinstance(target.at, Last) else 1))
    if mask is None:
        return chosen.astype(frame.dtype)
    given = mask[None] if mask.ndim == 1 else mask.T
    wrong = ~((given >= 0) & (given < np.inf))
    wrong &= step[: len(given)] <= last
    report_wrong(
        reader, f"field {target.mask}", given, wrong, AXES, "the weight of a step is finite and not negative"
    )
    return lay_out(given, chosen, frame.dtype)
