"""The documentation site: complete, without a broken link, and without a request elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import griffe
import pytest
import yaml
from browser import Tab, browsing
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

import cnngen
from cnngen.cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
STABILITY = (ROOT / "docs" / "stability.md").read_text("utf-8")

LOADING = {"src", "srcset", "data", "poster", "background"}
"""Attributes that make a browser load something; of `href`, those of a `link`."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built so that any broken link or page outside the navigation fails."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loads(HTMLParser):
    """Collects what a page loads, what it links to, and the classes of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.links: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in LOADING or (tag == "link" and name == "href"):
                self.urls.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "style":
                self.urls += urls(value or "")
            elif name == "class":
                self.classes |= set((value or "").split())

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.urls += urls(data)


def urls(css: str) -> list[str]:
    return re.findall(r"""(?:url\(|@import)\s*["']?([^"')]*)""", css)


def elsewhere(url: str) -> bool:
    return bool(re.match(r"\s*(?:[a-z]+:)?//", url, re.IGNORECASE))


def test_nothing_of_the_site_is_loaded_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        found = Loads()
        found.feed(page.read_text("utf-8"))
        assert found.urls
        assert not list(filter(elsewhere, found.urls)), page
        # The theme's script asks other hosts for these two alone.
        assert "mermaid" not in found.classes
        assert "md-source" not in found.classes
    for style in site.rglob("*.css"):
        assert not list(filter(elsewhere, urls(style.read_text("utf-8")))), style


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = Loads()
        found.feed(page.read_text("utf-8"))
        for url in (*found.links, *found.urls):
            path = unquote(url.partition("#")[0].partition("?")[0])
            if page.name != "404.html" and path and not re.match(r"[a-z]+:|//", path):
                assert (page.parent / path).is_file(), f"{page}: {url}"


def test_the_search_works_in_a_page_opened_as_a_file(site: Path) -> None:
    with browsing() as browser:
        tab = Tab(browser.new_page())
        tab.page.goto((site / "index.html").as_uri())
        found = tab.page.locator("li.md-search-result__item a[href*='reference/cnngen']").first
        field = tab.page.locator("input.md-search__input")
        field.click()
        field.press_sequentially("sample_description")
        for _ in range(60):
            # On a busy machine, keys that come before the page listens are lost; it reads the
            # whole field at the next one.
            field.press("End")
            with suppress(PlaywrightTimeout):
                found.wait_for(timeout=2_000)
                break
        expect(found).to_be_visible()
        assert tab.requests
        assert all(url.startswith(("file:", "data:", "blob:")) for url in tab.requests)
        assert not tab.complaints


def test_every_command_has_its_help_on_the_page(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text("utf-8")
    for command in (one.__name__.rstrip("_") for group in COMMANDS.values() for one in group):
        assert f'id="cnngen-{command}"' in page
    assert "--help" in page


def test_every_public_name_is_described_on_the_page(site: Path) -> None:
    page = (site / "reference" / "cnngen.html").read_text("utf-8")
    for name in cnngen.__all__:
        assert f'id="cnngen.{name}"' in page, name


def test_the_page_of_what_is_stable_lists_the_public_names() -> None:
    section = STABILITY.split("## Python")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == sorted(
        cnngen.__all__, key=str.lower
    )


def test_every_public_name_has_a_docstring() -> None:
    package = griffe.load("cnngen", search_paths=[ROOT], allow_inspection=False)
    assert set(package.exports or ()) == set(cnngen.__all__)
    assert not [name for name in cnngen.__all__ if not package[name].has_docstring]


def test_pages_keep_their_names() -> None:
    """README, messages and other people's notes link to them."""
    listed = yaml.safe_dump(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=_NoTags)["nav"])
    for page in re.findall(r"\(docs/([\w/-]+\.md)", (ROOT / "README.md").read_text("utf-8")):
        assert page in listed
        assert (ROOT / "docs" / page).is_file()


class _NoTags(yaml.SafeLoader):
    """Reads mkdocs.yml without importing the Python names in it."""


_NoTags.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)


def test_the_citation_and_the_changelog_know_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == cnngen.__version__
    assert citation["authors"]
    for work in (citation["preferred-citation"], *citation["references"]):
        assert {"type", "title", "authors"} <= work.keys()
    headings = re.findall(r"^## \[(.+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", cnngen.__version__]
