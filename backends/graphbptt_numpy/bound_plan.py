"""A plan bound to the memory of one shape of batch: pack, run the stages forward, put in the losses, run them backward,
combine the copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import Population
from graphbptt.ir.plan import Plan
from graphbptt_numpy.boundary import (
    bind_given,
    bind_initial_states,
    clear_padding,
    draw_states_noise,
    fill_padding,
    gather_history,
    gather_initial_gradients,
    hold_states,
    set_initial_states,
)
from graphbptt_numpy.copies import bind_combining, bind_packing
from graphbptt_numpy.count_copies import CopyCounts
from graphbptt_numpy.losses import TermLoss
from graphbptt_numpy.tape import Tape
from graphbptt_numpy.workspace import Workspace

__all__ = ["BoundPlan"]

Array = npt.NDArray[Any]


class Runnable(Protocol):
    """One direction of a stage, ready to run."""

    def run(self) -> None: ...

    def calls(self) -> Iterable[Callable[[], object]]: ...

    def count_bytes(self) -> int: ...


class BoundPlan:
    """A plan bound to the memory of one shape of batch; `tape` binds one direction of a stage."""

    def __init__(
        self, plan: Plan, space: Workspace, tape: Callable[[Workspace, int, bool], Runnable] = Tape
    ) -> None:
        self._plan = plan
        self._space = space
        self._tape = tape
        self._forward = [tape(space, index, False) for index in range(len(plan.stages))]
        self._tapes = list(self._forward)
        self._copies = CopyCounts(plan.network)

    @cached_property
    def _given(self) -> dict[str, Callable[[Batch], Iterator[Callable[[], None]]]]:
        return {
            name: bind_given(self._plan, self._space, name)
            for stage in self._plan.stages
            for name in (stage.populations if stage.mode == "given" else ())
        }

    @cached_property
    def _changing(self) -> list[Population]:
        return bind_initial_states(self._plan, self._space)

    @cached_property
    def _packing(self) -> list[Any]:
        return bind_packing(self._plan, self._space)

    @cached_property
    def _losses(self) -> list[TermLoss]:
        return [TermLoss(self._plan, self._space, site) for site in self._plan.losses]

    # What only derivatives need is bound, and its memory taken, when they are first asked for.

    @cached_property
    def _backward(self) -> list[Runnable]:
        tapes = [self._tape(self._space, index, True) for index in reversed(range(len(self._plan.stages)))]
        self._space.pack_derived()
        self._tapes += tapes
        return tapes

    @cached_property
    def _cleared(self) -> list[Array]:
        return list(_find_cleared(self._plan, self._space))

    @cached_property
    def _combining(self) -> list[Any]:
        return bind_combining(self._plan, self._space)

    def count_bytes(self) -> int:
        """About what it takes: its memory, and the calls that are bound so far."""
        return self._space.bytes + sum(tape.count_bytes() for tape in self._tapes)

    def history(self, batch: Batch, step: int) -> Mapping[str, Array]:
        return gather_history(self._plan, self._space, batch, step)

    def run(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        with np.errstate(all="ignore"):
            self._run_forward(parameters, batch)
        return {
            placement.population: self._space.whole(placement.state) for placement in self._plan.placements
        }

    def loss(self, parameters: Array, batch: Batch) -> Array:
        with np.errstate(all="ignore"):
            self._run_forward(parameters, batch)
            return np.array([loss.mean(batch, differentiate=False) for loss in self._losses])

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        with np.errstate(all="ignore"):
            self._run_forward(parameters, batch)
            losses = self._put_in_losses(batch)
            self._run_backward()
            gather_initial_gradients(self._plan, self._space, batch)
            for call in self._combining:
                call()
            for group, number in self._copies.of(batch).items():
                total = self._plan.layout.view(self._space.gradient, group)
                np.divide(total, number.astype(total.dtype), out=total)
            np.copyto(gradient, self._space.gradient)
        return losses

    def _put_in_losses(self, batch: Batch) -> Array:
        """The mean of each term; its derivative goes where all that arrives is added up."""
        for array in self._cleared:
            array.fill(0)
        return np.array([loss.mean(batch, differentiate=True) for loss in self._losses])

    def _run_backward(self) -> None:
        clear_padding(self._plan, self._space)
        for tape in self._backward:
            tape.run()

    def _run_forward(self, parameters: Array, batch: Batch) -> None:
        self.load(parameters)
        self.start(batch)
        self.walk(batch)

    def load(self, parameters: Array) -> None:
        """Pack the weights."""
        np.copyto(self._space.parameters, parameters)
        for call in self._packing:
            call()
        self._space.pack_derived()

    def start(self, batch: Batch) -> None:
        """Fill the rows that a batch starts from."""
        set_initial_states(self._plan, self._space, batch, self._changing)

    def walk(self, batch: Batch) -> None:
        """Compute the states of all steps."""
        draw_states_noise(self._space, batch.noise, batch.offset)
        for call in self.walking(batch):
            call()

    def walking(self, batch: Batch) -> Iterator[Callable[[], object]]:
        """What computes the states of all steps, once their noise is drawn: for a single one, call by call."""
        plan, space = self._plan, self._space
        for name in space.held:
            yield partial(hold_states, plan, space, batch, name)
        for stage, tape in zip(plan.stages, self._forward, strict=True):
            if stage.mode == "given":
                yield from self._given[stage.populations[0]](batch)
            yield from tape.calls() if space.steps == 1 else (tape.run,)
            if space.padded is not None:
                for name in stage.populations:
                    yield partial(fill_padding, plan, space, batch, name)


def _find_cleared(plan: Plan, space: Workspace) -> Iterator[Array]:
    """What of the deltas must start at zero: the rows around the steps, and what the plan lists."""
    for buffer in plan.buffers:
        if buffer.kind == "delta":
            array = space.buffer(buffer.name)
            yield from (array[:, : buffer.before], array[:, buffer.before + space.steps :])
    for item in plan.clear:
        first = max(1, space.steps + item.rows + 1) if item.rows < 0 else 1
        last = min(space.steps, item.rows) if item.rows > 0 else space.steps
        yield space.select(item.view, space.time(item.view, first, last), space.lanes(item.view.buffer))
