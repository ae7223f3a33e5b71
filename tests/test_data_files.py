import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import cnngen
import cnngen.training.data.dataset
import cnngen.training.data.images
import cnngen.training.data.parquet
from cnngen.errors import DataError
from cnngen.training.data import load_data

COLOUR = np.random.default_rng(0).integers(0, 256, (30, 5, 7, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]
LABELS = np.arange(30) % 3


def encoded(array: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def write_parquet(
    path: Path,
    images: list[bytes | None],
    labels: list[object],
    *,
    column: str = "img",
    names: list[str] | None = None,
) -> None:
    """A file as the `datasets` library of Hugging Face writes it."""
    structs = [None if x is None else {"bytes": x, "path": "/etc/passwd"} for x in images]
    table = pa.table({column: structs, "label": labels})
    if names:
        features = {column: {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=7)


PNGS = [encoded(image) for image in COLOUR]


def test_hugging_faces_layout_gives_the_pixels_labels_names_and_parts(tmp_path) -> None:
    names = ["cat", "dog", "cow"]
    train = tmp_path / "pets"
    write_parquet(
        train / "train-00000-of-00002.parquet", PNGS[:12], LABELS[:12].tolist(), names=names
    )
    write_parquet(train / "train-00001-of-00002.parquet", PNGS[12:20], LABELS[12:20].tolist())
    write_parquet(train / "test-00000-of-00001.parquet", PNGS[20:], LABELS[20:].tolist())
    data = load_data(train)
    assert (data.name, data.class_names, data.test_start) == ("pets", tuple(names), 20)
    np.testing.assert_array_equal(data.images, COLOUR)
    np.testing.assert_array_equal(data.labels, LABELS)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-0.parquet", "data/test-0.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("train.parquet", "test.parquet"),
    ],
)
def test_parts_are_found_one_folder_down_and_by_the_folders_name(tmp_path, train, test) -> None:
    write_parquet(tmp_path / train, PNGS[:20], LABELS[:20].tolist(), column="image")
    write_parquet(tmp_path / test, PNGS[20:], LABELS[20:].tolist(), column="image")
    data = load_data(tmp_path)
    assert (data.test_start, data.class_names) == (20, ("0", "1", "2"))
    np.testing.assert_array_equal(data.images, COLOUR)


def test_a_named_data_set_is_taken_from_the_root_where_it_lies_there(tmp_path) -> None:
    write_parquet(tmp_path / "cifar10" / "train.parquet", PNGS, LABELS.tolist())
    assert len(load_data("cifar10", root=tmp_path)) == 30


def test_grey_images_and_plain_bytes_are_read(tmp_path) -> None:
    table = pa.table({"image": [encoded(x) for x in GREY], "label": pa.array(LABELS, pa.uint8())})
    pq.write_table(table, tmp_path / "a.parquet")
    data = load_data(tmp_path / "a.parquet")
    np.testing.assert_array_equal(data.images[..., 0], GREY)
    assert data.input_shape == (5, 7, 1)


def test_jpegs_are_decoded_to_what_pillow_makes_of_them(tmp_path) -> None:
    jpegs = [encoded(image, "JPEG") for image in COLOUR]
    write_parquet(tmp_path / "a.parquet", jpegs, LABELS.tolist())
    expected = [np.asarray(Image.open(io.BytesIO(x))) for x in jpegs]
    np.testing.assert_array_equal(load_data(tmp_path / "a.parquet").images, expected)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds next to nothing."""
    chunks = [
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(10)),
        b"IEND",
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (PNGS[11][:-30], "row 11: not a readable image"),
        (b"GIF89a", "row 11: not a"),
        (b"not an image at all", "row 11: not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 5\n", "row 11: not an image"),
        (None, "row 11: the image has no bytes"),
        (encoded(COLOUR[11][:, :6]), "row 11: this image is 5x6x3, those before are 5x7x3"),
        (encoded(GREY[11]), "row 11: this image is 5x7x1"),
        (encoded(GREY[11].astype(np.uint16) * 256), "row 11: has pixels of mode I;16"),
        (png_header(7, 2**31 - 1), r"row 11: (not|this image is)"),
        (png_header(6000, 6000), "row 11: this image is 6000x6000x3"),
    ],
)
def test_the_first_odd_image_is_named(tmp_path, odd: bytes | None, message: str) -> None:
    write_parquet(tmp_path / "a.parquet", [*PNGS[:11], odd, *PNGS[12:]], LABELS.tolist())
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"picture": PNGS, "label": LABELS}, "the column 'img' or 'image' is missing"),
        ({"img": PNGS, "class": LABELS}, "the column 'label'"),
        ({"img": PNGS, "label": LABELS / 2}, "column 'label' is double"),
        ({"img": PNGS, "label": [None, *LABELS[1:].tolist()]}, "row 0: the label is missing"),
        ({"img": ["text"] * 30, "label": LABELS}, "column 'img' is string"),
        ({"img": [{"path": "/etc/passwd"}] * 30, "label": LABELS}, "column 'img' is struct"),
        ({"img": PNGS, "label": LABELS + 1}, "no image has label 0"),
        ({"img": PNGS, "label": LABELS * 2}, "no image has label 1"),
        ({"img": PNGS, "label": LABELS - 1}, "run from -1"),
        ({"img": PNGS[:0], "label": LABELS[:0]}, "there are no images"),
    ],
)
def test_a_parquet_file_with_wrong_columns_is_refused(tmp_path, table, message) -> None:
    columns = {name: pa.array(values) for name, values in table.items()}
    if not len(table.get("img", [1])):
        columns["img"] = pa.array([], pa.binary())
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message) as caught:
        load_data(tmp_path / "a.parquet")
    assert len(str(caught.value).splitlines()) <= 5


def test_more_class_names_or_fewer_than_labels(tmp_path) -> None:
    write_parquet(tmp_path / "a.parquet", PNGS, LABELS.tolist(), names=["a", "b"])
    with pytest.raises(DataError, match="has label 2, but there are 2 classes"):
        load_data(tmp_path / "a.parquet")
    write_parquet(tmp_path / "b.parquet", PNGS, LABELS.tolist(), names=["a", "b", "c", "d"])
    assert load_data(tmp_path / "b.parquet").classes == 4


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 500 + b"PAR1", b"x" * 99])
def test_what_is_no_parquet_file_is_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_data(tmp_path / "a.parquet")


def test_a_parquet_file_broken_anywhere_is_an_error_or_no_harm(tmp_path) -> None:
    """Law: whatever byte is changed, loading gives a data set or a DataError."""
    write_parquet(tmp_path / "a.parquet", PNGS, LABELS.tolist())
    whole = (tmp_path / "a.parquet").read_bytes()
    random = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(whole)
        for at in random.integers(0, len(whole), 3):
            broken[at] = random.integers(0, 256)
        (tmp_path / "b.parquet").write_bytes(broken)
        try:
            load_data(tmp_path / "b.parquet")
        except DataError:
            continue


def test_a_parquet_folder_with_files_of_no_part_is_refused(tmp_path) -> None:
    write_parquet(tmp_path / "train.parquet", PNGS, LABELS.tolist())
    write_parquet(tmp_path / "extra.parquet", PNGS, LABELS.tolist())
    with pytest.raises(DataError, match=r"extra\.parquet: not part"):
        load_data(tmp_path)
    (tmp_path / "extra.parquet").unlink()
    (tmp_path / "train.parquet").rename(tmp_path / "test.parquet")
    with pytest.raises(DataError, match="has no training images"):
        load_data(tmp_path)


def test_a_value_stored_once_and_read_many_times_never_unfolds_in_memory(
    tmp_path, monkeypatch
) -> None:
    value = pa.array([{"bytes": b"\0" * 4_000_000}]).take(pa.array([0] * 64))  # 256 MB unfolded
    table = pa.table({"img": value, "label": [0, 1] * 32})
    pq.write_table(table, tmp_path / "a.parquet", dictionary_pagesize_limit=2**30)
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    del value, table
    monkeypatch.setattr(cnngen.training.data.parquet, "BATCH_BYTES", 16_000_000)
    before = pa.total_allocated_bytes()
    held = [
        pa.total_allocated_bytes()
        for _ in cnngen.training.data.parquet._Table(tmp_path / "a.parquet").images()
    ]
    assert 16 <= len(held) <= 64
    assert max(held) - before < 64_000_000


def test_an_encoded_image_of_more_bytes_than_any_image_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cnngen.training.data.images, "MAX_FILE", 100)
    write_parquet(tmp_path / "a.parquet", PNGS, LABELS.tolist())
    with pytest.raises(DataError, match="row 0: holds more than"):
        load_data(tmp_path / "a.parquet")
    monkeypatch.undo()
    monkeypatch.setattr(cnngen.training.data.images, "MAX_PIXELS", 34)
    with pytest.raises(DataError, match="row 0: an image of 5x7x3 is far too large"):
        load_data(tmp_path / "a.parquet")


def test_more_images_than_memory_should_hold_are_refused(tmp_path, monkeypatch) -> None:
    write_parquet(tmp_path / "a.parquet", PNGS, LABELS.tolist())
    monkeypatch.setattr(cnngen.training.data.dataset, "MAX_BYTES", 30 * 5 * 7 * 3 - 1)
    with pytest.raises(DataError, match="would take"):
        load_data(tmp_path / "a.parquet")
    monkeypatch.setattr(cnngen.training.data.dataset, "MAX_IMAGES", 29)
    with pytest.raises(DataError, match="30 images are more than the maximum of 29"):
        load_data(tmp_path / "a.parquet")


def write_folder(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = path / "abc"[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:03}.png")


def by_class(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return images[np.argsort(labels, kind="stable")]


def test_a_folder_for_each_class_is_a_data_set(tmp_path) -> None:
    write_folder(tmp_path, COLOUR, LABELS)
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    data = load_data(tmp_path)
    assert (data.class_names, data.test_start) == (("a", "b", "c"), None)
    np.testing.assert_array_equal(data.images, by_class(COLOUR, LABELS))
    np.testing.assert_array_equal(data.labels, np.sort(LABELS))


def test_an_image_folder_may_have_a_test_part(tmp_path) -> None:
    write_folder(tmp_path / "train", COLOUR[:20], LABELS[:20])
    assert load_data(tmp_path).test_start is None
    write_folder(tmp_path / "test", COLOUR[20:], LABELS[20:])
    data = load_data(tmp_path)
    assert data.test_start == 20
    np.testing.assert_array_equal(data.images[20:], by_class(COLOUR[20:], LABELS[20:]))


def test_what_does_not_belong_in_an_image_folder_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match="not a data set"):
        load_data(tmp_path)
    write_folder(tmp_path / "train", COLOUR, LABELS)
    write_folder(tmp_path / "test", COLOUR[:3], LABELS[:3])
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "d")
    with pytest.raises(DataError, match=r"test/d: this class has no training"):
        load_data(tmp_path)
    (tmp_path / "test" / "d").rename(tmp_path / "test" / "c")
    (tmp_path / "train" / "b" / "notes.txt").write_text("see below")
    with pytest.raises(DataError, match=r"train/b/notes.txt: not an image file"):
        load_data(tmp_path)
    (tmp_path / "train" / "b" / "notes.txt").rename(tmp_path / "train" / "notes.txt")
    with pytest.raises(DataError, match=r"notes.txt: is a file beside"):
        load_data(tmp_path)
    (tmp_path / "train" / "notes.txt").unlink()
    (tmp_path / "train" / "c" / "000.png").write_bytes(PNGS[0][:60])
    with pytest.raises(DataError, match=r"train/c/000.png: not a readable image"):
        load_data(tmp_path)


def test_npz_archives_are_read_in_both_layouts(tmp_path) -> None:
    np.savez(
        tmp_path / "a.npz",
        x_train=COLOUR[:20],
        y_train=LABELS[:20, np.newaxis],  # as Keras keeps CIFAR-10
        x_test=COLOUR[20:],
        y_test=LABELS[20:, np.newaxis].astype(np.uint8),
    )
    data = load_data(tmp_path / "a.npz")
    assert (data.name, data.test_start) == ("a", 20)
    np.testing.assert_array_equal(data.images, COLOUR)
    np.testing.assert_array_equal(data.labels, LABELS)
    np.savez_compressed(tmp_path / "b.npz", images=np.asfortranarray(GREY), labels=LABELS)
    data = load_data(tmp_path / "b.npz")
    assert data.test_start is None
    assert data.images.flags.c_contiguous
    np.testing.assert_array_equal(data.images, GREY[..., np.newaxis])


class Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": COLOUR, "y_train": np.array([Attack()] * 30)}, "holds Python objects"),
        ({"x_train": COLOUR}, "the array 'y_train' is missing"),
        ({"x_train": COLOUR, "y_train": LABELS, "x_test": COLOUR}, "the array 'y_test' is missing"),
        ({"anything": COLOUR}, "the array 'x_train' is missing"),
        ({"images": COLOUR / 255, "labels": LABELS}, "'images' is float64"),
        ({"images": COLOUR[:, 0, 0], "labels": LABELS}, r"uint8 of shape \(30, 3\)"),
        ({"images": COLOUR, "labels": np.eye(3)[LABELS]}, "'labels' is float64"),
        ({"images": COLOUR, "labels": LABELS[:9]}, "30 images in 'images' and 9 labels"),
        ({"images": COLOUR.transpose(0, 3, 1, 2), "labels": LABELS}, "channels first"),
        ({"images": COLOUR, "labels": LABELS * 5}, "no image has label 1"),
        ({"images": COLOUR[:0], "labels": LABELS[:0]}, "there are no images"),
        (
            {"x_train": COLOUR, "y_train": LABELS, "x_test": GREY, "y_test": LABELS},
            "differ in shape",
        ),
    ],
)
def test_an_npz_with_wrong_arrays_is_refused(tmp_path, arrays, message) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_data(tmp_path / "a.npz")
    assert len(str(caught.value).splitlines()) <= 5


def npy_header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy_header((10**12,)), "GiB|shorter"),
        (npy_header((2**40, 2**40, 2**40)), "GiB|shorter"),
        (npy_header((-1, 5)), "not a readable NumPy archive"),
        (npy_header((30, 5, 7, 3))[:20], "not a readable NumPy archive"),
        (npy_header((30, 5, 7, 3)) + b"short", "shorter than its shape"),
        (b"\x93NUMPY\x09\x09" + b"\0" * 99, "not a readable NumPy archive"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 65535, "not a readable NumPy archive"),
        (pickle.dumps(Attack()), "not a readable NumPy archive"),
        (b"", "not a readable NumPy archive"),
    ],
)
def test_an_npz_that_lies_about_itself_is_refused_before_memory_is_taken(
    tmp_path, member: bytes, message: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", member)
        archive.writestr("labels.npy", npy_header((30,)) + bytes(30))
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "a.npz")


def test_a_zip_bomb_is_refused_by_its_header(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cnngen.training.data.dataset, "MAX_BYTES", 2**24)
    zeros = np.zeros((2**15, 32, 32, 1), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images=zeros, labels=np.zeros(2**15, int))
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    with pytest.raises(DataError, match="GiB"):
        load_data(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(Attack()), b"x" * 1000])
def test_what_is_no_archive_is_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="not a readable NumPy archive"):
        load_data(tmp_path / "a.npz")


# ---- The same classes and the same pixels, whatever the file says in its own way


def test_shards_that_list_the_classes_in_another_order_are_mapped_by_name(tmp_path) -> None:
    names = ["black", "grey", "white"]
    write_parquet(tmp_path / "train.parquet", PNGS[:20], LABELS[:20].tolist(), names=names)
    turned = (2 - LABELS[20:]).tolist()
    write_parquet(tmp_path / "test.parquet", PNGS[20:], turned, names=names[::-1])
    data = load_data(tmp_path)
    assert data.class_names == tuple(names)
    np.testing.assert_array_equal(data.labels, LABELS)
    write_parquet(tmp_path / "test.parquet", PNGS[20:], [3] * 10, names=names[::-1])
    with pytest.raises(DataError, match=r"test.parquet, row 0: has label 3, but there are 3"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    "others", [["black", "grey", "red"], ["black", "white"], ["white", "grey", "white", "black"]]
)
def test_shards_that_name_other_classes_are_refused(tmp_path, others) -> None:
    names = ["black", "grey", "white"]
    write_parquet(tmp_path / "train.parquet", PNGS[:20], LABELS[:20].tolist(), names=names)
    write_parquet(tmp_path / "test.parquet", PNGS[20:], [0] * 10, names=others)
    with pytest.raises(DataError, match=r"test.parquet: .* unlike the files before"):
        load_data(tmp_path)


@pytest.mark.parametrize("name", ["val", "validation", "Valid"])
def test_images_for_validation_train_in_every_layout(tmp_path, name: str) -> None:
    """Law: all loaders take a validation part as training images, before those for testing."""
    parts = {"train": slice(0, 15), name: slice(15, 21), "test": slice(21, 30)}
    arrays = {}
    for part, rows in parts.items():
        write_folder(tmp_path / "folder" / part, COLOUR[rows], LABELS[rows])
        file = tmp_path / "parquet" / f"{part}.parquet"
        write_parquet(file, PNGS[rows], LABELS[rows].tolist())
        short = "val" if part == name else part
        arrays |= {f"x_{short}": COLOUR[rows], f"y_{short}": LABELS[rows]}
    np.savez(tmp_path / "all.npz", **arrays)
    for path in ("folder", "parquet", "all.npz"):
        data = load_data(tmp_path / path)
        assert (len(data), data.test_start) == (30, 21)
        pixels = {image.tobytes(): label for image, label in zip(COLOUR, LABELS, strict=True)}
        assert [pixels[image.tobytes()] for image in data.images] == data.labels.tolist()


def test_a_folder_beside_the_parts_is_refused_and_a_class_may_be_called_train(tmp_path) -> None:
    write_folder(tmp_path / "one" / "train", COLOUR, LABELS)
    write_folder(tmp_path / "one" / "extra", COLOUR, LABELS)
    with pytest.raises(DataError, match=r"one/extra: not part"):
        load_data(tmp_path / "one")
    write_folder(tmp_path / "two", COLOUR, LABELS)
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "train")
    assert load_data(tmp_path / "two").class_names == ("a", "c", "train")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_as_its_camera_was_held(tmp_path, kind: str) -> None:
    upright = np.kron(np.array([[0, 80, 160], [255, 40, 120]], np.uint8), np.ones((16, 16), "u1"))
    turns = {1: upright, 3: upright[::-1, ::-1], 6: np.rot90(upright), 8: np.rot90(upright, -1)}
    files = []
    for orientation, pixels in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
        image.save(file, kind, exif=exif, **{"WEBP": {"lossless": True}}.get(kind, {}))
        files.append(file.getvalue())
    write_parquet(tmp_path / "a.parquet", files, [0, 1, 0, 1])
    images = load_data(tmp_path / "a.parquet").images.astype(int)
    assert np.abs(images - upright[..., None]).max() < 12


def deep_png(colour: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 7, 5, 16, colour, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(7 * channels * 2)) * 5)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_more_than_8_bits_a_channel_are_refused_and_never_cut(tmp_path, colour, channels) -> None:
    write_parquet(tmp_path / "a.parquet", [deep_png(colour, channels)] * 2, [0, 1])
    with pytest.raises(DataError, match=r"8 bits a channel|pixels of mode I;16"):
        load_data(tmp_path / "a.parquet")


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "1", "L", "LA", "P", "RGBA", "CMYK"])
def test_each_of_pillows_modes_keeps_its_values_or_is_refused(tmp_path, mode: str) -> None:
    values = np.array([[0, 255], [255, 0]], np.uint8)
    image = Image.fromarray(values).convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF")
    write_parquet(tmp_path / "a.parquet", [file.getvalue()] * 2, [0, 1])
    if mode in ("I", "F", "I;16"):
        with pytest.raises(DataError, match="has pixels of mode"):
            load_data(tmp_path / "a.parquet")
    else:
        images = load_data(tmp_path / "a.parquet").images
        assert images.shape[3] == (1 if mode in ("1", "L", "LA") else 3)
        np.testing.assert_array_equal(
            images[0], np.broadcast_to(values[..., None], images[0].shape)
        )


def test_images_of_any_size_and_colour_are_resized_when_asked(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, shape in enumerate([(9, 7, 3), (4, 4), (20, 30, 4), (4, 4, 3)]):
        folder = tmp_path / "pets" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / f"{number}.png")
    (folder / "Thumbs.db").write_bytes(b"not an image")
    with pytest.raises(DataError) as refused:
        load_data(tmp_path / "pets")
    assert "--resize 9x7x3" in (refused.value.hint or "")
    data = load_data(tmp_path / "pets", resize=(4, 4, 3))
    assert data.input_shape == (4, 4, 3)
    assert data.summary.prepared == (
        "3 of 4 images of 4x4x1 to 20x30x3 resized to 4x4x3, bilinear, stretched"
    )
    with Image.open(tmp_path / "pets/dog/3.png") as same:
        assert (data.images[3] == np.asarray(same)).all()
    with Image.open(tmp_path / "pets/dog/1.png") as grey:
        assert (data.images[2] == np.asarray(grey)[..., None]).all()
    assert load_data(tmp_path / "pets", resize=(6, 5, 1)).input_shape == (6, 5, 1)
    with pytest.raises(DataError, match="cannot be resized to 4x4x2"):
        load_data(tmp_path / "pets", resize=(4, 4, 2))


def test_data_in_memory_is_resized_as_files_are(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 3), np.uint8)
    labels = np.arange(6) % 2
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    write_folder(tmp_path / "folder", images, labels)
    from_archive = load_data(tmp_path / "data.npz", resize=(4, 5, 1))
    from_folder = load_data(tmp_path / "folder", resize=(4, 5, 1))
    assert (by_class(from_archive.images, labels) == from_folder.images).all()
    assert from_archive.prepared == from_folder.prepared
    network = cnngen.sample("compact", input_shape=(4, 5, 1), classes=2, seed=1)
    protocol = cnngen.Protocol(epochs=1, validation_share=0, test_share=0.4)
    record = cnngen.train(network, from_archive, protocol).record
    assert record.data.prepared == from_archive.prepared
    assert cnngen.Record.from_json(record.to_json()) == record
