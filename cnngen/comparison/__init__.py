"""The same networks in several frameworks: which needs less time and energy, and how sure it is.

A design says what is trained; a runner trains it, one mode at a time, and keeps every run; a
`Comparison` reads the runs and says what they allow to be said.
"""

from cnngen.comparison.accuracy_agreement import Agreement, agreement
from cnngen.comparison.comparison import Comparison, read_comparison
from cnngen.comparison.design import Block, Compared, Design
from cnngen.comparison.experiment import CompareWatch, compare
from cnngen.comparison.measures import FIGURES, Figure, Measure, measure
from cnngen.comparison.statistics import Interval, fewest_pairs, holm, interval, p_value
from cnngen.comparison.verdicts import Verdict, agreements, verdicts

__all__ = [
    "FIGURES",
    "Agreement",
    "Block",
    "CompareWatch",
    "Compared",
    "Comparison",
    "Design",
    "Figure",
    "Interval",
    "Measure",
    "Verdict",
    "agreement",
    "agreements",
    "compare",
    "fewest_pairs",
    "holm",
    "interval",
    "measure",
    "p_value",
    "read_comparison",
    "verdicts",
]
