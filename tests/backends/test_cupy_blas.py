"""Products by cuBLAS: they are right for every view of every memory; and the real library, where it is installed, has
the functions that are called, the types of their arguments and the numbers that these are."""

from __future__ import annotations

import ctypes
import gc
import os
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from host_cublas import HANDLE, HostCublas
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.errors import BackendError, DeviceError
from graphbptt_cupy import cublas
from graphbptt_cupy.blas import Blas, Matrix, Numbers
from graphbptt_cupy.cublas import ALIGNMENT, SIGNATURES, STATUSES, CublasError, call_cublas, open_cublas
from graphbptt_cupy.presence import judge

Array = npt.NDArray[Any]

MEMORY, BYTES, STREAM = 16 * ALIGNMENT, 4096, 77
SINGLE, DOUBLE = Numbers(np.dtype("float32")), Numbers(np.dtype("float64"))


def make_blas(library: HostCublas, numbers: Numbers = DOUBLE) -> Blas:
    return Blas(library, numbers, MEMORY, BYTES, STREAM)


def matrix_of(view: Array, transposed: bool = False) -> Matrix:
    """The last two axes of a view, with the step of the first of three."""
    *steps, rows, _ = (stride // view.itemsize for stride in view.strides)
    return Matrix(view.ctypes.data, rows, transposed, *steps)


def draw_view(data: st.DataObject, count: int, rows: int, columns: int, dtype: Any) -> tuple[Array, Array]:
    """A view of `count` matrices in wider memory, and that memory; they may lie side by side, or behind each other."""
    before, behind, beside = (data.draw(st.integers(0, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        memory = rng.normal(size=(count, rows + before, columns + before + beside)).astype(dtype)
        return memory[:, before:, before : before + columns], memory
    memory = rng.normal(size=(rows + behind, count * columns + before + beside)).astype(dtype)
    inside = memory[:rows, before : before + count * columns]
    return inside.reshape(rows, count, columns).transpose(1, 0, 2), memory


sizes = st.integers(1, 6)


@given(
    rows=sizes, columns=sizes, depth=sizes, count=st.sampled_from([1, 1, 3]), numbers=st.sampled_from([SINGLE, DOUBLE]),
    transposed=st.tuples(st.booleans(), st.booleans()), accumulate=st.booleans(), data=st.data(),
)  # fmt: skip
def test_products_of_views(
    rows: int, columns: int, depth: int, count: int, numbers: Numbers, transposed: tuple[bool, bool],
    accumulate: bool, data: st.DataObject,
) -> None:  # fmt: skip
    """They are NumPy's, and nothing beside them is written."""
    shapes = ((rows, depth), (depth, columns))
    left, right = (
        draw_view(data, count, *(shape[::-1] if turn else shape), numbers.dtype)[0]
        for shape, turn in zip(shapes, transposed, strict=True)
    )
    out, memory = draw_view(data, count, rows, columns, numbers.dtype)
    if not accumulate:
        out[...] = np.nan
    factors = (
        view.swapaxes(1, 2) if turn else view for view, turn in zip((left, right), transposed, strict=True)
    )
    product = np.matmul(*factors)
    wanted = out + product if accumulate else product
    untouched = memory.copy()
    library = HostCublas()
    multiply = make_blas(library, numbers).bind(
        left=matrix_of(left, transposed[0]), right=matrix_of(right, transposed[1]), out=matrix_of(out),
        rows=rows, columns=columns, depth=depth, accumulate=accumulate, count=count,
    )  # fmt: skip
    multiply()
    tolerance = 1e-5 if numbers is SINGLE else 1e-13
    np.testing.assert_allclose(out, wanted, tolerance, tolerance)
    out[...] = 0
    mask = memory == 0
    untouched[mask] = 0
    np.testing.assert_array_equal(memory, untouched)
    assert library.calls[-1] == ("cublasGemmStridedBatchedEx" if count > 1 else "cublasGemmEx")


def test_a_matrix_that_many_products_share() -> None:
    rng = np.random.default_rng(0)
    left, right, out = rng.normal(size=(4, 3, 5)), rng.normal(size=(5, 2)), np.zeros((4, 3, 2))
    make_blas(HostCublas()).bind(
        left=matrix_of(left), right=matrix_of(right), out=matrix_of(out), rows=3, columns=2, depth=5, count=4
    )()
    np.testing.assert_allclose(out, left @ right)


@pytest.mark.parametrize(("precision", "bits"), [("full", 23), ("tf32", 10), ("bfloat16", 7)])
def test_factors_are_rounded_as_far_as_is_asked_for(precision: str, bits: int) -> None:
    """The numbers next to 1 that are kept, and are not."""
    for behind in (bits, bits + 1):
        left, right = np.float32([[1 + 2.0**-behind]]), np.float32([[1]])
        out = np.zeros((1, 1), np.float32)
        blas = make_blas(HostCublas(), replace(SINGLE, precision=precision))
        places = {"left": matrix_of(left), "right": matrix_of(right), "out": matrix_of(out)}
        blas.bind(**places, rows=1, columns=1, depth=1)()
        assert out[0, 0] == (left[0, 0] if behind == bits else 1)


def test_double_precision_is_never_rounded() -> None:
    with pytest.raises(KeyError):
        _ = replace(DOUBLE, precision="tf32").compute


def test_the_workspace_is_there_on_every_stream() -> None:
    library = HostCublas()
    blas = make_blas(library)
    assert (library.stream, library.workspace) == (STREAM, (MEMORY, BYTES))
    blas.attach(78)
    assert (library.stream, library.workspace) == (78, (MEMORY, BYTES))
    assert library.calls == ["cublasCreate_v2", *["cublasSetStream_v2", "cublasSetWorkspace_v2"] * 2]


def test_a_workspace_is_aligned() -> None:
    with pytest.raises(ValueError, match="multiple of 256 bytes"):
        Blas(HostCublas(), DOUBLE, MEMORY + 16, BYTES, STREAM)


def test_a_handle_ends_with_what_has_it() -> None:
    library = HostCublas()
    blas = make_blas(library)
    assert "cublasDestroy_v2" not in library.calls
    del blas
    gc.collect()
    assert library.calls[-1] == "cublasDestroy_v2"


@pytest.mark.parametrize("status", [*STATUSES, 99])
def test_what_fails_says_what_to_do(status: int) -> None:
    with pytest.raises(BackendError) as caught:
        make_blas(HostCublas({"cublasCreate_v2": status}))
    name = STATUSES[status][0] if status in STATUSES else "status 99"
    assert str(caught.value).startswith(f"cublasCreate of cuBLAS fails: {name}; ")


def test_a_product_that_fails() -> None:
    library = HostCublas()
    numbers = np.ones((2, 2))
    places = {name: matrix_of(numbers) for name in ("left", "right")}
    multiply = make_blas(library).bind(**places, out=matrix_of(numbers.copy()), rows=2, columns=2, depth=2)
    library.failing = {"cublasGemmEx": 13}
    with pytest.raises(CublasError, match="CUBLAS_STATUS_EXECUTION_FAILED; the GPU has stopped") as caught:
        multiply()
    assert isinstance(caught.value, DeviceError)
    assert caught.value.status == 13


def test_a_failed_product_cannot_hide_that_the_workspace_is_gone() -> None:
    """The stand-in itself: it fails where the real library would allocate."""
    library = HostCublas()
    numbers = np.ones((2, 2))
    places = {name: matrix_of(numbers) for name in ("left", "right", "out")}
    multiply = make_blas(library).bind(**places, rows=2, columns=2, depth=2)
    library.cublasSetStream_v2(HANDLE, 5)  # type: ignore[attr-defined]
    with pytest.raises(CublasError, match="INTERNAL_ERROR"):
        multiply()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"depth": 2**31, "left": Matrix(0, 2**31), "right": Matrix(0, 2)}, "depth is 2147483648; cuBLAS counts"),
        ({"left": Matrix(0, 2**31)}, "the stride of left is 2147483648"),
        ({"left": Matrix(0, 2)}, "a row of left has 3 numbers, and the next begins after 2"),
        ({"right": Matrix(0, 2, True)}, "a row of right has 3 numbers"),
        ({"out": Matrix(0, 1)}, "a row of out has 2 numbers"),
        ({"out": Matrix(0, 4, True)}, "not transposed"),
        ({"count": 2}, "2 products cannot be written into one matrix"),
    ],
)  # fmt: skip
def test_products_that_cannot_be(said: dict[str, Any], words: str) -> None:
    wanted = {
        "left": Matrix(0, 3),
        "right": Matrix(0, 2),
        "out": Matrix(0, 2),
        "rows": 4,
        "columns": 2,
        "depth": 3,
    }
    library = HostCublas()
    with pytest.raises(ValueError, match=re.escape(words)):
        make_blas(library).bind(**(wanted | said))
    assert not [name for name in library.calls if "Gemm" in name]


