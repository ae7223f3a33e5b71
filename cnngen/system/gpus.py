"""Which worker gets which GPU: the cards of a machine, and their division among workers.

Cards are asked for through NVML, NVIDIA's management library, so that no framework is loaded
into a process that only hands out work. `allocate` is a pure function of what was found.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import ModuleType

from cnngen.errors import CnnGenError, counted

GIB = 2**30

CONTEXT = 0.6 * GIB
"""Bytes of a card that each process takes for itself before it computes: CUDA's context and the
kernels of cuDNN. No framework's limit counts them. To be measured; NVIDIA names no figure."""

LEAST_ROOM = 0.5 * GIB
"""Bytes for tensors below which a worker is not worth starting."""

VISIBLE = "CUDA_VISIBLE_DEVICES"
LABEL = "CNNGEN_GPU"
"""The variable in which a worker finds the name of its card, for people to read."""
SHARE = "CNNGEN_GPU_MEMORY"
"""The variable in which a worker finds the share of its card's memory that it may take."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, or one part of a GPU that is divided by MIG.

    `id` is what `CUDA_VISIBLE_DEVICES` takes: the number that `nvidia-smi` gives it, or the
    UUID of a MIG part. `number` is that of the GPU. Memory is in bytes, None if not told.
    """

    id: str
    number: int
    uuid: str = ""
    part: int | None = None
    memory: int | None = None
    free: int | None = None

    @property
    def label(self) -> str:
        """A short name: `GPU 0`, `GPU 0.2` for its MIG part 2."""
        return f"GPU {self.number}" + ("" if self.part is None else f".{self.part}")


@dataclass(frozen=True, slots=True)
class CardSlot:
    """The place of one worker: its card, and the share of the card's memory that it may take.

    Without a `card`, it computes on a CPU if `hidden`, else where its framework chooses. A
    `memory` of None is not limited. `device` is the card as `CUDA_VISIBLE_DEVICES` takes it,
    where that is not its own id.
    """

    card: Card | None = None
    memory: float | None = None
    hidden: bool = False
    device: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables with which a worker starts."""
        if self.card is None:
            return {VISIBLE: "", LABEL: "", SHARE: ""} if self.hidden else {}
        settings = {
            VISIBLE: self.device or self.card.id,
            LABEL: self.card.label,
            SHARE: "" if self.memory is None else f"{self.memory:.4f}",
        }
        if self.device is None:
            # Otherwise CUDA counts the fastest card first, and NVML by place in the machine.
            settings["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        if self.memory is not None:
            # These two take a whole card when they start. TensorFlow has no limit by variable.
            settings["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{self.memory:.4f}"
            settings["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        return settings


def allocate(
    cards: Sequence[Card],
    asked: Sequence[str] | None,
    workers: int,
    visible: str | None = None,
) -> list[CardSlot]:
    """Give each of some workers its place.

    `cards` are those found in the machine; `asked` are numbers or UUIDs of those to use, None
    for all and empty for none; `visible` is the value of `CUDA_VISIBLE_DEVICES`. Each card gets
    a worker before any gets a second. Further ones go where the most memory is left for each,
    among equals in turn. Workers that share a card may each take an equal share of the memory
    that is free. Raises `CnnGenError` for cards that are not there, a `visible` that names
    none of the machine's, and for more workers than a card has memory for.
    """
    places = usable(cards, asked, visible)
    if not places:
        hidden = asked is not None or (bool(cards) and visible is not None)
        return [CardSlot(hidden=hidden)] * workers
    seats: list[CardSlot] = []
    on: Counter[Card | None] = Counter()
    for _ in range(workers):
        place = min(places, key=lambda place: _crowd(place.card, on[place.card]))
        on[place.card] += 1
        seats.append(place)
    return [replace(seat, memory=_share(seat.card, on[seat.card])) for seat in seats]


def usable(
    cards: Sequence[Card], asked: Sequence[str] | None, visible: str | None = None
) -> list[CardSlot]:
    """A place on each card that may be used, in the order in which they were asked for.

    The arguments, and what is raised, are as for `allocate`.
    """
    if asked is not None and not asked:
        return []
    devices: dict[str, str] = {}
    if cards and visible is not None:
        devices = _visible(cards, visible)
        cards = [card for card in cards if card.id in devices]
    if asked is not None:
        cards = _asked(cards, asked, visible)
    return [CardSlot(card, device=devices.get(card.id)) for card in cards]


def spare(lost: Card, slots: Sequence[CardSlot], places: Sequence[CardSlot]) -> CardSlot | None:
    """A place instead of a lost card: one that no worker has; None if there is none.

    A card on which others work is no place, for its memory is divided among them. `slots` are
    those of the other workers, `places` one for each card that still answers.
    """
    taken = {slot.card.id for slot in slots if slot.card is not None} | {lost.id}
    return next((one for one in places if one.card and one.card.id not in taken), None)


def has_own_card() -> bool:
    """Whether this process was given a card that no other worker has."""
    return bool(os.environ.get(LABEL)) and not os.environ.get(SHARE)


def memory_share() -> float | None:
    """The share of its card's memory that this process may take; None if it is not limited."""
    text = os.environ.get(SHARE, "")
    with suppress(ValueError):
        share = float(text)
        if 0 < share <= 1:
            return share
    if text:
        raise CnnGenError(f"{SHARE}={text!r} is not a share of a GPU's memory, above 0 and up to 1")
    return None


