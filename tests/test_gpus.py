"""Which worker gets which GPU. There is none here: cards are made, and workers only told of them."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
import stand_in
from stand_in import images, plan

from cnngen.backend import get_backend
from cnngen.cli.app import run
from cnngen.errors import CnnGenError, DeviceLostError
from cnngen.runs.campaign import Watch, local, run_campaign
from cnngen.runs.store import load
from cnngen.system.gpus import (
    CONTEXT,
    GIB,
    LABEL,
    SHARE,
    VISIBLE,
    Card,
    CardSlot,
    allocate,
    find_cards,
    has_own_card,
    memory_share,
    parse_cards,
    placement_text,
    spare,
    usable,
)

LARGE = 80 * GIB


def card(number: int, free: float = 78, memory: float = 80) -> Card:
    return Card(str(number), number, f"GPU-{number}abc", None, int(memory * GIB), int(free * GIB))


def part(number: int, of: int = 0) -> Card:
    uuid = f"MIG-{number}abc"
    return Card(uuid, of, uuid, number, 10 * GIB, 10 * GIB)


def shown(slots: list[CardSlot]) -> list[str | None]:
    return [slot.environment().get(VISIBLE) for slot in slots]


def test_without_a_card_nothing_is_said_to_workers() -> None:
    assert [slot.environment() for slot in allocate([], None, 2)] == [{}, {}]
    assert placement_text(allocate([], None, 2), []) is None


def test_each_worker_gets_a_card_of_its_own_while_there_are_any() -> None:
    slots = allocate([card(0), card(1), card(2)], None, 2)
    assert shown(slots) == ["0", "1"]
    assert [slot.memory for slot in slots] == [None, None]
    text = placement_text(slots, usable([card(0), card(1), card(2)], None))
    assert text == "GPU 0: 1 worker, GPU 1: 1 worker; 1 card unused"


def test_workers_are_packed_on_a_card_with_a_share_of_its_free_memory() -> None:
    slots = allocate([card(0)], None, 8)
    assert shown(slots) == ["0"] * 8
    (share,) = {slot.memory for slot in slots}
    assert share == pytest.approx((78 * GIB / 8 - CONTEXT) / LARGE)
    assert 8 * (share * LARGE + CONTEXT) <= 78 * GIB
    assert float(slots[0].environment()[SHARE]) == pytest.approx(share, abs=1e-4)


def test_further_workers_go_where_most_memory_is_left() -> None:
    cards = [card(0, free=20), card(1, free=78)]
    assert Counter(shown(allocate(cards, None, 5))) == {"0": 1, "1": 4}
    even = Counter(shown(allocate([card(0), card(1)], None, 6)))
    assert even == {"0": 3, "1": 3}


def test_a_card_that_others_fill_has_room_for_few() -> None:
    with pytest.raises(
        CnnGenError, match=r"GPU 0 has no room for 8 workers: 4\.0 of 80\.0 GiB"
    ) as no:
        allocate([card(0, free=4)], None, 8)
    assert no.value.hint is not None
    assert "At most 3 fit" in no.value.hint


def test_parts_of_a_card_are_cards_of_their_own() -> None:
    slots = allocate([part(0), part(1), part(2)], None, 3)
    assert shown(slots) == ["MIG-0abc", "MIG-1abc", "MIG-2abc"]
    assert slots[1].environment()[LABEL] == "GPU 0.1"
    assert shown(allocate([part(0), part(1), card(1)], ["0"], 2)) == ["MIG-0abc", "MIG-1abc"]


@pytest.mark.parametrize(
    ("asked", "visible", "wanted"),
    [
        (None, None, ["0", "1", "2"]),
        (["2", "0"], None, ["2", "0"]),
        (["GPU-1"], None, ["1"]),
        (None, "2,1", ["1", "2"]),
        (["1"], "2,1", ["1"]),
        (None, "GPU-2a", ["GPU-2a"]),
        (None, "1,-1,2", ["1"]),
    ],
)
def test_cards_are_those_asked_for_of_those_that_cuda_may_see(
    asked: list[str] | None, visible: str | None, wanted: list[str]
) -> None:
    cards = [card(0), card(1), card(2)]
    places = usable(cards, asked, visible)
    assert shown(places) == wanted


def test_none_hides_the_cards_and_so_does_an_empty_variable() -> None:
    for slots in (allocate([card(0)], [], 2), allocate([card(0)], None, 2, visible="")):
        assert [slot.environment()[VISIBLE] for slot in slots] == ["", ""]
        assert placement_text(slots, []) == "No GPU is used"


@pytest.mark.parametrize(
    ("asked", "visible", "said"),
    [
        (["4"], None, "there is no GPU '4': there is GPU 0"),
        (["0"], "1", "there is no GPU '0': CUDA_VISIBLE_DEVICES=1 leaves GPU 1"),
        (None, "7", "CUDA_VISIBLE_DEVICES=7 names '7', which this machine has not"),
        (None, "gpu0", "names 'gpu0'"),
    ],
)
def test_a_card_that_is_not_there_is_refused(
    asked: list[str] | None, visible: str | None, said: str
) -> None:
    with pytest.raises(CnnGenError, match=said):
        allocate([card(0), card(1)], asked, 1, visible)


def test_what_the_option_says() -> None:
    assert parse_cards("all") is None
    assert parse_cards("none") == ()
    assert parse_cards("0, 2") == ("0", "2")
    assert parse_cards("MIG-1abc") == ("MIG-1abc",)
    for wrong in ("first", "0,x", ",", "-1"):
        with pytest.raises(CnnGenError, match="is not a GPU"):
            parse_cards(wrong)


def test_a_lost_card_is_replaced_by_one_that_nobody_has() -> None:
    cards = [card(0), card(1), card(2)]
    places = usable(cards, None)
    slots = allocate(cards, None, 2)
    assert spare(cards[0], slots, places[1:]) == places[2]
    assert spare(cards[0], slots, places[1:2]) is None


class Driver:
    """A stand-in for `pynvml`: three GPUs, of which one has fallen off the bus, one is divided."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *, starts: bool = True) -> None:
        self.starts = starts
        self.open = 0

    def nvmlInit(self) -> None:
        if not self.starts:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        if number == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return number

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        return [int(handle == 2)] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: int) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: int, number: int) -> str:
        if number > 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return f"{handle}.{number}"

    def nvmlDeviceGetUUID(self, handle: object) -> bytes:
        return f"MIG-{handle}".encode() if isinstance(handle, str) else f"GPU-{handle}".encode()

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> SimpleNamespace:
        return SimpleNamespace(total=LARGE, used=GIB)


