# One gate for everyone: `make check` is what continuous integration runs.

PYTHON ?= python

.PHONY: check format nightly sanitize benchmark picture

check:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	lint-imports
	$(PYTHON) -m pytest --hypothesis-profile=gate

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

# Thousands of random graphs instead of hundreds.
nightly: sanitize
	$(PYTHON) -m pytest --hypothesis-profile=nightly

# Generated C under the sanitizers of gcc and clang for memory, undefined behaviour and threads.
sanitize:
	$(PYTHON) tests/sanitize.py --hypothesis-profile=gate

benchmark:
	$(PYTHON) -m benchmarks

picture:
	$(PYTHON) docs/draw_unrolling.py
