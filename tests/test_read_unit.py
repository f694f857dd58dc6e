"""What one unit reads is what the forward walk of the whole network gives it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import Case, cases

from graphbptt.ir.expression import Net, leaves
from graphbptt.ir.layout import place_parameters
from graphbptt.ir.noise import Noise
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.reference import run_reference
from graphbptt.reference.forward import leaf_values
from graphbptt.reference.read_unit import UnitPlace, read_unit


@given(case=cases(), data=st.data())
def test_of_any_network(case: Case, data: st.DataObject) -> None:
    network = case.fold()
    layout = place_parameters(network)
    vector = case.draw_vector(layout.size)
    batch = bind_batch(network, case.fields, case.steps, np.float64, noise=Noise(3))
    forward = run_reference(network, layout, vector, batch)
    states = {p.name: forward.series(p.name).swapaxes(0, 1) for p in network.populations}
    for node, step in sorted(forward.nets):
        population = network.population[node]
        unit = data.draw(st.integers(0, population.units - 1), label=f"unit of {node}")
        example = data.draw(st.integers(0, batch.size - 1), label="example")
        read = read_unit(network, layout, vector, batch, states, UnitPlace(node, unit, example, step))
        known = leaf_values(forward, (node, step))
        for leaf in dict.fromkeys([Net(), *leaves(population.activation)]):
            wanted = np.broadcast_to(known(leaf), (batch.size, population.units))[example, unit]
            np.testing.assert_allclose(read(leaf), wanted, rtol=1e-10, atol=1e-10, err_msg=str(leaf))
