"""The part of an emitted file that trains its network when the file is run."""

from __future__ import annotations

from cnngen.backend.script import main_head, reading
from cnngen.network import Network


def main_source(network: Network) -> list[str]:
    """The lines of `main()` and what it needs, with the blank lines before them."""
    return [*reading(network), *_FUNCTIONS, *main_head(saved="net.npz"), *_TRAINING]


_FUNCTIONS = '''

@nnx.jit
def train_step(
    net: Net, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array
) -> jax.Array:
    """Learn from a batch of uint8 images; gives the mean loss."""

    def loss_of(net: Net) -> jax.Array:
        logits = net(images.astype(jnp.float32) / 255)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    loss, gradients = nnx.value_and_grad(loss_of)(net)
    optimizer.update(net, gradients)
    return loss


@nnx.jit
def hits(net: Net, images: jax.Array, labels: jax.Array) -> jax.Array:
    """How many images have the largest logit at their label."""
    return (net(images.astype(jnp.float32) / 255).argmax(axis=1) == labels).sum()'''.splitlines()

LOAD = '''

def load(path: str | Path | None = None) -> Net:
    """The network with the weights of a file, ready to predict."""
    net = Net(nnx.Rngs(0))
    state = nnx.state(net, (nnx.Param, nnx.BatchStat))
    with np.load(path or $WEIGHTS) as arrays:
        for place, leaf in nnx.to_flat_state(state):
            leaf.set_value(jnp.asarray(arrays[".".join(map(str, place))]))
    nnx.update(net, state)
    net.eval()
    return net'''

_TRAINING = """\
    net = Net(nnx.Rngs(args.seed))
    optimizer = nnx.Optimizer(net, optax.adam(args.learning_rate), wrt=nnx.Param)
    random = np.random.default_rng(args.seed)
    batches = -(-len(x_train) // args.batch)
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        total = 0.0
        # JAX compiles a step for each size of batch: of nearly equal ones there are two.
        for rows in np.array_split(random.permutation(len(x_train)), batches):
            loss = train_step(net, optimizer, x_train[rows], y_train[rows])
            total += loss * len(rows)
        mean = total / len(x_train)
        seconds = time.perf_counter() - start
        print(f"epoch {epoch:3}: loss {mean:.4f}, {seconds:.1f} s")

    net.eval()
    right = 0
    for start in range(0, len(x_test), 500):
        rows = slice(start, start + 500)
        right += hits(net, x_test[rows], y_test[rows])
    print(f"test accuracy {right / len(x_test):.4f}")
    if args.save:
        state = nnx.to_flat_state(nnx.state(net, (nnx.Param, nnx.BatchStat)))
        arrays = {".".join(map(str, path)): leaf[...] for path, leaf in state}
        np.savez(args.save, **arrays)


if __name__ == "__main__":
    main()""".splitlines()
