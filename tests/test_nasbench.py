from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import cnngen
from cnngen.backend import get_backend
from cnngen.backend.definitions import evaluate, random_weights
from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.network.adjacency import Graph
from cnngen.network.picture.scene import scene
from cnngen.operations import Activate, Conv2d, Input
from cnngen.predict import Example, split
from cnngen.runs.parquet_index import read_index, write_index
from cnngen.space import nasbench101 as nasbench
from cnngen.space.nasbench101 import Cell, canonical, cell_network, sample_cells
from cnngen.training.data import load_data
from cnngen.training.protocol import PROTOCOLS

CONV1, CONV3, POOL = "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3"


def cell(edges: str, *labels: str) -> Cell:
    """A cell by its edges, such as `01 12`."""
    size = len(labels) + 2
    matrix = [[int(f"{i}{j}" in edges.split()) for j in range(size)] for i in range(size)]
    return Cell(matrix, ["input", *labels, "output"])


# From the published notebook of google-research/nasbench, and the first of its data set.
INCEPTION = cell("01 02 03 05 16 26 34 46 56", CONV1, CONV3, CONV3, CONV3, POOL)
FIRST = cell("01 04 05 12 23 26 35 45 56", CONV3, POOL, CONV3, CONV3, CONV1)
PUBLISHED = {INCEPTION: 2_694_282, FIRST: 8_555_530}


@pytest.mark.parametrize("known", PUBLISHED)
def test_parameters_are_those_that_nas_bench_101_published(known: Cell) -> None:
    assert cell_network(known).cost.parameters == PUBLISHED[known]


def formula(cell: Cell, given: int, wanted: int) -> int:
    """The weights of one cell, without its graph: k² of kernels and 2 of batch norm."""

    def conv(kernel: int, inputs: int, outputs: int) -> int:
        return kernel**2 * inputs * outputs + 2 * outputs

    channels, last = cell.channels(given, wanted), len(cell.matrix) - 1
    projected = [channels[j] for j in range(1, last + 1) if cell.matrix[0][j]]
    kernels = {CONV1: 1, CONV3: 3}
    own = [
        conv(kernels[label], width, width)
        for label, width in zip(cell.labels, channels[1:], strict=False)
        if label in kernels
    ]
    return sum(conv(1, given, width) for width in projected) + sum(own)


def test_parameters_of_random_cells_are_those_of_the_formula() -> None:
    for one in sample_cells(30, seed=3):
        stem, rest = 9 * 3 * 128 + 2 * 128, 512 * 10 + 10
        stacks = [(128, 128), (128, 256), (256, 512)]
        cells = [formula(one, a, b) + 2 * formula(one, b, b) for a, b in stacks]
        assert cell_network(one).cost.parameters == stem + sum(cells) + rest


@pytest.mark.parametrize(
    ("edges", "vertices", "given", "wanted", "expected"),
    [
        ("01 12 23", 2, 16, 8, [16, 8, 8, 8]),
        ("01", 0, 1, 5, [1, 5]),
        ("01 02 13 23 34", 3, 8, 16, [8, 16, 16, 16, 16]),
        ("01 02 13 23", 2, 8, 15, [8, 8, 7, 15]),
        ("01 02 03 14 24 34", 3, 8, 8, [8, 3, 3, 2, 8]),
        ("01 12 13 24 34", 3, 8, 9, [8, 5, 5, 4, 9]),
        ("01 03 12 14 23 34", 3, 8, 15, [8, 8, 7, 7, 15]),
    ],
)
def test_channels_are_shared_out_as_in_the_authors_own_tests(
    edges: str, vertices: int, given: int, wanted: int, expected: list[int]
) -> None:
    assert cell(edges, *[CONV3] * vertices).channels(given, wanted) == expected


def test_as_many_cells_differ_as_were_published() -> None:
    """Of 423,624 cells, 1, 6, 84 and 2,441 have 2, 3, 4 and 5 vertices."""
    found: Counter[int] = Counter()
    for size in (2, 3, 4, 5):
        pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
        forms = set()
        for bits in product((0, 1), repeat=len(pairs)):
            matrix = [[0] * size for _ in range(size)]
            for (i, j), bit in zip(pairs, bits, strict=True):
                matrix[i][j] = bit
            if nasbench._is_whole(matrix) and sum(bits) <= 9:
                for labels in product(nasbench.LABELS, repeat=size - 2):
                    forms.add(canonical(Cell(matrix, ["input", *labels, "output"])))
        found[size] = len(forms)
    assert found == {2: 1, 3: 6, 4: 84, 5: 2441}


