"""Search by a model of what has been trained: Bayesian optimisation with trees.

As in BANANAS (White et al., 2021, BANANAS: Bayesian optimization with neural architectures for
neural architecture search), candidates are mutants of the best networks, and an ensemble's spread is
its uncertainty; with several objectives each decision draws a weighting of them, as in ParEGO (Knowles,
2006, ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
optimization problems).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from cnngen.network import Network
from cnngen.search.problem import Candidate, Evaluation, Losses, Problem
from cnngen.search.searcher import SpaceSearcher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST = 20
"""Networks that are drawn from the space before the model decides."""

PARENTS = 15
"""How many of the best networks have children."""

CHILDREN = 60
FRESH = 40
"""How many children and networks of the space the model chooses from."""

EXPLORED = 0.05
"""The share of decisions that the model has no part in."""

TREES = 48

DOMAIN = 60
"""Networks from which on candidates unlike all of them are left out."""


class ModelSearch(SpaceSearcher):
    """Trains the candidate that a model of all trainings expects the most of.

    The model is a forest of randomised trees (Geurts et al., 2006, Extremely randomized trees), each on
    a bootstrap sample, on the features of `cnngen.predict`, fitted anew for each decision. Candidates
    are judged by the mean of the trees less their deviation, so that one about which they disagree has
    its chance. Parents are judged by what the trees that have not seen them say, as much as by their own
    figures, which are in part their seeds' luck. Failures count as the worst figures so far. Candidates
    outside the domain of what was trained are left out, where there are others: of them the model knows
    nothing.
    """

    name: ClassVar[str] = "model"
    interface: ClassVar[int] = 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.known: list[tuple[Network, Losses | None]] = []

    def propose(self, random: Random) -> Candidate:
        reached = [losses for _, losses in self.known if losses is not None]
        if self.decisions < FIRST or len(reached) < FIRST // 2 or random.random() < EXPLORED:
            return self.fresh()
        return self._best(random, tuple(map(max, zip(*reached, strict=True))))

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.known.append((candidate.network, self.problem.losses(evaluation)))

    def _best(self, random: Random, worst: Losses) -> Candidate:
        import numpy as np

        from cnngen.predict import features

        networks = [network for network, _ in self.known]
        losses = np.array([worst if own is None else own for _, own in self.known], np.float64)
        scale = _Scale(losses)
        forest = _Forest(features.table(networks), scale.scores, random.randrange(2**31))
        weights = _weights(random, losses.shape[1])
        smooth = _scalar((forest.unseen + scale.scores) / 2, weights)
        order = np.argsort(smooth, kind="stable")
        pool = self._pool(random, [networks[i] for i in order[:PARENTS]])
        predicted = forest(features.table([one.network for one in pool]))
        own = _scalar(predicted, weights)  # (trees, candidates)
        at = int(np.argmin(own.mean(0) - own.std(0)))
        figures = scale.back(predicted[:, at].mean(0))
        objectives = self.problem.objectives
        told = {o.name: o.loss(float(x)) for o, x in zip(objectives, figures, strict=True)}
        one = pool[at]
        return Candidate(
            one.network, one.operator, one.parents, one.seed, told, reopened=one.reopened
        )

    def _pool(self, random: Random, parents: list[Network]) -> list[Candidate]:
        """Candidates, none twice, and inside the domain of what was trained."""
        from cnngen.predict.domain import Domain

        found: dict[str, Candidate] = {}
        for number in range(CHILDREN):
            child = self.mutant(random, parents[number % len(parents)])
            found.setdefault(child.network.id, child)
        for _ in range(FRESH):
            fresh = self.drawn(random)
            found.setdefault(fresh.network.id, fresh)
        pool = list(found.values())
        if len(self.known) < DOMAIN:
            return pool
        domain = Domain.of([network for network, _ in self.known])
        near = domain.distances([one.network for one in pool]) <= 1
        return [one for one, inside in zip(pool, near, strict=True) if inside] or pool


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


class _Forest:
    """Trees from rows (networks, features) to scores (networks, objectives)."""

    def __init__(self, rows: Floats, scores: Floats, seed: int) -> None:
        import numpy as np
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(
            TREES, min_samples_leaf=4, max_features=0.5, bootstrap=True, random_state=seed
        )
        forest.fit(rows, scores if scores.shape[1] > 1 else scores[:, 0])
        self.trees = forest.estimators_
        sampled = forest.estimators_samples_
        sums, counts = np.zeros_like(scores), np.zeros(len(rows))
        for tree, seen in zip(self.trees, sampled, strict=True):
            apart = np.ones(len(rows), np.bool_)
            apart[seen] = False
            if apart.any():
                sums[apart] += tree.predict(rows[apart]).reshape(-1, scores.shape[1])
                counts[apart] += 1
        known = counts > 0
        self.unseen: Floats = scores.copy()
        """What the trees that have not seen a network say of it."""
        self.unseen[known] = sums[known] / counts[known, np.newaxis]

    def __call__(self, rows: Floats) -> Floats:
        """What each tree says: (trees, networks, objectives)."""
        import numpy as np

        return np.stack([tree.predict(rows).reshape(len(rows), -1) for tree in self.trees])


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
