"""Tells a GPU that is lost from one that is full, or that a network has failed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from cnngen.errors import DeviceLostError


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Raise `DeviceLostError`, which begins with `what`, where a GPU does not do what is asked of it.

    One that lacks memory for it works, so `torch.OutOfMemoryError` passes.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        first = (str(error).splitlines() or ["no answer"])[0]
        raise DeviceLostError(f"{what}: {first}") from None


def check_alive(device: torch.device) -> None:
    """Raise `DeviceLostError` where a GPU answers no more, whatever a network has done to it."""
    with suppress(torch.OutOfMemoryError), answering("the GPU answers no more"):
        torch.zeros(1, device=device).item()
        torch.cuda.synchronize(device)
