import subprocess
import sys
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnngen.errors import CnnGenError, DataError
from cnngen.training.data import Dataset, load_data, save_npz, splits
from cnngen.training.protocol import Protocol


def dataset(count: int, test_start: int | None = None, classes: int = 3) -> Dataset:
    """Images that all differ: the first two pixels spell their number."""
    numbers = np.arange(count)
    images = np.zeros((count, 2, 3, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
    names = tuple("abcdefghij"[:classes])
    return Dataset("made up", images, numbers.astype(np.int64) % classes, names, test_start)


def test_digits_are_scikit_learns_with_their_seventeen_grey_levels_kept() -> None:
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), load_data("digits")
    assert ours.input_shape == (8, 8, 1)
    assert ours.classes == 10
    assert ours.test_start is None
    np.testing.assert_array_equal(ours.labels, theirs.target)
    np.testing.assert_array_equal(np.rint(ours.images[..., 0] * (16 / 255)), theirs.images)
    assert ours.images.max() == 255


def test_importing_data_imports_no_framework_and_nothing_slow() -> None:
    code = (
        "import sys, cnngen.training.data\n"
        "print([m for m in ('torch', 'sklearn', 'pandas', 'pyarrow', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(60, 700),
    test=st.integers(1, 80),
    validation=st.integers(0, 80),
    seed=st.integers(0, 2**63 - 1),
    official=st.booleans(),
)
def test_splits_are_disjoint_cover_everything_and_have_the_stated_shares(
    count: int, test: int, validation: int, seed: int, official: bool
) -> None:
    """Law: train, validation and test are a partition; shares are rounded up, exactly."""
    data = dataset(count, count * 2 // 3)
    protocol = Protocol(
        split="official" if official else "pooled",
        test_share=test / 100,
        validation_share=validation / 100,
        seed=seed,
    )
    parts = splits(data, protocol)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(count))
    if official:
        np.testing.assert_array_equal(np.sort(parts.test), np.arange(count * 2 // 3, count))
    else:
        assert len(parts.test) == -(-count * test // 100)
    rest = count - len(parts.test)
    assert len(parts.validation) == -(-rest * validation // 100)
    assert len(parts.train) == rest - len(parts.validation)


def test_splits_have_the_sizes_that_scikit_learn_gives_the_same_shares() -> None:
    from sklearn.model_selection import train_test_split

    data = load_data("digits")
    parts = splits(data, Protocol())
    rest, test = train_test_split(np.arange(len(data)), test_size=0.2)
    train, validation = train_test_split(rest, test_size=0.2)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (
        len(train),
        len(validation),
        len(test),
    )


def test_a_split_is_the_same_on_every_machine() -> None:
    parts = splits(load_data("digits"), Protocol(seed=7))
    assert parts.train[:5].tolist() == [1207, 1585, 1520, 614, 37]
    assert parts.test[-5:].tolist() == [1223, 295, 800, 483, 1228]
    other = splits(load_data("digits"), Protocol(seed=8))
    assert not np.array_equal(other.test, parts.test)


def test_the_official_split_of_a_data_set_without_test_images_is_refused() -> None:
    with pytest.raises(DataError, match="has no test images of its own"):
        splits(load_data("digits"), Protocol(split="official"))


def test_a_data_set_too_small_for_a_protocol_is_refused() -> None:
    with pytest.raises(DataError, match="too few images"):
        splits(dataset(3), Protocol(test_share=0.9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": 0.0},
        {"test_share": 0.0},
        {"test_share": 1.0},
        {"validation_share": -0.1},
        {"seed": -1},
        {"time_budget": 0.0},
        {"split": "whatever"},
        {"optimizer": "magic"},
    ],
)
def test_a_protocol_that_no_training_can_follow_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(CnnGenError, match="is not valid"):
        Protocol(**wrong)  # type: ignore[arg-type]


def test_the_digest_tells_any_change_of_images_labels_or_parts() -> None:
    data = dataset(60, 40)
    pixels, labels = data.images.copy(), data.labels.copy()
    pixels[59, 1, 2, 0] ^= 1
    labels[0] = 2
    names = data.class_names
    others = [
        Dataset("made up", pixels, data.labels, names, 40),
        Dataset("made up", data.images, labels, names, 40),
        Dataset("made up", data.images, data.labels, names, 41),
        Dataset("made up", data.images.reshape(60, 3, 2, 1), data.labels, names, 40),
    ]
    assert len({data.digest, *(other.digest for other in others)}) == 5
    assert dataset(60, 40).digest == data.digest


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (np.zeros((4, 8, 8)), np.arange(4), "ab", "float64 of shape"),
        (np.zeros((4, 8, 8), np.uint8), np.arange(4), "ab", "uint8 of shape"),
        (np.zeros((0, 8, 8, 1), np.uint8), np.arange(0), "ab", "uint8 of shape"),
        (np.zeros((4, 8, 8, 1), np.uint8), np.arange(3), "ab", "4 images"),
        (np.zeros((4, 8, 8, 1), np.uint8), np.arange(4), "abc", "image 3 has label 3"),
        (np.zeros((4, 8, 8, 1), np.uint8), -np.arange(4), "ab", "image 1 has label -1"),
        (np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, int), "a", "at least 2 classes"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(
    images: np.ndarray, labels: np.ndarray, names: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Dataset("made up", images, labels.astype(np.int64), tuple(names))


def test_a_saved_npz_holds_the_protocols_parts_with_validation_last(tmp_path) -> None:
    data, protocol = dataset(500), Protocol(seed=3)
    save_npz(data, tmp_path / "d.npz", protocol)
    parts = splits(data, protocol)
    with np.load(tmp_path / "d.npz") as saved:
        assert set(saved) == {"x_train", "y_train", "x_test", "y_test"}
        np.testing.assert_array_equal(saved["x_test"], data.images[parts.test])
        np.testing.assert_array_equal(saved["y_test"], data.labels[parts.test])
        tail = len(saved["x_train"]) - len(parts.validation)
        np.testing.assert_array_equal(saved["x_train"][tail:], data.images[parts.validation])
        np.testing.assert_array_equal(saved["y_train"][:tail], data.labels[parts.train])
        assert tail == int(len(saved["x_train"]) * (1 - protocol.validation_share))
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]
    again = load_data(tmp_path / "d.npz")
    assert again.test_start == ceil(500 * 0.8)


def test_an_npz_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        save_npz(dataset(50), tmp_path / "nowhere" / "d.npz", Protocol())
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        save_npz(dataset(50), tmp_path / "d.npz", Protocol())
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]


def test_an_unknown_data_set_is_answered_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        load_data("digts")
    assert "Did you mean 'digits'?" in str(caught.value)
    assert "cifar10" in str(caught.value)


def test_a_file_of_no_known_kind_is_refused(tmp_path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(DataError, match="not a file that holds a data set"):
        load_data(tmp_path / "data.csv")
