"""What `cnngen doctor` says of made machines, and of this one."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from cnngen.backend.mode_process import ModeError
from cnngen.cli.app import run
from cnngen.diagnosis import counters, diagnose
from cnngen.diagnosis.counters import RAPL_REMEDY, nvml, rapl
from cnngen.errors import CnnGenError
from cnngen.training.data import dataset_files


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """The tree of a machine with two processors, each with a part of its own."""
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("1000\n")
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def test_counters_that_count_are_found(powercap):
    ticks = count(5)
    found = rapl(powercap, lambda path: str(next(ticks)))
    assert (found.level, found.text[:20]) == ("good", "RAPL: 2 package(s), ")


def test_counters_for_root_alone_come_with_the_command_that_opens_them(powercap):
    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    found = rapl(powercap, refused)
    assert found.level == "limited"
    assert str(powercap / "intel-rapl:0" / "energy_uj") in found.text
    assert found.remedy == RAPL_REMEDY


def test_counters_that_stand_still_are_not_trusted(powercap):
    found = rapl(powercap)
    assert found.level == "limited"
    assert "do not count" in found.text


@pytest.mark.parametrize("text", ["", "many", "\x00"])
def test_counters_without_a_number_cannot_be_read(powercap, text):
    (powercap / "intel-rapl:1" / "energy_uj").write_text(text)
    found = rapl(powercap)
    assert (found.level, "cannot be read" in found.text) == ("limited", True)


def test_a_machine_without_counters_is_told_that_energy_is_modelled(tmp_path):
    found = rapl(tmp_path / "nowhere")
    assert (found.level, "modelled" in found.text) == ("limited", True)


class Card:
    """A stand-in for `pynvml` and one GPU. An answer that is a number is an error's code."""

    NVMLError = pynvml.NVMLError
    NVML_ERROR_LIBRARY_NOT_FOUND = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    NVML_ERROR_DRIVER_NOT_LOADED = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    NVML_ERROR_NO_PERMISSION = pynvml.NVML_ERROR_NO_PERMISSION

    def __init__(self, **answers: object) -> None:
        memory = SimpleNamespace(total=80 * 2**30, used=2**29)
        self.answers = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": 0,
            "nvmlDeviceGetName": "NVIDIA H100",
            "nvmlDeviceGetMemoryInfo": memory,
            "nvmlDeviceGetTotalEnergyConsumption": 7,
            "nvmlDeviceGetMigMode": [0, 0],
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            **answers,
        }

    def __getattr__(self, name: str):
        def answer(*arguments: object) -> object:
            found = self.answers[name]
            if isinstance(found, pynvml.NVMLError):
                raise found
            return found

        return answer


FAULTS = {
    "a driver that was updated": (
        {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)},
        "restart the machine",
    ),
    "a driver that is not loaded": (
        {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)},
        "sudo modprobe nvidia",
    ),
    "no permission": (
        {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)},
        "/dev/nvidiactl",
    ),
    "a lost card": (
        {"nvmlDeviceGetHandleByIndex": pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)},
        "does not answer",
    ),
    "no energy counter": (
        {"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)},
        "power is sampled each second",
    ),
    "MIG": ({"nvmlDeviceGetMigMode": [1, 1]}, "energy is that of the whole card"),
    "others' memory": (
        {"nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * 2**30, used=40 * 2**30)},
        "others hold 40.0 GiB",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_can_go_wrong_on_a_gpu_limits_trust(monkeypatch, fault):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answers, words = FAULTS[fault]
    [found] = nvml(Card(**answers))
    assert found.level == "limited"
    assert words in f"{found.text} {found.remedy}"


def test_a_gpu_in_order(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    [found] = nvml(Card())
    assert (found.level, found.text) == ("good", "GPU 0: NVIDIA H100, 80 GiB, up to bfloat16")
    [old] = nvml(Card(nvmlDeviceGetCudaComputeCapability=(7, 0)))
    assert "up to float32" in old.text


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_gpus_are_mentioned(monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    hidden, _ = nvml(Card())
    assert (hidden.level, hidden.remedy) == ("limited", "unset CUDA_VISIBLE_DEVICES")


def test_no_driver_is_no_fault():
    [found] = nvml(Card(nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)))
    assert found.level == "missing"


class Process:
    """A stand-in for a framework's process."""

    def __init__(self, mode) -> None:
        self.mode = mode

    def __enter__(self):
        return self

    def __exit__(self, *cause: object) -> None:
        pass

    def devices(self) -> tuple[str, ...]:
        if self.mode.backend == "keras":
            raise ModeError("keras: the process was killed by SIGSEGV")
        return ("NVIDIA H100 (cuda:0)", "cpu")


def test_the_command_tells_of_every_topic_and_exits_with_0(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("cnngen.diagnosis.examine.ModeProcess", Process)
    monkeypatch.setenv("CNNGEN_DATA", str(tmp_path))
    (tmp_path / "torchvision" / "cifar-10-batches-py").mkdir(parents=True)
    assert run(["doctor", "--idle", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_topic = {one["topic"]: one for one in found}
    assert {"machine", "memory", "disk", "CPU counters", "CPU energy", "data"} <= set(by_topic)
    assert "trains in float32 on NVIDIA H100" in by_topic["torch"]["text"]
    assert "SIGSEGV" in by_topic["keras"]["text"]
    assert by_topic["keras"]["level"] == "limited"
    assert any("cifar-10-batches-py" in one["text"] for one in found)
    assert "idle power" not in by_topic
    assert run(["doctor", "--idle", "0", "--country", "FRA"]) == 0
    shown = capsys.readouterr().out
    assert "CO2 per kWh is the world average" not in shown
    assert shown.rstrip().endswith("(marked !).")


def test_the_idle_machine_is_measured(monkeypatch):
    monkeypatch.setattr("cnngen.diagnosis.examine.backend_names", list)
    [idle] = [one for one in diagnose(idle_seconds=0.5) if one.topic == "idle power"]
    assert idle.figures["idle_watts"] > 0


def test_impossible_settings_exit_with_2(capsys):
    assert run(["doctor", "--country", "Utopia"]) == 2
    assert "Utopia" in capsys.readouterr().err
    with pytest.raises(CnnGenError, match="TDP"):
        diagnose(tdp=-1)


def test_devices_of_a_framework_come_from_its_own_process():
    from cnngen.backend.mode_process import Mode, ModeProcess

    with ModeProcess(Mode("torch")) as process:
        assert process.devices()[-1] == "cpu"


def test_a_data_set_is_found_where_it_would_be_read(tmp_path):
    assert dataset_files("mnist", root=tmp_path) is None
    (tmp_path / "mnist").mkdir()
    assert dataset_files("mnist", root=tmp_path) == tmp_path / "mnist"


def test_the_real_tree_is_examined_without_an_error():
    assert counters.rapl().topic == "CPU counters"
