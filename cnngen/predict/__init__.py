"""Predict what a training would give, without training.

    known = examples("runs/digits")
    model = PREDICTORS["trees"]().fit(known, "accuracy")
    model.predict([network]).mean

A predictor needs only the network. Packages add further predictors through the entry-point
group `cnngen.predictors`, each with a name and a subclass of `Predictor`.
"""

from cnngen.predict.examples import TARGETS, Example, Target, examples
from cnngen.predict.model_file import State
from cnngen.predict.predictor import Prediction, Predictor, load
from cnngen.predict.registry import PREDICTORS
from cnngen.predict.scores import Score, judge, kendall, score
from cnngen.predict.splits import Split, by_data, by_size, repeats, split

__all__ = [
    "PREDICTORS",
    "TARGETS",
    "Example",
    "Prediction",
    "Predictor",
    "Score",
    "Split",
    "State",
    "Target",
    "by_data",
    "by_size",
    "examples",
    "judge",
    "kendall",
    "load",
    "repeats",
    "score",
    "split",
]
