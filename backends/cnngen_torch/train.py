"""Training of an emitted file: a plain loop over tensors that stay on the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite, nan
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.data import Dataset, splits
from cnngen.data.dataset import Labels
from cnngen.network import Network
from cnngen.protocol import Epoch, Protocol, Status, TrainingResult

EVALUATION_BATCH = 1024


def train(
    source: str,
    network: Network,
    data: Dataset,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainingResult:
    """Train the `Net` of an emitted file and evaluate it once on the test images.

    Whatever stops the training becomes the status of the result.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = _Run(source, network, data, protocol, device, on_epoch)
    status: Status = "ok"
    cause = None
    try:
        run.train()
        run.test()
    except _Stopped as stop:
        status, cause = stop.status, stop.cause
    except (torch.OutOfMemoryError, MemoryError) as error:
        status, cause = "out_of_memory", _first_line(error)
    except RuntimeError as error:
        # PyTorch's CPU allocator has no exception of its own.
        status = "out_of_memory" if "allocate memory" in str(error) else "error"
        cause = _first_line(error)
    return TrainingResult(
        status=status,
        cause=cause,
        epochs=tuple(run.epochs),
        train_seconds=run.seconds,
        test_loss=run.test_loss,
        test_accuracy=run.test_accuracy,
        device=device.type,
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    )


def load(source: str, name: str = "emitted") -> nn.Module:
    """The untrained `Net` of an emitted file."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    model = module.Net()
    assert isinstance(model, nn.Module)
    return model


class _Stopped(Exception):
    """Training cannot or may not go on."""

    def __init__(self, status: Status, cause: str) -> None:
        super().__init__(cause)
        self.status = status
        self.cause = cause


class _Run:
    """One training; holds what was reached when it stops."""

    def __init__(
        self,
        source: str,
        network: Network,
        data: Dataset,
        protocol: Protocol,
        device: torch.device,
        on_epoch: Callable[[Epoch], None] | None,
    ) -> None:
        self.source = source
        self.network = network
        self.data = data
        self.protocol = protocol
        self.device = device
        self.on_epoch = on_epoch
        self.epochs: list[Epoch] = []
        self.seconds = 0.0
        self.test_loss: float | None = None
        self.test_accuracy: float | None = None

    def train(self) -> None:
        protocol = self.protocol
        began = time.perf_counter()
        torch.manual_seed(protocol.seed)
        self.model = load(self.source, self.network.id).to(self.device)
        self.model.to(memory_format=torch.channels_last)
        rows = splits(self.data, protocol)
        train, validation = self._part(rows.train), self._part(rows.validation)
        self.test_part = self._part(rows.test)
        optimizer = _optimizer(self.model, protocol)
        shuffle = torch.Generator().manual_seed(protocol.seed)
        for number in range(1, protocol.epochs + 1):
            epoch_began = time.perf_counter()
            order = torch.randperm(len(train[1]), generator=shuffle)
            # Batch norm has no variance for a last batch of one image on a 1x1 map.
            if len(order) % protocol.batch == 1 and len(order) > 1:
                order = order[:-1]
            totals = torch.zeros(2, device=self.device)
            self.model.train()
            for batch in torch.split(order.to(self.device), protocol.batch):
                labels = train[1][batch]
                logits = self.model(_pixels(train[0][batch]))
                loss = F.cross_entropy(logits, labels)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                totals += _totals(loss.detach() * len(batch), logits, labels)
                if protocol.time_budget and time.perf_counter() - began > protocol.time_budget:
                    self.seconds = time.perf_counter() - began
                    raise _Stopped(
                        "time_budget", f"{protocol.time_budget:g} s were over in epoch {number}"
                    )
            train_loss, train_accuracy = (totals / len(order)).tolist()
            validation_loss, validation_accuracy = self._evaluate(validation)
            now = time.perf_counter()
            self.seconds = now - began
            epoch = Epoch(
                number,
                now - epoch_began,
                train_loss,
                train_accuracy,
                validation_loss,
                validation_accuracy,
            )
            self.epochs.append(epoch)
            if self.on_epoch is not None:
                self.on_epoch(epoch)
            if not isfinite(train_loss):
                raise _Stopped("nan", f"the training loss became {train_loss} in epoch {number}")

    def test(self) -> None:
        self.test_loss, self.test_accuracy = self._evaluate(self.test_part)

    def _part(self, rows: Labels) -> tuple[Tensor, Tensor]:
        """Images (N, H, W, C) uint8 and labels (N,) int64 on the device."""
        images = torch.from_numpy(self.data.images[rows]).to(self.device)
        return images, torch.from_numpy(self.data.labels[rows]).to(self.device)

    @torch.inference_mode()
    def _evaluate(self, part: tuple[Tensor, Tensor]) -> tuple[float, float]:
        """Mean loss and share of right answers."""
        if not len(part[1]):
            return nan, nan
        self.model.eval()
        totals = torch.zeros(2, device=self.device)
        for images, labels in zip(*(torch.split(t, EVALUATION_BATCH) for t in part), strict=True):
            logits = self.model(_pixels(images))
            loss = F.cross_entropy(logits, labels, reduction="sum")
            totals += _totals(loss, logits, labels)
        loss, accuracy = (totals / len(part[1])).tolist()
        return loss, accuracy


def _pixels(images: Tensor) -> Tensor:
    """(N, H, W, C) bytes as (N, C, H, W) floats from 0 to 1, channels last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _totals(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack((loss, (logits.argmax(1) == labels).sum().to(loss.dtype)))


def _optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    if protocol.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), protocol.learning_rate, momentum=0.9, fused=True)
    # Keras's epsilon, so that both backends follow one protocol.
    return torch.optim.Adam(model.parameters(), protocol.learning_rate, eps=1e-7, fused=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
