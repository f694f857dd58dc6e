"""The arrays of an npz file, each judged by its header before any memory is taken for it."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.graph_files.content import read_content
from graphbptt.errors import Problem, SpecError

__all__ = ["read_archive"]

Array = npt.NDArray[Any]

LARGEST_ARCHIVE = 1_000_000_000
"""The most bytes of an archive, packed, and unpacked."""

REMEDY = "write it with scipy.sparse.save_npz or numpy.savez"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_archive(path: Path) -> dict[str, Array]:
    """The arrays by name; arrays of Python objects are refused.

    Raises
    ------
    SpecError
        It is no archive of arrays, or is too large once unpacked, whatever its headers say.
    """
    content = read_content(path, LARGEST_ARCHIVE)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            total = sum(member.file_size for member in archive.infolist())
            if total > LARGEST_ARCHIVE:
                what = f"{path} unpacks to {total:,} bytes, above {LARGEST_ARCHIVE:,}"
                raise SpecError(
                    Problem("network.graph", what, "build the graph in Python and compile it there")
                )
            arrays: dict[str, Array] = {}
            for member in archive.infolist():
                with archive.open(member) as stream:
                    _check_header(stream, member.file_size)
                # The stream ends where the directory says, so that nothing longer is ever read.
                with archive.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        what = f"{path} holds no arrays that can be read: {str(error)[:200]}"
        raise SpecError(Problem("network.graph", what, REMEDY)) from None
    return arrays


def _check_header(stream: IO[bytes], size: int) -> None:
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the npy format")
    shape, _, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of shape {shape} in {size:,} bytes")
