"""Which backend is found: by name, or the first that can run here; a broken one is reported, not raised."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import pytest

from graphbptt import backend
from graphbptt.backend import GROUP, find_backend, list_backends
from graphbptt.cli import run
from graphbptt.errors import BackendError

INSTALLED = {entry.name: entry.value for entry in metadata.entry_points(group=GROUP)}
BROKEN = "a_package_that_is_not_there:backend"

AUTO_ORDER = backend.AUTO_ORDER

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(name=module)`` stands for an environment with these entry points alone."""

    def replace(**values: str) -> None:
        entries = [metadata.EntryPoint(name, value, GROUP) for name, value in values.items()]
        monkeypatch.setattr(metadata, "entry_points", lambda group: entries)
        monkeypatch.setattr(backend, "AUTO_ORDER", AUTO_ORDER)

    return replace


def test_auto_takes_only_what_is_in_its_order(install: Install) -> None:
    install(reference=INSTALLED["reference"])
    assert find_backend("reference").name == "reference"
    with pytest.raises(BackendError, match="no backend can run here; reinstall"):
        find_backend()


def test_auto_passes_over_a_broken_backend(install: Install) -> None:
    install(cupy=BROKEN, numpy=INSTALLED["numpy"])
    assert find_backend().name == "numpy"
    with pytest.raises(
        BackendError, match="backend 'cupy' cannot run here: it cannot be imported: No module"
    ):
        find_backend("cupy")


def test_auto_says_what_it_tried(install: Install) -> None:
    install(native=BROKEN)
    with pytest.raises(BackendError, match="backend 'native' cannot run here: it cannot be imported"):
        find_backend()


@pytest.mark.parametrize("name", ["nunpy", 3])
def test_unknown_backend(name: str) -> None:
    assert "numpy" in list_backends()
    with pytest.raises(BackendError, match=f"backend {name!r} is not installed"):
        find_backend(name)


@pytest.mark.parametrize("working", ["numpy", "reference"])
def test_list_names_broken_backends(
    working: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(cupy=BROKEN, **{working: INSTALLED[working]})
    assert run(["backends"]) == 0
    broken, other = capsys.readouterr().out.splitlines()
    assert broken.startswith("cupy: cannot run here: it cannot be imported: No module named")
    assert other == f"{working}: available" + (" (auto)" if working == "numpy" else "")
