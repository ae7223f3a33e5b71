"""What other libraries call the words of the language, for hints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "convolution": ("conv",),
    "se": ("squeeze_excite",),
    "selayer": ("squeeze_excite",),
    "semodule": ("squeeze_excite",),
    "squeezeexcitation": ("squeeze_excite",),
    "batchnorm": ("BatchNormalisation",),
    "batchnormalization": ("BatchNormalisation",),
    "maxpool": ("max_pooling",),
    "maxpooling": ("max_pooling",),
    "avgpool": ("avg_pooling",),
    "averagepool": ("avg_pooling",),
    "averagepooling": ("avg_pooling",),
    "pool": ("pooling",),
    "gap": ("global_avg_pooling",),
    "adaptiveavgpool": ("global_avg_pooling",),
    "globalaveragepooling": ("global_avg_pooling",),
    "globalmaxpooling": ("global_max_pooling",),
    "fc": ("dense",),
    "linear": ("dense",),
    "fullyconnected": ("dense",),
    "identity": ("Empty",),
    "kernelsize": ("kernel", "size"),
    "poolsize": ("size",),
    "kernel": ("size",),
    "size": ("kernel", "units", "filters"),
    "window": ("kernel", "size"),
    "outchannels": ("filters",),
    "channels": ("filters",),
    "features": ("filters", "units"),
    "outfeatures": ("units",),
    "neurons": ("units",),
    "filters": ("units",),
    "units": ("filters",),
    "pad": ("padding",),
    "squeezechannels": ("squeezed",),
    "rdchannels": ("squeezed",),
    "scaleactivation": ("gate",),
    "gatelayer": ("gate",),
    "act": ("activation",),
    "usebias": ("bias",),
    "p": ("rate",),
    "prob": ("rate",),
    "probability": ("rate",),
    "eps": ("epsilon",),
}
"""Words of ours for those of others, in the order in which they are tried. Others' names are in lower
case without underscores and dimensions, as `other_name` gives them."""

_ACTIVATION = "An activation belongs to its layer: conv(activation=relu)."
_MERGE = "A merge stands in brackets: [add (conv conv, Empty)]."
_NORM = "Batch normalisation belongs to a convolution: convbn, or bnconv to have it before."

NOTES: Mapping[str, str] = {
    **dict.fromkeys(("batchnorm", "batchnormalization", "bn"), _NORM),
    **dict.fromkeys(("relu", "gelu", "selu", "tanh", "elu", "sigmoid", "activation"), _ACTIVATION),
    **dict.fromkeys(("add", "concat", "concatenate", "skip", "residual", "shortcut"), _MERGE),
    "softmax": "The output is of logits; the loss applies softmax.",
}
"""What to write for names that no single word of ours stands for."""


def other_name(word: str) -> str:
    """A word as `OTHER_NAMES` has it: `MaxPool2d` is `maxpool`."""
    return re.sub(r"_|[123]d$", "", word.lower())


def hint_for(word: str, allowed: Collection[str]) -> str | None:
    """What was meant by a word of another library, where one of the `allowed` ones stands for it."""
    name = other_name(word[:64])
    meant = next((own for own in OTHER_NAMES.get(name, ()) if own in allowed), None)
    return f"Did you mean '{meant}'?" if meant else NOTES.get(name)
