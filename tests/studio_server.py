"""A studio in a process of its own, and requests to it in which every header is ours."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVE = """
import json, sys
from pathlib import Path
from cnngen.training.data import load_data
from cnngen.editor.studio import Limits, StudioSettings, serve
limits, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
settings = StudioSettings(None, folder, load_data("digits"), limits=Limits(**limits))
serve(settings, on_ready=lambda address: print(address, flush=True))
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def answer(self) -> Any:
        return self.json["answer"]

    @property
    def fault(self) -> str:
        message: str = self.json["fault"]["message"]
        return message

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass(frozen=True)
class Server:
    """`address` has the token; `process` ends with the context that it was made in."""

    address: str
    process: subprocess.Popen[str]

    @property
    def authority(self) -> str:
        return urlsplit(self.address).netloc

    @property
    def origin(self) -> str:
        return f"http://{self.authority}"

    @property
    def token(self) -> str:
        return urlsplit(self.address).query.removeprefix("token=")

    @property
    def cookie(self) -> str:
        return f"cnngen-studio-{urlsplit(self.address).port}={self.token}"

    def own(self, **changes: str | None) -> dict[str, str]:
        """The headers of the page's own requests, some changed or left out."""
        headers: dict[str, str | None] = {
            "Host": self.authority,
            "Origin": self.origin,
            "Cookie": self.cookie,
            "Content-Type": "application/json",
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in headers.items() if value is not None}

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One request with these headers, and none that a library adds but its length."""
        host, port = self.authority.rsplit(":", 1)
        line = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                line.putheader(name, value)
            if body is not None:
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            line.close()

    def ask(self, name: str, question: object) -> Answer:
        """What the page is told when it asks."""
        return self.request("POST", f"/api/{name}", self.own(), json.dumps(question).encode())


@contextmanager
def serving(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`cnngen studio` with these arguments, on any port."""
    command = [sys.executable, "-m", "cnngen", "studio", "--port", "0", *arguments]
    with _running(command, cwd, environment or {}) as server:
        yield server


@contextmanager
def limited(folder: Path, **limits: float) -> Iterator[Server]:
    """A studio with limits that the command line does not offer."""
    command = [sys.executable, "-c", SERVE, json.dumps(limits), str(folder)]
    with _running(command, folder, {}) as server:
        yield server


@contextmanager
def _running(command: list[str], cwd: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    root = str(Path(__file__).parent.parent)
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http://" in line, "the studio did not start"
        yield Server(line[line.index("http://") :].strip(), process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()
        process.wait()