class WithoutCublas:
    runtime = SimpleNamespace(runtimeGetVersion=lambda: 12090)

    @property
    def cublas(self) -> Any:
        raise ImportError("libcublas.so.12: cannot open shared object file\nand more")


class WithAnother:
    runtime = SimpleNamespace(runtimeGetVersion=lambda: 9000)
    cublas = None


@pytest.mark.parametrize("cuda", [WithoutCublas(), WithAnother()])
def test_no_library(cuda: Any) -> None:
    with pytest.raises(BackendError) as caught:
        open_cublas(SimpleNamespace(cuda=cuda))
    assert re.fullmatch(
        r"cuBLAS cannot be loaded: libcublas\.so\.(9|12): cannot open .*; is it that of CUDA (9|12)\?",
        str(caught.value),
    )


def test_the_library_that_cupy_has_loaded() -> None:
    """It can be called; where there is no GPU it says that there is none."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        _ = cupy.cuda.cublas
    except ImportError as error:
        pytest.skip(str(error))
    handle = ctypes.c_void_p()
    library = open_cublas(cupy)
    if judge(cupy) is None:
        call_cublas(library, "cublasCreate_v2", ctypes.byref(handle))
        call_cublas(library, "cublasDestroy_v2", handle)
        return
    with pytest.raises(CublasError) as caught:
        call_cublas(library, "cublasCreate_v2", ctypes.byref(handle))
    assert caught.value.status == 1


def find_wheel() -> tuple[Path, Path]:
    """The library and the header that the wheel of NVIDIA brings."""
    for name in ("nvidia-cublas", "nvidia-cublas-cu12"):
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        found = [
            next(Path(str(file.locate())) for file in files if file.match(pattern))
            for pattern in ("libcublas.so.*", "cublas_api.h")
        ]
        return found[0], found[1]
    pytest.skip("the wheel nvidia-cublas is not installed")


def test_the_library_has_the_functions() -> None:
    path, _ = find_wheel()
    ctypes.CDLL(str(next(path.parent.glob("libcublasLt.so.*"))), mode=os.RTLD_GLOBAL)
    library = ctypes.CDLL(str(path))
    for name in SIGNATURES:
        assert getattr(library, name) is not None


def test_the_numbers_are_those_of_the_header() -> None:
    _, path = find_wheel()
    header = path.read_text(encoding="utf-8")
    numbers = {name: int(number) for name, number in re.findall(r"\b(CUBLAS_\w+) = (-?\d+)", header)}
    ours = {name: number for name, number in vars(cublas).items() if name.startswith("CUBLAS_")}
    ours |= {name: status for status, (name, _) in STATUSES.items()}
    assert len(ours) == 7 + len(STATUSES)
    assert ours == {name: numbers[name] for name in ours}


def test_the_types_are_those_of_the_header() -> None:
    _, path = find_wheel()
    header = path.read_text(encoding="utf-8")
    words = {"size_t": ctypes.c_size_t, "long long int": ctypes.c_longlong}
    words |= dict.fromkeys(("cublasHandle_t", "cudaStream_t"), ctypes.c_void_p)
    enumerations = ("cudaDataType", "cublasOperation_t", "cublasComputeType_t", "cublasGemmAlgo_t")
    words |= dict.fromkeys(("int", *enumerations), ctypes.c_int)
    for name, types in SIGNATURES.items():
        (parameters,) = re.findall(rf"CUBLASWINAPI {name}\(([^)]*)\);", header)
        for parameter, kind in zip(parameters.split(","), types, strict=True):
            if "*" in parameter:
                assert kind is ctypes.c_void_p
            else:
                assert kind is words[parameter.rsplit(maxsplit=1)[0].strip()]