def test_vertices_on_no_way_through_the_cell_are_pruned() -> None:
    dangling = cell("01 12 03 14 25", CONV3, CONV1, POOL, POOL)
    assert dangling == cell("01 12 23", CONV3, CONV1)
    assert dangling.operations == ("input", CONV3, CONV1, "output")


def test_a_matrix_may_be_larger_than_what_is_left_of_it() -> None:
    dangling = cell("01 12 03 14 25 06 27", CONV3, CONV1, *[POOL] * 4)
    assert dangling == cell("01 12 23", CONV3, CONV1)
    with pytest.raises(CnnGenError, match="at most 7 vertices"):
        cell("01 12 23 34 45 56 67", *[CONV3] * 6)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        # As google-research's hash_module gives them.
        (cell("01"), "043721b9c7fe8c5fad811d47d83132ec"),
        (INCEPTION, "28cfc7874f6d200472e1a9dcd8650aa0"),
        ("nasbench101_7_105a93_m13mm_stem128", "983775d88641f295f7089f514f5d78c4"),
        ("nasbench101_7_164455_mm311_stem128", "9de4e4c8aaec6e7ff936b7ddc3bd883a"),
        ("nasbench101_7_105325_m13m3_stem128", "6e15c9332622ac784ed41771e6fe63de"),
    ],
)
def test_a_cells_hash_is_that_of_the_published_table(known: Cell | str, told: str) -> None:
    if isinstance(known, str):
        known, _ = Cell.from_name(known)
    assert known.hash == told


def test_cells_have_one_hash_if_they_are_isomorphic() -> None:
    one, other = cell("01 02 13 23", CONV3, POOL), cell("01 02 13 23", POOL, CONV3)
    assert one.hash == other.hash
    cells = list(sample_cells(300))
    assert len({each.hash for each in cells}) == len({canonical(each) for each in cells}) == 300


def test_isomorphic_cells_have_one_form() -> None:
    assert canonical(cell("01 02 13 23", CONV3, POOL)) == canonical(
        cell("01 02 13 23", POOL, CONV3)
    )
    assert canonical(cell("01 12 23", CONV3, POOL)) != canonical(cell("01 12 23", POOL, CONV3))


def test_networks_of_isomorphic_cells_share_an_id_and_a_part_of_a_split() -> None:
    one, other = cell("01 02 13 23", CONV3, POOL), cell("01 02 13 23", POOL, CONV3)
    assert one != other
    twins = [cell_network(each, stem=16) for each in (one, other)]
    assert twins[0].id == twins[1].id
    assert cell_network(one, stem=8).id != twins[0].id
    assert cell_network(one, stem=16, classes=7).id != twins[0].id
    others = [cell_network(each, stem=16) for each in sample_cells(10)]
    assert len({network.id for network in [*others, twins[0]]}) == 11
    some = [Example(network, {}, "digits") for network in [twins[0], *others, twins[1]]]
    for seed in range(20):
        parts = split(some, seed)
        holds = [
            sum(one.network.id == twins[0].id for one in part)
            for part in (parts.train, parts.validation, parts.test)
        ]
        assert sorted(holds) == [0, 0, 2]


def test_samples_depend_on_their_seed_alone_and_differ() -> None:
    cells = list(sample_cells(12, seed=5))
    assert list(sample_cells(5, seed=5)) == cells[:5]
    assert len({canonical(one) for one in cells}) == 12
    assert list(sample_cells(1, seed=6)) != cells[:1]


def test_a_name_gives_its_cell_back() -> None:
    for one in [*sample_cells(10), cell("01"), INCEPTION]:
        assert Cell.from_name(one.name(24)) == (one, 24)


@pytest.mark.parametrize(
    "name",
    ["lenet", "nasbench101_8_1_3_stem16", "nasbench101_3_ff_3_stem16", "nasbench101_3_5_33_stem1"],
)
def test_a_name_that_is_no_cells_is_refused(name: str) -> None:
    with pytest.raises(CnnGenError, match="not the name"):
        Cell.from_name(name)


