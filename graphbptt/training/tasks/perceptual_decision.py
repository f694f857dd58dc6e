"""Which of two noisy streams of evidence is the stronger."""

from __future__ import annotations

import numpy as np

from graphbptt.declaration.task_choices import PerceptualDecision
from graphbptt.errors import DataError, Problem
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["draw_decisions"]


def draw_decisions(
    settings: PerceptualDecision, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Two streams of evidence, ``(1 + c) / 2`` and ``(1 - c) / 2`` on the mean, with independent Gaussian noise.

    The coherence c is one of those listed, and either stream may be the stronger. After the evidence there is a pause,
    in which both are 0.

    Returns
    -------
    dict
        ``evidence`` (examples, steps, 2); ``choice`` (examples,), the number of the stronger stream.

    Raises
    ------
    DataError
        The pause leaves no step for evidence.

    References
    ----------
    .. [1] J. I. Gold and M. N. Shadlen, "The neural basis of decision making", Annual Review of Neuroscience 30, 2007,
       535-574.
    .. [2] H. F. Song, G. R. Yang and X.-J. Wang, "Training excitatory-inhibitory recurrent neural networks for
       cognitive tasks: a simple and flexible framework", PLoS Computational Biology 12(2), 2016, e1004792.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fields = draw_decisions(PerceptualDecision(noise=0.0, coherences=[0.5], pause=1), 3, 1, rng, rng)
    >>> int(fields["choice"][0]), fields["evidence"][0].tolist()
    (1, [[0.25, 0.75], [0.25, 0.75], [0.0, 0.0]])
    """
    del stored
    heard = steps - settings.pause
    if heard < 1:
        said = f"a pause of {settings.pause} of {steps} steps leaves none for evidence"
        raise DataError(Problem("data.task.perceptual_decision.pause", said, "write a shorter one"))
    coherence = np.asarray(settings.coherences)[fresh.integers(0, len(settings.coherences), examples)]
    choice = fresh.integers(0, 2, examples)
    signs = np.where(choice[:, None] == np.arange(2), 1, -1)
    evidence = np.zeros((examples, steps, 2))
    evidence[:, :heard] = (1 + coherence[:, None] * signs)[:, None] / 2
    evidence[:, :heard] += settings.noise * fresh.standard_normal((examples, heard, 2))
    return {"evidence": evidence, "choice": choice}
