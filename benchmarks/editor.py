"""How soon an editor has its answer after a keystroke in a network of 300 layers.

    python benchmarks/editor.py [--layers 300] [--edits 60]

A client types into `cnngen lsp` over stdio, at random places: digits, words, brackets, and
deletions. After each edit it asks as an editor does. The baseline, measured in turn with it, is
the text parsed and resolved from scratch in one process, without a server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import suppress
from random import Random
from statistics import quantiles

from lsprotocol import types as t
from pygls.lsp.client import LanguageClient

from cnngen.errors import CnnGenError
from cnngen.language import format, parse
from cnngen.resolution import resolve
from cnngen.sampling import Bounds, sample

URI = "file:///network.cnn"
TYPED = ["1", "x", "conv", " dropout", "(", ")", "[", "\n", " // note", "kernel=3", ","]


def edit(text: str, random: Random) -> tuple[str, int]:
    """A text with something typed or deleted, and where the cursor stands."""
    at = random.randrange(len(text))
    if random.random() < 0.3:
        return text[:at] + text[at + random.randint(1, 4) :], at
    typed = random.choice(TYPED)
    return text[:at] + typed + text[at:], at + len(typed)


def from_scratch(text: str) -> None:
    with suppress(CnnGenError):
        resolve(parse(text))


def position(text: str, at: int) -> t.Position:
    before = text[:at]
    return t.Position(before.count("\n"), at - before.rfind("\n") - 1)


class Client:
    """A client with one text, that waits for the diagnostics of each of its versions."""

    def __init__(self) -> None:
        self.client = LanguageClient("benchmark", "1")
        self.published: asyncio.Queue[int | None] = asyncio.Queue()
        self.version = 1

        @self.client.feature(t.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: t.PublishDiagnosticsParams) -> None:
            self.published.put_nowait(params.version)

    async def start(self, text: str) -> None:
        await self.client.start_io(sys.executable, "-m", "cnngen", "lsp")
        await self.client.initialize_async(t.InitializeParams(capabilities=t.ClientCapabilities()))
        self.client.initialized(t.InitializedParams())
        document = t.TextDocumentItem(URI, "cnn", 1, text)
        self.client.text_document_did_open(t.DidOpenTextDocumentParams(document))
        await self.diagnostics()

    async def diagnostics(self) -> None:
        while await self.published.get() != self.version:
            pass

    async def type(self, text: str) -> None:
        self.version += 1
        self.client.text_document_did_change(
            t.DidChangeTextDocumentParams(
                t.VersionedTextDocumentIdentifier(self.version, URI),
                [t.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        await self.diagnostics()

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)


async def measure(layers: int, edits: int) -> dict[str, list[float]]:
    network = sample("paper", seed=1, bounds=Bounds(layers=(layers, layers + 20)))
    text = format(network.description, long=True)
    print(f"{len(network)} layers, {len(text):,} characters, {edits} edits")
    random = Random(0)
    client = Client()
    await client.start(text)
    taken: dict[str, list[float]] = {}

    def note(name: str, start: float) -> None:
        taken.setdefault(name, []).append((time.perf_counter() - start) * 1000)

    document = t.TextDocumentIdentifier(URI)
    for _ in range(edits):
        changed, at = edit(text, random)
        start = time.perf_counter()
        from_scratch(changed)
        note("parse and resolve, from scratch", start)

        start = time.perf_counter()
        await client.type(changed)
        note("diagnostics after the keystroke", start)
        place = position(changed, at)
        start = time.perf_counter()
        await client.client.text_document_completion_async(t.CompletionParams(document, place))
        note("completion", start)
        start = time.perf_counter()
        await client.client.text_document_hover_async(t.HoverParams(document, place))
        note("hover", start)
        start = time.perf_counter()
        everything = t.Range(t.Position(0, 0), t.Position(60, 0))
        await client.client.text_document_inlay_hint_async(t.InlayHintParams(document, everything))
        note("shapes of a screen", start)
    await client.stop()
    return taken


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--layers", type=int, default=300)
    options.add_argument("--edits", type=int, default=60)
    given = options.parse_args()
    taken = asyncio.run(measure(given.layers, given.edits))
    print(f"{'milliseconds':34}  {'p50':>6} {'p95':>6} {'most':>6}   over the baseline's p50")
    base = quantiles(taken["parse and resolve, from scratch"], n=20)[9]
    for name, times in taken.items():
        cuts = quantiles(times, n=20)
        print(f"{name:34}  {cuts[9]:6.1f} {cuts[18]:6.1f} {max(times):6.1f}   {cuts[9] / base:.2f}")


if __name__ == "__main__":
    main()
