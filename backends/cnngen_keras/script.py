"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.backend.script import main_head, reading
from cnngen.network import Network

IMPORTS = ("import keras", "import numpy as np")
"""The imports of `main()` beside `argparse`, and of uneven average pooling anywhere."""


def main_source(network: Network) -> list[str]:
    """The lines of `main()`, with the blank lines before them."""
    return [*reading(network), *main_head(saved="net.weights.h5"), *_TRAINING]


LOAD = '''

def load(path: str | Path | None = None) -> keras.Model:
    """The network with the weights of a file, ready to predict."""
    model = build()
    model.load_weights(path or $WEIGHTS)
    return model'''

_TRAINING = """\
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
    if args.save:
        model.save_weights(args.save)


if __name__ == "__main__":
    main()""".splitlines()