def test_cards_that_answer_are_found_with_the_parts_of_those_that_are_divided() -> None:
    driver = Driver()
    found = find_cards(driver)  # type: ignore[arg-type]
    assert [one.id for one in found] == ["0", "MIG-2.0", "MIG-2.1"]
    assert found[0].free == LARGE - GIB
    assert driver.open == 0
    assert find_cards(Driver(starts=False)) == []  # type: ignore[arg-type]


def test_a_worker_reads_its_share_and_refuses_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SHARE, raising=False)
    monkeypatch.setenv(LABEL, "GPU 0")
    assert (memory_share(), has_own_card()) == (None, True)
    monkeypatch.setenv(SHARE, "0.25")
    assert (memory_share(), has_own_card()) == (0.25, False)
    monkeypatch.setenv(SHARE, "2")
    with pytest.raises(CnnGenError, match="is not a share"):
        memory_share()


def test_a_lost_device_is_told_of_from_one_process_to_another() -> None:
    told = pickle.loads(pickle.dumps(DeviceLostError("gone", absent=True)))
    assert (told.message, told.absent) == ("gone", True)


# Real workers


class Places(Watch):
    """Notes on which card each model was, and what was lost."""

    def __init__(self) -> None:
        self.cards: Counter[str] = Counter()
        self.lines: list[str] = []

    def placed(self, key: str, device: str) -> None:
        self.cards[device] += 1

    def lost(self, job: object, cause: str) -> None:
        self.lines.append(cause)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", stand_in.install(tmp_path / "site"))
    with stand_in.installed_here(tmp_path / "here", monkeypatch):
        yield


