"""The words of the language, and the operations that each stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from cnngen.errors import CnnGenError
from cnngen.operations.activate import Activate
from cnngen.operations.batch_norm import BatchNorm
from cnngen.operations.conv2d import Conv2d
from cnngen.operations.dense import Dense
from cnngen.operations.dropout import Dropout
from cnngen.operations.operation import Operation, Windowed
from cnngen.operations.pool import GlobalPool, Pool
from cnngen.operations.rearrange import Flatten
from cnngen.operations.squeeze_excite import SqueezeExcite

Make = Callable[..., Operation]


@dataclass(frozen=True)
class Word:
    """The operations, in sequence, that a word of the language stands for.

    `fixed` are the fields that the word itself decides. `choice` lists the words that an
    open word such as `pooling` may become. `orders` are the values of its hyper-parameter `order`,
    each with the position at which an activation of its own then stands; None for the usual order.
    """

    operations: tuple[type[Operation], ...] = ()
    fixed: Mapping[str, Any] | None = None
    choice: tuple[str, ...] = ()
    orders: Mapping[str, int | None] = field(default_factory=dict)

    def build(self, parameters: Mapping[str, Any]) -> list[Operation]:
        """The operations, given all hyper-parameters of the word.

        Raises `CnnGenError` for hyper-parameters that do not go together.
        """
        order = parameters.get("order")
        if order is not None and order not in self.orders:
            raise CnnGenError(f"'order' cannot be {order} here; it is {' or '.join(self.orders)}")
        place = self.orders.get(order) if order else None
        if place is None:
            return self._built(parameters)
        operations = self._built({**parameters, "activation": "linear"})
        operations.insert(place, _operation(Activate, parameters["activation"]))
        return operations

    def _built(self, parameters: Mapping[str, Any]) -> list[Operation]:
        return [
            _operation(
                kind, *fixed, *[parameters[n] if n in parameters else OPTIONAL[n] for n in names]
            )
            for kind, fixed, names in self._parameters
        ]

    @cached_property
    def _parameters(self) -> list[tuple[Make, tuple[str, ...], tuple[str, ...]]]:
        """Of each operation, the values that the word decides, and the hyper-parameters that
        it takes behind them."""
        fixed = self.fixed or {}
        names = [(kind, kind.field_names()) for kind in self.operations]
        return [
            (
                kind,
                tuple(fixed[n] for n in own if n in fixed),
                tuple(n for n in own if n not in fixed),
            )
            for kind, own in names
        ]

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The hyper-parameters that the word, or any it may become, takes, in canonical order."""
        if self.choice:
            return WORDS[self.choice[0]].parameter_names
        own = tuple(name for _, _, names in self._parameters for name in names)
        return (*own, "order") if self.orders else own

    @cached_property
    def optional(self) -> Mapping[str, Any]:
        """Hyper-parameters that have these values unless a text says otherwise."""
        usual = {name: value for name, value in OPTIONAL.items() if name in self.parameter_names}
        usual_order = [name for name, place in self.orders.items() if place is None]
        return {**usual, "order": usual_order[0]} if usual_order else usual

    @cached_property
    def windowed(self) -> type[Windowed] | None:
        """Which of its operations slides a window; None where none does."""
        return next((kind for kind in self.operations if issubclass(kind, Windowed)), None)


OPTIONAL: Mapping[str, Any] = {"groups": 1, "dilation": (1, 1), "gate": "sigmoid"}
"""Fields that stay as they are unless a text says otherwise, and are not written then: the
published language does not have them."""


def is_usual(name: str, value: object) -> bool:
    """Whether a field goes without saying, for it has the value of one that no text mentions."""
    return name in OPTIONAL and value == OPTIONAL[name]


@lru_cache(maxsize=2**13)
def _operation(kind: Make, *values: Any) -> Operation:
    """One for all that are equal: most layers are like others."""
    return kind(*values)


WORDS: dict[str, Word] = {
    "conv": Word((Conv2d,)),
    "convbn": Word((Conv2d, BatchNorm), orders={"conv_act_norm": None, "conv_norm_act": 2}),
    "bnconv": Word((BatchNorm, Conv2d), orders={"norm_conv_act": None, "norm_act_conv": 1}),
    "BatchNormalisation": Word((BatchNorm,)),
    "activate": Word((Activate,)),
    "squeeze_excite": Word((SqueezeExcite,)),
    "dropout": Word((Dropout,)),
    "max_pooling": Word((Pool,), {"pooling": "max"}),
    "avg_pooling": Word((Pool,), {"pooling": "avg"}),
    "pooling": Word(choice=("max_pooling", "avg_pooling")),
    "flatten": Word((Flatten,)),
    "global_avg_pooling": Word((GlobalPool,), {"pooling": "avg"}),
    "global_max_pooling": Word((GlobalPool,), {"pooling": "max"}),
    "globalPooling": Word(choice=("global_avg_pooling", "global_max_pooling")),
    "dense": Word((Dense,)),
}

WINDOW_NAMES = {
    name: word.windowed.window_name for name, word in WORDS.items() if word.windowed is not None
}
"""The words that slide a window, and the hyper-parameter that holds its height and width."""

CONVOLUTIONS = tuple(
    name
    for name, word in WORDS.items()
    if word.windowed is not None and word.windowed.learns_kernel
)
"""The words that stand for a convolution, with whatever else."""
