"""What the numpy backend says of the libraries that it runs with."""

from __future__ import annotations

import numpy as np

from graphbptt_numpy.libraries import describe_libraries


def test_numpy_its_blas_and_its_threads() -> None:
    library, threads = describe_libraries({"OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "", "HOME": "/"})
    assert library.startswith(f"library: NumPy {np.__version__}, BLAS ")
    assert threads == "threads: OPENBLAS_NUM_THREADS=2"
    assert [*describe_libraries({})] == [library, "threads: as many as its BLAS takes"]
