"""The `code` predictor: a Transformer encoder that reads the code generated for a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict.code.tokens import NUMBER, EncodedSource, network_statements
from cnngen.predict.examples import Example, Target
from cnngen.predict.model_file import State
from cnngen.predict.torch_predictor import ModulePredictor

if TYPE_CHECKING:
    from torch import Tensor

    from cnngen.predict.torch_fit import Regressor

MOST_WORDS = 2048
LEAST_SEEN = 2
"""Fewest files that must contain a word for it to enter the vocabulary."""

UNKNOWN = "<unknown>"


@dataclass
class CodePredictor(ModulePredictor[EncodedSource]):
    """Reads the source code that `backend` generates, without comments.

    All numbers are the same word, accompanied by their value, so that similar numbers have
    similar encodings.
    """

    name: ClassVar[str] = "code"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "hidden": (2, 1024),
        "layers": (1, 64),
        "heads": (1, 64),
        "dropout": (0, 0.95),
    }

    epochs: int = 15
    batch: int = 16
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    backend: str = "torch"

    vocabulary_: dict[str, int] = field(init=False, repr=False)

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        seen = Counter(
            word
            for example in examples
            for word in {
                token.word
                for statement in network_statements(example.network, self.backend)
                for token in statement
            }
        )
        words = [word for word, files in seen.most_common(MOST_WORDS) if files >= LEAST_SEEN]
        self.vocabulary_ = _vocabulary(words)
        return super().fit(examples, target, validation)

    def encode(self, network: Network) -> EncodedSource:
        read = network_statements(network, self.backend)
        tokens = [(token, at) for at, statement in enumerate(read) for token in statement]
        return EncodedSource(
            np.array([self.vocabulary_.get(token.word, 0) for token, _ in tokens], np.int64),
            np.array([_value(token.word, token.value) for token, _ in tokens], np.float32),
            np.array([at for _, at in tokens], np.int64),
            len(read),
        )

    def size(self, encoded: EncodedSource) -> int:
        return encoded.length

    def collate(self, encoded: Sequence[EncodedSource]) -> tuple[Tensor, ...]:
        from cnngen.predict.code.module import collate

        return collate(encoded)

    def module(self) -> Regressor:
        from cnngen.predict.code.module import CodeTransformer

        if self.hidden % (2 * self.heads):
            raise CnnGenError(
                f"hidden={self.hidden} is not a multiple of twice heads={self.heads}",
                hint="Each head must have an even number of hidden units.",
            )
        return CodeTransformer(
            len(self.vocabulary_) + 1, self.hidden, self.layers, self.heads, self.dropout
        )

    def state(self) -> State:
        state = super().state()
        return replace(state, values={**state.values, "words": list(self.vocabulary_)})

    def restore(self, state: State) -> None:
        words = state.values.get("words")
        if not isinstance(words, list) or len(words) > MOST_WORDS:
            raise CnnGenError("not a valid predictor file: its words are not a list, or too many")
        if not all(isinstance(word, str) for word in words) or len(set(words)) != len(words):
            raise CnnGenError("not a valid predictor file: its words are not distinct texts")
        self.vocabulary_ = _vocabulary(words)
        super().restore(state)


def _vocabulary(words: Sequence[str]) -> dict[str, int]:
    """Number the words from 1; 0 stands for unknown words and padding."""
    return {word: number for number, word in enumerate(words, 1)}


def _value(word: str, value: float) -> tuple[float, float, float, float]:
    """Encode a number by logarithms that suit large and small values, and whether it is whole."""
    if word != NUMBER:
        return 0.0, 0.0, 0.0, 0.0
    return 1.0, log2(1 + value) / 8, log2(max(value, 1e-12)) / 40, float(value == int(value))
