"""The reference executor: backpropagation through time to the letter, the oracle of every backend.

    forward    walk the unrolled graph in topological order and compute the state of every vertex
    backward   walk it in reverse, add in the error derivatives of every vertex that has a target, and keep
               the derivative by every copy of every parameter, as if the copies were independent
    add_copies combine the derivatives of the copies of each group

Nothing is merged, hoisted or reused: it is slow and meant to be obvious. It takes nothing from a plan but the
network and the layout of its parameters.
"""

from graphbptt.reference.backward import add_copies, derive_copies, reference_loss_and_gradient
from graphbptt.reference.executable import ReferenceBackend
from graphbptt.reference.forward import ForwardPass, measure_losses, run_reference

__all__ = [
    "ForwardPass",
    "ReferenceBackend",
    "add_copies",
    "backend",
    "derive_copies",
    "measure_losses",
    "reference_loss_and_gradient",
    "run_reference",
]

backend = ReferenceBackend()
"""What the entry point names."""
