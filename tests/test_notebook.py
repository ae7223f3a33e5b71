"""What a notebook shows of an object."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from test_store import SOURCE, failed, network, record

import cnngen

HOSTILE = "<script>alert(1)</script>&\x1b[31m"


def tags(html: str) -> set[str]:
    """The tags of a piece of HTML, whose attributes may stand without quotation marks."""
    quoted = html.replace("class=n", "")
    return {element.tag for element in ElementTree.fromstring(f"<div>{quoted}</div>").iter()}


def test_networks_are_drawn_and_large_ones_left_to_their_text() -> None:
    drawn = network()._repr_svg_()
    assert drawn == network().to_svg()
    large = cnngen.resolve(cnngen.parse(f"input {'conv ' * 500} output"), space="compact")
    assert large._repr_svg_() is None
    assert large.description._repr_html_() is not None


def test_sentences_are_shown_whole_unless_they_are_long() -> None:
    shown = network().description._repr_html_()
    assert shown is not None
    assert "Tiny -&gt; input(8x8x1) conv(filters=4," in shown
    assert cnngen.parse(f"input {'conv ' * 2000} output")._repr_html_() is None


def test_a_record_is_a_table_with_its_cause() -> None:
    shown = failed()._repr_html_()
    assert "nan: the loss is NaN" in shown
    assert "0.070 Wh" in record()._repr_html_()
    assert tags(shown) == {"div", "table", "tbody", "tr", "td"}


def test_runs_are_a_table_the_best_first(tmp_path: Path) -> None:
    for kept in (failed(), record(), record(seed=2, test_accuracy=0.25)):
        cnngen.save(tmp_path, kept, network(), SOURCE)
    shown = cnngen.load(tmp_path)._repr_html_()
    assert shown.index("75.0%") < shown.index("25.0%") < shown.index(">nan<")
    assert tags(shown) == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


def test_names_of_strangers_stay_text() -> None:
    hostile = replace(record(), name=HOSTILE, cause=HOSTILE, device=HOSTILE)
    shown = hostile._repr_html_()
    assert tags(shown) == {"div", "table", "tbody", "tr", "td"}
    assert "&lt;script&gt;" in shown
    assert "\x1b" not in shown
