"""cnngen_toynet: networks for a framework with a function for each operation."""

from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from cnngen.backend import Backend
from cnngen.backend.model_access import Runner
from cnngen.backend.program import Block, Copy, Step, call, program, title
from cnngen.errors import BackendError
from cnngen.network import Network, Node
from cnngen.operations import (
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    OperationTable,
    Pool,
    SqueezeExcite,
    Truncate,
)

FUNCTIONS = OperationTable(
    "the toynet backend",
    {
        Conv2d: "toynet.conv",
        BatchNorm: "toynet.batch_norm",
        Pool: "toynet.pool",
        GlobalPool: "toynet.global_pool",
        Dropout: "toynet.dropout",
        Flatten: "toynet.flatten",
        Dense: "toynet.dense",
        Add: "toynet.add",
        Concat: "toynet.concat",
        Activate: "toynet.activate",
        Truncate: "toynet.truncate",
        SqueezeExcite: "toynet.squeeze_excite",
    },
    BackendError,
)


class ToynetBackend(Backend):
    name = "toynet"
    interface = 1
    install = "pip install cnngen-toynet"
    capabilities = frozenset({"emit", "verify"})

    def version(self) -> str | None:
        try:
            return f"toynet {version('cnngen-toynet')}"
        except PackageNotFoundError:
            return None

    def emit(self, network: Network, *, script: bool = False) -> str:
        main = program(network)
        lines = ['"""' + "\n".join(title(network)), '"""', "", "import toynet", ""]
        lines.append(f"SHAPE = {network.input_shape}")
        for block in main.steps:
            if isinstance(block, Block):
                lines += ["", "", f"def merge{block.number}(x):", *body(block)]
        return "\n".join([*lines, "", "", "def network(x):", *body(main), ""])

    def runner(self) -> "ToynetRunner":
        return ToynetRunner()


def body(block: Block) -> list[str]:
    lines = []
    for step in block.steps:
        match step:
            case Block(number):
                lines.append(f"    x = merge{number}(x)")
            case Copy(target, source):
                lines.append(f"    {target} = {source}")
            case Step(node, target, sources, notes):
                lines += [f"    # {note}" for note in notes]
                function = FUNCTIONS.of(node.operation)
                lines += call(f"{target} = {function}", [*sources, *options(node)])
    return [*lines, "    return x"]


def options(node: Node) -> Iterator[str]:
    yield f'name="{node.name}"'
    for field in fields(node.operation):
        value = getattr(node.operation, field.name)
        yield f'{field.name}="{value}"' if isinstance(value, str) else f"{field.name}={value}"


class ToynetRunner(Runner[ModuleType]):
    float64 = True

    def build(self, source):
        model = ModuleType("emitted")
        exec(compile(source, "emitted.py", "exec"), model.__dict__)
        model.weights = model.toynet.init(model.network, model.SHAPE)
        return model

    def weights(self, model):
        return model.weights

    def set_weights(self, model, weights):
        model.weights = weights

    def outputs(self, model, images):
        return model.toynet.apply(model.network, model.weights, images)
