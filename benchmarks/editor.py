"""Measure how soon the language server answers after a keystroke in a network of 300 layers.

    python benchmarks/editor.py [--layers 300] [--edits 60]

A client edits text in `cnngen lsp` over stdio, at random positions: digits, words, brackets, and
deletions. After each edit it sends the requests of an editor. The baseline, measured alternately,
parses and resolves the text in this process, without a server; for a broken text this is less than
half the work, because it stops at the first error. Times are wall-clock times, and CPU times of the
server's processes, which are more reliable on a busy machine (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from random import Random
from statistics import quantiles

import psutil
from lsprotocol import types as t
from pygls.lsp.client import LanguageClient

from cnngen.errors import CnnGenError
from cnngen.language import format, parse
from cnngen.space.resolution import resolve
from cnngen.space.sampling import Bounds, sample

URI = "file:///network.cnn"
TYPED = ["1", "x", "conv", " dropout", "(", ")", "[", "\n", " // note", "kernel=3", ","]


def edit(text: str, random: Random) -> tuple[str, int]:
    """Return the text after a random edit, and the position of the cursor."""
    at = random.randrange(len(text))
    if random.random() < 0.3:
        return text[:at] + text[at + random.randint(1, 4) :], at
    typed = random.choice(TYPED)
    return text[:at] + typed + text[at:], at + len(typed)


async def from_scratch(text: str) -> None:
    with suppress(CnnGenError):
        resolve(parse(text))


def computed(process: int) -> float:
    """Return the CPU time of a process and its children so far, in milliseconds."""
    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    tasks = [task for each in family for task in Path(f"/proc/{each.pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


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

    @property
    def process(self) -> int:
        assert self.client._server is not None
        return self.client._server.pid

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


Taken = dict[str, list[tuple[float, float]]]
"""Milliseconds of each kind of request: wall-clock and CPU time."""


async def measure(layers: int, edits: int) -> Taken:
    network = sample("paper", seed=1, bounds=Bounds(layers=(layers, layers + 20)))
    text = format(network.description, long=True)
    print(f"{len(network)} layers, {len(text):,} characters, {edits} edits")
    random = Random(0)
    client = Client()
    await client.start(text)
    document = t.TextDocumentIdentifier(URI)
    taken: Taken = {}

    async def note(name: str, process: int, request: Awaitable[object]) -> None:
        start, before = time.perf_counter(), computed(process)
        await request
        clock = (time.perf_counter() - start) * 1000
        taken.setdefault(name, []).append((clock, computed(process) - before))

    for _ in range(edits):
        changed, at = edit(text, random)
        cursor = position(changed, at)
        screen = t.Range(t.Position(0, 0), t.Position(60, 0))
        ask = client.client
        await note("parse and resolve from scratch", os.getpid(), from_scratch(changed))
        process = client.process
        await note("diagnostics after a keystroke", process, client.type(changed))
        completion = ask.text_document_completion_async(t.CompletionParams(document, cursor))
        await note("completion", process, completion)
        hover = ask.text_document_hover_async(t.HoverParams(document, cursor))
        await note("hover", process, hover)
        hints = ask.text_document_inlay_hint_async(t.InlayHintParams(document, screen))
        await note("shapes of a screen", process, hints)
    await client.stop()
    return taken


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--layers", type=int, default=300)
    options.add_argument("--edits", type=int, default=60)
    given = options.parse_args()
    taken = asyncio.run(measure(given.layers, given.edits))
    print("milliseconds                         clock: p50    p95    computed: p50    p95   ratio")
    base = quantiles([each for _, each in taken["parse and resolve from scratch"]], n=20)[9]
    for name, times in taken.items():
        clock, work = (quantiles(each, n=20) for each in zip(*times, strict=True))
        print(
            f"{name:34} {clock[9]:12.1f} {clock[18]:6.1f} {work[9]:16.1f} {work[18]:6.1f} "
            f"{work[9] / base:7.2f}"
        )


if __name__ == "__main__":
    main()
