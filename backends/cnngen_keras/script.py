"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.network import Network

IMPORTS = ("import keras", "import numpy as np")
"""What `main()` needs beside `argparse`."""


def main_source(network: Network) -> list[str]:
    """The lines of `main()`, with the blank lines before them."""
    height, width, channels = network.input_shape
    return _SCRIPT.replace("$SHAPE", f"({height}, {width}, {channels})").splitlines()


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

    with np.load(args.data) as data:
        arrays = dict(data)
    shape = $SHAPE
    for name in ("x_train", "x_test"):
        if arrays[name].dtype != np.uint8 or arrays[name].shape[1:] != shape:
            parser.error(f"{args.data}: images must be uint8 and of shape {shape}")
    x_train = arrays["x_train"].astype("float32") / 255
    x_test = arrays["x_test"].astype("float32") / 255

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
        arrays["y_train"],
        batch_size=args.batch,
        epochs=args.epochs,
        verbose=2,
    )
    result = model.evaluate(x_test, arrays["y_test"], verbose=0, return_dict=True)
    print(f"test accuracy {result['accuracy']:.4f}")


if __name__ == "__main__":
    main()'''
