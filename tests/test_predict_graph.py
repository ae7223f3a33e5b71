"""The graph network's eyes: what it is told of a network, and that order tells it nothing."""

import numpy as np
import torch

import cnngen
from cnngen.predict.graph import GraphPredictor
from cnngen.predict.graph.encoding import NODE_FEATURES, WHOLE_FEATURES, _read, encode
from cnngen.predict.graph.module import collate


def resolved(text: str) -> cnngen.Network:
    return cnngen.resolve(cnngen.parse(text), seed=3)


def outspoken() -> torch.nn.Module:
    """A module whose nodes hear each other, which they do not before anything is learnt."""
    torch.manual_seed(0)
    module = GraphPredictor(hidden=16, layers=3).module().eval()
    for weights in module.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return module


def test_the_order_of_nodes_does_not_matter():
    module = outspoken()
    nodes, edges, graph, whole = collate([encode(cnngen.sample("paper", seed=5))])
    order = torch.randperm(len(nodes) - 1)
    order = torch.cat([order, torch.tensor([len(nodes) - 1])])  # the last gives the output
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    with torch.no_grad():
        plain = module(nodes, edges, graph, whole)
        mixed = module(nodes[order], place[edges], graph, whole)
        turned = module(nodes, edges.flip(0), graph, whole)
    torch.testing.assert_close(plain, mixed, atol=1e-4, rtol=1e-4)
    assert (plain - turned).abs().max() > 1e-4  # but the edges' direction does


def test_networks_of_a_batch_do_not_hear_each_other():
    module = outspoken()
    encoded = [encode(cnngen.sample("paper", seed=seed)) for seed in range(4)]
    with torch.no_grad():
        together = module(*collate(encoded))
        alone = torch.cat([module(*collate([one])) for one in encoded])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_pixels_that_no_window_reads_are_not_used():
    # Rows 0, 3 and 6 of eight.
    one = resolved(
        "input(8x8x1) conv(filters=4, kernel=1, stride=3, padding=valid) flatten dense output(10)"
    )
    mask = _read(one.nodes[1], np.ones(3, bool), 8, axis=0)
    np.testing.assert_array_equal(np.flatnonzero(mask), [0, 3, 6])
    # `same` with a kernel of 3 and a stride of 2 pads one row before: rows -1..1 for the first.
    two = resolved(
        "input(7x7x1) conv(filters=4, kernel=3, stride=2, padding=same) flatten dense output(10)"
    )
    mask = _read(two.nodes[1], np.array([True, False, False, False]), 7, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(mask), [0, 1])


def test_one_changed_hyperparameter_changes_the_nodes_numbers():
    text = "input(8x8x1) conv(filters=16, kernel=3, stride=1) dropout(rate={}) flatten dense output(10)"
    plain, other = (encode(resolved(text.format(rate))) for rate in (0.2, 0.4))
    assert (plain.nodes[2] != other.nodes[2]).any()


def test_the_longest_network_is_numbers_of_a_known_size():
    networks = [cnngen.sample("paper", seed=seed) for seed in range(30)]
    longest = encode(max(networks, key=len))
    assert longest.nodes.shape[1] == NODE_FEATURES
    assert longest.whole.shape == (WHOLE_FEATURES,)
    assert np.isfinite(longest.nodes).all()
    assert np.abs(longest.nodes).max() < 20
