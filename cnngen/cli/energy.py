"""The commands `energy calibrate`, `energy show` and `energy forget`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import Json
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from cnngen.training.energy.calibration import PowerCalibration
    from cnngen.training.energy.gpu import Gpus
    from cnngen.training.energy.load_steps import LoadLevel, LoadStep
    from cnngen.training.energy.power_fit import PowerPoint

BUSY = 0.1
"""Least load from which a machine is not at rest, as a share of all cores."""

energy = typer.Typer(
    name="energy",
    help="Calibrate this machine's energy by a power meter, and show or remove the calibration.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@energy.command("calibrate")
def calibrate_energy(
    idle_watts: Annotated[
        float | None, typer.Option("--idle-watts", help="What the meter reads at rest, in W.")
    ] = None,
    busy_watts: Annotated[
        float | None, typer.Option("--busy-watts", help="What it reads under load, in W.")
    ] = None,
    load: Annotated[
        float, typer.Option("--load", help="With both readings: the load, of all cores, 0 to 1.")
    ] = 1.0,
    reading_error: Annotated[
        float | None,
        typer.Option("--reading-error", help="Standard error of each of two readings in W."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="What a meter logs: columns time and watts."),
    ] = None,
    steps: Annotated[
        Path | None,
        typer.Option(
            "--steps", metavar="FILE", help="With --csv: the load that ran; if absent, keep it so."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="CMD", help="A program that prints watts each second."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=2, max=3600, help="Seconds of each step of load.")
    ] = 20.0,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="With --csv or --source: keep the GPUs busy, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print the fit; keep nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fit this machine's power to what a wall meter or its management controller reads.

    Keeps the machine at rest, then all its cores busy, and asks for the meter's
    reading each time. With --csv or --source the load runs in nine steps, of 0
    to 100 % of the cores and back. End other programs first. Later records have
    the calibrated energy beside CodeCarbon's figures.

    cnngen energy calibrate
    cnngen energy calibrate --idle-watts 43 --busy-watts 96
    cnngen energy calibrate --csv meter.csv --seconds 30
    cnngen energy calibrate --csv examples/meter.csv --steps examples/load.csv -n
    cnngen energy calibrate --source "sh meter.sh"
    """
    from cnngen.cli.output import print_json
    from cnngen.training.energy.calibration import keep_calibration, new_calibration
    from cnngen.training.energy.figures import CalibrationMethod
    from cnngen.training.energy.power_fit import fit_power

    readings = idle_watts is not None or busy_watts is not None
    if (log is not None) + (source is not None) + readings > 1:
        raise CnnGenError("give readings, --csv or --source: one of them")
    if (gpu or steps is not None) and log is None and (source is None or steps is not None):
        raise CnnGenError("--gpu needs --csv or --source, and --steps needs --csv")
    cards = 0
    method: CalibrationMethod = "two readings"
    if log is not None:
        method = "power log"
        points, cards = _by_log(log, steps, seconds, gpu)
    elif source is not None:
        method = "live source"
        points, cards = _by_source(source, seconds, gpu)
    else:
        _check_readings(idle_watts, busy_watts, load, reading_error)
        points = _by_readings(idle_watts, busy_watts, load, seconds)
    found = new_calibration(fit_power(points, reading_error=reading_error), method, cards=cards)
    if (least := min(point.load for point in points)) >= BUSY:
        _report(f"Even at rest, {least:.0%} of the cores were busy: end other programs, and again.")
    path = None if dry_run else keep_calibration(found)
    if as_json:
        print_json(_figures(found))
        return
    _print(found)
    _say(f"Kept in {path}." if path else "Not kept, as this was a dry run.")


@energy.command("show")
def show_calibration(as_json: Json = False) -> None:
    """Show this machine's calibration: its power by a meter, with standard errors.

    cnngen energy show
    cnngen energy show --json
    """
    from cnngen.cli.output import print_json
    from cnngen.training.energy.calibration import read_calibration

    found = read_calibration()
    if as_json:
        print_json(None if found is None else _figures(found))
    elif found is None:
        _say("This machine is not calibrated. With a power meter: cnngen energy calibrate")
    else:
        _print(found)


@energy.command("forget")
def forget_calibration() -> None:
    """Remove this machine's calibration. Records keep what they have.

    cnngen energy forget
    """
    from cnngen.training.energy.calibration import remove_calibration

    path = remove_calibration()
    _say("This machine is not calibrated." if path is None else f"Removed {path}.")


def _check_readings(
    idle: float | None, busy: float | None, load: float, error: float | None
) -> None:
    for name, value, most in (
        ("--idle-watts", idle, 1e6),
        ("--busy-watts", busy, 1e6),
        ("--load", load, 1.0),
        ("--reading-error", error, 1e6),
    ):
        if value is not None and not 0 < value <= most:
            raise CnnGenError(f"{name} {value:g} is not above 0 and at most {most:,.0f}")
    if load != 1 and (idle is None or busy is None):
        raise CnnGenError("--load needs both readings: else the load is measured")
    if idle is not None and busy is not None and busy <= idle:
        raise CnnGenError(f"under load the meter reads {busy:g} W, no more than at rest, {idle:g}")


