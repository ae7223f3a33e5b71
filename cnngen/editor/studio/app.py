"""The studio's web application: its routes and their handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json, to_jsonable_python
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from cnngen.editor.studio import answers, predicting
from cnngen.editor.studio import requests as queries
from cnngen.editor.studio import runs as explorer
from cnngen.editor.studio.limits import Limits, was_late, within
from cnngen.editor.studio.live_training import Event, Trainer
from cnngen.editor.studio.settings import StudioSettings, save_file, start
from cnngen.errors import CnnGenError, shorten
from cnngen.runs.campaign import WorkerDied, Workers
from cnngen.training.data.shared import SharedData

P = ParamSpec("P")
T = TypeVar("T")
Query = TypeVar("Query", bound=queries.Query)
Opened = TypeVar("Opened", bound=queries.NetworkQuery)

PAGE = Path(__file__).parent / "page"


class Studio:
    """Handles the page's requests. `nonce` is that of the page's style sheets."""

    def __init__(self, settings: StudioSettings, data: SharedData, nonce: str) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._nonce = nonce
        # Requests while typing do not wait for a folder to be read.
        self._writing, self._reading = Workers(1), Workers(1)
        self._trainer = Trainer(data, self._limits)

    def app(self) -> Starlette:
        """Create the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Mount("/page", StaticFiles(directory=PAGE)),
                Route("/api/start", self._start),
                _post("/api/check", queries.Check, partial(self._write, answers.check_text)),
                _post("/api/complete", queries.Complete, partial(self._write, answers.complete)),
                _post(
                    "/api/generate", queries.Generate, partial(self._write, answers.generate_source)
                ),
                _post("/api/sample", queries.Sample, partial(self._write, answers.sample_text)),
                _post("/api/predict", queries.Check, self._predict),
                _post("/api/campaigns", queries.Query, self._campaigns),
                _post("/api/explore", queries.Explore, self._explore),
                _post("/api/open", queries.OpenRun, self._open),
                _post("/api/save", queries.Save, self._save),
                Route("/api/train", self._train, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        # Start a worker now, so that the first request need not wait for it.
        self._writing.submit(answers.check_text, queries.Check(text=""), self._limits)
        yield
        self._writing.drop()
        self._reading.drop()
        self._trainer.close()

    async def _page(self, _: Request) -> Response:
        html = (PAGE / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(html.replace("{{nonce}}", self._nonce))

    async def _start(self, _: Request) -> Response:
        try:
            return _answer(await asyncio.to_thread(start, self._settings))
        except CnnGenError as error:
            return _fault(error)

    async def _write(self, fn: Callable[[Opened, Limits], object], query: Opened) -> object:
        self._admit(query)
        return await self._ask(self._writing, fn, query, self._limits)

    async def _predict(self, query: queries.Check) -> object:
        self._admit(query)
        model = self._settings.model
        return await self._ask(self._reading, predicting.predict_text, query, model, self._limits)

    async def _campaigns(self, _: queries.Query) -> object:
        return await self._ask(self._reading, explorer.campaigns, self._settings.folder)

    async def _explore(self, query: queries.Explore) -> object:
        folder, limits = self._settings.folder, self._limits
        return await self._ask(self._reading, explorer.explore, folder, query.campaign, limits)

    async def _open(self, query: queries.OpenRun) -> object:
        folder, limits = self._settings.folder, self._limits
        campaign, key = query.campaign, query.key
        return await self._ask(self._writing, explorer.open_run, folder, campaign, key, limits)

    async def _save(self, query: queries.Save) -> object:
        return await asyncio.to_thread(save_file, self._settings, query.text, query.digest)

    async def _train(self, request: Request) -> Response:
        try:
            query = await _query(request, queries.Train)
            self._admit(query)
        except _Refused as refused:
            return refused.answer
        except CnnGenError as error:
            return _fault(error)
        return _Live(lambda tell: self._trainer.train(query, tell))

    def _admit(self, query: queries.NetworkQuery) -> None:
        """Raise `CnnGenError` for a space that is not offered, as the page must not name files."""
        if query.space not in self._settings.spaces:
            raise CnnGenError(
                f"the studio has no space '{shorten(query.space)}'",
                hint=f"Known: {', '.join(self._settings.spaces)}; --space adds one.",
            )

    async def _ask(
        self, workers: Workers, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function in a worker, within the limits of this studio.

        Raises `CnnGenError` as the function does, and if it exceeds a limit.
        """
        limits = self._limits
        seconds = limits.seconds if workers is self._writing else limits.reading_seconds
        call = partial(fn, *args, **kwargs)
        future = workers.submit(within, seconds, limits.memory, call)
        try:
            return await asyncio.wrap_future(future)
        except WorkerDied as death:
            cause = f"it took more than {seconds:g} s" if was_late(death) else death.cause
            raise CnnGenError(
                f"this was ended: {cause}", hint="The command line has no such limits."
            ) from None
        except MemoryError:
            raise CnnGenError(
                f"this needs more than the {limits.memory / 2**30:.3g} GB that it may take",
                hint="`cnngen studio --memory` allows more.",
            ) from None


class _Live(Response):
    """A response that streams the events of a training as lines of JSON.

    Disconnecting ends the training.
    """

    def __init__(
        self, train: Callable[[Callable[[Event], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        super().__init__(media_type="application/x-ndjson")
        del self.headers["content-length"]
        self._run = train

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(event: Event) -> None:
            line = _bytes(event) + b"\n"
            await send({"type": "http.response.body", "body": line, "more_body": True})

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        training = asyncio.ensure_future(self._run(tell))
        leaving = asyncio.ensure_future(gone())
        await asyncio.wait({training, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (training, leaving):
            task.cancel()
        await asyncio.gather(training, leaving, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Refused(Exception):
    """A request that is malformed or too long."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def _post(path: str, kind: type[Query], answer: Callable[[Query], Awaitable[object]]) -> Route:
    """Create a route that takes a query as JSON and responds with JSON."""

    async def endpoint(request: Request) -> Response:
        try:
            return _answer(await answer(await _query(request, kind)))
        except _Refused as refused:
            return refused.answer
        except CnnGenError as error:
            return _fault(error)

    return Route(path, endpoint, methods=["POST"])


async def _query(request: Request, kind: type[Query]) -> Query:
    if request.headers.get("content-type") != "application/json":
        raise _Refused(
            _json(_said("the request is not valid JSON"), HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        )
    try:
        return kind.model_validate_json(await request.body())
    except ClientDisconnect:
        said = _said("the request is too long for the studio")
        raise _Refused(_json(said, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        said = _said(f"{field}: {first['msg']}")
        raise _Refused(_json(said, HTTPStatus.UNPROCESSABLE_ENTITY)) from None


def _said(message: str) -> object:
    return {"fault": answers.TextFault(message, None, None, None)}


def _answer(answer: object) -> Response:
    return _json({"answer": answer})


def _fault(error: CnnGenError) -> Response:
    # A mistake in a description is not an error of the request, nor one for the browser's log.
    return _json({"fault": answers.fault(error)})


def _json(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(_bytes(content), status, media_type="application/json")


def _bytes(content: object) -> bytes:
    """Encode content as JSON, with escapes for characters of file names that UTF-8 lacks."""
    try:
        return to_json(content, inf_nan_mode="null")
    except ValueError:  # a lone surrogate
        return json.dumps(to_jsonable_python(content, inf_nan_mode="null")).encode()
