"""One step at a time: what a model keeps between the calls of `Model.step`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Executable, Stepper
from graphbptt.errors import DataError, Problem, SpecError
from graphbptt.ir.batch import CarriedState
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.noise import Noise
from graphbptt.passes.bind_batch import Label
from graphbptt.passes.bind_step import Feeder, bind_step, make_feeder
from graphbptt.passes.find_lookahead import find_lookahead

__all__ = ["Stream"]

Array = npt.NDArray[Any]


class Stream:
    """The states of a network after the steps that were taken so far; `offset` is their number.

    Raises
    ------
    SpecError
        The network looks ahead; names the edges.
    """

    def __init__(
        self, network: FoldedNetwork, executable: Executable, dtype: np.dtype[Any], label: Label
    ) -> None:
        problems = find_lookahead(network, "cannot be run one step at a time")
        if problems:
            raise SpecError(problems)
        self._network, self._executable, self._dtype = network, executable, dtype
        self._label = label
        self._stepper: Stepper | None = None
        self._bound_size: int | None = None  # the stepper's, which outlives a reset
        self._size: int | None = None
        self._offset: int | None = None  # None where the next step starts anew
        self._given: CarriedState | None = None  # what it goes on from that the stepper does not hold
        self._feeder: Feeder | None = None

    def step(
        self, parameters: Array, fields: Mapping[str, npt.ArrayLike], noise: Noise | None
    ) -> Mapping[str, Array]:
        """The states after one more step, (batch, units) by population, valid until the next one."""
        if self._feeder is None or self._offset is None or not self._feeder.feed(fields, self._offset + 1):
            return self._bind(parameters, fields, noise)
        assert self._stepper is not None
        states = self._stepper.repeat(parameters, self._offset, noise)
        self._offset += 1
        return states

    def _bind(
        self, parameters: Array, fields: Mapping[str, npt.ArrayLike], noise: Noise | None
    ) -> Mapping[str, Array]:
        """A step of which more has to be looked at than its numbers."""
        carried = self._given
        if carried is None and self._offset is not None:
            carried = CarriedState({}, self._offset)
        batch = bind_step(self._network, fields, self._dtype, carried, self._size, noise, self._label)
        if self._stepper is None or self._bound_size != batch.size:
            self._stepper, self._bound_size = self._executable.stepper(batch.size), batch.size
        self._feeder = make_feeder(self._network, fields, batch)
        states = self._stepper.step(parameters, self._feeder.batch)
        self._size, self._offset, self._given = batch.size, batch.offset + 1, None
        return states

    @property
    def state(self) -> CarriedState | None:
        """What the next step goes on from; None where it starts anew."""
        if self._given is not None or self._offset is None or self._stepper is None:
            return self._given
        return CarriedState(self._stepper.history(), self._offset)

    @state.setter
    def state(self, state: CarriedState | None) -> None:
        self._size = None if state is None else self._measure(state)
        self._given, self._offset = state, None if state is None else state.offset
        self._feeder = None

    def _measure(self, state: CarriedState) -> int:
        """The number of sequences of a state that fits the network."""
        if not isinstance(state, CarriedState):
            what = f"a {type(state).__name__} is no state of a stream"
            raise DataError(Problem("state", what, "assign what `model.state` gave, or None"))
        problems = []
        size = next((np.shape(rows)[1] for rows in state.rows.values() if np.ndim(rows) == 3), 1)
        for population in self._network.populations:
            shape = population.history, size, population.units
            given = np.shape(state.rows.get(population.name, ()))
            if given != shape:
                what = (
                    f"rows of shape {given} given" if population.name in state.rows else "its rows are absent"
                )
                problems.append(
                    Problem(f"state of {population.name}", what, f"its history has shape {shape}")
                )
        if problems:
            raise DataError(problems)
        return size
