"""Named networks by the cupy backend and CuPy itself, on `host_runtime`; for a process of its own."""

from __future__ import annotations

import numpy as np
from host_runtime import HostRuntime, install

host = HostRuntime()
cupy = install(host)

from agreement import assert_agreement  # noqa: E402 - CuPy is not imported before its CUDA is replaced
from named_networks import NETWORKS, draw_fields  # noqa: E402

from graphbptt.compiler import compile_network  # noqa: E402
from graphbptt.ir.layout import draw_parameters  # noqa: E402
from graphbptt.passes.bind_batch import bind_batch  # noqa: E402
from graphbptt_cupy import gpu  # noqa: E402
from graphbptt_cupy.blas import Numbers  # noqa: E402
from graphbptt_cupy.executable import DeviceExecutable  # noqa: E402
from graphbptt_cupy.gpu import GpuDevice  # noqa: E402
from graphbptt_cupy.presence import judge  # noqa: E402

FEW = NETWORKS[:3]
DOUBLE = np.dtype(np.float64)


def main() -> None:
    missing = judge(cupy)
    if missing is not None:
        print(f"skipped: {missing}")
        return
    gpu.open_cublas = host.open_cublas
    for network in FEW:
        plan = compile_network(network())
        batch = bind_batch(plan.network, draw_fields(3, 6, padded=True), 6, DOUBLE)
        vector = draw_parameters(plan.network, plan.layout, 1, DOUBLE)
        for captured in (False, True):
            host.device = 0
            executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE), captured))
            for device in (0, 1, 0):
                host.device = device
                assert_agreement(plan, executable, vector, batch)
                assert host.device == device
            if not captured:
                assert not host.counts["graphLaunch"]
        assert host.counts["graphLaunch"], "nothing was recorded"
        host.counts.clear()
        executable.loss_and_gradient(vector, batch, np.empty(plan.layout.free))
        counts = {
            name: host.counts[name] for name in ("malloc", "launchKernel", "compile", "streamSynchronize")
        }
        assert counts == {"malloc": 0, "launchKernel": 0, "compile": 0, "streamSynchronize": 1}, counts
        host.counts.clear()
    assert not host.mistakes, "\n".join(host.mistakes)
    print("all agree")


if __name__ == "__main__":
    main()
