"""What the cupy backend says of the GPU that it runs on."""

from __future__ import annotations

from types import SimpleNamespace

from graphbptt_cupy.presence import describe_gpu


def test_device_and_versions() -> None:
    runtime = SimpleNamespace(
        getDevice=lambda: 1,
        getDeviceProperties=lambda device: {"name": b"some GPU %d" % device},
        runtimeGetVersion=lambda: 13020,
    )
    cupy = SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime))
    assert list(describe_gpu(cupy)) == ["device: some GPU 1", "library: CuPy 14.2.0, CUDA 13.2"]
