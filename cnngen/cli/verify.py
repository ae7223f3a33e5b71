"""The command `verify`, which checks that frameworks compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import Classes, Input, Json, Patience, Seed, Space, name_list
from cnngen.errors import BackendError, CnnGenError

if TYPE_CHECKING:
    from cnngen.backend.mode_process import Mode
    from cnngen.comparison.equality import Pair, Verification, Verifier
    from cnngen.network import Network


def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", help="Descriptions (.cnn). [sampled, see -n]"),
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option("--backends", "-b", help="Modes, separated by commas. [all available]"),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Number of networks to sample. [10]")
    ] = None,
    space: Space = "paper",
    input_shape: Input = None,
    classes: Classes = None,
    seed: Seed = 0,
    steps: Annotated[
        int, typer.Option("--steps", min=0, max=1000, help="Training steps to compare.")
    ] = 20,
    patience: Patience = "5min",  # type: ignore[assignment]
    as_json: Json = False,
) -> None:
    """Check that frameworks compute the same: outputs, loss, gradients, training.

    Each gets the same weights, images and steps, in a process of its own,
    in float32 and float64; the operations' definitions arbitrate. Exits with
    code 1 if two differ, and names the operation.

    cnngen verify examples/lenet.cnn --backends torch,keras:tensorflow,keras:jax
    cnngen verify -n 50 --space paper --input 16x16x3 --backends torch,keras
    cnngen verify examples/lenet.cnn --json | jq '.networks[].pairs'
    """
    from cnngen.cli.output import print_json, tracked
    from cnngen.comparison.equality import Verifier

    modes = _modes(backends)
    networks = _networks(files, count, space, input_shape, classes, seed)
    with Verifier(modes, patience=patience) as verifier:
        found = [
            verifier.verify(network, seed=seed, steps=steps)
            for network in tracked(networks, len(networks), "Verifying")
        ]
    if as_json:
        print_json(_json(verifier, found))
    else:
        _show(verifier, found)
    if verifier.faults or not all(verification.is_equal for verification in found):
        raise typer.Exit(1)


def _modes(backends: str | None) -> list[Mode]:
    from cnngen.backend import backend_names, get_backend
    from cnngen.backend.mode_process import parse_mode

    if backends is None:
        chosen = [name for name in backend_names() if _is_ready(name)]
    else:
        chosen = name_list(backends)
    modes = list(dict.fromkeys(map(parse_mode, chosen)))
    for mode in modes:
        if "verify" not in get_backend(mode.backend).capabilities:
            raise CnnGenError(
                f"the {mode.backend} backend cannot be verified, because it has no runner"
            )
    if not modes:
        raise CnnGenError("no backend can be verified", hint="See `cnngen backends`.")
    return modes


def _is_ready(name: str) -> bool:
    from cnngen.backend import get_backend

    try:
        backend = get_backend(name)
    except BackendError:
        return False  # `cnngen backends` says why
    return "verify" in backend.capabilities and backend.version() is not None


def _networks(
    files: Sequence[Path] | None,
    count: int | None,
    space: str,
    input_shape: Input,
    classes: Classes,
    seed: int,
) -> list[Network]:
    from cnngen.cli.describe import read_description
    from cnngen.space.resolution import resolve
    from cnngen.space.resolution.hyperparameters import DEFAULT_CLASSES, DEFAULT_INPUT
    from cnngen.space.sampling import sample_many

    if files and count is not None:
        raise CnnGenError("--count samples networks, but files were given")
    if files:
        return [
            resolve(
                read_description(file),
                space=space,
                input_shape=input_shape,
                classes=classes,
                seed=seed,
            )
            for file in files
        ]
    shape = input_shape or DEFAULT_INPUT
    drawn = sample_many(
        count or 10, space, input_shape=shape, classes=classes or DEFAULT_CLASSES, seed=seed
    )
    return list(drawn)


def _show(verifier: Verifier, found: Sequence[Verification]) -> None:
    from cnngen.cli.output import console, print_table, table_of
    from cnngen.comparison.equality.tolerances import WHAT

    for mode, framework in verifier.frameworks.items():
        console.print(f"{mode}: {framework}", markup=False)
    table = table_of("pair", "precision", *WHAT, "equal")
    for (one, other), pairs in _by_pair(found).items():
        for number, precision in enumerate(_precisions(pairs)):
            name = "" if number else f"{one} – {other}"
            cells = [_largest(pairs, precision, what) for what in WHAT]
            equal = sum(
                all(d.is_small for d in pair.differences if d.precision == precision)
                for pair in pairs
            )
            table.add_row(name, precision, *cells, f"{equal} of {len(pairs)}")
    if table.row_count:
        print_table(table)
    for verification in found:
        if verifier.frameworks and not verification.pairs and not verification.faults:
            what = verification.network.name or verification.network.id
            hint = "A single backend is compared with the definitions, where they are computed:"
            hint += " name two, or give a smaller --input."
            _fault(what, "was compared with nothing", hint)
        for pair in verification.pairs:
            if not pair.is_equal:
                what = verification.network.name or verification.network.id
                line = f"{what}: {pair.one} and {pair.other} differ, {pair.location}"
                console.print(line, markup=False, soft_wrap=True)
        for fault in verification.faults:
            _fault(verification.network.name or verification.network.id, fault.message, fault.hint)
    for fault in verifier.faults:
        _fault("no network", fault.message, fault.hint)


def _fault(where: str, message: str, hint: str | None) -> None:
    import sys

    print(f"{where}: {message}" + (f"\n{hint}" if hint else ""), file=sys.stderr)


def _by_pair(found: Sequence[Verification]) -> dict[tuple[str, str], list[Pair]]:
    pairs: dict[tuple[str, str], list[Pair]] = {}
    for verification in found:
        for pair in verification.pairs:
            pairs.setdefault((pair.one, pair.other), []).append(pair)
    return pairs


def _precisions(pairs: Sequence[Pair]) -> list[str]:
    return sorted({d.precision for pair in pairs for d in pair.differences})


def _largest(pairs: Sequence[Pair], precision: str, what: str) -> str:
    values = [
        (difference.value, difference.is_small)
        for pair in pairs
        for difference in pair.differences
        if (difference.precision, difference.what) == (precision, what)
    ]
    if not values:
        return "–"
    small = all(is_small for _, is_small in values)
    text = f"{max(value for value, _ in values):.1e}"
    return text if small else f"[red]{text}[/]"


def _json(verifier: Verifier, found: Sequence[Verification]) -> dict[str, object]:
    from cnngen.cli.output import summary

    return {
        "frameworks": verifier.frameworks,
        "faults": [_fault_json(fault.mode, fault.message, fault.hint) for fault in verifier.faults],
        "networks": [
            {
                **summary(verification.network),
                "equal": verification.is_equal,
                "pairs": [
                    {
                        "one": pair.one,
                        "other": pair.other,
                        "equal": pair.is_equal,
                        "place": pair.location,
                        "differences": [
                            {
                                "what": d.what,
                                "precision": d.precision,
                                # JSON has no infinity or NaN: use null.
                                "value": d.value if isfinite(d.value) else None,
                                "allowed": d.allowed,
                                "weight": d.where,
                            }
                            for d in pair.differences
                        ],
                    }
                    for pair in verification.pairs
                ],
                "faults": [
                    _fault_json(fault.mode, fault.message, fault.hint)
                    for fault in verification.faults
                ],
            }
            for verification in found
        ],
    }


def _fault_json(mode: str, message: str, hint: str | None) -> dict[str, str | None]:
    return {"mode": mode, "message": message, "hint": hint}
