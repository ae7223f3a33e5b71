"""The parts of a training script that are the same for every framework."""

from __future__ import annotations

import json

from cnngen.network import Network


def reading(network: Network) -> list[str]:
    """The lines of `read(path)`, by which a script of any framework reads its images, with the
    blank lines before them. It wants NumPy as `np`."""
    height, width, channels = network.input_shape
    text = READING.replace("$SHAPE", f"({height}, {width}, {channels})")
    return text.replace("$LAST", str((network.classes or 1) - 1)).splitlines()


READING = '''

def read(path: str) -> list[np.ndarray]:
    """x_train, y_train, x_test and y_test of an .npz file, if they suit the network."""
    shape, last = $SHAPE, $LAST
    arrays = []
    with np.load(path) as data:
        for part in ("train", "test"):
            images, labels = data[f"x_{part}"], data[f"y_{part}"]
            if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
                raise ValueError(f"x_{part} must be uint8 images of shape {shape}")
            if labels.ndim == 2 and labels.shape[1] == 1:
                labels = labels[:, 0]  # as Keras keeps them
            if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
                raise ValueError(f"y_{part} must be integers, one for each image")
            if labels.min() < 0 or labels.max() > last:
                raise ValueError(f"y_{part} must be from 0 to {last}")
            arrays += [images, labels.astype(np.int64)]
    return arrays'''


def loading(function: str, weights: str) -> list[str]:
    """The lines of a function `load(path)` that reads a file of weights, by default the one of this
    name beside the source, with the blank lines before them. It wants `Path`."""
    name = json.dumps(weights, ensure_ascii=False)  # a name may hold quotes
    return function.replace("$WEIGHTS", f"Path(__file__).with_name({name})").splitlines()


def main_head(options: str = "", *, saved: str | None = None) -> list[str]:
    """The lines that begin `main()`, with the blank lines before and behind them: they read the
    arguments `data`, `epochs`, `batch`, `learning_rate` and `seed` into `args`, and the images.

    `options` are lines that add more arguments to `parser`. With `saved`, an example of a file's
    name, `args.save` is a file for the trained weights, or None.
    """
    if saved is not None:
        options += f'    parser.add_argument("--save", help="a file for the weights: {saved}")\n'
    return MAIN.replace("$OPTIONS", options).splitlines()


MAIN = '''

def main() -> None:
    """Train on the images of an .npz file and print the test accuracy."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "data",
        help="an .npz with x_train and x_test, uint8 images (n, height, width, channels), "
        "and y_train and y_test, integer labels",
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
$OPTIONS    args = parser.parse_args()
    if args.epochs < 1 or args.batch < 1 or args.seed < 0:
        parser.error("epochs and batch must be 1 or more, the seed 0 or more")
    try:
        x_train, y_train, x_test, y_test = read(args.data)
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        parser.error(f"{args.data}: {error}")

'''
