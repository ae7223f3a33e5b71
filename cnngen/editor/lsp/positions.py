"""Converts offsets in a text to the positions of the protocol: lines and code units, from 0."""

from __future__ import annotations

from bisect import bisect_right

from lsprotocol import types

from cnngen.errors import LINE_END, Span

_UNITS = {
    types.PositionEncodingKind.Utf8: ("utf-8", 1),
    types.PositionEncodingKind.Utf16: ("utf-16-le", 2),
    types.PositionEncodingKind.Utf32: ("utf-32-le", 4),
}


class Positions:
    """Converts between the offsets and the positions of a text.

    Columns count code units of `encoding`, UTF-16 unless the client prefers another. Lines end
    as the protocol defines, unlike with Python's `splitlines`.
    """

    def __init__(
        self, text: str, encoding: types.PositionEncodingKind = types.PositionEncodingKind.Utf16
    ) -> None:
        self.text = text
        self._starts = [0, *(end.end() for end in LINE_END.finditer(text))]
        self._codec, self._width = _UNITS[encoding]
        self._plain = text.isascii()

    def position(self, offset: int) -> types.Position:
        """Return the position of a character."""
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        return types.Position(line, self._units(self.text[start:offset]))

    def range(self, span: Span) -> types.Range:
        return types.Range(self.position(span.start), self.position(span.end))

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position, or of the nearest character before it."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        end = LINE_END.search(self.text, start)
        line = self.text[start : end.start() if end else len(self.text)]
        if self._plain:
            return start + min(position.character, len(line))
        encoded = line.encode(self._codec, "surrogatepass")[: position.character * self._width]
        return start + len(encoded.decode(self._codec, "ignore"))

    def span(self, range: types.Range) -> Span:
        return Span(self.offset(range.start), self.offset(range.end))

    def _units(self, text: str) -> int:
        if self._plain:
            return len(text)
        return len(text.encode(self._codec, "surrogatepass")) // self._width
