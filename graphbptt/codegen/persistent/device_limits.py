"""What a GPU has, as far as the compiler decides by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["DEVICES", "KIB", "DeviceLimits", "describe_device", "find_device", "list_devices"]

KIB = 1024


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """A kind of GPU.

    Attributes
    ----------
    name : str
        A product of this kind.
    multiprocessors : int
        How many it has.
    shared : int
        The bytes of shared memory that one block may have, if it asks for more than the 48 KiB that any may have.
    threads : int
        The most threads of a block.
    resident_threads, resident_blocks : int
        The most threads, and the most blocks, that one multiprocessor runs at a time.
    single, double : int
        Multiplications with an addition that a multiprocessor finishes in a clock, in float32 and in float64.
    """

    name: str
    multiprocessors: int
    shared: int
    threads: int
    resident_threads: int
    resident_blocks: int
    single: int
    double: int

    def rate(self, dtype: str) -> int:
        """Multiplications with an addition in a clock of one multiprocessor.

        >>> DEVICES["sm_89"].rate("float64")
        2
        """
        return self.single if dtype == "float32" else self.double


DEVICES: dict[str, DeviceLimits] = {
    "sm_80": DeviceLimits("A100", 108, 163 * KIB, 1024, 2048, 32, 64, 32),
    "sm_86": DeviceLimits("GeForce RTX 3090", 82, 99 * KIB, 1024, 1536, 16, 128, 2),
    "sm_89": DeviceLimits("GeForce RTX 4090", 128, 99 * KIB, 1024, 1536, 24, 128, 2),
    "sm_90": DeviceLimits("H100 SXM", 132, 227 * KIB, 1024, 2048, 32, 128, 64),
}
"""By architecture: NVIDIA's CUDA C++ Programming Guide, tables of technical specifications and of the throughput of
arithmetic instructions by compute capability, with whose resident blocks `cuda_occupancy.h` of CUDA 13.0 agrees;
multiprocessors by the products' whitepapers."""


def find_device(name: str) -> DeviceLimits | None:
    """The one that is called so, by its architecture or by its product, of whose name words may be left out.

    >>> find_device("sm_90") == find_device("h100") == DEVICES["sm_90"]
    True
    >>> find_device("rtx") is find_device("") is None
    True
    """
    words = set(name.lower().split())
    found = [
        limits for kind, limits in DEVICES.items() if words and words <= {kind, *limits.name.lower().split()}
    ]
    return found[0] if len(found) == 1 else None


def list_devices() -> str:
    """All of them, each by both names."""
    return ", ".join(f"{kind} ({limits.name})" for kind, limits in DEVICES.items())


def describe_device(properties: Mapping[str, Any]) -> DeviceLimits:
    """The limits of a GPU by what the CUDA runtime says of it, as CuPy hands it on.

    Its arithmetic, and what a multiprocessor runs at a time, are those of its kind; of one that is not listed, those of
    the latest before it.

    >>> found = {"name": b"H200", "major": 9, "minor": 0, "multiProcessorCount": 132, "maxThreadsPerBlock": 1024}
    >>> limits = describe_device(found | {"sharedMemPerBlockOptin": 232448})
    >>> limits.name, limits.shared, limits.single, limits.resident_threads
    ('H200', 232448, 128, 2048)
    """
    version = 10 * properties["major"] + properties["minor"]
    listed = sorted(int(kind.removeprefix("sm_")) for kind in DEVICES)
    kind = max((number for number in listed if number <= version), default=listed[0])
    return replace(
        DEVICES[f"sm_{kind}"],
        name=properties["name"].decode(),
        multiprocessors=properties["multiProcessorCount"],
        shared=properties["sharedMemPerBlockOptin"],
        threads=properties["maxThreadsPerBlock"],
    )