def test_workers_of_a_campaign_begin_on_their_cards_and_a_watch_is_told(tmp_path: Path) -> None:
    watch, said = Places(), []
    executor = local(2, find=lambda: [card(0), card(1)], say=said.append)
    tally = run_campaign(plan(6), images(), tmp_path / "runs", executor=executor, watches=[watch])
    assert tally.statuses == {"ok": 6}
    assert watch.cards.total() == 6
    assert watch.cards.keys() <= {"GPU 0", "GPU 1"}
    assert said == ["GPU 0: 1 worker, GPU 1: 1 worker"]


def test_a_campaign_goes_on_with_another_card_when_one_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process on GPU 0 dies with its card, which the driver does not list from then on."""
    mark = tmp_path / "lost"
    monkeypatch.setenv("STAND_IN_LOSES", f"GPU 0:{mark}")

    def find() -> list[Card]:
        return [card(1)] if mark.exists() else [card(0), card(1)]

    watch = Places()
    executor = local(1, gpus=None, find=find)
    tally = run_campaign(plan(3), images(), tmp_path / "runs", executor=executor, watches=[watch])
    assert tally.statuses == {"ok": 3}
    assert [line.partition(":")[0] for line in watch.lines] == ["GPU 0 was lost"]
    assert watch.cards == {"GPU 0": 1, "GPU 1": 3}
    assert all(record.status == "ok" for record in load(tmp_path / "runs"))


def test_a_campaign_whose_last_card_is_lost_stops_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "lost"
    monkeypatch.setenv("STAND_IN_LOSES", f"GPU 0:{mark}")
    executor = local(1, find=lambda: [] if mark.exists() else [card(0)])
    with pytest.raises(CnnGenError, match="no GPU is left that works"):
        run_campaign(plan(3), images(), tmp_path / "runs", executor=executor)
    assert len(load(tmp_path / "runs")) == 0


def test_a_gpu_that_is_not_there_is_a_mistake_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["campaign", "-n", "1", "--space", "compact", "-o", str(tmp_path / "runs")]
    assert run([*arguments, "--gpus", "first"]) == 2
    assert "'first' is not a GPU" in capsys.readouterr().err
    if not find_cards():
        assert run([*arguments, "--gpus", "3"]) == 2
        assert "there is no GPU '3'" in capsys.readouterr().err
    assert os.environ.get(LABEL) is None


def test_gpus_of_this_machine_and_a_cluster_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--space", "compact", "-o", str(tmp_path / "runs"), "--gpus", "0", "--ray", "auto"]
    for command in ("campaign", "search"):
        assert run([command, "-n", "1", *place]) == 2
        assert "a Ray cluster gives out its own" in capsys.readouterr().err


def test_a_pytorch_without_cuda_trains_where_the_driver_lists_cards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv(LABEL, "GPU 0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    get_backend("torch").prepare()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(DeviceLostError, match="does not find GPU 0") as lost:
        get_backend("torch").prepare()
    assert lost.value.absent


def test_a_card_that_does_not_start_is_lost_and_a_full_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    from cnngen_torch.answering import check_alive

    def failing(error: Exception) -> None:
        def zeros(*size: int, **options: object) -> None:
            raise error

        monkeypatch.setattr(torch, "zeros", zeros)

    monkeypatch.setenv(LABEL, "GPU 0")
    monkeypatch.delenv(SHARE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    failing(RuntimeError("CUDA error: uncorrectable ECC error\nmore"))
    with pytest.raises(DeviceLostError, match="GPU 0 does not start: CUDA error: uncorrectable"):
        get_backend("torch").prepare()
    with pytest.raises(DeviceLostError, match="answers no more"):
        check_alive(torch.device("cuda"))
    failing(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        get_backend("torch").prepare()
    check_alive(torch.device("cuda"))
