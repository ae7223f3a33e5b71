"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.backend.script import main_head, reading
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
    return [*reading(network), *_FUNCTIONS, *main_head(_DEVICE, saved="net.pt"), *_TRAINING]


_FUNCTIONS = '''

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
    return hits.item() / len(labels)'''.splitlines()

LOAD = '''

def load(path: str | Path | None = None) -> Net:
    """The network with the weights of a file, ready to predict."""
    net = Net()
    net.load_state_dict(
        torch.load(
            path or $WEIGHTS,
            map_location="cpu",
            weights_only=True,
        )
    )
    return net.eval()'''

_DEVICE = """\
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument(
        "--amp",
        action="store_true",
        help="mixed precision: bfloat16, or float16 on GPUs without it",
    )
"""

_TRAINING = """\
    # The images stay on the device as bytes and become floats a batch at a time.
    x_train, y_train, x_test, y_test = (
        torch.from_numpy(array).to(args.device)
        for array in (x_train, y_train, x_test, y_test)
    )

    torch.manual_seed(args.seed)
    net = Net().to(args.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=args.learning_rate)
    kind = torch.device(args.device).type
    no_bfloat16 = kind == "cuda" and not torch.cuda.is_bf16_supported(False)
    half = torch.float16 if no_bfloat16 else torch.bfloat16
    scaler = torch.amp.GradScaler(kind, enabled=args.amp and no_bfloat16)
    batches = -(-len(x_train) // args.batch)
    for epoch in range(1, args.epochs + 1):
        net.train()
        start = time.perf_counter()
        total = torch.zeros((), device=args.device)
        # Batches of nearly one size: none is left with a single image, which batch
        # normalisation could not take.
        order = torch.randperm(len(x_train), device=args.device)
        for batch in order.tensor_split(batches):
            with torch.autocast(kind, half, enabled=args.amp):
                loss = F.cross_entropy(net(pixels(x_train[batch])), y_train[batch])
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            total += loss.detach() * len(batch)
        mean = total.item() / len(x_train)
        seconds = time.perf_counter() - start
        print(f"epoch {epoch:3}: loss {mean:.4f}, {seconds:.1f} s")
    print(f"test accuracy {accuracy(net, x_test, y_test):.4f}")
    if args.save:
        torch.save(net.state_dict(), args.save)


if __name__ == "__main__":
    main()""".splitlines()
