"""The tasks, by the names that `TaskChoice` declares together with their settings."""

from __future__ import annotations

from collections.abc import Mapping

from graphbptt.training.tasks.adding import add_marked_numbers
from graphbptt.training.tasks.binary_addition import add_binary_numbers
from graphbptt.training.tasks.embedded_reber import draw_reber_strings
from graphbptt.training.tasks.parity_around import compare_bits_around
from graphbptt.training.tasks.pattern_completion import complete_patterns
from graphbptt.training.tasks.perceptual_decision import draw_decisions
from graphbptt.training.tasks.task import Task
from graphbptt.training.tasks.wave import draw_wave

__all__ = ["TASKS"]

TASKS: Mapping[str, Task] = {
    "binary_addition": add_binary_numbers,
    "pattern_completion": complete_patterns,
    "embedded_reber": draw_reber_strings,
    "adding": add_marked_numbers,
    "wave": draw_wave,
    "parity_around": compare_bits_around,
    "perceptual_decision": draw_decisions,
}
