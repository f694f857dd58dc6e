"""Calls without warnings leave those of other calls alone."""

from __future__ import annotations

import numpy as np
import pytest

from graphbptt_numpy.quiet import IN_CONTEXT, make_quiet


@pytest.mark.parametrize("in_context", sorted({False, IN_CONTEXT}))
def test_only_quiet_calls_warn_of_nothing(in_context: bool) -> None:
    quiet, settings, huge = make_quiet(in_context), np.geterr(), np.full(2, 1e300)
    for _ in range(2):
        assert np.isinf(quiet(np.multiply, huge, huge)).all()
        assert np.geterr() == settings
        with pytest.warns(RuntimeWarning, match="overflow"):
            np.multiply(huge, huge)
    with pytest.raises(ValueError, match="broadcast"):
        quiet(np.multiply, huge, np.ones(3))
    assert quiet(np.geterr)["over"] == "ignore"
    assert np.geterr() == settings
