"""Texts that HTML and matplotlib do not take for markup, and tables of them."""

from __future__ import annotations

import html
from collections.abc import Sequence

from cnngen.errors import printable


def text(content: str) -> str:
    """A text that HTML takes for nothing but text."""
    return html.escape(printable(content))


def matplotlib_text(content: str) -> str:
    """A text that matplotlib does not take for a formula."""
    return printable(content).replace("$", r"\$")


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1, mark: str = ""
) -> str:
    """A table of texts, with a head where `columns` are named. All columns but the first
    `texts` hold figures: their class is `n`. `mark` are the attributes of the others."""
    head = f"<thead>{_row('th', columns, texts, mark)}</thead>" if columns else ""
    body = "".join(_row("td", row, texts, mark) + "\n" for row in rows)
    return f"<table>{head}<tbody>{body}</tbody></table>"


def notebook_table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table in a notebook, which sets all to the right that does not say otherwise."""
    return table(columns, rows, texts, ' style="text-align: left"')


def _row(tag: str, cells: Sequence[str], texts: int, mark: str) -> str:
    marked = (
        f"<{tag}{mark if at < texts else ' class=n'}>{text(cell)}</{tag}>"
        for at, cell in enumerate(cells)
    )
    return f"<tr>{''.join(marked)}</tr>"
