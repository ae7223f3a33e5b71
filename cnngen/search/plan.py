"""The plan of a search: what it looks for, where and how, and when it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cnngen.errors import CnnGenError, StoreError
from cnngen.network import Network
from cnngen.runs.campaign.plan import FILE as CAMPAIGN_FILE
from cnngen.runs.campaign.plan import (
    SEARCH_FILE,
    Settings,
    differences,
    read,
    settings_of,
    told,
)
from cnngen.search.problem import Problem, objectives_named
from cnngen.search.registry import get_searcher
from cnngen.search.searcher import Searcher
from cnngen.space import load_space
from cnngen.space.sampling import NO_BOUNDS, Bounds
from cnngen.space.variation import inside
from cnngen.system.files import write_file
from cnngen.system.ranges import refuse_seeds
from cnngen.training.data import Dataset
from cnngen.training.protocol import Protocol

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends: after so many trainings, hours of searching, or watt-hours of training,
    whichever comes first. What is in training then is waited for.

    Raises `CnnGenError` for a budget that is not above 0, or none at all.
    """

    count: int | None = None
    hours: float | None = None
    watt_hours: float | None = None

    def __post_init__(self) -> None:
        given = {"count": self.count, "hours": self.hours, "watt_hours": self.watt_hours}
        for name, value in given.items():
            if value is not None and not value > 0:
                raise CnnGenError(f"a search cannot end after {value} {name.replace('_', '-')}")
        if all(value is None for value in given.values()):
            raise CnnGenError(
                "a search needs an end", hint="Give --count, --hours or --watt-hours."
            )


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """All that decides what a search does, but for its budget, which may grow.

    `method` is the name of a `Searcher`, `objectives` are names of `OBJECTIVES`. `starts` are
    networks that are trained first; they need not be in the space, but within the bounds.
    Raises `CnnGenError` for what cannot be planned.
    """

    method: str = "evolution"
    objectives: tuple[str, ...] = ("accuracy",)
    space: str = "paper"
    protocol: Protocol
    backend: str = "torch"
    seed: int = 0
    bounds: Bounds = NO_BOUNDS
    starts: tuple[Network, ...] = ()
    country: str | None = None
    tdp: float | None = None

    def __post_init__(self) -> None:
        objectives_named(self.objectives)
        get_searcher(self.method)
        refuse_seeds(self.seed, self.protocol.seed)

    @property
    def space_name(self) -> str:
        """The name that records give for the space."""
        return load_space(self.space).name

    def problem(self, data: Dataset) -> Problem:
        """What a searcher is made with. Raises `CnnGenError` for starts that do not fit."""
        for start in self.starts:
            if start.input_shape != data.input_shape or start.classes != data.classes:
                raise CnnGenError(
                    f"the starting point {start.name or start.id} is not for the images of "
                    f"'{data.name}'",
                    hint="Leave its `input` and `output` open.",
                )
            broken = self.bounds.broken_by(start)
            if broken is not None:
                raise CnnGenError(
                    f"the starting point {start.name or start.id} is outside the bounds: it has "
                    f"{broken}"
                )
        return Problem(
            load_space(self.space),
            data.input_shape,
            data.classes,
            objectives_named(self.objectives),
            self.protocol.epochs,
            self.bounds,
            self.starts,
        )

    def searcher(self, data: Dataset) -> Searcher:
        """The method, made anew. Raises `CnnGenError` where that fails."""
        problem = self.problem(data)
        try:
            return get_searcher(self.method)(problem, self.seed)
        except CnnGenError:
            raise
        except Exception as error:
            raise CnnGenError(
                f"the search method '{self.method}' cannot be made: {type(error).__name__}: {error}"
            ) from error

    def settings(self, data: Dataset) -> Settings:
        """All that decides what the search does, flat, as its file has it."""
        own = {
            "schema": SCHEMA,
            "method": self.method,
            "objectives": ",".join(self.objectives),
            "starts": ",".join(start.id for start in self.starts),
        }
        return settings_of(self, data, own)


def claim_search(folder: Path, settings: Settings) -> None:
    """Make a folder that of a search, or find that it is already.

    Raises `StoreError` where another search, or a campaign, is there.
    """
    if (folder / CAMPAIGN_FILE).exists():
        raise StoreError(
            f"{folder} holds a campaign", hint="A search needs a folder of its own: --out."
        )
    there = read(folder, SEARCH_FILE)
    if there is None:
        write_file(folder, SEARCH_FILE, (json.dumps(settings, indent=2) + "\n").encode())
        return
    differing = differences(there, settings)
    if differing:
        raise StoreError(
            f"{folder} holds another search: {told(differing)}",
            hint="Take another folder, or the same settings.",
        )


def outside_reason(network: Network, problem: Problem) -> str | None:
    """Why a method may not ask for a network; None if it may. Starts are within the bounds alone."""
    if (network.input_shape, network.classes) != (problem.input_shape, problem.classes):
        return "it is for other images or classes"
    if network.id in {start.id for start in problem.starts}:
        return None
    return inside(network, problem.space, problem.bounds)
