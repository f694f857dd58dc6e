"""What stands at the edges of a computation: initial states, clamped states, padding.

Padding behaves like a clamp to the initial state: behind a sequence's own last step L, step L+1+k holds row k of the
initial state, for look-ahead reads and for the user alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import Population
from graphbptt.ir.noise import Noise
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import InitialSite, Plan
from graphbptt_numpy.workspace import Workspace

__all__ = [
    "bind_given",
    "bind_initial_states",
    "clear_padding",
    "draw_states_noise",
    "fill_padding",
    "gather_history",
    "gather_initial_gradients",
    "hold_clamps",
    "hold_states",
    "mark_padding",
    "put_values",
    "set_initial_states",
]

Array = npt.NDArray[Any]
Lengths = npt.NDArray[np.int64]


def bind_initial_states(plan: Plan, space: Workspace) -> list[Population]:
    """Fill the initial rows that are the same for every batch; returns the populations whose rows are not."""
    started = {clamp.node for clamp in plan.network.clamps if clamp.at == "start"}
    changing: list[Population] = []
    for population in plan.network.populations:
        if isinstance(population.initial, Use) or population.name in started or space.padded is not None:
            changing.append(population)
        else:
            space.initial[population.name][...] = _rows_of(population.initial.values)
            _fill_around(plan, space, None, population)
    return changing


def mark_padding(space: Workspace, batch: Batch) -> None:
    """Mark the steps behind the sequences' ends."""
    if space.padded is not None and batch.lengths is not None:
        np.greater_equal(np.arange(space.steps)[:, None], batch.lengths, out=space.padded)


def set_initial_states(plan: Plan, space: Workspace, batch: Batch, changing: Iterable[Population]) -> None:
    """Fill the initial rows of some populations, start clamps included, and the rows around their steps with them.

    What is carried stands for those of all populations; the next batch that starts anew fills them all again.
    """
    mark_padding(space, batch)
    if batch.carried is not None:
        space.overwritten = True
        for population in plan.network.populations:
            np.copyto(space.initial[population.name], batch.carried.rows[population.name])
            _fill_around(plan, space, batch.lengths, population)
        return
    if space.overwritten:
        space.overwritten, changing = False, plan.network.populations
    for population in changing:
        value = population.initial
        if isinstance(value, FrozenArray):
            space.initial[population.name][...] = _rows_of(value.values)
        else:
            space.initial[population.name][...] = value.scale * _rows_of(space.copy_of(value))
    for clamp, bound in zip(plan.network.clamps, batch.clamps, strict=True):
        if clamp.at == "start":
            put_values(space.initial[clamp.node], clamp.units, bound.values, bound.mask)
    for population in changing:
        _fill_around(plan, space, batch.lengths, population)


def _rows_of(values: Array) -> Array:
    """A scalar, (units,) or (history, units) as rows for every example."""
    return values.reshape(-1, 1, values.shape[-1]) if values.ndim else values


def put_values(
    rows: Array, units: tuple[int, ...] | None, values: Array, mask: npt.NDArray[np.bool_] | None
) -> None:
    """Set the units of (rows, batch, unit), where the mask allows."""
    if units is None:
        np.copyto(rows, values, where=True if mask is None else mask)
    else:
        columns = list(units)
        rows[..., columns] = values if mask is None else np.where(mask, values, rows[..., columns])


def _fill_around(plan: Plan, space: Workspace, lengths: Lengths | None, population: Population) -> None:
    view = plan.placement[population.name].state
    shape, rows = plan.buffer[view.buffer], space.initial[population.name]
    buffer = space.rows(view)
    held = min(shape.before, population.history)
    buffer[: shape.before - held] = rows[-1]
    buffer[shape.before - held : shape.before] = rows[:held][::-1]
    ends = buffer[shape.before + space.steps :]
    held = min(shape.after, population.history)
    if lengths is None:
        ends[:held], ends[held:] = rows[:held], rows[-1]
    else:
        ends[...] = _padding(rows, space.steps + np.arange(shape.after)[:, None] - lengths)


def _padding(rows: Array, beyond: npt.NDArray[np.int64]) -> Array:
    """The initial state `beyond` steps after the first padded one, (..., batch) -> (..., batch, unit)."""
    if len(rows) == 1:
        return np.broadcast_to(rows[0], (*beyond.shape, rows.shape[-1]))
    return rows[np.clip(beyond, 0, len(rows) - 1), np.arange(rows.shape[1])]


def _beyond(space: Workspace, batch: Batch) -> npt.NDArray[np.int64]:
    """How many steps each (step, example) lies behind the first padded one; negative inside the sequence."""
    steps = np.arange(space.steps, dtype=np.int64)[:, None]
    return steps - (space.steps if batch.lengths is None else batch.lengths)


def draw_states_noise(space: Workspace, noise: Noise | None, offset: int) -> None:
    """The noise of all steps, before which lie `offset` others."""
    for name, numbers in space.noise.items():
        if noise is None:
            numbers.fill(0)
        else:
            space.draw_noise(noise, name, offset + 1)


