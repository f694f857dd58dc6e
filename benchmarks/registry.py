"""What there is to measure: workloads by name, each with the contenders that can run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, Literal, Protocol, SupportsFloat

import numpy as np
import numpy.typing as npt

from benchmarks.networks.clockwork import Clockwork
from benchmarks.networks.custom import Custom
from benchmarks.networks.gru import Gru
from benchmarks.networks.leaky import Leaky
from benchmarks.networks.lstm import Lstm
from benchmarks.networks.network import Network
from benchmarks.networks.sparse import Sparse
from benchmarks.networks.tanh import Tanh
from benchmarks.networks.units import Units
from benchmarks.problem import Gradients, Problem, Sizes

__all__ = [
    "ALONE",
    "DEVICES",
    "OURS",
    "PEER",
    "WORKLOADS",
    "Aim",
    "Contender",
    "Workload",
    "draw_problem",
    "find_contender",
]

OURS = {
    "cupy": "cupy",
    "cupy_plain": "cupy",
    "cupy_launched": "cupy",
    "native": "native",
    "native_alone": "native",
    "numpy": "numpy",
    "reference": "reference",
}
"""The contenders that are backends of graphbptt, and which one."""

ALONE = ("native_alone",)
"""The contenders that are kept to one thread, to be compared with those that are not."""


class Contender(Protocol):
    """A problem made ready: a call does what is timed."""

    def __call__(self) -> SupportsFloat:
        """The loss; after a single step, an output. As a number it is there when all work is done."""

    @property
    def gradients(self) -> Gradients:
        """What the last call computed, by the names of `Network.shapes`; after a single step, the outputs."""


@dataclass(frozen=True, slots=True)
class Aim:
    """`contender` takes at most `limit` times as long as `against`, a contender or ``"the fastest peer"``."""

    contender: str
    against: str
    limit: float


@dataclass(frozen=True, slots=True)
class Workload:
    """A network at one size.

    `aims` are what we want of its times. A call computes loss and gradients of a batch or, where `timed` is
    ``"step"``, one step forward.
    """

    name: str
    network: Network
    sizes: Sizes
    contenders: tuple[str, ...]
    aims: tuple[Aim, ...] = ()
    timed: Literal["gradients", "step"] = "gradients"


LOOPS = ("torch_loop", "torch_compile", "jax")
ALL = ("native", "numpy", "torch", *LOOPS, "floor")
LARGE = ("native", "native_alone", *ALL[1:])
NO_MODULE = ("native", "numpy", *LOOPS, "floor")

WAYS = {"cupy_plain": {"captured": False}, "cupy_launched": {"persistent": False}}
"""The cupy backend without its graphs, and with a launch for every step of a scan."""

PEER = "the fastest peer"
AIM, HALF = (Aim("native", PEER, limit) for limit in (1.0, 0.5))
EAGER = Aim("numpy", "torch_loop", 1.0)
"""Of layers and populations of at most 128 units."""
NEAR_FLOOR = Aim("native", "floor", 1 / 0.6)
BOTH_CORES = Aim("native", "native_alone", 1 / 1.7)

# Sizes: inputs, hidden, batch, steps.
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("rnn", Tanh(), Sizes(64, 256, 64, 256), LARGE, (AIM, NEAR_FLOOR, BOTH_CORES)),
        Workload("lstm_small", Lstm(), Sizes(32, 128, 32, 256), ALL, (AIM, EAGER, NEAR_FLOOR)),
        Workload("lstm_large", Lstm(), Sizes(128, 512, 64, 100), LARGE, (AIM, NEAR_FLOOR, BOTH_CORES)),
        Workload("gru", Gru(), Sizes(128, 256, 64, 100), LARGE, (AIM, BOTH_CORES)),
        Workload("custom", Custom(), Sizes(64, 3 * 128, 32, 256), NO_MODULE, (HALF, EAGER)),
        Workload("clockwork", Clockwork(), Sizes(64, 8 * 64, 32, 512), NO_MODULE, (HALF,)),
        Workload("leaky", Leaky(), Sizes(64, 512, 128, 200), NO_MODULE, (HALF,)),
        # One step of PyTorch's or JAX's sparse products and their derivatives takes longer than ten of SciPy's.
        Workload(
            "sparse",
            Sparse(),
            Sizes(32, 10_000, 32, 100, 1_000_000),
            ("native", "numpy", "scipy"),
            (AIM, Aim("numpy", PEER, 1.2)),
        ),
        Workload("units", Units(), Sizes(16, 256, 32, 200, 4096), NO_MODULE, (HALF,)),
        Workload("tiny", Tanh(), Sizes(8, 16, 1, 1000), ALL, (HALF, EAGER)),
        Workload(
            "step", Tanh(), Sizes(8, 64, 1, 100), ("native", "numpy", *LOOPS), (AIM, EAGER), timed="step"
        ),
        *(
            Workload(
                f"{network.name}_{hidden}_by_hand",
                network,
                Sizes(*sizes),
                contenders,
                (Aim("numpy", PEER, aim),),
            )
            for network in (Tanh(), Lstm())
            for contenders in (("native", "numpy", "hoisted", "augmented"),)
            for hidden, sizes, aim in (
                (128, (32, 128, 32, 100), 1.1),
                (256, (64, 256, 64, 100), 1.1),
                (16, (8, 16, 1, 100), 1.5),
            )
        ),
    )
}


ON_GPU = ("torch_loop", "torch_compile", "torch_graph", "jax")
CUSTOM = ("custom", "clockwork", "leaky", "sparse", "units", "tiny")
"""What no library has a layer for, or none that is fast at this size."""


def _list_gpu_workloads() -> Iterator[Workload]:
    """The same workloads on a GPU, and one that is as long as cuDNN's layer is good at."""
    aims = (Aim("cupy", "torch_loop", 0.2), Aim("cupy", "jax", 0.5))
    for name, workload in WORKLOADS.items():
        if name == "step":
            yield replace(workload, contenders=("cupy", "torch_loop", "torch_compile", "jax"), aims=())
        elif not name.endswith("_by_hand"):
            module = ("torch",) if "torch" in workload.contenders else ()
            own = aims if name in CUSTOM else ()
            yield replace(workload, contenders=("cupy", *WAYS, *module, *ON_GPU), aims=own)
    long = Sizes(128, 512, 64, 256)
    contenders = ("cupy", *WAYS, "torch", *ON_GPU)
    yield Workload("lstm_long", Lstm(), long, contenders, (Aim("cupy", "torch", 1.5),))


