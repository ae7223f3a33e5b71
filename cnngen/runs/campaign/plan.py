"""The plan of a campaign: which networks are trained, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from typing import Protocol as TypingProtocol

from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.table import flatten
from cnngen.space import load_space
from cnngen.space.sampling import NO_BOUNDS, Bounds, Draw, draws
from cnngen.system.files import write_file
from cnngen.system.ranges import MAX_SEED, refuse_seeds
from cnngen.system.untrusted import read_text
from cnngen.training.data import Dataset
from cnngen.training.protocol import ADDED, Protocol

FILE = "campaign.json"
SEARCH_FILE = "search.json"
"""The file of a search's settings (`cnngen.search`), which has its folder for itself."""
SCHEMA = 1
MAX_FILE = 2**20
"""Most bytes of settings that are read."""

UNLIMITED = 2**64
"""The limit of networks' seeds in campaigns of versions that stated none."""

Settings = dict[str, object]
"""A plan with the data set it met, flat: `protocol.epochs`. What JSON can hold."""


class Shard(NamedTuple):
    """Part `number` of `parts`, counted from 1: every `parts`-th network of the list."""

    number: int
    parts: int

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"


WHOLE = Shard(1, 1)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The networks of a campaign and their training.

    Each network is trained `repeats` times, with the protocol's seed and those after it.
    Network number i depends on `space`, `bounds`, `seed` and i alone: more of them, or
    shards, never change the list. The networks' own seeds are less than `seeds_below`.
    Raises `CnnGenError` for what cannot be planned.
    """

    count: int
    space: str = "paper"
    protocol: Protocol
    backend: str = "torch"
    seed: int = 0
    bounds: Bounds = NO_BOUNDS
    country: str | None = None
    tdp: float | None = None
    shard: Shard = WHOLE
    seeds_below: int = MAX_SEED + 1
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise CnnGenError(f"a campaign of {self.count} networks trains nothing")
        number, parts = self.shard
        if not 1 <= number <= parts:
            raise CnnGenError(
                f"there is no shard {self.shard}",
                hint="Shards are counted from 1: 1/4, 2/4, 3/4, 4/4.",
            )
        if number > self.count:
            raise CnnGenError(f"shard {self.shard} of {self.count} networks is empty")
        if self.repeats < 1:
            raise CnnGenError(f"{self.repeats} trainings of each network are none")
        refuse_seeds(self.seed, self.protocol.seed)

    @property
    def space_name(self) -> str:
        """The name that records give for the space."""
        return load_space(self.space).name

    def draws(self, data: Dataset) -> Iterator[Draw]:
        """The networks of this shard, in order, for the images of a data set."""
        drawn = draws(
            self.count,
            self.space,
            input_shape=data.input_shape,
            classes=data.classes,
            seed=self.seed,
            bounds=self.bounds,
            seeds_below=self.seeds_below,
        )
        return islice(drawn, self.shard.number - 1, None, self.shard.parts)

    def __len__(self) -> int:
        """How many networks this shard has."""
        return self.shard_of(self.count)

    @property
    def trainings(self) -> int:
        """How many trainings this shard has."""
        return len(self) * self.repeats

    def shard_of(self, count: int) -> int:
        """How many of so many networks are this shard's."""
        return len(range(self.shard.number - 1, count, self.shard.parts))

    def settings(self, data: Dataset) -> Settings:
        """All that decides what the campaign's records will be."""
        limit = {"seeds_below": self.seeds_below} if self.seeds_below != UNLIMITED else {}
        own = {"schema": SCHEMA, "count": self.count, **limit, "shard": str(self.shard)}
        if self.repeats > 1:
            own["repeats"] = self.repeats
        return settings_of(self, data, own)


class TrainingPlan(TypingProtocol):
    """What a campaign and a search decide on: the networks that may be trained, and how."""

    @property
    def space(self) -> str: ...
    @property
    def protocol(self) -> Protocol: ...
    @property
    def backend(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def bounds(self) -> Bounds: ...
    @property
    def country(self) -> str | None: ...
    @property
    def tdp(self) -> float | None: ...


def settings_of(plan: TrainingPlan, data: Dataset, own: Mapping[str, object]) -> Settings:
    """The settings of a plan with the data set it met, and those that are its kind's `own`."""
    space = load_space(plan.space)
    content = hashlib.sha256(repr(space.model_dump()).encode()).hexdigest()[:16]
    settings = flatten(
        {
            **own,
            "seed": plan.seed,
            "space": {"name": space.name, "digest": content},
            "bounds": asdict(plan.bounds),
            "backend": plan.backend,
            "protocol": asdict(plan.protocol),
            "data": asdict(data.summary),
            "country": plan.country,
            "tdp": plan.tdp,
        },
        ".",
    )
    # Tuples become lists, as they are in the file.
    return {name: json.loads(json.dumps(value)) for name, value in settings}


def as_begun(plan: Plan, folder: Path) -> Plan:
    """The plan with the limit of seeds of the campaign in a folder, if one began there.

    An older version's campaign so goes on with its own networks. Raises `StoreError` as `read`
    does.
    """
    there = read(folder)
    if there is None or "seeds_below" in there:
        return plan
    return replace(plan, seeds_below=UNLIMITED)


def claim(folder: Path, settings: Settings, *, shrink: bool = False) -> None:
    """Make a folder that of a campaign, or find that it is already.

    A campaign that has only grown goes on; with `shrink`, also one for fewer networks. Raises
    `StoreError` that names the differences where another campaign is there.
    """
    if (folder / SEARCH_FILE).exists():
        raise StoreError(
            f"{folder} holds a search", hint="A campaign needs a folder of its own: --out."
        )
    there = read(folder)
    if there is not None:
        differing = differences(there, settings)
        for name in ("count", "repeats"):
            if shrink or _number(there, name) < _number(settings, name):
                differing.pop(name, None)
        if differing:
            raise StoreError(
                f"{folder} holds another campaign: {told(differing)}",
                hint="Take another folder, or the same settings; only --count and --repeats may grow.",
            )
        if there == settings:
            return
    write_file(folder, FILE, (json.dumps(settings, indent=2) + "\n").encode())


def read(folder: Path, file: str = FILE) -> Settings | None:
    """The settings of the campaign in a folder, or of what has its own `file`; None where there is
    none.

    Raises `StoreError` where they cannot be read.
    """
    path = folder / file
    try:
        settings = json.loads(read_text(path, MAX_FILE, root=folder))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}", hint="Remove it to begin anew over the runs."
        ) from None
    if not isinstance(settings, dict):
        raise StoreError(f"{path} does not hold settings")
    if settings.get("schema") != SCHEMA:
        raise StoreError(f"{path} is of another version of CNNGen")
    return settings | {
        f"protocol.{field.name}": field.default
        for field in fields(Protocol)
        if field.name in ADDED and f"protocol.{field.name}" not in settings
    }


def differences(some: Settings, others: Settings) -> dict[str, tuple[object, object]]:
    """The settings in which two campaigns differ, with both values."""
    return {
        name: (some.get(name), others.get(name))
        for name in dict.fromkeys([*some, *others])
        if some.get(name) != others.get(name)
    }


def told(differing: Mapping[str, tuple[object, object]]) -> str:
    """Differences in words."""
    return "; ".join(
        f"{name} is {json.dumps(old)} there, {json.dumps(new)} here"
        for name, (old, new) in differing.items()
    )


def _number(settings: Settings, name: str) -> int:
    number = settings.get(name, 1)
    return number if isinstance(number, int) else 0