def parse_cards(text: str | None) -> tuple[str, ...] | None:
    """What `--gpus` says: None for all, empty for none, else numbers or UUIDs of cards."""
    if text is None or text == "all":
        return None
    if text == "none":
        return ()
    words = [word for part in text.split(",") if (word := part.strip())]
    wrong = [w for w in words if not w.isdecimal() and not w.startswith(("GPU-", "MIG-"))]
    if wrong or not words:
        raise CnnGenError(
            f"'{wrong[0] if wrong else text}' is not a GPU",
            hint="Write the numbers of `nvidia-smi`, such as 0,1, or UUIDs; or all, or none.",
        )
    return tuple(words)


def placement_text(slots: Sequence[CardSlot], places: Sequence[CardSlot]) -> str | None:
    """How workers are placed, in a line; None where there is nothing to say.

    `places` has one for each card that may be used.
    """
    on = Counter(slot.card.label for slot in slots if slot.card is not None)
    if not on:
        return "No GPU is used" if slots and slots[0].hidden else None
    each = [f"{label}: {counted(n, 'worker')}" for label, n in on.items()]
    idle = len(places) - len(on)
    return ", ".join(each) + (f"; {counted(idle, 'card')} unused" if idle else "")


def find_cards(library: ModuleType | None = None) -> list[Card]:
    """The cards of this machine that answer, in the order of `nvidia-smi`; none without a driver.

    `library` is a module with the functions of `pynvml`, by default that one.
    """
    found: list[Card] = []
    with nvml_session(library) as (nvml, error):
        if error is not None:
            return []
        for number in range(nvml.nvmlDeviceGetCount()):
            # One that has fallen off the bus does not keep the others from work.
            with suppress(nvml.NVMLError):
                found += _cards(nvml, number)
    return found


@contextmanager
def nvml_session(
    library: ModuleType | None = None,
) -> Iterator[tuple[ModuleType, Exception | None]]:
    """Open NVML; gives the library, and the error where it does not start.

    `library` is a module with the functions of `pynvml`, by default that one.
    """
    if library is None:
        import pynvml  # type: ignore[import-untyped]

        library = pynvml
    assert library is not None
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        yield library, error
        return
    try:
        yield library, None
    finally:
        library.nvmlShutdown()


def _cards(nvml: ModuleType, number: int) -> Iterator[Card]:
    """A GPU, or its parts if it is divided."""
    handle = nvml.nvmlDeviceGetHandleByIndex(number)
    divided = False
    with suppress(nvml.NVMLError):
        divided = bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    if not divided:
        memory, free = _memory(nvml, handle)
        uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        yield Card(str(number), number, uuid, memory=memory, free=free)
        return
    for part in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(nvml.NVMLError):  # there may be fewer parts than places for them
            own = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, part)
            uuid = _text(nvml.nvmlDeviceGetUUID(own))
            memory, free = _memory(nvml, own)
            yield Card(uuid, number, uuid, part, memory, free)


