"""State how a comparison's figures were measured, in the sentences printed below every plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cnngen.comparison.measures import is_of_process
from cnngen.runs.record import Record

BUSY = 0.1
"""Fraction of the machine used by other programs above which it does not count as idle."""


def caveats(records: Iterable[Record]) -> list[str]:
    """Describe how the energy of some records was found and what may have disturbed it."""
    every = list(records)
    return [*dict.fromkeys(_sources(every)), *_idle(every), *_others(every)]


def _sources(records: Iterable[Record]) -> Iterator[str]:
    for record in records:
        if record.energy is None:
            yield f"Energy is missing where {record.energy_cause or 'it was not measured'}."
            continue
        source = record.energy.provenance
        cpu = f"CPU {source.cpu.method} ({source.cpu.means}"
        if source.tdp is not None:
            cpu += f" of the {source.mode}, TDP {source.tdp:g} W {source.tdp_origin}"
        memory = f"memory {source.ram.method} ({source.ram.means})"
        yield f"Energy: {cpu}); GPU {source.gpu.method} ({source.gpu.means}); {memory}."


def _idle(records: Sequence[Record]) -> Iterator[str]:
    energies = [record.energy for record in records if record.energy is not None]
    if energies and all(map(is_of_process, energies)):
        yield "Energy above idle is the CPU's alone: the energy modelled for the process's load."
        return
    baselines = [energy for energy in energies if energy.idle_power]
    if not baselines:
        yield "Idle power was not measured and is not subtracted."
        return
    powers = [energy.idle_power or 0.0 for energy in baselines]
    seconds = baselines[0].provenance.idle_seconds
    line = f"Idle power ({_span(powers, '.1f')} W in {seconds:.1f} s each) is subtracted"
    others = [e.provenance.idle_others for e in baselines if e.provenance.idle_others is not None]
    if others and max(others) > BUSY:
        line += f", but other programs used {_span([100 * o for o in others], '.0f')} % meanwhile"
    yield line + "."


def _others(records: Iterable[Record]) -> Iterator[str]:
    shares = [
        100 * r.energy.provenance.others_during
        for r in records
        if r.energy is not None and r.energy.provenance.others_during is not None
    ]
    if shares:
        yield f"Other programs used {_span(shares, '.0f')} % of the machine during the trainings."
    threads = sorted({r.hardware.threads for r in records if r.hardware.threads is not None})
    if threads:
        yield f"Threads: {_span(threads, 'd')}."


def _span(values: list[float] | list[int], form: str) -> str:
    least, most = format(min(values), form), format(max(values), form)
    return most if least == most else f"{least} to {most}"
