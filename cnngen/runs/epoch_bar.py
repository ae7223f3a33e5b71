"""Progress of one training for Python users: a bar on request, and lines for `logging`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnngen.network import Network
from cnngen.training.protocol import Epoch, Protocol

LOG = logging.getLogger("cnngen")


@contextmanager
def followed(
    network: Network,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None,
    *,
    bar: bool,
) -> Iterator[Callable[[Epoch], None]]:
    """Give an `on_epoch` that logs each epoch at level INFO, moves a bar on stderr, and calls the given
    one."""
    name = network.id[:8]

    def told(epoch: Epoch) -> None:
        LOG.info(
            "%s: epoch %d of %d, %.1f s, validation accuracy %.3f",
            *(name, epoch.number, protocol.epochs, epoch.seconds, epoch.validation_accuracy),
        )
        if on_epoch is not None:
            on_epoch(epoch)

    if not bar:
        yield told
        return
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