DEVICES = {"cpu": WORKLOADS, "gpu": {workload.name: workload for workload in _list_gpu_workloads()}}
"""The workloads of each device by name."""


def find_contender(
    name: str, workload: Workload, device: str = "cpu"
) -> Callable[[Network, Problem, bool], Contender]:
    """What makes a contender of a network, a problem and whether there is noise; only what it needs is imported.

    Raises
    ------
    ImportError
        Its library is not installed, or not for this device.
    """
    step = workload.timed == "step"
    if name in WAYS:
        return partial(_load("cupy_ways", "CupyWay"), **WAYS[name])
    if name in OURS:
        return partial(_load("compiled", "CompiledStep" if step else "Compiled"), backend=OURS[name])
    if name in ("torch_loop", "torch_compile"):
        make = _load("torch_loop", "TorchStep" if step else "TorchLoop")
        return partial(make, compiled=name == "torch_compile", device=device)
    if name == "jax":
        if device == "gpu" and import_module("jax").default_backend() != "gpu":
            raise ImportError('JAX finds no GPU; pip install "jax[cuda13]", or "jax[cuda12]"')
        return _load("jax_scan", "JaxStep" if step else "JaxScan")
    if name == "torch":
        return partial(_load("torch_module", "TorchModule"), device=device)
    if name == "torch_graph":
        return _load("torch_graph", "TorchGraph")
    if name == "floor":
        return _load("floor", "Floor")
    network = workload.network.name
    modules = {"scipy": ("sparse_rows", "SparseRows")} | {
        way: (f"{network}_{way}", f"{network.capitalize()}{way.capitalize()}")
        for way in ("hoisted", "augmented")
    }
    make = _load(f"by_hand.{modules[name][0]}", modules[name][1])
    return lambda network, problem, noisy: make(problem)


def _load(module: str, name: str) -> Callable[..., Any]:
    made: Callable[..., Any] = getattr(import_module(f"benchmarks.contenders.{module}"), name)
    return made


def draw_problem(workload: Workload, dtype: npt.DTypeLike = "float32", seed: int = 0) -> Problem:
    """Standard normal data, weights of variance one over their fan-in: states neither vanish nor saturate."""
    network, sizes = workload.network, workload.sizes
    rng = np.random.default_rng(seed)
    parameters = {name: np.zeros(shape, dtype) for name, shape in network.shapes(sizes).items()}
    fan_in = {"input": sizes.inputs + sizes.fan_in, "recurrent": sizes.inputs + sizes.fan_in}
    drawn = {
        name: rng.normal(0, fan_in.get(name, array.shape[-2] if array.ndim > 1 else 16) ** -0.5, array.shape)
        for name, array in parameters.items()
    }
    named = network.split({name: array.astype(dtype) for name, array in drawn.items()}, sizes)
    for group, view in network.split(parameters, sizes).items():
        view[...] = named[group]
    network.obey(parameters, sizes)

    def draw(width: int) -> Any:
        return rng.normal(0, 1, (sizes.steps, sizes.batch, width)).astype(dtype)

    return Problem(sizes, draw(sizes.inputs), draw(sizes.outputs), parameters)
