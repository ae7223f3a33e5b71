"""The studio as programs see it: who may ask, and what comes of hostile questions and folders."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from studio_server import Answer, Server, limited, serving
from test_store import SOURCE, network, record

import cnngen.editor.studio
from cnngen.editor.studio import Limits, StudioSettings, answers, serve
from cnngen.editor.studio.limits import was_late, within
from cnngen.editor.studio.requests import Check
from cnngen.editor.studio.settings import read_file, save_file
from cnngen.errors import CnnGenError
from cnngen.language import parse
from cnngen.runs.campaign import WorkerDied, Workers
from cnngen.runs.store import save
from cnngen.space.resolution import resolve
from cnngen.space.sampling import Bounds, sample

ENDS = {"input_shape": [8, 8, 1], "classes": 10}
MARKUP = "<img src=x onerror=alert(1)>"
SMALL = "input conv(filters=2, kernel=3) flatten dense output"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving("--folder", str(folder / "runs"), cwd=folder) as running:
        yield running


def check(server: Server, headers: dict[str, str]) -> Answer:
    body = json.dumps({"text": SMALL}).encode()
    return server.request("POST", "/api/check", headers, body)


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(server: Server) -> None:
    entered = server.request("GET", f"/?token={server.token}", {"Host": server.authority})
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(server.cookie)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert len(server.token) >= 43, "256 bits, six in a character"
    page = server.request("GET", "/", {"Host": server.authority, "Cookie": server.cookie})
    assert page.status == 200
    assert server.token.encode() not in page.body


def test_its_own_page_is_answered(server: Server) -> None:
    found = check(server, server.own())
    assert found.status == 200
    assert found.answer["faults"] == []
    assert found.answer["network"]["id"] == resolve(parse(SMALL)).id


WRONG = {
    "no token": ({"Cookie": None}, 403),
    "a wrong token": ({"Cookie": "cnngen-studio=no"}, 403),
    "another name for the loopback, as by DNS rebinding": ({"Host": "evil.example:8642"}, 421),
    "the loopback's address without the port": ({"Host": "127.0.0.1"}, 421),
    "another page": ({"Origin": "http://evil.example"}, 403),
    "a page on another port of this machine": ({"Origin": "http://127.0.0.1:1"}, 403),
    "a page that hides what it is": ({"Origin": "null"}, 403),
    "no page at all": ({"Origin": None}, 403),
    "another site, the browser says": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another port, the browser says": ({"Sec-Fetch-Site": "same-site"}, 403),
    "a form's kind of content": ({"Content-Type": "text/plain"}, 415),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_from_its_own_page_is_refused(server: Server, wrong: str) -> None:
    changes, status = WRONG[wrong]
    assert check(server, server.own(**changes)).status == status


def test_a_request_names_one_host(server: Server) -> None:
    assert check(server, server.own(Host=None)).status == 400


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/start", "/?token=wrong"])
def test_nothing_is_shown_without_the_token(server: Server, path: str) -> None:
    assert server.request("GET", path, {"Host": server.authority}).status == 403


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize("path", ["/", "/api/train", "/ws"])
def test_no_websocket_is_opened_with_or_without_the_token(
    server: Server, path: str, cookie: bool
) -> None:
    headers = server.own(
        Cookie=server.cookie if cookie else None,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
        Sec_WebSocket_Version="13",
    )
    assert server.request("GET", path, headers).status != 101


def test_no_path_leads_out_of_the_page(server: Server) -> None:
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page//etc/passwd"):
        assert server.request("GET", path, server.own()).status == 404


def test_every_answer_forbids_other_hosts_inline_code_and_frames(server: Server) -> None:
    for path in ("/", "/page/main.js", "/api/start", "/nothing"):
        headers = server.request("GET", path, server.own()).headers
        policy = dict(
            part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"


def test_it_listens_on_the_loopback_alone(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    listening = [c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_addresses_that_others_reach_are_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(CnnGenError, match=f"'{host}' is not a loopback address"):
        serve(settings(tmp_path / "net.cnn"), host=host, on_ready=pytest.fail)


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = studio("--port", port, cwd=folder)
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr


def studio(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnngen", "studio", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_its_packages_the_command_says_how_to_install_them(folder: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from cnngen.cli.app import run; sys.exit(run(['studio']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'cnngen[studio]'" in done.stderr


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("check", {"text": SMALL, "more": 1}),
        ("check", {}),
        ("check", {"text": SMALL, "seed": -1}),
        ("check", {"text": SMALL, "input_shape": [8, 8]}),
        ("train", {"text": SMALL, "backend": "torch", "epochs": 10**9}),
        ("open", {"campaign": ".", "key": "../../../etc/passwd"}),
    ],
)
def test_questions_of_the_wrong_form_are_refused(
    server: Server, name: str, question: object
) -> None:
    answer = server.ask(name, question)
    assert answer.status == 422
    assert answer.fault


def test_texts_that_are_too_long_are_refused_before_they_are_read(server: Server) -> None:
    found = server.ask("check", {"text": "conv " * 50_000}).answer
    assert "the studio's limit of 200,000" in found["faults"][0]["message"]
    body = b'{"text": "' + b"x" * 2_000_000 + b'"}'
    assert server.request("POST", "/api/check", server.own(), body).status == 413


def test_a_backend_that_is_none_is_a_message(server: Server) -> None:
    answer = server.ask("generate", {"text": SMALL, "backend": "os"})
    assert answer.fault == "there is no backend 'os'"


@pytest.mark.parametrize("space", ["own.toml", "/etc/passwd"])
def test_the_page_names_no_file_to_read_a_space_from(
    server: Server, folder: Path, space: str
) -> None:
    (folder / "own.toml").write_text("secret = 1")
    text = {"space": space, "text": SMALL}
    for name, question in (
        ("check", text),
        ("predict", text),
        ("sample", {"space": space}),
        ("train", {**text, "backend": "torch"}),
    ):
        assert server.ask(name, question).fault == f"the studio has no space '{space}'"


def test_a_sample_is_that_of_the_command_line(server: Server) -> None:
    question = {"space": "compact", "seed": 5, "layers": [10, 20], **ENDS}
    text = server.ask("sample", question).answer["text"]
    bounds = Bounds(layers=(10, 20))
    drawn = sample("compact", input_shape=(8, 8, 1), classes=10, seed=5, bounds=bounds)
    assert parse(text) == drawn.description


def test_a_prediction_is_that_of_the_command_line(server: Server, folder: Path) -> None:
    (folder / "small.cnn").write_text(SMALL)
    command = [sys.executable, "-m", "cnngen", "predict", "small.cnn", "--json"]
    done = subprocess.run(
        [*command, "--input", "8x8x1"], cwd=folder, capture_output=True, text=True, check=True
    )
    (told,) = json.loads(done.stdout)
    answer = server.ask("predict", {"text": SMALL, **ENDS}).answer
    assert {found["target"] for found in answer["forecasts"]} >= {"accuracy", "energy", "time"}
    for found in answer["forecasts"]:
        for name in ("mean", "low", "high"):
            assert found[name] == pytest.approx(told[found["target"]][name])
        assert found["note"] == told[found["target"]].get("note", "")
    assert answer["outside"] == told["outside"]


def test_a_model_that_is_none_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04 cos\nsystem\n")
    with serving("--model", "model.zip", cwd=tmp_path) as server:
        assert "model.zip" in server.ask("predict", {"text": SMALL}).fault


def test_the_ends_of_the_page_are_for_what_the_text_leaves_open(server: Server) -> None:
    question = {"text": "input(16x16x3) conv flatten dense(units=7) output", **ENDS}
    network = server.ask("check", question).answer["network"]
    assert (network["input"], network["output"]) == ("16x16x3", "7 classes")


def test_a_question_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    # No network has so many layers and so few weights: it would draw a thousand of them.
    endless = {"space": "paper", "layers": [200, None], "parameters": [None, 10]}
    with limited(tmp_path, seconds=0.4) as server:
        answer = server.ask("sample", endless)
        assert answer.fault == "this was ended: it took more than 0.4 s"


def test_after_a_question_that_was_ended_the_next_is_answered() -> None:
    with Workers(1) as workers:
        late = workers.submit(within, 0.1, 2**32, partial(time.sleep, 1000))
        with pytest.raises(WorkerDied) as death:
            late.result()
        assert was_late(death.value)
        check = partial(answers.check_text, Check(text=SMALL), Limits())
        assert workers.submit(within, 600, 2**32, check).result().faults == []


def test_a_training_keeps_to_its_time(tmp_path: Path) -> None:
    ample = {"text": SMALL, "backend": "torch", "epochs": 1000, **ENDS}
    with limited(tmp_path, training_seconds=0.5) as server:
        events = server.ask("train", ample).lines
        assert events[-1]["record"]["status"] == "time_budget"
        assert len(events) - 1 < 1000


def test_a_training_keeps_to_its_memory_and_the_next_is_trained(tmp_path: Path) -> None:
    ample = {"text": SMALL, "backend": "torch", **ENDS}
    wide = "input conv flatten dense(units=100000) dense(units=100000) dense output"
    with limited(tmp_path, memory=2 * 2**30) as server:
        events = server.ask("train", {**ample, "text": wide, "epochs": 1}).lines
        assert events[-1]["record"]["status"] == "out_of_memory"
        events = server.ask("train", {**ample, "epochs": 1}).lines
        assert [event["kind"] for event in events] == ["epoch", "record"]
        assert events[-1]["record"]["test_accuracy"] is not None


def test_what_cannot_be_trained_is_said_in_words(server: Server) -> None:
    backbone = {"text": "input conv output", "backend": "torch", **ENDS}
    (event,) = server.ask("train", backbone).lines
    assert "is a backbone and cannot be trained" in event["fault"]["message"]


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Path:
    """A folder of runs in which one is right, and each of the others is not."""
    runs = folder / "runs" / MARKUP.replace("/", "")
    kept = record()
    save(runs, kept, network(), SOURCE)
    for filters, name in ((5, "record.json"), (6, "model.cnn")):
        other = record(network(filters))
        save(runs, other, network(filters), SOURCE)
        (runs / other.key / name).write_text(f'{{"schema": "{MARKUP}"}}')
    linked = record(network(7))
    (runs / linked.key).symlink_to(runs / kept.key)
    secret = record(network(8))
    save(runs, secret, network(8), SOURCE)
    (runs / secret.key / "model.cnn").unlink()
    (runs / secret.key / "model.cnn").symlink_to("/etc/passwd")
    (runs / "evil.py").write_text("raise SystemExit('it ran')")
    (runs / "index.parquet").write_bytes(b"PAR1" + os.urandom(64) + b"PAR1")
    return runs


def test_a_hostile_folder_is_read_as_data_and_its_faults_are_told(
    server: Server, hostile: Path
) -> None:
    campaigns = server.ask("campaigns", {}).answer
    assert campaigns == [{"name": hostile.name, "runs": 5}]
    found = server.ask("explore", {"campaign": hostile.name}).answer
    assert (len(found["points"]), found["broken"]) == (1, 4)
    reasons = dict(found["reasons"])
    assert reasons[record(network(7)).key].endswith("is a symbolic link")
    assert reasons[record(network(5)).key].startswith("schema")


def test_a_run_is_opened_as_what_the_parser_understands(server: Server, hostile: Path) -> None:
    def opened(filters: int) -> Answer:
        key = record(network(filters)).key
        return server.ask("open", {"campaign": hostile.name, "key": key})

    assert opened(4).answer["text"].split() == network(4).to_text().split()
    for filters in (6, 7, 8):
        assert "root:" not in opened(filters).fault


@pytest.mark.parametrize("campaign", ["..", "../..", "/etc", "", "nothing", "./."])
def test_no_campaign_is_outside_the_folder(server: Server, campaign: str) -> None:
    answer = server.ask("explore", {"campaign": campaign})
    assert "has no folder of runs" in answer.fault
    assert server.ask("open", {"campaign": campaign, "key": record().key}).fault


PAGE = Path(cnngen.editor.studio.__file__).parent / "page"


def test_nothing_of_the_page_names_another_host() -> None:
    for file in PAGE.iterdir():
        if file.suffix in (".html", ".css", ".js", ".svg"):
            named = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+", file.read_text())
            # The names of SVG's and XHTML's vocabularies, which nobody fetches.
            assert set(named) <= {"http://www.w3.org"}, file.name


def test_the_libraries_are_those_that_are_stated_with_their_licences() -> None:
    stated = json.loads((PAGE.parent / "libraries" / "package.json").read_text())
    licences = (PAGE / "libraries.LICENSES.txt").read_text()
    for name, version in stated["dependencies"].items():
        assert f"{name} {version}\n" in licences
    assert licences.count("Copyright") >= licences.count("-" * 72) + 1


def settings(file: Path) -> StudioSettings:
    from test_store import dataset

    return StudioSettings(file, file.parent, dataset(), limits=Limits(characters=100))


def test_a_file_is_saved_only_over_what_was_read(tmp_path: Path) -> None:
    file = tmp_path / "net.cnn"
    new = read_file(settings(file))
    assert new is not None
    assert (new.text, new.digest) == ("", None)
    first = save_file(settings(file), SMALL, new.digest)
    assert file.read_text() == SMALL
    assert read_file(settings(file)) == first
    file.write_text("// changed")
    with pytest.raises(CnnGenError, match="changed by another program"):
        save_file(settings(file), "input", first.digest)
    assert file.read_text() == "// changed"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("net.txt", b"", "descriptions end in .cnn"),
        ("net.cnn", b"\xff\xfe", "not a text file in UTF-8"),
        ("net.cnn", b"x" * 101, "more than the 100 characters"),
    ],
)
def test_a_file_that_is_no_text_is_refused_at_the_start(
    tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CnnGenError, match=fault):
        read_file(settings(tmp_path / name))
