"""Stored patterns, each shown in part."""

from __future__ import annotations

from graphbptt.declaration.task_choices import PatternCompletion
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["complete_patterns"]


def complete_patterns(
    settings: PatternCompletion, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Random binary patterns, each shown in part.

    Returns
    -------
    dict
        ``pattern`` (examples, units), one of the stored ones; ``known`` (examples, units), one on a random
        share of the units; ``cue``, the pattern where it is known and zero elsewhere.
    """
    del steps
    patterns = stored.integers(0, 2, (settings.patterns, settings.units)).astype(float)
    pattern = patterns[fresh.integers(0, settings.patterns, examples)]
    shown = round(settings.known * settings.units)
    known = (fresh.random((examples, settings.units)).argsort(axis=1) < shown).astype(float)
    return {"cue": pattern * known, "known": known, "pattern": pattern}
