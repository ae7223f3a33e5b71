"""Parses and resolves a text, which all editor features start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cnngen.editor.recovery import ParseResult, parse_on
from cnngen.errors import CnnGenError, Source, Span
from cnngen.language.tree import Description, Layer, Merge
from cnngen.network import Network, Node

MAX_CHARACTERS = 100_000
"""Longer texts are not analysed, as each keystroke would take some tenths of a second."""

MAX_LAYERS = 5_000
"""For more layers, the text is parsed but dimensions are not inferred."""


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Values for what a text leaves open: input shape, classes, space and seed.

    Without `dimensions`, texts are parsed but not resolved: the fallback of a server when
    resolving took too long.
    """

    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    space: str = "paper"
    seed: int = 0
    dimensions: bool = True


DEFAULTS = TextSettings()


@dataclass(frozen=True, slots=True)
class Element:
    """A layer or merge of a text: as written, as resolved, and its operations."""

    written: Layer | Merge
    resolved: Layer | Merge
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Analysis:
    """A text, parsed and resolved.

    `network` is None if too much is wrong, or if the dimensions contradict each other, as
    `contradiction` says. A text with syntax errors may still have a network, made of its valid
    parts. `unchecked` says why the text was not analysed, or only in part.
    """

    source: Source
    settings: TextSettings
    parsed: ParseResult
    network: Network | None = None
    contradiction: CnnGenError | None = None
    unchecked: str | None = None

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The layers and merges in the text, in its order; empty without a network."""
        if self.network is None or self.parsed.description is None:
            return ()
        nodes: dict[Span, list[Node]] = {}
        for node in self.network.nodes:
            nodes.setdefault(node.span, []).append(node)
        pairs = zip(self.parsed.description.walk(), self.network.description.walk(), strict=True)
        return tuple(
            Element(written, resolved, tuple(nodes.get(written.span, ())))
            for written, resolved in pairs
            if not isinstance(written, str)
            and not isinstance(resolved, str)
            and written.span.start < written.span.end
        )

    @property
    def input_node(self) -> Node | None:
        return self.network.nodes[0] if self.network else None


def analyse(text: str, settings: TextSettings = DEFAULTS) -> Analysis:
    """Parse a text, recovering from mistakes, and infer its dimensions.

    The last few results are cached: an editor sends several requests after each keystroke, and
    code actions try several changes.
    """
    return _analyse(text, settings)


@lru_cache(maxsize=8)
def _analyse(text: str, settings: TextSettings) -> Analysis:
    source = Source(text)
    if len(text) > MAX_CHARACTERS:
        unchecked = f"texts of more than {MAX_CHARACTERS:,} characters are not checked as you type"
        return Analysis(source, settings, _UNREAD, unchecked=unchecked)
    parsed = parse_result(text)
    description = parsed.description
    if description is None:
        return Analysis(source, settings, parsed)
    if not settings.dimensions:
        unchecked = "dimensions are not checked here: inferring them took too long"
        return Analysis(source, settings, parsed, unchecked=unchecked)
    if sum(1 for _ in description.layers()) > MAX_LAYERS:
        unchecked = f"dimensions of more than {MAX_LAYERS:,} layers are not checked here"
        return Analysis(source, settings, parsed, unchecked=unchecked)
    from cnngen.space.resolution import resolve

    try:
        network = resolve(
            description,
            space=settings.space,
            input_shape=None if description.input_shape else settings.input_shape,
            classes=None if _says_classes(description) else settings.classes,
            seed=settings.seed,
        )
    except CnnGenError as error:
        return Analysis(source, settings, parsed, contradiction=error)
    return Analysis(source, settings, parsed, network)


def _says_classes(description: Description) -> bool:
    last = description.head[-1:]
    return description.classes is not None or any("units" in each.parameters for each in last)


@lru_cache(maxsize=8)
def parse_result(text: str) -> ParseResult:
    """Parse a text into its tree and tokens; both are empty for a text that is too long."""
    return parse_on(Source(text)) if len(text) <= MAX_CHARACTERS else _UNREAD


_UNREAD = ParseResult(None, (), ())


def word_at(text: str, start: int) -> Span:
    """Return the span of the word at an offset, such as a layer's name without parameters."""
    match = _WORD.match(text, start)
    return Span(start, match.end() if match else start)


def comments(text: str) -> Iterator[Span]:
    """Return the spans of all comments. An unclosed comment extends to the end of the text."""
    return (Span(*match.span()) for match in _COMMENT.finditer(text))


_WORD = re.compile(r"\w*")
# The grammar's comments, or an unclosed comment.
_COMMENT = re.compile(r"//[^\r\n]*|/\*[^*]*\*+(?:[^*/][^*]*\*+)*/|/\*.*", re.DOTALL)
