"""torchvision's data sets, from files written in its own on-disk formats. No network."""

import gzip
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from cnngen.errors import DataError
from cnngen.training.data import load_data

RANDOM = np.random.default_rng(0)


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of MNIST's files (http://yann.lecun.com/exdb/mnist/)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(np.uint8).tobytes())
    with gzip.open(path.with_name(path.name + ".gz"), "wb") as file:
        file.write(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "folder", "first_class"),
    [
        ("mnist", "MNIST", "0 - zero"),
        ("fashion-mnist", "FashionMNIST", "T-shirt/top"),
        ("kmnist", "KMNIST", "o"),
    ],
)
def test_mnist_and_its_kin_are_converted(tmp_path, name, folder, first_class) -> None:
    images = RANDOM.integers(0, 256, (50, 28, 28)).astype(np.uint8)
    labels = np.arange(50) % 10
    raw = tmp_path / "torchvision" / folder / "raw"
    for part, of in (("train", slice(0, 40)), ("t10k", slice(40, 50))):
        write_idx(raw / f"{part}-images-idx3-ubyte", images[of])
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels[of])
    data = load_data(name, root=tmp_path)
    assert (data.name, data.input_shape, data.test_start) == (name, (28, 28, 1), 40)
    assert (data.classes, data.class_names[0]) == (10, first_class)
    np.testing.assert_array_equal(data.images[..., 0], images)
    np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize(
    ("name", "classes", "key"), [("cifar10", 10, "labels"), ("cifar100", 100, "fine_labels")]
)
def test_cifar_is_converted(tmp_path, monkeypatch, name, classes, key) -> None:
    import torchvision

    kind = getattr(torchvision.datasets, name.upper())
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *args: True)
    images = RANDOM.integers(0, 256, (300, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(300) % classes
    folder = tmp_path / "torchvision" / kind.base_folder
    folder.mkdir(parents=True)
    files = [file for file, _ in (*kind.train_list, *kind.test_list)]
    for file, part in zip(files, np.array_split(np.arange(300), len(files)), strict=True):
        rows = images[part].transpose(0, 3, 1, 2).reshape(len(part), -1)
        (folder / file).write_bytes(pickle.dumps({"data": rows, key: labels[part].tolist()}))
    names = [f"class {i}" for i in range(classes)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: names}))
    data = load_data(name, root=tmp_path)
    assert data.class_names == tuple(names)
    assert data.test_start == (250 if name == "cifar10" else 150)
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize("name", ["svhn", "stl10"])
def test_data_sets_with_channels_first_are_turned(tmp_path, monkeypatch, name) -> None:
    import torchvision
    from scipy.io import savemat

    root = tmp_path / "torchvision"
    root.mkdir()
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.SVHN, "download", lambda self: None)
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    side = 32 if name == "svhn" else 96
    images = RANDOM.integers(0, 256, (30, side, side, 3)).astype(np.uint8)
    labels = np.arange(30) % 10
    for part, of in (("train", slice(0, 20)), ("test", slice(20, 30))):
        if name == "svhn":
            # As published: (height, width, channels, images), and 10 for the digit 0.
            y = np.where(labels[of] == 0, 10, labels[of])[:, np.newaxis]
            savemat(root / f"{part}_32x32.mat", {"X": images[of].transpose(1, 2, 3, 0), "y": y})
        else:
            # As published: (images, channels, width, height), and classes from 1.
            folder = root / "stl10_binary"
            folder.mkdir(exist_ok=True)
            images[of].transpose(0, 3, 2, 1).tofile(folder / f"{part}_X.bin")
            (labels[of] + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
            (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    data = load_data(name, root=tmp_path)
    assert (data.input_shape, data.test_start, data.classes) == ((side, side, 3), 20, 10)
    assert data.images.flags.c_contiguous
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)


def test_without_torchvision_the_message_says_how_to_get_it_or_do_without(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError) as caught:
        load_data("cifar10", root=tmp_path)
    assert "pip install 'cnngen[torchvision]'" in str(caught.value)
    assert "path of a Parquet" in str(caught.value)


def test_a_failed_download_says_where_the_files_may_be_put(tmp_path, monkeypatch) -> None:
    import torchvision

    def fail(*args: object, **options: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", fail)
    with pytest.raises(DataError) as caught:
        load_data("cifar10", root=tmp_path)
    assert "network is unreachable" in str(caught.value)
    assert str(tmp_path / "torchvision") in str(caught.value)


def test_a_cache_folder_that_cannot_be_made_is_an_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot load 'mnist'"):
        load_data("mnist", root=tmp_path / "file")
