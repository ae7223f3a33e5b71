"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.backend.program import reading
from cnngen.network import Network

IMPORTS = ("import keras", "import numpy as np")
"""What `main()` needs beside `argparse`, and uneven average pooling anywhere."""


def main_source(network: Network) -> list[str]:
    """The lines of `main()`, with the blank lines before them."""
    return [*reading(network), *_SCRIPT]


_SCRIPT = '''

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
    args = parser.parse_args()
    if args.epochs < 1 or args.batch < 1 or args.seed < 0:
        parser.error("epochs and batch must be 1 or more, the seed 0 or more")
    try:
        x_train, y_train, x_test, y_test = read(args.data)
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        parser.error(f"{args.data}: {error}")

    x_train, x_test = (x.astype("float32") / 255 for x in (x_train, x_test))

    keras.config.set_floatx("float32")  # whatever keras.json says
    keras.utils.set_random_seed(args.seed)
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(args.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    # Keras trains on a GPU where its engine finds one.
    model.fit(
        x_train,
        y_train,
        batch_size=args.batch,
        epochs=args.epochs,
        verbose=2,
    )
    result = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(f"test accuracy {result['accuracy']:.4f}")


if __name__ == "__main__":
    main()'''.splitlines()
