"""Progress of one training for Python users: a bar on request, and lines for `logging`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnngen.network import Network
from cnngen.training.progress import BatchDone, on_batch
from cnngen.training.protocol import Epoch, Protocol

LOG = logging.getLogger("cnngen")

LOG_EVERY = 60.0
"""Seconds without a line after which the log says how far an epoch is."""


@contextmanager
def followed(
    network: Network,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None,
    *,
    bar: bool,
) -> Iterator[Callable[[Epoch], None]]:
    """Give an `on_epoch` that logs each epoch at level INFO, moves a bar on stderr, and calls the given
    one. Of an epoch that takes longer than a minute, the log has how far it is."""
    name = network.id[:8]
    above = on_batch.get()
    logged = time.monotonic()

    def within(batch: BatchDone) -> None:
        nonlocal logged
        if time.monotonic() - logged >= LOG_EVERY:
            logged = time.monotonic()
            LOG.info(
                "%s: epoch %d of %d, batch %d of %d",
                *(name, batch.epoch, protocol.epochs, batch.number, batch.of),
            )
        if above is not None:
            above(batch)

    def told(epoch: Epoch) -> None:
        nonlocal logged
        logged = time.monotonic()
        LOG.info(
            "%s: epoch %d of %d, %.1f s, validation accuracy %.3f",
            *(name, epoch.number, protocol.epochs, epoch.seconds, epoch.validation_accuracy),
        )
        if on_epoch is not None:
            on_epoch(epoch)

    token = on_batch.set(within)
    try:
        if bar:
            with _bar(name, protocol, told) as shown:
                yield shown
        else:
            yield told
    finally:
        on_batch.reset(token)


@contextmanager
def _bar(
    name: str, protocol: Protocol, told: Callable[[Epoch], None]
) -> Iterator[Callable[[Epoch], None]]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[note]}", markup=False))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=protocol.epochs, note="")

        def shown(epoch: Epoch) -> None:
            note = f"validation accuracy {epoch.validation_accuracy:.3f}"
            progress.update(task, completed=epoch.number, note=note)
            told(epoch)

        yield shown
