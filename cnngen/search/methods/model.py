"""Search by a model of what has been trained: Bayesian optimisation with trees.

As in BANANAS (White et al., 2021, BANANAS: Bayesian optimization with neural architectures for
neural architecture search), candidates are mutants of the best networks, and an ensemble's spread is
its uncertainty; with several objectives each decision draws a weighting of them, as in ParEGO (Knowles,
2006, ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
optimization problems).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from cnngen.network import Network
from cnngen.search.pareto import ranked
from cnngen.search.problem import Candidate, Evaluation, Losses, Problem
from cnngen.search.searcher import SpaceSearcher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST = 20
"""Networks that are drawn from the space before the model decides."""

PARENTS = 10
"""How many of the best networks have children."""

CHILDREN = 60
FRESH = 20
"""How many children and networks of the space the model chooses from."""

EXPLORED = 0.05
"""The share of decisions that the model has no part in."""

TREES = 32

DOMAIN = 60
"""Networks from which on candidates unlike all of them are left out."""


class ModelSearch(SpaceSearcher):
    """Trains the candidate whose improvement a model of all trainings expects to be greatest.

    The model is an ensemble of randomised trees (Geurts et al., 2006, Extremely randomized trees) on
    the features of `cnngen.predict`, fitted anew for each decision. The improvement is the mean over
    the trees, so that a candidate about which they disagree has its chance. Failures count as the
    worst figures so far. Candidates outside the domain of what was trained are left out, where there
    are others: of them the model knows nothing.
    """

    name: ClassVar[str] = "model"
    interface: ClassVar[int] = 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.known: list[tuple[Network, Losses | None]] = []

    def propose(self, random: Random) -> Candidate:
        reached = [(network, losses) for network, losses in self.known if losses is not None]
        if self.decisions < FIRST or len(reached) < FIRST // 2 or random.random() < EXPLORED:
            return self.fresh()
        pool = self._pool(random, reached)
        return self._best(random, pool, [losses for _, losses in reached])

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.known.append((candidate.network, self.problem.losses(evaluation)))

    def _pool(self, random: Random, reached: list[tuple[Network, Losses]]) -> list[Candidate]:
        """Candidates, none twice."""
        order = ranked([losses for _, losses in reached])
        parents = [reached[i][0] for i in order[:PARENTS]]
        pool: dict[str, Candidate] = {}
        for number in range(CHILDREN):
            child = self.mutant(random, parents[number % len(parents)])
            pool.setdefault(child.network.id, child)
        for _ in range(FRESH):
            fresh = self.fresh()
            pool.setdefault(fresh.network.id, fresh)
        return list(pool.values())

    def _best(self, random: Random, pool: list[Candidate], reached: list[Losses]) -> Candidate:
        import numpy as np

        from cnngen.predict import features
        from cnngen.predict.domain import Domain

        networks = [network for network, _ in self.known]
        if len(networks) >= DOMAIN:
            near = Domain.of(networks).distances([one.network for one in pool]) <= 1
            if near.any():
                pool = [one for one, inside in zip(pool, near, strict=True) if inside]
        worst = tuple(map(max, zip(*reached, strict=True)))
        losses = np.array([worst if own is None else own for _, own in self.known], np.float64)
        scale = _Scale(losses)
        known = features.table(networks)
        trees = _trees(known, scale.scores, random.randrange(2**31))
        rows = features.table([one.network for one in pool])
        predicted = np.stack([tree(rows) for tree in trees])  # (trees, candidates, objectives)
        weights = _weights(random, losses.shape[1])
        own = _scalar(predicted, weights)
        # The best by the trees' own account: the best figure is in part its seed's luck.
        best = _scalar(np.stack([tree(known) for tree in trees]), weights).mean(0).min()
        improvement = np.maximum(0, best - own).mean(0)
        # Where none is expected to improve, the one that is likeliest to.
        order = np.lexsort((own.mean(0), -improvement))
        at = int(order[0])
        figures = scale.back(predicted[:, at].mean(0))
        objectives = self.problem.objectives
        told = {o.name: o.loss(float(x)) for o, x in zip(objectives, figures, strict=True)}
        one = pool[at]
        return Candidate(
            one.network, one.operator, one.parents, one.seed, told, reopened=one.reopened
        )


class _Scale:
    """Losses as normal scores: the quantiles of a normal distribution at their ranks.

    So the trees tell the best networks from each other as well as the many others, whatever the
    objective's unit and however far off its worst figures are.
    """

    def __init__(self, losses: Floats) -> None:
        import numpy as np
        from scipy.stats import norm, rankdata

        ranks = rankdata(losses, axis=0)
        self.scores: Floats = norm.ppf((ranks - 0.5) / len(losses))
        self.known = [
            tuple(map(np.array, zip(*sorted(set(zip(own, scores, strict=True))), strict=True)))
            for own, scores in zip(losses.T, self.scores.T, strict=True)
        ]

    def back(self, scores: Floats) -> Floats:
        """Losses from the scores that the trees predict, one for each objective."""
        import numpy as np

        pairs = zip(scores, self.known, strict=True)
        return np.array([np.interp(score, own, losses) for score, (losses, own) in pairs])


def _trees(rows: Floats, targets: Floats, seed: int) -> list[Callable[[Floats], Floats]]:
    """Functions from rows (networks, features) to targets (networks, objectives)."""
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=seed)
    forest.fit(rows, targets if targets.shape[1] > 1 else targets[:, 0])

    def predict(tree: Any, rows: Floats) -> Floats:
        figures: Floats = tree.predict(rows).reshape(len(rows), -1)
        return figures

    return [partial(predict, tree) for tree in forest.estimators_]


def _weights(random: Random, count: int) -> list[float]:
    """Weights of objectives that sum to 1, each such as likely."""
    cuts = sorted(random.random() for _ in range(count - 1))
    return [high - low for low, high in zip([0.0, *cuts], [*cuts, 1.0], strict=True)]


def _scalar(losses: Floats, weights: list[float]) -> Floats:
    """One number for the objectives on the last axis: ParEGO's augmented Chebyshev norm."""
    import numpy as np

    weighted = losses * np.array(weights)
    scalar: Floats = weighted.max(-1) + 0.05 * weighted.sum(-1)
    return scalar
