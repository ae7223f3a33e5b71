"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.network import Network

IMPORTS = (
    "import argparse",
    "import time",
    "",
    "import numpy as np",
    "import torch",
)


def main_source(network: Network) -> list[str]:
    """The lines of `main()` and what it needs, with the blank lines before them."""
    height, width, channels = network.input_shape
    return _SCRIPT.replace("$SHAPE", f"({height}, {width}, {channels})").splitlines()


_SCRIPT = '''

def pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 (batch, height, width, channels) as floats from 0 to 1, channels first."""
    return images.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def accuracy(net: Net, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of the images whose label has the largest logit."""
    net.eval()
    hits = torch.zeros((), device=labels.device)
    for some, answers in zip(images.split(500), labels.split(500)):
        hits += (net(pixels(some)).argmax(1) == answers).sum()
    return hits.item() / len(labels)


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
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    args = parser.parse_args()

    # The images stay on the device as bytes and become floats a batch at a time.
    with np.load(args.data) as data:
        arrays = {name: torch.from_numpy(data[name]).to(args.device) for name in data}
    x_train, y_train = arrays["x_train"], arrays["y_train"].long()
    x_test, y_test = arrays["x_test"], arrays["y_test"].long()
    shape = $SHAPE
    for images in (x_train, x_test):
        if images.dtype != torch.uint8 or images.shape[1:] != shape:
            parser.error(f"{args.data}: images must be uint8 and of shape {shape}")

    torch.manual_seed(args.seed)
    net = Net().to(args.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=args.learning_rate)
    batches = -(-len(x_train) // args.batch)
    for epoch in range(1, args.epochs + 1):
        net.train()
        start = time.perf_counter()
        total = torch.zeros((), device=args.device)
        # Batches of nearly one size: none is left with a single image, which batch
        # normalisation could not take.
        order = torch.randperm(len(x_train), device=args.device)
        for batch in order.tensor_split(batches):
            loss = F.cross_entropy(net(pixels(x_train[batch])), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        mean = total.item() / len(x_train)
        seconds = time.perf_counter() - start
        print(f"epoch {epoch:3}: loss {mean:.4f}, {seconds:.1f} s")
    print(f"test accuracy {accuracy(net, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()'''