@pytest.mark.parametrize(
    ("matrix", "operations", "told"),
    [
        ([[0, 1]], ["input", "output"], "square"),
        ([[0, 0], [1, 0]], ["input", "output"], "triangular"),
        ([[0, 2], [0, 0]], ["input", "output"], "triangular"),
        ([[0, 0], [0, 0]], ["input", "output"], "no path"),
        ([[0, 1], [0, 0]], ["input", CONV3, "output"], "operations are"),
        ([[0, 1, 0], [0, 0, 1], [0] * 3], ["input", "conv5x5", "output"], "unknown operation"),
        ([[int(j > i) for j in range(7)] for i in range(7)], [*"i"], "operations are"),
        (
            [[int(j > i) for j in range(7)] for i in range(7)],
            ["input", *[CONV3] * 5, "output"],
            "9 edges",
        ),
    ],
)
def test_what_is_no_cell_is_refused(
    matrix: list[list[int]], operations: list[str], told: str
) -> None:
    with pytest.raises(CnnGenError, match=told):
        Cell(matrix, operations)


def test_a_stem_too_narrow_for_the_cell_is_refused() -> None:
    with pytest.raises(CnnGenError, match="narrow"):
        cell_network(INCEPTION, stem=3)


def small(one: Cell, stem: int = 5) -> Network:
    return cell_network(one, input_shape=(7, 6, 2), classes=3, stem=stem)


def test_emitted_models_compute_what_the_cells_define() -> None:
    """Law: with the same weights, PyTorch's logits are those of the definitions."""
    runner = get_backend("torch").runner()
    for one in [INCEPTION, cell("01 02 03 12 13 23", CONV3, POOL), *sample_cells(3, seed=8)]:
        network = small(one)
        weights = random_weights(network)
        model = runner.build(network.to_source("torch"))
        runner.set_weights(model, weights)
        images = np.random.default_rng(0).normal(size=(2, 7, 6, 2)).astype(np.float32)
        logits = runner.outputs(model, images)
        expected = evaluate(network, weights, images)[-1]
        assert np.abs(logits - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_every_edge_of_a_cells_network_is_drawn_to_its_box() -> None:
    network = small(INCEPTION)
    drawn = scene(network)
    edges = {(i, at) for at, node in enumerate(network.nodes) for i in node.inputs}
    assert {(line.source, line.target) for line in drawn.lines} == edges
    for line in drawn.lines:
        box, (x, y) = drawn.shapes[line.target].box, line.points[-1]
        assert box.x <= x <= box.x + box.width
        assert box.y <= y <= box.y + box.height
    boxes = [shape.box for shape in drawn.shapes]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            beside = a.x >= b.x + b.width or b.x >= a.x + a.width
            assert beside or a.y >= b.y + b.height or b.y >= a.y + a.height


def test_a_cell_is_trained_and_kept_without_a_sentence(tmp_path: Path) -> None:
    from dataclasses import replace

    data = load_data("digits")
    network = cell_network(INCEPTION, input_shape=data.input_shape, stem=4)
    trained = cnngen.train(network, data, replace(PROTOCOLS["quick"], epochs=1))
    run = cnngen.save(tmp_path, trained.record, network, trained.source)
    assert {file.name for file in run.iterdir()} == {
        *("adjacency.json", "record.json", "model_torch.py", "model.svg", "model.png"),
    }
    (record,) = cnngen.load(tmp_path)
    assert (record.id, record.status, record.parameters) == (
        network.id,
        "ok",
        network.cost.parameters,
    )
    assert Cell.from_name(record.name or "") == (INCEPTION, 4)
    stored = Graph.from_json((run / "adjacency.json").read_text())
    assert stored.matrix().sum() == sum(len(node.inputs) for node in network.nodes) + 1
    assert not write_index(tmp_path)
    table = read_index(tmp_path)
    assert table is not None
    assert table.index[0] == record.key


def test_graphs_have_an_identity_of_their_own() -> None:
    one, other = small(INCEPTION), small(FIRST)
    assert one.id != other.id != small(FIRST, stem=6).id
    assert one.id == small(INCEPTION).id


@pytest.mark.parametrize("name", ["class", "conv", "Conv1", "x1)\nimport os", "training", ""])
def test_names_that_code_could_mistake_are_refused_in_graphs(name: str) -> None:
    with pytest.raises(CnnGenError, match="name"):
        Network.from_graph([("input", Input((4, 4, 1)), ()), (name, Activate(), (0,))])


def test_a_name_stands_once_in_a_graph() -> None:
    conv = Conv2d(2, (1, 1))
    with pytest.raises(CnnGenError, match="name"):
        Network.from_graph(
            [("input", Input((4, 4, 1)), ()), ("c1", conv, (0,)), ("c1", conv, (1,))]
        )
