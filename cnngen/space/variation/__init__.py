"""Variation of networks, by operators on their sentences that keep to a space."""

from cnngen.space.variation.distance import distance
from cnngen.space.variation.vary import OPERATORS, Variant, cross, inside, vary

__all__ = ["OPERATORS", "Variant", "cross", "distance", "inside", "vary"]