def bind_given(plan: Plan, space: Workspace, name: str) -> Callable[[Batch], Iterator[Callable[[], None]]]:
    """What copies a batch's data of a population that is clamped as a whole at every step."""
    state = space.whole(plan.placement[name].state)
    clamps = [
        (index, clamp.units)
        for index, clamp in enumerate(plan.network.clamps)
        if clamp.node == name and clamp.at != "start"
    ]

    def bind(batch: Batch) -> Iterator[Callable[[], None]]:
        for index, units in clamps:
            bound = batch.clamps[index]
            if units is None and bound.mask is None:
                yield partial(np.copyto, state, bound.values)
            else:
                yield partial(put_values, state, units, bound.values, bound.mask)

    return bind


def hold_states(plan: Plan, space: Workspace, batch: Batch, name: str) -> None:
    """Collect which states of a restrained population are set inside the loop, and their values."""
    hold_clamps(plan, space, batch, name)
    if space.padded is not None:
        rows = _padding(space.initial[name], _beyond(space, batch))
        np.copyto(space.holds[name], rows, where=space.padded[:, :, None])


def hold_clamps(plan: Plan, space: Workspace, batch: Batch, name: str) -> None:
    """The same, but for the values at padded steps, where the initial state is held."""
    held, holds = space.held[name], space.holds[name]
    held[...] = False
    for clamp, bound in zip(plan.network.clamps, batch.clamps, strict=True):
        if clamp.node == name and clamp.at != "start":
            put_values(holds, clamp.units, bound.values, bound.mask)
            put_values(
                held,
                clamp.units,
                np.ones_like(bound.values, bool) if bound.mask is None else bound.mask,
                bound.mask,
            )
    if space.padded is not None:
        held |= space.padded[:, :, None]


def fill_padding(plan: Plan, space: Workspace, batch: Batch, name: str) -> None:
    """Put the initial state in place of what was computed behind the sequences' ends."""
    if space.padded is None:
        return
    placement = plan.placement[name]
    where = space.padded[:, :, None]
    np.copyto(space.whole(placement.state), _padding(space.initial[name], _beyond(space, batch)), where=where)
    if placement.net is not None and space.keeps(placement.net):
        np.copyto(space.whole(placement.net), 0, where=where)


def clear_padding(plan: Plan, space: Workspace) -> None:
    """Zero what derivatives will be multiplied by behind the sequences' ends: they are zero, yet not times infinity."""
    if space.padded is None:
        return
    for buffer in plan.buffers:
        if buffer.kind == "saved":
            space.buffer(buffer.name)[:, space.padded] = 0


def gather_initial_gradients(plan: Plan, space: Workspace, batch: Batch) -> None:
    """Sum over the batch what arrived at the rows around the steps of populations with a learned initial state; nothing
    where these rows were carried from earlier steps."""
    for site in plan.initials:
        if batch.carried is not None:
            space.initial_gradients[site.population].fill(0)
            continue
        rows = _gather_rows(plan, space, batch, site)
        for clamp, bound in zip(plan.network.clamps, batch.clamps, strict=True):
            if clamp.at == "start" and clamp.node == site.population:
                put_values(rows, clamp.units, np.zeros_like(bound.values), bound.mask)
        np.add.reduce(rows, axis=1, out=space.initial_gradients[site.population])


def _gather_rows(plan: Plan, space: Workspace, batch: Batch, site: InitialSite) -> Array:
    """What arrived at row k, before step 1 and behind each sequence's end: (history, batch, unit)."""
    shape = plan.buffer[site.delta.buffer]
    delta = space.rows(site.delta)
    history = plan.network.population[site.population].history
    rows = np.zeros((history, space.size, site.delta.width), space.dtype)
    held = min(history, shape.before)
    rows[:held] += delta[shape.before - held : shape.before][::-1]
    held = min(history, shape.after)
    ends = np.full(space.size, space.steps) if batch.lengths is None else batch.lengths
    rows[:held] += delta[shape.before + ends + np.arange(held)[:, None], np.arange(space.size)]
    return rows


def gather_history(plan: Plan, space: Workspace, batch: Batch, step: int) -> dict[str, Array]:
    """The rows at `step` and before, or at a sequence's end where that comes earlier: (history, batch, unit)."""
    step = min(step, space.steps)
    history = {}
    for population in plan.network.populations:
        initial = space.initial[population.name]
        view = plan.placement[population.name].state
        rows = np.empty_like(initial)
        if batch.lengths is None:
            # Rows that nothing reads are not in the buffer.
            end = plan.buffer[view.buffer].before + step
            held = min(end, population.history)
            rows[:held] = space.rows(view)[end - held : end][::-1]
            rows[held:] = initial[held - step : population.history - step]
        else:
            states = space.whole(view)
            at = np.minimum(step, batch.lengths) - np.arange(population.history)[:, None]
            example = np.arange(space.size)
            earlier = initial[np.clip(-at, 0, population.history - 1), example]
            computed = states[np.clip(at - 1, 0, space.steps - 1), example]
            np.copyto(rows, np.where(at[..., None] > 0, computed, earlier))
        history[population.name] = rows
    return history