def _memory(nvml: ModuleType, handle: object) -> tuple[int | None, int | None]:
    with suppress(nvml.NVMLError):  # a card that shares the machine's memory tells none
        told = nvml.nvmlDeviceGetMemoryInfo(handle)
        return int(told.total), int(told.total - told.used)
    return None, None


def _text(told: str | bytes) -> str:
    """A text of NVML, which older versions of its wrapper give as bytes."""
    return told.decode() if isinstance(told, bytes) else told


def _visible(cards: Sequence[Card], value: str) -> dict[str, str]:
    """The cards that `CUDA_VISIBLE_DEVICES` shows, by id, with the word that shows each.

    CUDA would pass over a word that it does not know, with all after it, and then train on a
    CPU without saying so.
    """
    shown: dict[str, str] = {}
    for word in value.split(",") if value.strip() else []:
        word = word.strip()
        if word == "-1":  # CUDA's own word for the end of the list
            break
        matches = _named(cards, word)
        if not matches:
            raise CnnGenError(
                f"{VISIBLE}={value} names '{word}', which this machine has not: "
                f"it has {_list(cards)}",
                hint="Correct it, unset it, or train on the CPU with --gpus none.",
            )
        for card in matches:
            shown.setdefault(card.id, card.id if card.part is not None else word)
    return shown


def _asked(cards: Sequence[Card], asked: Sequence[str], visible: str | None) -> list[Card]:
    """The cards that were asked for, each once."""
    chosen: dict[str, Card] = {}
    for word in asked:
        matches = _named(cards, word)
        if not matches:
            some = f"there is no GPU '{word}'"
            among = f": {VISIBLE}={visible} leaves" if visible is not None else ": there is"
            raise CnnGenError(
                f"{some}{among} {_list(cards)}",
                hint="`nvidia-smi -L` lists GPUs; `cnngen doctor` says what keeps them from use.",
            )
        chosen |= {card.id: card for card in matches}
    return list(chosen.values())


def _named(cards: Sequence[Card], word: str) -> list[Card]:
    """The cards that a word means: a number those of that GPU, the start of a UUID one card."""
    if word.isdecimal():
        return [card for card in cards if card.number == int(word)]
    if not word.startswith(("GPU-", "MIG-")):
        return []
    matches = [card for card in cards if card.uuid.startswith(word)]
    return matches if len(matches) == 1 else []


def _list(cards: Sequence[Card]) -> str:
    return ", ".join(c.label if c.part is None else f"{c.label} ({c.id})" for c in cards) or "none"


def _crowd(card: Card | None, workers: int) -> tuple[bool, float]:
    """What is less for the card that the next worker is to get, beside so many that have it."""
    if card is None or not workers:
        return False, 0.0
    return True, -_room(card, workers + 1)


def _room(card: Card, workers: int) -> float:
    """Bytes for the tensors of each of so many workers on a card.

    Negative where not even their contexts fit. A card that tells no memory counts as one of 1 GiB.
    """
    free = GIB if card.free is None else card.free
    return free / workers - CONTEXT


def _share(card: Card | None, workers: int) -> float | None:
    """The share of a card's whole memory for each of its workers; None for one alone."""
    if card is None or workers == 1:
        return None
    if card.memory is None or card.free is None:
        return 1 / workers
    room = _room(card, workers)
    if room < LEAST_ROOM:
        most = max(1, int(card.free / (CONTEXT + LEAST_ROOM)))
        raise CnnGenError(
            f"{card.label} has no room for {counted(workers, 'worker')}: "
            f"{card.free / GIB:.1f} of {card.memory / GIB:.1f} GiB are free",
            hint=f"At most {most} fit there: choose fewer --workers, or more --gpus.",
        )
    return room / card.memory
