# One gate for everyone: `make check` is what continuous integration runs.

PYTHON ?= python
PARALLEL = -n auto --dist worksteal

.PHONY: check format nightly sanitize benchmark picture

check:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	lint-imports
	$(PYTHON) -m pytest $(PARALLEL) --hypothesis-profile=gate

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

# Thousands of random graphs instead of hundreds.
nightly: sanitize
	$(PYTHON) -m pytest $(PARALLEL) --hypothesis-profile=nightly

# Generated C under the sanitizers of gcc and clang for memory, undefined behaviour and threads, on as many random
# graphs as are tried by default.
sanitize:
	$(PYTHON) tests/sanitize.py

benchmark:
	$(PYTHON) -m benchmarks

picture:
	$(PYTHON) docs/draw_unrolling.py
