"""A plan bound to memory of a device: parameters and data go up, the sweeps run there, derivatives come down.

What stands at the edges, copies of parameters, clamps, losses, is the host's, as the numpy backend has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.kernels import Kernels
from graphbptt.ir.batch import Batch
from graphbptt.ir.operations import View
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Launcher
from graphbptt_cupy.space import DeviceSpace
from graphbptt_cupy.tape import DeviceTape
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.boundary import hold_states
from graphbptt_numpy.workspace import Workspace

__all__ = ["DevicePlan"]

Array = npt.NDArray[Any]
Call = Callable[[], object]


class DevicePlan(BoundPlan):
    """A plan bound to the memory of one shape of batch, on the host and on a device."""

    def __init__(self, plan: Plan, space: DeviceSpace, kernels: Kernels, launcher: Launcher) -> None:
        def bind(_: Workspace, index: int, backward: bool) -> DeviceTape:
            sweep = kernels.sweeps[index, backward]
            return DeviceTape(space, launcher, plan.stages[index], sweep, backward)

        super().__init__(plan, space.host, bind)
        self._device_space = space
        self._launcher = launcher
        deltas = dict.fromkeys(site.delta for site in plan.losses)
        self._slopes = [delta for delta in deltas if delta is not None]

    # Forward.

    def load(self, parameters: Array) -> None:
        """Pack the weights, and put them on the device."""
        super().load(parameters)
        space, host, put = self._device_space, self._space, self._device_space.device.put
        put(host.vector, space.vector)
        for name, matrix in host.matrices.items():
            put(matrix, space.matrices[name])
        for name, block in host.blocks.items():
            entries = space.entries[name]
            put(block.values, entries.values)
            put(block.values[entries.order], entries.column_values)

    def walking(self, batch: Batch) -> Iterator[Call]:
        """What computes the states of all steps and brings them down."""
        yield from self._computing(batch)
        yield self._fetch_states

    def _computing(self, batch: Batch) -> Iterator[Call]:
        plan, host = self._plan, self._space
        for name in host.held:
            yield partial(hold_states, plan, host, batch, name)
        yield partial(self._put_edges, batch)
        for stage, tape in zip(plan.stages, self._forward, strict=True):
            if stage.mode == "given":
                name = stage.populations[0]
                yield from self._given[name](batch)
                yield partial(self._put_view, plan.placement[name].state)
            yield tape.run
            if host.padded is not None:
                for name in stage.populations:
                    yield from self._pad(name)

    def _put_edges(self, batch: Batch) -> None:
        """What surrounds the steps, and what sets states and noise inside them."""
        space, host, put = self._device_space, self._space, self._device_space.device.put
        for name in self._plan.residents:
            shape, rows, there = self._plan.buffer[name], host.buffer(name)[0], space.buffer(name)
            before, behind = shape.before, shape.before + space.steps
            put(rows[:before], there[: before * space.size])
            put(rows[behind:], there[behind * space.size :])
        for name in host.held:
            put(host.held[name], space.held[name])
            put(host.holds[name], space.holds[name])
        for name, words in host.noise.items():
            put(words, space.noise[name])
        if host.padded is not None and batch.lengths is not None:
            put(host.padded, space.padded)
            put(batch.lengths.astype(np.int64), space.lengths)
            for name, rows in host.initial.items():
                put(rows, space.initial[name])

    def _pad(self, name: str) -> Iterator[Call]:
        """Put the initial state in place of what was computed behind the sequences' ends."""
        space, placement = self._device_space, self._plan.placement[name]
        history = self._plan.network.population[name].history
        nets = () if placement.net is None or not self._space.keeps(placement.net) else (placement.net,)
        for view, initial in ((placement.state, space.initial[name]), *((net, None) for net in nets)):
            stride = int(space.buffer(view.buffer).shape[1])
            threads = space.steps * space.size * view.width
            arguments = (
                space.size, view.width, history, space.lengths, initial, space.whole(view), stride,
            )  # fmt: skip
            yield partial(self._launcher.launch, "fill_padding", threads, arguments)

    def _put_view(self, view: View) -> None:
        self._device_space.device.put(self._space.whole(view), self._device_space.whole(view))

    def _fetch_view(self, view: View) -> None:
        there, here = self._device_space.whole(view), self._space.whole(view)
        here[...] = self._device_space.device.fetch(there).reshape(here.shape)

    def _fetch_states(self) -> None:
        for placement in self._plan.placements:
            self._fetch_view(placement.state)

    # Losses and derivatives.

    def walk(self, batch: Batch) -> None:
        super().walk(batch)
        for site in self._plan.losses:
            self._fetch_view(site.predicted)

    @cached_property
    def _cleared(self) -> list[Any]:
        """What of the deltas starts at zero: on the host what losses add to, on the device what other work does."""
        return [*map(self._space.whole, self._slopes), *_find_cleared(self._plan, self._device_space)]

    def _put_in_losses(self, batch: Batch) -> Array:
        losses = super()._put_in_losses(batch)
        for view in self._slopes:
            self._put_view(view)
        return losses

    def _run_backward(self) -> None:
        super()._run_backward()
        self._fetch_gradients()

    def _fetch_gradients(self) -> None:
        host, space, fetch = self._space, self._device_space, self._device_space.device.fetch
        host.vector_gradient[...] = fetch(space.vector_gradient)
        for name, gradient in host.matrix_gradients.items():
            gradient[0] = fetch(space.matrix_gradients[name])
        for name, block in host.blocks.items():
            block.gradient[...] = fetch(space.entries[name].gradient)
        for site in self._plan.initials:
            rows = host.rows(site.delta)
            there = space.buffer(site.delta.buffer)[:, site.delta.start : site.delta.stop]
            rows[...] = fetch(there).reshape(rows.shape)


def _find_cleared(plan: Plan, space: DeviceSpace) -> Iterator[Any]:
    """What of the deltas must start at zero: the rows around the steps, and what the plan lists."""
    for buffer in plan.buffers:
        if buffer.kind == "delta":
            array = space.buffer(buffer.name)
            yield from (
                array[: buffer.before * space.size],
                array[(buffer.before + space.steps) * space.size :],
            )
    for item in plan.clear:
        first = max(1, space.steps + item.rows + 1) if item.rows < 0 else 1
        last = min(space.steps, item.rows) if item.rows > 0 else space.steps
        yield space.rows(item.view, first, last)
