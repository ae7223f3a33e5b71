"""The Transformer of `code`, which pools tokens into statements and statements into a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from cnngen.predict.torch_fit import PointRegressor

if TYPE_CHECKING:
    from cnngen.predict.code.tokens import EncodedSource

NEIGHBOURS = 5
"""Width of the convolution over tokens: it joins a number with the name of its argument."""

VALUE_FEATURES = 4


def collate(files: Sequence[EncodedSource]) -> tuple[Tensor, ...]:
    """Batch files, padded to the longest.

    Returns words (files, tokens), features of their values (files, tokens, VALUE_FEATURES), the
    statement of each token (files, tokens), and the number of statements (files,). Padding is
    assigned to a statement after the last.
    """
    tokens = max(len(file.words) for file in files)
    counts = torch.tensor([file.length for file in files])
    words = torch.zeros(len(files), tokens, dtype=torch.long)
    values = torch.zeros(len(files), tokens, VALUE_FEATURES)
    of = torch.full((len(files), tokens), int(counts.max()))
    for row, file in enumerate(files):
        words[row, : len(file.words)] = torch.from_numpy(file.words)
        values[row, : len(file.words)] = torch.from_numpy(file.values)
        of[row, : len(file.words)] = torch.from_numpy(file.statements)
    return words, values, of, counts


class CodeTransformer(PointRegressor):
    """A convolution over tokens, averaged to statements, and a Transformer encoder over those."""

    def __init__(self, words: int, hidden: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(words, hidden)
        self.values = nn.Linear(VALUE_FEATURES, hidden, bias=False)
        self.neighbours = nn.Conv1d(hidden, hidden, NEIGHBOURS, padding=NEIGHBOURS // 2)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, 2 * hidden, dropout, "gelu", batch_first=True, norm_first=True
        )
        # Without dropout of its weights, attention is one fused kernel, which halves a step's time.
        layer.self_attn.dropout = 0.0
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, words: Tensor, values: Tensor, of: Tensor, counts: Tensor) -> Tensor:
        most = int(counts.max())
        # Padding is set to 0, so that the convolution does not depend on the batch.
        tokens = (self.words(words) + self.values(values)) * (of < most)[:, :, None]
        tokens = torch.relu(self.neighbours(tokens.transpose(1, 2))).transpose(1, 2)
        files, _, hidden = tokens.shape
        sums = tokens.new_zeros(files, most + 1, hidden).scatter_add(
            1, of[:, :, None].expand_as(tokens), tokens
        )
        sizes = tokens.new_zeros(files, most + 1).scatter_add(1, of, torch.ones_like(of).float())
        statements = (sums / sizes.clamp(min=1)[:, :, None])[:, :most]
        padding = torch.arange(most) >= counts[:, None]
        x = self.encoder(statements + _waves(most, hidden), src_key_padding_mask=padding)
        x = self.norm(x)
        mean = x.masked_fill(padding[:, :, None], 0).sum(1) / counts[:, None]
        largest = x.masked_fill(padding[:, :, None], -torch.inf).amax(1)
        return cast("Tensor", self.head(torch.cat([mean, largest], 1)))


def _waves(length: int, hidden: int) -> Tensor:
    """Return the positional encoding of Vaswani et al., "Attention Is All You Need" (2017)."""
    at = torch.arange(length)[:, None]
    rates = 10_000 ** (-torch.arange(0, hidden, 2) / hidden)
    return torch.stack([torch.sin(at * rates), torch.cos(at * rates)], 2).reshape(length, hidden)
