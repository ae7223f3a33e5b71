"""Variation of networks, by operators on their sentences that keep to a space."""

from cnngen.space.variation.distance import edit_distance
from cnngen.space.variation.vary import OPERATORS, Variant, cross, inside, vary

__all__ = ["OPERATORS", "Variant", "cross", "edit_distance", "inside", "vary"]
