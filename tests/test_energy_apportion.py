"""How energy is divided between workers, and what NVIDIA's library tells of GPUs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from cnngen.training.energy import gpu
from cnngen.training.energy.apportion import TooShortError, apportion
from cnngen.training.energy.gpu import Nvml
from cnngen.training.energy.instrument import Reading
from cnngen.training.energy.load import Load
from cnngen.training.energy.provenance import provenance_of

READING = Reading(
    seconds=10,
    cpu=6.0,
    gpu=3.0,
    ram=1.0,
    emissions=5.0,
    gpu_counter=3.3,
    gpu_share=2 / 3,
    before=Load(0, 0, 0),
    during=Load(10, 8, 2),
    country_name="World",
    country_code=None,
)


def test_a_counters_energy_is_divided_by_cpu_and_gpu_time() -> None:
    part = apportion(READING, cpu_is_own=False)
    assert part.cpu_share == 0.25
    assert (part.reading.cpu, part.reading.gpu, part.reading.ram) == (1.5, 2.0, 0.25)
    assert part.reading.gpu_counter == pytest.approx(2.2)
    assert part.reading.emissions == pytest.approx(5.0 * 3.75 / 10)


def test_a_cpu_modelled_for_one_process_is_not_divided_again() -> None:
    part = apportion(READING, cpu_is_own=True)
    assert (part.reading.cpu, part.reading.ram) == (6.0, 0.25)


def test_too_little_cpu_time_is_not_divided_by() -> None:
    for during in (Load(0.1, 0.1, 0.1), Load(5, 0, 0)):
        with pytest.raises(TooShortError):
            apportion(replace(READING, during=during), cpu_is_own=False)


def test_where_gpus_do_not_tell_their_users_cpu_time_divides_them() -> None:
    part = apportion(replace(READING, gpu_share=None), cpu_is_own=False)
    assert part.reading.gpu == 0.75


def test_nvml_sums_counters_and_samples_of_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    asked: list[tuple[str, int]] = []

    def samples(handle: str, since: int) -> list[SimpleNamespace]:
        asked.append((handle, since))
        if handle == "idle":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return [
            SimpleNamespace(pid=7, timeStamp=since + 100, smUtil=40),
            SimpleNamespace(pid=8, timeStamp=since + 90, smUtil=20),
            SimpleNamespace(pid=0, timeStamp=0, smUtil=99),  # the rest of the buffer
        ]

    joules = {"one": 3.6e6, "two": 1.8e6, "idle": 0.0}
    monkeypatch.setattr(gpu, "_process_ids_are_the_hosts", lambda: True)
    monkeypatch.setattr(
        pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: int(joules[handle] * 1000)
    )
    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", samples)
    nvml = Nvml(["one", "two", "idle"])
    assert nvml.energy() == 1.5
    assert nvml.use() == {7: 80, 8: 40}
    nvml.use()
    assert asked[3:] == [("one", 100), ("two", 100), ("idle", 0)]


def test_nvml_that_counts_nothing_or_knows_other_process_ids_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pynvml

    def fail(*handle: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", fail)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", fail)
    monkeypatch.setattr(gpu, "_process_ids_are_the_hosts", lambda: True)
    assert Nvml(["one"]).energy() is None
    assert Nvml(["one"]).use() is None
    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", lambda handle, since: [])
    assert Nvml(["one"]).use() == {}
    monkeypatch.setattr(gpu, "_process_ids_are_the_hosts", lambda: False)
    assert Nvml(["one"]).use() is None


def test_a_gpu_read_through_nvml_counts_as_measured() -> None:
    class GPU:
        devices = SimpleNamespace(devices=[type("NvidiaGPUDevice", (), {})()])

    class AppleSiliconChip:
        chip_part = "CPU"

    tracker = SimpleNamespace(_hardware=[GPU(), AppleSiliconChip()])
    parts = provenance_of(tracker, country=None, tdp=None, mode="machine", shared=False)
    assert (parts.gpu.method, parts.gpu.means) == ("measured", "NVML")
    assert (parts.cpu.method, parts.cpu.means) == ("measured", "powermetrics")
    assert parts.ram.method == "absent"
