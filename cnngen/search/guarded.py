"""A search method that may be a stranger's: what it raises, returns or never returns is an error
with its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from cnngen.errors import CnnGenError, shorten
from cnngen.network import Network
from cnngen.search.plan import outside_reason
from cnngen.search.problem import Candidate, Evaluation
from cnngen.search.searcher import Searcher

P = ParamSpec("P")
Result = TypeVar("Result")

PATIENCE = 600.0
"""Seconds after which a method that has not answered counts as hung."""


class SearchError(CnnGenError):
    """A search method failed. What it has decided before is kept."""


class GuardedSearcher:
    """Calls a search method, and raises `SearchError` for whatever goes wrong in it.

    Errors of CNNGen's own, such as that of an exhausted space, pass.
    """

    def __init__(self, searcher: Searcher, *, patience: float = PATIENCE) -> None:
        self.searcher = searcher
        self.name = type(searcher).name
        self.patience = patience

    def ask(self) -> Candidate:
        """The next decision, checked."""
        candidate = self._call(type(self.searcher).ask)
        if not isinstance(candidate, Candidate) or not isinstance(candidate.network, Network):
            raise self._rubbish(f"{shorten(repr(candidate))}, which is not a Candidate")
        if candidate.epochs is not None and not (
            isinstance(candidate.epochs, int) and 1 <= candidate.epochs <= self._epochs
        ):
            raise self._rubbish(f"{candidate.epochs!r} epochs; a training has 1 to {self._epochs}")
        why = outside_reason(candidate.network, self.searcher.problem)
        if why is not None:
            raise self._rubbish(f"the network {candidate.network.id}: {why}")
        return candidate

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Tell what came of a candidate."""
        self._call(type(self.searcher).tell, candidate, evaluation)

    def resume(self, candidate: Candidate) -> None:
        """Tell of a decision of an earlier process."""
        self._call(type(self.searcher).resume, candidate)

    @property
    def _epochs(self) -> int:
        return self.searcher.problem.epochs

    def _rubbish(self, what: str) -> SearchError:
        return SearchError(
            f"the search method '{self.name}' asks for {what}",
            hint="That is a mistake of the method. What it decided before is kept.",
        )

    def _call(
        self, method: Callable[Concatenate[Any, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        done: list[Result] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                done.append(method(self.searcher, *args, **kwargs))
            except BaseException as error:
                failed.append(error)

        # A thread that hangs cannot be ended, but it does not keep the process from ending.
        thread = threading.Thread(target=work, name=f"search {self.name}", daemon=True)
        thread.start()
        thread.join(self.patience)
        if thread.is_alive():
            raise SearchError(
                f"the search method '{self.name}' has not answered for {self.patience:,.0f} s",
                hint="The same command goes on from its last decision.",
            )
        if failed:
            [error] = failed
            if isinstance(error, CnnGenError):
                raise error
            raise SearchError(
                f"the search method '{self.name}' failed in {method.__name__}: "
                f"{type(error).__name__}: {shorten(str(error), 200)}",
                hint="That is a mistake of the method. What it decided before is kept.",
            ) from error
        return done[0]
