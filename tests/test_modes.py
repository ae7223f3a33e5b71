"""Modes: how they are written, and that nothing a backend does in its process harms ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numeric
import pytest

from cnngen.backend.mode_process import Mode, ModeError, ModeProcess, parse_mode
from cnngen.errors import BackendError
from cnngen.system import plugins


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(numeric.install(tmp_path_factory.mktemp("numeric") / "site"))
        plugins._declared.cache_clear()
        yield
    plugins._declared.cache_clear()
    plugins._made.cache_clear()


def test_a_mode_is_a_backend_and_perhaps_how_its_framework_is_run() -> None:
    assert parse_mode("torch") == Mode("torch")
    assert str(parse_mode(" keras:jax ")) == "keras:jax"
    assert parse_mode("keras:jax").environment == {"KERAS_BACKEND": "jax"}
    assert parse_mode("torch:compiled").environment != parse_mode("torch:eager").environment
    assert parse_mode("keras:jax@float16").precision == "float16"
    assert str(parse_mode("torch@bfloat16")) == "torch@bfloat16"
    with pytest.raises(BackendError, match="no precision 'half'") as wrong:
        parse_mode("torch@half")
    assert "torch@bfloat16" in str(wrong.value.hint)
    with pytest.raises(BackendError, match="no mode 'caffe'") as error:
        parse_mode("keras:caffe")
    assert "keras:tensorflow" in str(error.value.hint)
    with pytest.raises(BackendError, match="no backend 'caffe'"):
        parse_mode("caffe:2")


def what_is_loaded(_: str, *names: str) -> bytes:
    return json.dumps([[name in sys.modules for name in names], dict(os.environ)]).encode()


def raises_its_own(_: str) -> bytes:
    class Strange(Exception):
        def __str__(self) -> str:
            return "a \x1b[31mlong\n" + "story " * 1000

    raise Strange


def gives_text(_: str) -> bytes:
    return "text"  # type: ignore[return-value]


def starts_another(_: str) -> bytes:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    return str(child.pid).encode()


def sleeps(_: str, seconds: float) -> bytes:
    time.sleep(seconds)
    return b"awake"


def test_a_process_has_the_modes_environment_and_frameworks_stay_in_it() -> None:
    mode = Mode("numeric", "some", {"KERAS_BACKEND": "jax"})
    with ModeProcess(mode, environment={"KERAS_BACKEND": "torch", "MORE": "1"}) as process:
        loaded, environment = json.loads(process.call(what_is_loaded, "torch", "keras"))
    assert loaded == [False, False]
    assert (environment["KERAS_BACKEND"], environment["MORE"]) == ("jax", "1")


def test_what_is_raised_there_is_an_error_with_the_modes_name_and_the_process_goes_on() -> None:
    with ModeProcess(Mode("numeric", "some")) as process:
        pid = process.call(what_is_loaded)
        for fn, message in (
            (raises_its_own, "numeric:some: Strange: a  [31mlong"),
            (gives_text, "numeric:some: TypeError: the call returned str, not bytes"),
        ):
            with pytest.raises(ModeError) as error:
                process.call(fn)
            assert error.value.message.startswith(message)
            assert len(error.value.message) < 400
            assert error.value.message.isprintable()
        assert json.loads(process.call(what_is_loaded)) == json.loads(pid)


def test_a_call_that_hangs_is_ended_with_all_that_it_started_and_the_next_one_runs() -> None:
    with ModeProcess(Mode("numeric"), patience=30) as process:
        other = int(process.call(starts_another))
        process.patience = 0.5
        with pytest.raises(ModeError, match="numeric: no sign of life") as error:
            process.call(sleeps, 1000)
        assert error.value.is_end
        deadline = time.monotonic() + 120
        while is_running(other) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(other)
        process.patience = 30
        assert process.call(sleeps, 0) == b"awake"


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("mode", "message", "hint"),
    [
        ("missing", "its framework is not installed", "Install: pip install numeric"),
        ("unloadable", "ImportError: libnumeric.so: cannot open", None),
    ],
)
def test_a_framework_that_is_not_there_is_named_with_what_installs_it(
    mode: str, message: str, hint: str | None
) -> None:
    with (
        ModeProcess(parse_mode(f"numeric:{mode}")) as process,
        pytest.raises(ModeError, match=f"^numeric:{mode}: {message}") as error,
    ):
        process.framework()
    assert error.value.hint == hint


def test_a_mode_of_keras_without_its_engine_is_refused_with_the_command(tmp_path: Path) -> None:
    environment = {"KERAS_HOME": str(tmp_path)}
    process = ModeProcess(
        Mode("keras", "caffe", {"KERAS_BACKEND": "caffe"}), environment=environment
    )
    with process, pytest.raises(ModeError, match="keras:caffe: its framework") as error:
        process.framework()
    assert "pip install 'cnngen[" in str(error.value.hint)
