"""Broken and forged files: a clear error in bounded memory, or a success."""

from __future__ import annotations

import io
import json
import math
import random
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from known import known
from pyarrow import parquet

from cnngen import load_data
from cnngen.errors import CnnGenError, DataError, StoreError
from cnngen.predict import examples
from cnngen.predict.model import SHIPPED, Model
from cnngen.report.trainings import read_study_data

ROUNDS = 60
ODD: list[object] = [None, True, -1, 0, 1.5, 1e400, math.nan, 10**400, "x", [], {}, [[]], "\ud800"]
SHAPES = ("((((", "()", "(0,)", "(-1,)", "(0,10**30)", "(1" + 25 * "0" + ",)", 3000 * "(", "(2,)*3")
KINDS = ("f2", "f4", ">f8", "g", "i1", "u8", "?", "U3", "S1", "c8", "M8[s]")


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Some bytes replaced by others, or the end cut off."""
    broken = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken if chance.random() < 0.8 else broken[: chance.randrange(len(broken))])


def altered(value: object, chance: random.Random) -> object:
    """JSON with one of its values replaced by an odd one."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        return value | {name: altered(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.6:
        at = chance.randrange(len(value))
        return [*value[:at], altered(value[at], chance), *value[at + 1 :]]
    return chance.choice(ODD)


def npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def forged(content: bytes, chance: random.Random) -> bytes:
    """An array of another shape, type or value; or a header that no array has."""
    array = np.lib.format.read_array(io.BytesIO(content))
    match chance.randrange(6):
        case 0:
            array = np.array(chance.choice([0.0, np.inf, -1.0]))
        case 1 if array.dtype.kind in "biuf":
            array = array.astype(chance.choice(KINDS))
        case 2:
            array = array.reshape(-1)[: chance.randrange(array.size + 1)]
        case 3:
            array = array.astype(np.float64)
            array.reshape(-1)[:1] = chance.choice([np.nan, np.inf, 1e308, 2.0**40, -1.0])
        case 4:
            shape = chance.choice(SHAPES)
            return npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}", b"0" * 80)
        case _:
            return flipped(content, chance)
    out = io.BytesIO()
    np.lib.format.write_array(out, array)
    return out.getvalue()


def archives(content: bytes, seed: int) -> Iterator[bytes]:
    """Zip files that differ from a good one in a few bytes, a value or an array."""
    chance = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(content)) as good:
        members = {name: good.read(name) for name in good.namelist()}
    for _ in range(ROUNDS):
        some = dict(members)
        name = chance.choice([*members, *(name for name in members if name.endswith(".json"))])
        if name.endswith(".json"):
            some[name] = json.dumps(altered(json.loads(some[name]), chance)).encode()
        else:
            with suppress(TypeError, OverflowError):  # what cannot be made is no case
                some[name] = forged(some[name], chance)
        out = io.BytesIO()
        # A large one takes long to compress.
        method = chance.choice([0, 8, 12, 14]) if len(content) < 10_000 else 0
        with zipfile.ZipFile(out, "w", method) as archive:
            for member, its in some.items():
                archive.writestr(member, its)
        yield out.getvalue() if chance.random() < 0.7 else flipped(out.getvalue(), chance)


def refused(contents: Iterator[bytes], file: Path, read: Callable[[], object]) -> int:
    """How many of some files are refused; whatever else is raised is a fault."""
    count = 0
    for content in contents:
        file.write_bytes(content)
        try:
            read()
        except CnnGenError as error:
            str(error)
            count += 1
    return count


@pytest.mark.filterwarnings("ignore")
def test_a_forged_model_predicts_finite_figures_or_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.zip"
    networks = [one.network for one in known()[:2]]

    def read() -> None:
        asked = Model.load(file)
        asked.domain.warnings(networks)
        for said in asked.predict(networks).values():
            assert np.isfinite([said.mean, said.std, said.low, said.high]).all()

    assert refused(archives(SHIPPED.read_bytes(), 0), file, read) > ROUNDS / 3


