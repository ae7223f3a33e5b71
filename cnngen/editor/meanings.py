"""One-line explanations of the words of the language."""

from __future__ import annotations

from typing import Literal

from cnngen.language.build import SYNONYMS
from cnngen.operations import WORDS

WordKind = Literal["layer", "parameter", "value", "keyword", "sign"]

PARAMETERS = {
    "filters": "number of output channels, 1 to 1,000,000",
    "kernel": "height and width of the window in pixels: 3, or 3x5",
    "size": "height and width of the window in pixels: 3, or 3x5",
    "stride": "pixels from one window to the next: 2, or 2x1",
    "padding": "same: the output has ceil(size / stride) pixels; valid: only whole windows count",
    "activation": "function applied to the output",
    "bias": "whether a learnt bias is added to each channel",
    "groups": "how many parts the channels are split into, each for a share of the filters; or depthwise",
    "dilation": "pixels from one number of the kernel to the next: 2, or 2x1; the stride is then 1",
    "order": "where the activation stands: conv_act_norm or conv_norm_act; norm_conv_act or norm_act_conv",
    "squeezed": "units between the means of the channels and their gates, 1 to 1,000,000",
    "gate": "sigmoid or hardsigmoid: the function whose value, 0 to 1, each channel is multiplied by",
    "epsilon": "added to the variance before the division, above 0 and at most 1",
    "rate": "share of the values that training sets to zero, from 0 to below 1",
    "units": "number of outputs, 1 to 1,000,000",
}

KEYWORDS = {
    "input": "the image; input(32x32x3) fixes height, width and channels",
    "output": "the end; output(10) fixes the number of classes",
    "add": "the sides of this merge are summed: their shapes must be equal",
    "concat": "the channels of this merge's sides are concatenated: height and width must be equal",
    "Empty": "the identity: the input of the merge",
    "[": "a merge of bodies ( left , right ), or of branches with | between them, which are added or concatenated",
    "|": "between two branches of a merge, which begin at the same place",
}


def kind_of(word: str) -> WordKind:
    """Return the kind of a word or sign of the grammar."""
    if SYNONYMS.get(word, word) in WORDS:
        return "layer"
    if word in PARAMETERS:
        return "parameter"
    if word in KEYWORDS and word.isidentifier():
        return "keyword"
    return "value" if word.isidentifier() else "sign"


def meaning(word: str) -> str:
    """Explain a word in one line without a full stop; empty for values and signs except `[`."""
    known = WORDS.get(SYNONYMS.get(word, word))
    if known is None:
        return PARAMETERS.get(word) or KEYWORDS.get(word, "")
    if known.choice:
        return f"{' or '.join(known.choice)}, as drawn"
    lines = [(kind.__doc__ or "").split("\n")[0].split(". ")[0] for kind in known.operations]
    texts = [line.rstrip(".").strip() for line in lines]
    return "; then ".join([texts[0], *(text[0].lower() + text[1:] for text in texts[1:])])
