"""What `graphbptt.compile` returns: a network with its parameters, ready to run.

A `Model` owns the flat parameter vector. It turns fields into a checked `Batch`, hands both to a backend's executable,
and gives results back under the user's names with axes (batch, time, units).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from threading import RLock
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Executable, Explaining, Updater, Updating, build_executable, check_installed
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.products.vectors import SMALLEST
from graphbptt.codegen.scans.source import write_source
from graphbptt.errors import BackendError, DataError, Problem, SpecError
from graphbptt.ir.aliases import Aliases
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import add_penalty_slopes, draw_parameters, measure_penalties
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_text import format_plan
from graphbptt.ir.product_precision import ProductPrecision, refuse_precision
from graphbptt.ir.unrolled import UnrolledGraph
from graphbptt.ir.updates import UpdateRule
from graphbptt.keeper import Keeper
from graphbptt.keeper.start import find_unmet, find_vanishing, start_inside
from graphbptt.named import Gradients, Parameters, States
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.unroll_network import unroll_network
from graphbptt.stream import Stream

__all__ = ["Model", "check_model"]

Array = npt.NDArray[Any]
Fields = Mapping[str, npt.ArrayLike]

DTYPES = ("float32", "float64")
"""The types that executors compute with."""


class Model:
    """A compiled network. Made by `graphbptt.compile`.

    Its memory serves one call at a time: those of several threads wait for each other.

    Parameters
    ----------
    plan : Plan
        What `compile_network` makes.
    backend : str
        The name of a backend; ``auto`` takes the fastest that can run here.
    dtype : {"float32", "float64"}
        The type of all numbers.
    seed : int
        What the initial parameters are drawn from; at least 0.
    aliases : Aliases, optional
        The nodes of the graph, and what the populations that were put together consist of; without it, the nodes are
        the populations.
    precision : {"full", "tf32", "bfloat16"}
        What matrix products keep of their factors.
    runs : bool
        Whether it will run. One that will not can be looked at, wherever its backend may run: explained, unrolled,
        written as C; its fields can be bound.

    Raises
    ------
    SpecError
        It has another dtype, a seed that is no whole number from 0, or a precision that the dtype does not have.
    BackendError
        The backend is not installed, cannot run here, or cannot make the plan ready; ``auto`` takes the next one then.

    Attributes
    ----------
    backend : str
        The name of the backend that runs it; of a model that does not run, what was asked for.
    aliases : Aliases
        The nodes of the user's graph, which are the keys that `run` uses, and where they are.
    network : FoldedNetwork
        What was declared.
    plan : Plan
        How it is run.
    vector : array, shape (plan.layout.size,)
        All parameters, the free ones first. Updating it in place updates the model.
    parameters : mapping
        The same numbers by name. Starting values are moved inside constraints and signs, assigned ones are not.
    """

    def __init__(
        self,
        plan: Plan,
        backend: str = "auto",
        dtype: npt.DTypeLike = "float32",
        seed: int = 0,
        aliases: Aliases | None = None,
        precision: ProductPrecision = "full",
        runs: bool = True,
    ) -> None:
        self.dtype, self.seed = _check_settings(dtype, seed, precision)
        plan = plan if plan.precision == precision else replace(plan, precision=precision)
        self._noise = Noise(self.seed)
        self._alone = RLock()
        self._executable: Executable | None = None
        if runs:
            self.backend, self._executable = build_executable(backend, plan, self.dtype)
        else:
            check_installed(backend)
            self.backend = backend
        self.plan = plan
        self.aliases = (
            Aliases({name: name for name in plan.network.population}) if aliases is None else aliases
        )
        own = {group: name for name, group in self.aliases.groups.items()}
        self.vector = draw_parameters(plan.network, plan.layout, self.seed, self.dtype, own)
        if plan.projection is not None:
            start_inside(plan.projection, plan.network, plan.layout, self.vector)
        self.parameters = Parameters(plan.layout, self.aliases, plan.network, self.vector)
        self._penalized = tuple(group for group in plan.network.groups if group.penalty is not None)

    def __copy__(self) -> Model:
        """A model of the same network whose parameters are its own."""
        runs = self._executable is not None
        model = Model(self.plan, self.backend, self.dtype, self.seed, self.aliases, self.plan.precision, runs)
        model.vector[:] = self.vector
        return model

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a model cannot be pickled, since its memory belongs to this process; compile the graph again where the "
            "model is needed, and assign its parameters: dict(model.parameters) is made of arrays"
        )

    @property
    def _ready(self) -> Executable:
        if self._executable is None:
            raise BackendError(
                "this model was compiled to be looked at, with runs=False, and nothing runs it; leave that out"
            )
        return self._executable

    @property
    def network(self) -> FoldedNetwork:
        return self.plan.network

    @property
    def summary(self) -> str:
        """How many trainable parameters it has, and what runs it, in a line."""
        precision = "" if self.plan.precision == "full" else f", precision {self.plan.precision}"
        return f"{self.plan.layout.free} parameters, backend {self.backend}{precision}"

    def bind(
        self, fields: Fields, steps: int | None = None, targets: bool = True, noise: bool | int = True
    ) -> Batch:
        """Check the fields and lay them out as a batch; `targets` False leaves the targets' fields out.

        `noise` is as for `run`.
        """
        return bind_batch(
            self.network,
            fields,
            steps=steps,
            dtype=self.dtype,
            targets=targets,
            noise=_choose_noise(noise, self.seed),
            label=self.aliases.name_item,
        )

    def run(
        self, fields: Fields, steps: int | None = None, noise: bool | int = True
    ) -> Mapping[Hashable, Array]:
        """Run forward.

        Parameters
        ----------
        fields : mapping
            Arrays by field name, (batch, time, units), or (batch, units) for a static one; optionally ``lengths``.
            Fields that the network does not declare are left alone, unless one is named almost like ``lengths``.
        steps : int, optional
            The number of steps; needed only where no field has a time axis.
        noise : bool or int
            The seed from which the noise of nodes is drawn that have some; True is the model's own seed, so that the
            same fields give the same states, and False runs without noise.

        Returns
        -------
        mapping
            Node -> states of steps 1 to T, shape (batch, time, units). The keys are the nodes of the graph: 0 and 1
            for ``nx.DiGraph([(0, 1)])``. After a sequence's own last step the states hold its initial state.
        """
        return States(self.aliases, self.states(self.bind(fields, steps, targets=False, noise=noise)))

    def states(self, batch: Batch) -> dict[str, Array]:
        """The states of all populations, (batch, time, units), for an already bound batch."""
        with self._alone:
            states = self._ready.run(self.vector, batch)
            return {name: np.array(np.swapaxes(array, 0, 1), order="C") for name, array in states.items()}

    def step(self, fields: Fields | None = None, noise: bool | int = True) -> Mapping[Hashable, Array]:
        """Run one step further, from the states that the call before has left.

        The first call, and the first after `reset`, starts from the initial state. In float64 the states are those of
        `run` over all the steps, to the last bit.

        Parameters
        ----------
        fields : mapping
            Arrays by field name, (batch, units), the values of this step; masks have their shape. Fields of clamps at
            the start are read by the first step alone. Listed steps count from there.
        noise : bool or int
            As for `run`.

        Returns
        -------
        mapping
            Node -> states, shape (batch, units).

        Raises
        ------
        SpecError
            The network looks ahead; names the edges.
        DataError
            A field does not fit, or another number of sequences is given than before.

        Examples
        --------
        >>> import graphbptt, networkx as nx
        >>> graph = nx.DiGraph()
        >>> graph.add_edge("x", "sum", delay=0, weight="wire")
        >>> graph.add_edge("sum", "sum", weight="wire")
        >>> model = graphbptt.compile(graph, inputs=[graphbptt.Clamp("x", field="number")], backend="numpy")
        >>> [model.step({"number": [[number]]})["sum"].item() for number in (1, 2, 3)]
        [1.0, 3.0, 6.0]
        >>> model.reset()
        >>> model.step({"number": [[4]]})["sum"].item()
        4.0
        """
        drawn = self._noise if noise is True else _choose_noise(noise, self.seed)
        states = self._stream.step(self.vector, {} if fields is None else fields, drawn)
        return States(self.aliases, {population: array.copy() for population, array in states.items()})

    def reset(self) -> None:
        """Let the next `step` start anew."""
        self.state = None

    @property
    def state(self) -> CarriedState | None:
        """What the next `step` goes on from, a copy; None where it starts anew. Assign it to go on from there again."""
        return self._stream.state

    @state.setter
    def state(self, state: CarriedState | None) -> None:
        self._stream.state = state

    @cached_property
    def _stream(self) -> Stream:
        return Stream(self.network, self._ready, self.dtype, self.aliases.name_item)

    def carry(self, step: int, offset: int) -> CarriedState:
        """What the bound batch that was run last holds at `step`, or at the end of a sequence that ends earlier, for a
        batch to go on from that has `offset` steps before it."""
        return CarriedState(self._ready.history(step), offset)

    def losses(self, batch: Batch) -> Array:
        """The mean of each term of the loss that reads states, before its weight, for an already bound batch: of the
        targets, then of the penalties on states."""
        with self._alone:
            return self._ready.loss(self.vector, batch)

    def losses_and_gradient(self, batch: Batch, gradient: Array) -> Array:
        """The same; writes the derivative of the total loss by ``vector[:free]`` into `gradient`."""
        with self._alone:
            losses = self._ready.loss_and_gradient(self.vector, batch, gradient)
        add_penalty_slopes(self._penalized, self.plan.layout, self.vector, gradient)
        return losses

    def penalties(self) -> dict[str, float]:
        """The penalty on each weight-sharing group that has one, for the parameters as they are."""
        return measure_penalties(self._penalized, self.plan.layout, self.vector)

    def total_loss(self, losses: Iterable[float]) -> float:
        """The total, with the penalties on parameters, given the mean of each term that reads states."""
        return self.network.total_loss(losses) + sum(self.penalties().values())

    def loss_and_gradient(self, batch: Batch, gradient: Array) -> float:
        """The total loss of a bound batch; writes its derivative by ``vector[:free]`` into `gradient`."""
        return self.total_loss(self.losses_and_gradient(batch, gradient))

    def loss_and_gradients(
        self, fields: Fields, steps: int | None = None, noise: bool | int = True
    ) -> tuple[float, Gradients]:
        """The total loss and its derivative by every trainable parameter, by name; `noise` as for `run`."""
        gradient = np.zeros(self.plan.layout.free, self.dtype)
        loss = self.loss_and_gradient(self.bind(fields, steps, noise=noise), gradient)
        return loss, Gradients(self.plan.layout, self.aliases, self.network, gradient)

    def bind_update(self, rule: UpdateRule, limit: float | None) -> Updater | None:
        """What follows a rule where the plan is run, with the penalties on parameters; None where the backend leaves
        that to others, or parameters are kept inside constraints and signs."""
        if self.plan.projection is not None or not isinstance(self._ready, Updating):
            return None
        return self._ready.bind_update(rule, limit)

    def keep(self) -> Keeper | None:
        """What moves the parameters, after each of a series of updates, to the nearest point that meets the constraints
        and has the right signs; None where there are neither."""
        return None if self.plan.projection is None else Keeper(self.plan.projection, self.vector)

    def find_unmet(self) -> list[Problem]:
        """A problem for every constraint, and for every sign, that the parameters do not meet."""
        if self.plan.projection is None:
            return []
        return find_unmet(self.plan.projection, self.network, self.plan.layout, self.vector)

    def unroll(self, steps: int) -> UnrolledGraph:
        """The network unrolled over `steps` steps: a layered graph with weight-sharing groups."""
        return unroll_network(self.network, steps)

    def explain(self, steps: int | None = None, batch: int | None = None) -> str:
        """The plan as text: parameters, buffers with their bytes, stages with their operations and FLOPs.

        Before it stands what the populations are that single units were put together in, if there are any, and of
        which parameters the constraints leave nothing but 0.
        Where `steps` and `batch` are given, totals for batches of that shape are numbers too, and a backend may add
        what it does for them.

        Raises
        ------
        SpecError
            One of them is no whole number from 1 on.
        """
        for name, number in {"steps": steps, "batch": batch}.items():
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1
            ):
                raise SpecError(
                    Problem(name, f"there is no plan for {number!r}", "write a whole number from 1 on")
                )
        together = [f"  {line}" for line in self.aliases.list_populations()]
        head = ["single units put together:", *together, ""] if together else []
        if vanishing := self.describe_vanishing():
            head += [vanishing, ""]
        lines = [*head, format_plan(self.plan, steps, batch, self.dtype)]
        if steps is not None and batch is not None and isinstance(self._executable, Explaining):
            lines += ["", self._executable.explain(steps, batch)]
        return "\n".join(lines)

    def describe_vanishing(self) -> str:
        """The parameters of which constraints and signs leave nothing but 0, as a sentence; empty without any."""
        projection = self.plan.projection
        vanishing = [] if projection is None else find_vanishing(projection, self.plan.layout, self.vector)
        return f"constraints and signs leave nothing but 0 for {', '.join(vanishing)}" if vanishing else ""

    def emit_c(self) -> str:
        """The loops over time as C: a function for each stage that has one, and for each direction.

        Each step of the loop stands below a comment that names the nodes and edges it works on. A backend that
        compiles loops compiles this text; only the vectors of its products are as wide as the machine's.

        Examples
        --------
        >>> import networkx as nx
        >>> import graphbptt
        >>> graph = nx.DiGraph([("h", "h")])
        >>> model = graphbptt.compile(graph, backend="numpy")
        >>> print(model.emit_c().splitlines()[0])
        // stage 0, scanned forward: forward_0: h
        """
        return write_source(self.plan, precision_of(self.dtype), SMALLEST).text


def _choose_noise(noise: bool | int, seed: int) -> Noise | None:
    if isinstance(noise, bool | np.bool_):
        return Noise(seed) if noise else None
    if not isinstance(noise, int | np.integer) or noise < 0:
        remedy = "write True, False, or a seed, a whole number from 0 on"
        raise DataError(Problem("noise", f"{noise!r} is no noise", remedy))
    return Noise(int(noise))


def _check_settings(dtype: npt.DTypeLike, seed: int, precision: str) -> tuple[np.dtype[Any], int]:
    """The type of a model's numbers and its seed, if these and the precision of products can be used."""
    problems = []
    try:
        kind = np.dtype(dtype).name
    except TypeError:
        kind = ""
    if kind not in DTYPES or dtype is None:  # None means float64 to NumPy
        remedy = f"write {' or '.join(DTYPES)}"
        problems.append(Problem("dtype", f"{dtype!r} is no type to compute with", remedy))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        problems.append(Problem("seed", f"{seed!r} is no seed", "write a whole number, at least 0"))
    if (refusal := refuse_precision(precision, kind)) is not None:
        problems.append(Problem("precision", *refusal))
    if problems:
        raise SpecError(problems)
    return np.dtype(kind), int(seed)


def check_model(value: object) -> None:
    """Whether it is a compiled network.

    Raises
    ------
    SpecError
        It is something else, such as the graph it would be compiled from.
    """
    if not isinstance(value, Model):
        what = f"a {type(value).__name__} is no compiled network"
        raise SpecError(Problem("model", what, "give what graphbptt.compile, or Spec.compile, returns"))
