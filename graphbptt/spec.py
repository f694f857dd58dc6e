"""A spec file made usable: its graph, its data, its settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy.typing as npt
import yaml

from graphbptt.compiler import compile as compile_graph
from graphbptt.declaration.build import build_clamps, build_graph, build_targets
from graphbptt.declaration.cells.expand import expand_cells
from graphbptt.declaration.mistakes import KeyPath
from graphbptt.declaration.places import locate
from graphbptt.declaration.read import Declaration, read_declaration
from graphbptt.declaration.run_schema import DataDeclaration, TrainingDeclaration
from graphbptt.errors import DataError, Problem, SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.model import Model
from graphbptt.training.admission import check_purpose
from graphbptt.training.baselines import evaluate_baseline
from graphbptt.training.dataset import PARTS, Parts
from graphbptt.training.evaluation import Evaluation, evaluate
from graphbptt.training.sources import load_parts

__all__ = ["Spec", "load"]


@dataclass(frozen=True, slots=True, eq=False)
class Spec:
    """What a spec file declares, made by `load`.

    Attributes
    ----------
    path : Path
        The file.
    declaration : Declaration
        Its content, checked.
    graph : networkx.MultiDiGraph
        The network, as one would build it by hand.
    inputs, targets : tuple
        The clamps and targets.
    """

    path: Path
    declaration: Declaration
    graph: nx.MultiDiGraph[str]
    inputs: tuple[Clamp, ...]
    targets: tuple[Target, ...]

    @property
    def description(self) -> str:
        """What the file says about itself; empty where it says nothing."""
        return self.declaration.spec.description

    @property
    def training(self) -> TrainingDeclaration:
        """The settings of the training loop, defaults where the file is silent."""
        return self.declaration.spec.training or TrainingDeclaration()

    def compile(
        self,
        backend: str | None = None,
        dtype: npt.DTypeLike | None = None,
        seed: int | None = None,
        precision: ProductPrecision | None = None,
        runs: bool = True,
    ) -> Model:
        """Compile the network, by default with the file's own backend, dtype, seed and precision.

        With `runs` False it is to be looked at alone, as `graphbptt.compile` says.
        """
        spec = self.declaration.spec
        return compile_graph(
            self.graph,
            self.inputs,
            self.targets,
            backend=spec.backend if backend is None else backend,
            dtype=spec.dtype if dtype is None else dtype,
            seed=spec.seed if seed is None else seed,
            precision=spec.precision if precision is None else precision,
            runs=runs,
        )

    def data(self) -> Parts:
        """Read or make the data.

        Raises
        ------
        SpecError
            The file declares none.
        DataError
            They cannot be read or used; each problem has its place in the file.
        """
        declared = self._declared_data()
        labels = frozenset(target.field for target in self.targets if LOSSES[target.loss_name].labels)
        with self.locating(("data", declared.source)):
            return load_parts(declared, self.path.parent, labels)

    @contextmanager
    def locating(self, otherwise: KeyPath | None = None) -> Iterator[None]:
        """Give the problems of data that are found inside the places of the spec that they are about.

        Those of a field have the place of the first clamp or target that reads it; what is about no part of the spec
        has the place of `otherwise`.
        """
        try:
            yield
        except DataError as error:
            raise DataError(self._locate(problem, otherwise) for problem in error.problems) from None

    def check_purpose(self, model: Model, parts: Parts) -> None:
        """Whether the network can be trained as the file says, on these data.

        Raises
        ------
        SpecError
            With every problem, each with its place in the file.
        """
        try:
            check_purpose(model, self.training, parts)
        except SpecError as error:
            located = SpecError(self._locate(problem) for problem in error.problems)
            raise locate(located, self.graph) from None

    def evaluate(
        self, model: Model, parts: Parts | None = None, noise: bool | int = True
    ) -> dict[str, Evaluation]:
        """The loss and the figures of a model, by part of the data; `noise` as for `Model.run`."""
        parts = self.data() if parts is None else parts
        with self.locating():
            return {name: evaluate(model, data, parts.variance, noise=noise) for name, data in parts.items()}

    def evaluate_baseline(self, model: Model, parts: Parts | None = None) -> dict[str, Evaluation]:
        """The figures of the declared baseline on the model's targets, by part of the data; none without one.

        Raises
        ------
        DataError
            It cannot be fitted to the training part.
        """
        choice = self._declared_data().baseline
        if choice is None:
            return {}
        with self.locating():
            return evaluate_baseline(choice, model, self.data() if parts is None else parts)

    @property
    def baseline_name(self) -> str:
        """What the baseline is called in tables."""
        data = self.declaration.spec.data
        if data is None or data.baseline is None:
            return ""
        options = ", ".join(f"{key} {value}" for key, value in data.baseline.options)
        return f"{data.baseline.name} ({options})"

    def format(self) -> str:
        """The spec as YAML, overrides included, with absolute paths: it can be run from anywhere."""
        content: dict[str, Any] = dict(self.declaration.source.data)
        for section, keys in {"network": ("graph", "node_table"), "data": ("csv", "npz")}.items():
            if section in content:
                said = dict(content[section])
                paths = {key: str((self.path.parent / said[key]).resolve()) for key in keys if key in said}
                content[section] = {**said, **paths}
        text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        return text

    def _declared_data(self) -> DataDeclaration:
        declared = self.declaration.spec.data
        if declared is None:
            place = self.declaration.source.place(())
            remedy = "write data: {task: ...}, {npz: ...} or {csv: ...}"
            raise SpecError(Problem("data", "the spec declares none", remedy, place))
        return declared

    def _locate(self, problem: Problem, otherwise: KeyPath | None = None) -> Problem:
        """A problem with the place of its path, or of the nearest one around it, in the spec."""
        if problem.place is not None:
            return problem
        path = self._find_reader(problem.path) or otherwise
        if problem.path.startswith(("data", "training", "network.")):
            path = tuple(problem.path.split("."))
        return problem if path is None else replace(problem, place=self.declaration.source.place(path))

    def _find_reader(self, path: str) -> KeyPath | None:
        """Where a clamp or a target names the field that a problem, of a part of the data or of all, is about."""
        part, _, rest = path.partition(": ")
        about = rest if part in PARTS else path
        source = self.declaration.source
        for section in ("inputs", "targets"):
            for label, said in source.data.get(section, {}).items():
                for number, item in enumerate(said if isinstance(said, list) else [said]):
                    inner = (section, label, number) if isinstance(said, list) else (section, label)
                    for key in ("field", "mask"):
                        if about == f"field {item.get(key)}":
                            return (*inner, key)
        return None


def load(path: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """Read and check a spec file.

    Parameters
    ----------
    path : str or Path
        A YAML or JSON file.
    overrides : sequence of str
        Values that replace those of the file: ``training.epochs=5``, ``network.edges.0.delay=2``.

    Raises
    ------
    SpecError
        With every problem found, each with its file, line and column.

    Examples
    --------
    >>> spec = load("specs/binary_addition.yaml", ["data.examples=64", "training.epochs=1"])
    >>> model = spec.compile(seed=1)
    >>> spec.data().train.fields["bits"].shape
    (64, 12, 2)
    """
    declaration = read_declaration(path, overrides)
    graph = build_graph(declaration)
    expanded = expand_cells(graph)
    return Spec(
        Path(path),
        declaration,
        graph,
        build_clamps(declaration, expanded),
        build_targets(declaration, expanded),
    )
