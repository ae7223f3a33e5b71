"""Check that frameworks compute the same results from the same weights, images and steps.

    with Verifier([parse_mode("torch"), parse_mode("keras:jax")]) as verifier:
        verifier.verify(network).is_equal

`docs/verify.md` describes what is compared, and the tolerances.
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
