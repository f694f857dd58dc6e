"""Profiles of hypothesis: `gate` is the default, `nightly` tries ten times as much.

Choose one with ``pytest --hypothesis-profile=nightly`` or ``HYPOTHESIS_PROFILE=nightly``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Networks take long to draw and to shrink on a busy machine; that says nothing about them.
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "gate", max_examples=200, deadline=None, derandomize=True, suppress_health_check=UNHURRIED
)
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=UNHURRIED
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
