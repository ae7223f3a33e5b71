"""A real browser for tests: Chromium, as Debian and others package it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LACKING = "Chromium is not installed, so the studio was not tested in a browser"
HINT = "apt-get install chromium, or name one in CNNGEN_BROWSER"


def executable() -> str | None:
    """Return the path of the browser named by CNNGEN_BROWSER, or of an installed one."""
    named = os.environ.get("CNNGEN_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """A page that records its requests and console messages."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def left(self, origin: str) -> list[str]:
        """The requests that went elsewhere; what a page makes itself goes nowhere."""
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(origin + "/")
        ]


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with a profile of its own that resolves no names.

    Skips the test where there is no browser, or fails it where CNNGEN_BROWSER_REQUIRED is set.
    """
    found = executable()
    if found is None:
        if os.environ.get("CNNGEN_BROWSER_REQUIRED"):
            pytest.fail(f"{LACKING}: {HINT}")
        pytest.skip(f"{LACKING}: {HINT}")
    from playwright.sync_api import sync_playwright

    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, headless=True, args=[*ARGUMENTS, rules]
        )
        try:
            yield browser
        finally:
            browser.close()
