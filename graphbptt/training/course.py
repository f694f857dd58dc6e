"""The course of training, epoch by epoch: updates, and which parameters they leave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Outcome, Updater
from graphbptt.declaration.run_schema import TrainingDeclaration
from graphbptt.errors import SpecError
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.noise import Noise
from graphbptt.model import Model
from graphbptt.training.dataset import Parts
from graphbptt.training.divergence import explain_divergence
from graphbptt.training.evaluation import LossTally, bind_chunks, measure_loss
from graphbptt.training.optimizers import Optimizer, State, clip_norm, make_optimizer, make_rule
from graphbptt.training.run_updates import run_updates
from graphbptt.training.windows import cut_windows

__all__ = ["Course", "Epoch"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training part.

    `train_loss` is the mean over the epoch's updates, each measured before it; `validation_loss` is
    measured at the end. `best` says that the latter is the lowest so far; without validation no epoch is.
    """

    number: int
    train_loss: float
    validation_loss: float | None
    best: bool


class Course:
    """What lasts from epoch to epoch: the optimizer's state, and parameters of earlier epochs.

    `best` are those with the lowest loss of an epoch, `candidate` those by which this epoch's loss was measured, and
    `kept` those that the model is left with. `updated` says whether there was an update.
    """

    def __init__(
        self, model: Model, parts: Parts, settings: TrainingDeclaration, generator: np.random.Generator
    ) -> None:
        self.model, self.parts, self.settings, self.generator = model, parts, settings, generator
        # Noise has a generator of its own, so that it leaves the order of the examples alone.
        (self.noise,) = generator.spawn(1)
        self.free: Array = model.vector[: model.plan.layout.free]
        # Truncated and stateful training goes on from states, for which the host asks after every window.
        alone = settings.truncate is None and not settings.stateful
        self.updater = model.bind_update(make_rule(settings.optimizer), settings.clip) if alone else None
        self.rule: Optimizer = make_optimizer(settings.optimizer)
        self.state: State = self.rule.init(self.free)
        self.keeper = model.keep()
        self.gradient = np.zeros_like(self.free)
        self.candidate, self.best, self.kept = self.free.copy(), self.free.copy(), self.free.copy()
        self.best_loss, self.best_epoch = math.inf, 0
        self.updated = False
        fits = settings.batch >= len(parts.train)
        self.whole = model.bind(parts.train.fields, parts.train.steps) if fits else None

    def run_epoch(self, number: int) -> Epoch:
        losses = self._train_here(number) if self.updater is None else self._train_there(self.updater, number)
        train_loss = sum(losses) / len(self.parts.train)
        self._check_kept()
        validation_loss = None
        if self.parts.validation is not None:
            self.candidate[...] = self.free
            validation_loss = measure_loss(self.model, self.parts.validation)
            if not math.isfinite(validation_loss):
                chunks = bind_chunks(self.model, self.parts.validation)
                when = f"training diverged in epoch {number} in validation"
                raise explain_divergence(self.model, chunks, when, updated=self.updated)
        loss = train_loss if validation_loss is None else validation_loss
        better = loss < self.best_loss
        if better:
            self.best[...], self.best_loss, self.best_epoch = self.candidate, loss, number
        validated = validation_loss is not None
        self.kept[...] = self.best if validated else self.free
        return Epoch(number, train_loss, validation_loss, validated and better)

    def _train_here(self, number: int) -> Iterator[float]:
        """The loss of each batch times its examples."""
        for bound in self._draw_batches():
            yield self._train_on(bound, number) * bound.size

    def _train_there(self, updater: Updater, number: int) -> Iterator[float]:
        """The same where the plan is run; the model's own parameters are those that the epoch began with."""
        updater.load(self.model.vector)
        wanted = (bound for bound in self._draw_batches() if any(term.count for term in bound.terms))
        for bound, outcome in run_updates(updater, wanted):
            yield self._judge(updater, bound, outcome, number) * bound.size
        updater.fetch(self.free, self.candidate)

    def _draw_batches(self) -> Iterator[Batch]:
        """Where states have no noise, a batch that holds everything is the very same each time."""
        for bound in self._bind_batches():
            noisy = self.model.network.noisy
            yield replace(bound, noise=Noise(int(self.noise.integers(2**63)))) if noisy else bound

    def _bind_batches(self) -> Iterator[Batch]:
        # A batch that holds everything is the same in every epoch.
        if self.whole is not None:
            yield self.whole
            return
        order = None if self.settings.stateful else self.generator
        carried: CarriedState | None = None
        for data in self.parts.train.batches(self.settings.batch, order):
            bound = self.model.bind(data.fields, data.steps)
            yield replace(bound, carried=carried)
            if self.settings.stateful:
                carried = self.model.carry(bound.steps, offset=0)

    def _train_on(self, bound: Batch, number: int) -> float:
        """Update after every window; the loss of all of them together, each before its update."""
        tally = LossTally(self.model)
        for window in cut_windows(self.model, bound, self.settings.truncate):
            if any(term.count for term in window.terms):
                self._update(window, number, tally)
            else:
                self.model.losses(window)  # for the states that the next one goes on from
        return tally.total() if tally.pairs else 0.0

    def _update(self, bound: Batch, number: int, tally: LossTally) -> None:
        # The loss below is that of these parameters, not of those after the update.
        self.candidate[...] = self.free
        # Overflow shows in the loss or the gradient, and is named there.
        with np.errstate(over="ignore", invalid="ignore"):
            losses = self.model.losses_and_gradient(bound, self.gradient)
            loss = self.model.total_loss(losses)
            norm = clip_norm(self.gradient, self.settings.clip or math.inf)
        self._check_finite(loss + norm, bound, number)
        self.updated = True
        tally.add(bound, losses)
        try:
            with np.errstate(over="raise"):
                self.rule.update(self.gradient, self.state, self.free)
                self.free += self.gradient
                if self.keeper is not None:
                    self.keeper.apply()
        except FloatingPointError:
            # A finite derivative whose square, or whose step, is not.
            self._check_finite(math.inf, bound, number)

    def _judge(self, updater: Updater, bound: Batch, outcome: Outcome, number: int) -> float:
        """The loss before an update that was made where the plan is run."""
        loss = self.model.network.total_loss(outcome.losses) + outcome.penalty
        if not outcome.finite:  # a finite derivative whose square, or whose step, is not
            self.updated = True
            updater.fetch(self.candidate, self.free)
            updater.fetch_gradient(self.gradient)
            self._check_finite(math.inf, bound, number)
        if not math.isfinite(loss + outcome.norm):
            updater.fetch(self.free, self.candidate)
            updater.fetch_gradient(self.gradient)
            self._check_finite(math.inf, bound, number)
        self.updated = True
        tally = LossTally(self.model)
        tally.add(bound, outcome.losses, outcome.penalty)
        return tally.total()

    def _check_kept(self) -> None:
        """Whether constraints and signs hold: Newton's method for both together has no bound on its steps."""
        if self.keeper is None or not np.isfinite(self.free).all():
            return  # what is not finite diverges, and is named there
        if unmet := self.model.find_unmet():
            remedy = "no nearest values were found after an update; lower the rate, or leave out a sign"
            raise SpecError(replace(problem, instead=remedy) for problem in unmet)

    def _check_finite(self, number: float, bound: Batch, epoch: int) -> None:
        if not math.isfinite(number):
            when = (
                f"training diverged in epoch {epoch}"
                if self.updated
                else f"in epoch {epoch}, before any update"
            )
            raise explain_divergence(self.model, [bound], when, self.gradient, updated=self.updated)