def _by_readings(
    idle: float | None, busy: float | None, load: float, seconds: float
) -> list[PowerPoint]:
    """Two points: as given, else asked for while the load that belongs to them is measured."""
    from cnngen.training.energy.load_steps import busy_cores, measure_step
    from cnngen.training.energy.power_fit import PowerPoint

    if idle is not None and busy is not None:
        return [PowerPoint(idle, 0.0), PowerPoint(busy, load)]
    points = []
    for given, share, doing in ((idle, 0.0, "at rest"), (busy, 1.0, "with all cores busy")):
        if given is not None and not share:
            points.append(PowerPoint(given, 0.0))
            continue
        _report(f"The machine {doing}: {seconds:g} s …")
        with busy_cores(share):
            step = measure_step(None, seconds)
            watts = given if given is not None else _ask(f"Read the meter now, {doing}. Watts: ")
        points.append(PowerPoint(watts, step.load))
    return points


def _ask(question: str) -> float:
    """Ask for watts until a number comes. Raises `CnnGenError` at the end of stdin."""
    while True:
        _report(question, end="")
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            _report("")
            raise CnnGenError(
                "there is nobody to read the meter",
                hint="Give both readings: --idle-watts 43 --busy-watts 96.",
            )
        try:
            watts = float(line.strip().removesuffix("W"))
        except ValueError:
            watts = 0.0
        if 0 < watts <= 1e6:
            return watts
        _report("A number of watts is meant, such as 43.5.")


def _by_log(
    log: Path, kept: Path | None, seconds: float, gpu: bool
) -> tuple[list[PowerPoint], int]:
    """The points of a meter's log, for steps that ran before or run now."""
    from cnngen.system.cache import cache_folder
    from cnngen.training.energy.power_log import (
        points_of,
        read_load_steps,
        read_power_log,
        write_load_steps,
    )

    if kept is not None and kept.exists():
        steps = read_load_steps(kept)
        gpus = _gpus() if any(step.gpu is not None for step in steps) else None
        return points_of(read_power_log(log), steps), gpus.cards if gpus is not None else 0
    if log.exists():
        read_power_log(log, begun=True)  # a mistake in it is better told before the minutes of load
    steps, cards = _run(seconds, gpu)
    path = kept or cache_folder() / "load-steps.csv"
    write_load_steps(path, steps)
    if sys.stdin is not None and sys.stdin.isatty():
        _report(f"The load is over. When the meter's readings are in {log}, press Enter. ", end="")
        sys.stdin.readline()
    try:
        return points_of(read_power_log(log), steps), cards
    except CnnGenError as error:
        hint = f"The load that ran is kept: mend the file and add --steps {path}"
        raise CnnGenError(
            error.message, hint=f"{error.hint}\n{hint}" if error.hint else hint
        ) from None


def _by_source(command: str, seconds: float, gpu: bool) -> tuple[list[PowerPoint], int]:
    """The points of a program that prints watts while the load runs."""
    from cnngen.training.energy.power_log import LiveSource, points_of

    with LiveSource(command) as source:
        steps, cards = _run(seconds, gpu, source.samples)
        return points_of(source.samples(), steps), cards


def _run(
    seconds: float, gpu: bool, check: Callable[[], object] = lambda: None
) -> tuple[list[LoadStep], int]:
    """Run the load in its steps; gives them and the number of GPUs whose power was read.

    `check` is called before each step, and raises where the others would be in vain.
    """
    from cnngen.training.energy.load_steps import plan_of, run_load_steps

    plan = plan_of(with_gpus=gpu)
    gpus = _gpus()
    if gpu and gpus is None:
        raise CnnGenError("there is no NVIDIA GPU to calibrate", hint="Leave out --gpu.")
    _report(f"A load of {len(plan)} steps of {seconds:g} s. Leave the machine alone meanwhile.")

    def tell(level: LoadLevel) -> None:
        check()
        _report(f"  {level.cores:4.0%} of the cores{' and all GPUs' if level.gpus else ''}")

    steps = run_load_steps(plan, seconds, gpus, tell)
    return steps, gpus.cards if gpus is not None and steps[0].gpu is not None else 0


def _gpus() -> Gpus | None:
    """The GPUs whose power CodeCarbon would read in a window."""
    from cnngen.training.energy.instrument import TrackerSettings, instrument

    try:
        return instrument(os.getpid(), TrackerSettings(None, None, "machine", False)).gpus
    except Exception as error:
        raise CnnGenError(f"CodeCarbon failed: {type(error).__name__}: {error}") from None


def _report(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    from cnngen.cli.output import console

    console.print(text, soft_wrap=True)


def _figures(found: PowerCalibration) -> dict[str, object]:
    """A calibration with its standard errors, for scripts."""
    import json

    return {**json.loads(found.to_json()), "errors": found.errors}


def _print(found: PowerCalibration) -> None:
    from rich.text import Text

    from cnngen.cli.output import print_table, table_of
    from cnngen.errors import printable
    from cnngen.training.energy.calibration import watts_text

    errors = found.errors or (None, None, None)
    facts = {
        "machine": f"{found.cpu}, {found.cores} cores",
        "at rest": watts_text(found.idle_power, errors[0]),
        "full load": f"{watts_text(found.cpu_power, errors[1])} more",
    }
    if found.gpu_slope is not None:
        slope = watts_text(found.gpu_slope, errors[2])
        facts["GPU"] = f"{slope} at the plug for each W of {found.cards} by NVML"
    elif found.gpu_idle_power is not None:
        facts["GPU"] = "not calibrated (--gpu): records of trainings on it have no such energy"
    residual = (
        "no error known" if found.residual is None else f"{found.residual:.2g} W about the fit"
    )
    if found.residual is None and found.covariance is not None:
        residual = "error as stated"
    facts["fitted to"] = f"{found.method}, {found.points} points, {residual}"
    facts["date"] = found.date
    rows = table_of("", "")
    rows.show_header = False
    for name, fact in facts.items():
        rows.add_row(Text(name, "bold"), Text(printable(fact)))
    print_table(rows)
