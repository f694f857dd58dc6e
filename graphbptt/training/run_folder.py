"""The folder of a run: parameters, history, figures, and the spec as it was run.

parameters.npz   an array for every parameter, by name, as training left them
history.csv      a row for every epoch
figures.json     {part: {loss, figures: {target: {metric: value}}}}, and the same for the baseline; null where
                 nothing was counted; absent where training did not end by itself
spec.yaml        what was declared, overrides included, with absolute paths
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from graphbptt.errors import DataError, Problem, SpecError, did_you_mean
from graphbptt.model import Model
from graphbptt.training.evaluation import Evaluation
from graphbptt.training.loop import Epoch
from graphbptt.training.tables import read_arrays

__all__ = ["RunFolder", "read_parameters", "write_atomically"]

PARAMETERS = "parameters.npz"
SPEC = "spec.yaml"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder of its own for one run."""

    path: Path

    @classmethod
    def create(cls, runs: Path, name: str) -> RunFolder:
        """Make ``runs/name-1``, or with the next number that is free.

        Raises
        ------
        SpecError
            It cannot be written there; so does every method.
        """
        try:
            runs.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                path = runs / f"{name}-{number}"
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return cls(path)
        except OSError as error:
            raise _cannot_write(runs, error) from None
        raise AssertionError("some number is free")

    @property
    def spec(self) -> Path:
        """Where the spec is kept."""
        return self.path / SPEC

    def write_spec(self, text: str) -> None:
        """Keep the spec."""
        self._write(SPEC, text.encode())

    def write_parameters(self, model: Model) -> None:
        """Keep every parameter, the fixed ones too."""
        content = io.BytesIO()
        # As np.savez would, whose keyword arguments leave out some names that a parameter may have.
        with zipfile.ZipFile(content, "w") as archive:
            for name, array in model.parameters.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        self._write(PARAMETERS, content.getvalue())

    def write_history(self, epochs: Sequence[Epoch]) -> None:
        """Keep a row for every epoch."""
        content = io.StringIO()
        writer = csv.DictWriter(content, [field.name for field in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in epochs)
        self._write("history.csv", content.getvalue().encode())

    def write_figures(self, network: Mapping[str, Evaluation], baseline: Mapping[str, Evaluation]) -> None:
        """Keep the final figures."""
        content = {
            name: {part: _without_nan(asdict(evaluation)) for part, evaluation in evaluations.items()}
            for name, evaluations in (("network", network), ("baseline", baseline))
        }
        self._write("figures.json", json.dumps(content, indent=2, allow_nan=False).encode())

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_atomically(self.path / name, content)
        except OSError as error:
            raise _cannot_write(self.path / name, error) from None


def _cannot_write(path: Path, error: OSError) -> SpecError:
    said = error.strerror or str(error)
    return SpecError(Problem(str(path), said, "choose another place for the run (--runs)"))


def _without_nan(value: Any) -> Any:
    """The same with None for every number that is not finite, which JSON cannot write."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, it holds either all of `content` or what it held before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_parameters(model: Model, path: Path) -> None:
    """Set every parameter of a model from a file, or from that in the folder of a run.

    Raises
    ------
    DataError
        There is no such file, or its arrays are not those of the model; names every one that differs.
    """
    if path.is_dir():
        path = path / PARAMETERS
    arrays = read_arrays(path, start="the working directory")
    arrays = {name: array for name, array in arrays.items() if not _is_computed_now(name, model)}
    problems = [
        Problem(str(path), f"there is no parameter {name!r}", "was it written for this spec?")
        for name in model.parameters
        if name not in arrays
    ]
    for name, array in arrays.items():
        if name not in model.parameters:
            remedy = did_you_mean(name, list(model.parameters))
            problems.append(Problem(str(path), f"the network has no parameter {name!r}", remedy))
        elif array.shape != model.parameters[name].shape:
            said = f"parameter {name!r} has shape {array.shape}"
            problems.append(Problem(str(path), said, f"the network's has {model.parameters[name].shape}"))
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            problems.append(
                Problem(str(path), f"parameter {name!r} is not all finite numbers", "train again")
            )
    if problems:
        raise DataError(problems)
    for name, array in arrays.items():
        model.parameters[name] = array


def _is_computed_now(name: str, model: Model) -> bool:
    """Whether it is what a clockwork cell had a parameter for, and computes: which units a module's clock moves."""
    cell, _, target = name.partition(".struck->")
    return target == f"{cell}.due" and target in model.network.population and name not in model.parameters