@pytest.mark.filterwarnings("ignore")
def test_a_forged_npz_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    images = np.arange(20 * 16, dtype=np.uint8).reshape(20, 4, 4)
    np.savez(file, images=images, labels=np.arange(20) % 2)
    assert refused(archives(file.read_bytes(), 1), file, lambda: load_data(str(file))) > ROUNDS / 3


@pytest.mark.parametrize("shape", SHAPES)
def test_headers_that_are_no_shape_are_refused(shape: str, tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name, kind in (("images", "|u1"), ("labels", "<i8")):
            header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
            archive.writestr(f"{name}.npy", npy(header, b"\0" * 80))
    with pytest.raises(DataError):
        load_data(str(file))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_are_read_as_numpy_reads_them(order: str, version: tuple[int, int]) -> None:
    from cnngen.system.archives import read_array

    for kind in ("u1", "<i8", ">f4", "?", "U2"):
        array = np.asarray(np.arange(24).reshape(2, 3, 4).astype(kind), order=order)  # type: ignore[call-overload]
        out = io.BytesIO()
        np.lib.format.write_array(out, array, version)
        out.seek(0)
        found = read_array(out, 10_000)
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_a_flipped_table_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.parquet"
    rows = {"description": [known()[0].network.to_text()] * 3, "test_accuracy": [0.5, 0.7, 0.9]}
    parquet.write_table(pa.table(rows), file)
    good, chance = file.read_bytes(), random.Random(2)
    broken = (flipped(good, chance) for _ in range(3 * ROUNDS))

    def read() -> None:
        read_study_data(file)

    assert refused(broken, file, read) > ROUNDS


def limited(program: str, *arguments: Path, memory: int = 2**31) -> str:
    """What a process prints that may take so many bytes of memory."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
        env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": "", "HOME": "/tmp"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


BOMBS = """
import sys
from pathlib import Path
from cnngen.training.data import load_data
from cnngen.errors import CnnGenError
from cnngen.predict import examples, load
from cnngen.report.trainings import read_study_data

def read(file):
    if file.suffix == ".parquet":
        for ask in (examples, lambda file: read_study_data(file, networks=False)):
            try:
                ask(file)
            except CnnGenError as error:
                yield str(error)
    else:
        try:
            (load if file.suffix == ".zip" else lambda file: load_data(str(file)))(file)
        except CnnGenError as error:
            yield str(error)

for file in map(Path, sys.argv[1:]):
    print(file.name, len(list(read(file))))
"""


def test_a_small_file_that_unfolds_to_terabytes_is_refused_in_little_memory(
    tmp_path: Path,
) -> None:
    rows, text = 500_000, "x" * 2_000_000
    indices = pa.array(np.zeros(rows, np.int32))
    repeated = pa.DictionaryArray.from_arrays(indices, pa.array([text]))
    table = pa.table({"description": repeated, "status": repeated})
    parquet.write_table(table, tmp_path / "folded.parquet", compression="zstd")
    for name, kind in (("a.npz", "|u1"), ("b.zip", "<f8")):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            shape = "(1000000000000, 1, 1, 1)"
            header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
            archive.writestr("images.npy", npy(header, b"\0" * 2**22))
            archive.writestr("labels.npy", npy(header, b"\0" * 2**22))
            archive.writestr("predictor.json", "{}")
    files = [tmp_path / name for name in ("folded.parquet", "a.npz", "b.zip")]
    assert all(file.stat().st_size < 2**18 for file in files)
    said = limited(BOMBS, *files).split()
    assert said == ["folded.parquet", "2", "a.npz", "1", "b.zip", "1"]


def test_columns_of_anything_but_figures_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.parquet"
    parquet.write_table(pa.table({"description": [["a"]]}), file)
    with pytest.raises(StoreError, match=r"'description' is list.*not of numbers or texts"):
        examples(file)
