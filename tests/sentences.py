"""Random sentences of the language as lists of tokens, and ways to spoil them.

Written as a walk through the published grammar, whose recursion the depth ends.
"""

from __future__ import annotations

from random import Random

COUNTS = ["1", "3", "16", "007"]
EXTENTS = ["1", "3", "3x5", "2 x 1"]
SHARES = ["0.2", ".5", "0", "1e-3"]
SMALL = ["1e-3", "1.1E-5", "0.001", "1"]
SIDES = ["same", "valid"]
FUNCTIONS = ["linear", "relu", "selu", "tanh", "gelu", "sigmoid"]
FUNCTIONS += ["silu", "hardswish", "hardsigmoid", "relu6", "leaky_relu", "elu", "mish"]

CONV = {
    "filters": COUNTS,
    "kernel": EXTENTS,
    "stride": EXTENTS,
    "padding": SIDES,
    "activation": FUNCTIONS,
    "bias": ["true", "false"],
    "groups": ["1", "4", "depthwise"],
    "dilation": EXTENTS,
}
POOLING = {"size": EXTENTS, "stride": EXTENTS, "padding": SIDES}
DENSE = {"units": COUNTS, "activation": FUNCTIONS}
PARAMETERS = {
    "conv": CONV,
    "convbn": CONV | {"epsilon": SMALL, "order": ["conv_act_norm", "conv_norm_act"]},
    "bnconv": CONV | {"epsilon": SMALL, "order": ["norm_conv_act", "norm_act_conv"]},
    "BatchNormalisation": {"epsilon": SMALL},
    "activate": {"activation": FUNCTIONS},
    "squeeze_excite": {
        "squeezed": COUNTS,
        "activation": FUNCTIONS,
        "gate": ["sigmoid", "hardsigmoid"],
    },
    "dropout": {"rate": SHARES},
    "avg_pooling": POOLING,
    "max_pooling": POOLING,
    "pooling": POOLING,
    "dense": DENSE,
    "fullyConnected": DENSE,
}
INTERSTICES = ["flatten", "global_avg_pooling", "global_max_pooling", "globalPooling"]
STRANGERS = ["attention", "Conv", "x", "-3", "1.5", "0", "12", "3x", "→", "/", "é", "\x00", "="]


class Writer:
    """Writes sentences; `given` is how often a layer gets hyper-parameters."""

    def __init__(self, random: Random, given: float = 0.15, depth: int = 3) -> None:
        self.random = random
        self.given = given
        self.depth = depth

    def maybe(self, chance: float = 0.3) -> bool:
        return self.random.random() < chance

    def some(self, least: int = 1) -> range:
        return range(least + min(3, int(self.random.expovariate(1.2))))

    def architecture(self) -> list[str]:
        words = self.random.choice([[], [], ["LeNet_5", "->"], ["_x", "→"]]).copy()
        words += ["input"] + self.maybe() * ["(", "32x32x3", ")"]
        for _ in self.some():
            words += self.feature_extraction()
        if self.maybe(0.8):
            words.append(self.random.choice(INTERSTICES))
            for _ in self.some():
                words += self.optional("dropout") + self.layer("dense", "fullyConnected")
        return words + ["output"] + self.maybe() * ["(", "10", ")"]

    def feature_extraction(self) -> list[str]:
        if self.maybe(0.1):
            words = self.layer(
                self.random.choice(["BatchNormalisation", "activate", "squeeze_excite"])
            )
        else:
            words = self.merge(self.depth) if self.maybe() else self.convolution()
        words += self.optional("dropout")
        if self.maybe():
            words += self.pooling()
            if self.maybe(0.1):
                words += self.layer("dropout", given=1)
        return words

    def merge(self, depth: int) -> list[str]:
        words = ["[", *self.random.choice([[], [], ["add"], ["concat"]])]
        for _ in self.some():
            words += ["(", *self.left(depth), ",", *self.right(), ")"]
        return [*words, "]"]

    def left(self, depth: int) -> list[str]:
        words = self.maybe() * self.pooling()
        merges = depth > 0 and self.maybe()
        for _ in self.some(0 if merges else 1):
            words += self.left_layer() + self.optional("dropout")
        for _ in self.some() if merges else ():
            words += self.merge(depth - 1)
            for _ in self.some(0):
                words += self.left_layer() + self.optional("dropout")
        return words + self.maybe() * self.pooling()

    def left_layer(self) -> list[str]:
        return self.layer("squeeze_excite") if self.maybe(0.1) else self.convolution()

    def right(self) -> list[str]:
        if self.maybe():
            return ["Empty"]
        return [word for _ in self.some() for word in self.convolution()]

    def convolution(self) -> list[str]:
        return self.layer("conv", "convbn", "bnconv")

    def pooling(self) -> list[str]:
        return self.layer("avg_pooling", "max_pooling", "pooling")

    def optional(self, kind: str) -> list[str]:
        return self.layer(kind) if self.maybe() else []

    def layer(self, *kinds: str, given: float | None = None) -> list[str]:
        kind = self.random.choice(kinds)
        if not self.maybe(self.given if given is None else given):
            return [kind]
        names = list(PARAMETERS[kind])
        names = self.random.sample(names, self.random.randint(1, min(3, len(names))))
        words = [kind, "("]
        for name in names:
            words += [name, "=", self.random.choice(PARAMETERS[kind][name]), ","]
        return [*words[:-1], ")"]


def write(words: list[str], random: Random) -> str:
    """Tokens as text, with a space or something like it between them."""
    gaps = [" "] * 12 + ["\n", "\t ", " /* a * b */ ", " // conv\n", "/**/"]
    return "".join(word + random.choice(gaps) for word in words)


def spoil(words: list[str], random: Random) -> list[str]:
    """A sentence with one thing changed, which may leave it right."""
    words = words.copy()
    at = random.randrange(len(words))
    other = random.randrange(len(words))
    match random.randrange(8):
        case 0:
            del words[at]
        case 1:
            words.insert(at, words[other])
        case 2:
            words[at], words[other] = words[other], words[at]
        case 3:
            words[at] = words[other]
        case 4:
            words[at] = random.choice(STRANGERS)
        case 5:
            words.insert(at, random.choice(STRANGERS))
        case 6:
            words[at : at + 2] = ["".join(words[at : at + 2])]
        case _:
            cut = random.randint(0, len(words[at]))
            words[at : at + 1] = [words[at][:cut], words[at][cut:]]
    return words


def scramble(text: str, random: Random) -> str:
    """A text with a few characters added, taken out, replaced or repeated."""
    characters = list(text)
    for _ in range(random.randint(1, 5)):
        at = random.randrange(len(characters) + 1)
        limit = random.choice([128, 128, 0x3000, 0x110000])
        stranger = chr(random.randrange(limit)) if random.random() < 0.4 else random.choice(text)
        match random.randrange(4):
            case 0:
                characters.insert(at, stranger)
            case 1:
                del characters[at : at + random.randint(1, 6)]
            case 2:
                characters[at : at + 1] = [stranger]
            case _:
                start = random.randrange(len(characters) + 1)
                characters[at:at] = characters[start : start + random.randint(1, 20)]
    return "".join(characters)
