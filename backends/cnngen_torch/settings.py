"""The settings of PyTorch that CNNGen's files and trainers expect, whatever the process has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def own_settings() -> Iterator[None]:
    """float32 on the CPU by default, with gradients and without autocast; a NaN raises nothing.

    The caller's settings are restored afterwards. Where they ask for deterministic algorithms,
    an operation without one only warns: the training need not fail for that.
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with ExitStack() as settings:
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        if torch.is_anomaly_enabled():
            settings.enter_context(torch.autograd.set_detect_anomaly(False))
        if torch.get_default_device().type != "cpu":  # as a context it costs time at each call
            settings.enter_context(torch.device("cpu"))
        if deterministic:
            settings.callback(torch.use_deterministic_algorithms, True, warn_only=warn_only)
            torch.use_deterministic_algorithms(True, warn_only=True)
        if precision != "highest":
            settings.callback(torch.set_float32_matmul_precision, precision)
            torch.set_float32_matmul_precision("highest")
        settings.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        yield
