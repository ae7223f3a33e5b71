"""One network in several frameworks: the same weights, images and steps, and what comes out.

    with Verifier([parse_mode("torch"), parse_mode("keras:jax")]) as verifier:
        verifier.verify(network).is_equal

`docs/verify.md` tells what is compared and how closely.
"""

from cnngen.comparison.equality.inputs import STEPS
from cnngen.comparison.equality.tolerances import TOLERANCES, Difference
from cnngen.comparison.equality.verifier import DEFINITIONS, Fault, Pair, Verification, Verifier

__all__ = [
    "DEFINITIONS",
    "STEPS",
    "TOLERANCES",
    "Difference",
    "Fault",
    "Pair",
    "Verification",
    "Verifier",
]
