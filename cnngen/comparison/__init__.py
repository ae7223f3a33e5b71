"""Compare frameworks on the same networks: time and energy, with confidence intervals.

A `Design` lists the trainings, `compare` runs them one mode at a time and keeps every run, and
a `Comparison` reads the runs and draws the conclusions that they support.
"""

from cnngen.comparison.accuracy_agreement import Agreement, agreement
from cnngen.comparison.comparison import Comparison, read_comparison
from cnngen.comparison.design import Compared, Design, TrainingBlock
from cnngen.comparison.experiment import CompareWatch, compare
from cnngen.comparison.measures import FIGURES, Figure, Measure, measure
from cnngen.comparison.statistics import Interval, fewest_pairs, holm, interval, p_value
from cnngen.comparison.verdicts import Verdict, agreements, verdicts

Block = TrainingBlock
"""The former name of `TrainingBlock`."""

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
    "TrainingBlock",
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
