"""The parts of `lower_forward` and `differentiate`: for each operation, how it is made and how it is undone.

draft      a plan while its forward sweeps are made
arrivals   when what arrives at a stage is computed: before its loop, or inside it
products   connections and biases as matrix products
copies     data and ones beside the states, so that one product reads all
pointwise  everything element-wise: activations, biases, diagonal weights, noise
softmax    over the units of a population
reversal   the backward sweep of a stage while it is made
slopes     local derivatives, and what of the forward sweep is kept for them
"""
