"""The graph convolutional network of Wen et al., against its formula."""

import numpy as np
import pytest
import torch

import cnngen
from cnngen.errors import CnnGenError
from cnngen.network.adjacency import adjacency
from cnngen.predict import Example
from cnngen.predict.neural import VERTICES, NeuralPredictor, encode
from cnngen.predict.neural.module import (
    DirectedConvolution,
    GraphConvolutions,
    TwoStages,
    collate,
)

SKIP = "input(8x8x1) conv [ ( conv conv , Empty ) ] flatten dense output(10)"


def resolved(text: str) -> cnngen.Network:
    return cnngen.resolve(cnngen.parse(text), seed=3)


def by_hand(module: GraphConvolutions, network: cnngen.Network) -> float:
    """The published formulae with dense matrices, from the matrix that CNNGen stores."""
    matrix, labels = adjacency(network)
    loops = matrix + np.eye(len(matrix))
    along = loops / loops.sum(1, keepdims=True)
    against = loops.T / loops.T.sum(1, keepdims=True)
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    v = np.array([[label == name for name in VERTICES] for label in labels], float)
    for at in range(len(module.layers)):
        plus = weights[f"layers.{at}.forwards.weight"].T
        minus = weights[f"layers.{at}.backwards.weight"].T
        v = (np.maximum(along @ v @ plus, 0) + np.maximum(against @ v @ minus, 0)) / 2
    hidden = np.maximum(weights["hidden.weight"] @ v.mean(0) + weights["hidden.bias"], 0)
    return float((weights["output.weight"] @ hidden + weights["output.bias"])[0])


def test_the_module_computes_the_published_formulae():
    torch.manual_seed(0)
    module = GraphConvolutions(len(VERTICES), layers=3, hidden=144, units=128, dropout=0.1).eval()
    networks = [resolved(SKIP), cnngen.sample("paper", seed=1), cnngen.sample("paper", seed=2)]
    with torch.no_grad():
        computed = module(*collate([encode(network) for network in networks]))[:, 0]
    expected = [by_hand(module, network) for network in networks]
    assert np.ptp(expected) > 1e-4
    np.testing.assert_allclose(computed, expected, atol=2e-6)


def test_a_layer_of_three_vertices_is_as_on_paper():
    # 0 -> 1 -> 2, one number a vertex, W+ = 1, W- = -2.
    layer = DirectedConvolution(1, 1)
    with torch.no_grad():
        layer.forwards.weight.fill_(1)
        layer.backwards.weight.fill_(-2)
        computed = layer(torch.tensor([[1.0], [-2.0], [6.0]]), torch.tensor([[0, 1], [1, 2]]))
    # along: (1-2)/2, (-2+6)/2, 6; against: 1, (-2+1)/2, (6-2)/2, times -2; relu; their mean.
    np.testing.assert_allclose(computed[:, 0], [0, (2 + 1) / 2, 6 / 2])


def test_the_order_of_vertices_does_not_matter():
    torch.manual_seed(0)
    module = GraphConvolutions(len(VERTICES), 3, 16, 8, 0.1).eval()
    operations, edges, graph = collate([encode(cnngen.sample("paper", seed=5))])
    order = torch.randperm(len(operations))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    with torch.no_grad():
        plain = module(operations, edges, graph)
        mixed = module(operations[order], place[edges], graph)
    torch.testing.assert_close(plain, mixed)


def test_what_the_classifier_turns_down_is_predicted_as_the_mean_of_the_bad():
    part = GraphConvolutions(len(VERTICES), 1, 4, 4, 0.0)
    stages = TwoStages(part, part, bound=0.5)
    stages.begin(torch.tensor([2.0, 1.0, -1.0, -2.0, -3.0]))
    mean, std = stages.estimate(torch.tensor([[3.0, 0.7], [-3.0, 0.7]]))
    np.testing.assert_allclose(mean, [0.7, -2.0], rtol=1e-6)
    np.testing.assert_allclose(std, [1.0, 1.0], rtol=1e-6)


def test_the_regressor_of_two_stages_learns_from_good_networks_alone():
    part = GraphConvolutions(len(VERTICES), 1, 4, 4, 0.0)
    stages = TwoStages(part, part, bound=0.5)
    wanted = torch.tensor([1.0, -1.0])
    output = torch.tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = stages.loss(output, wanted)
    loss.backward()
    # log 2 of the classifier, (0 - 1)^2 of the one good network.
    np.testing.assert_allclose(loss.item(), np.log(2) + 1, rtol=1e-6)
    assert output.grad is not None
    assert output.grad[1, 1] == 0
    np.testing.assert_allclose(output.grad[:, 0], [-0.25, 0.25])


def test_two_stages_tell_bad_networks_from_good_ones():
    def example(depth: int) -> Example:
        text = f"input(8x8x1) {'conv(stride=1, padding=same) ' * depth} flatten dense output(10)"
        return Example(resolved(text), {"accuracy": 0.95 - 0.001 * depth - 0.8 * (depth > 4)}, "")

    known = [example(depth) for depth in (1, 2, 11, 12)] * 6
    small = {"hidden": 16, "units": 8, "epochs": 120, "learning_rate": 1e-2}
    fitted = NeuralPredictor(above=0.9, **small).fit(known, "accuracy")
    predicted = fitted.predict([known[0].network, known[3].network])
    assert predicted.mean[0] > 0.9
    assert predicted.mean[1] < 0.3


def test_the_bound_of_the_classifier_is_an_accuracy():
    known = [Example(cnngen.sample("paper", seed=seed), {"time": 1.0 + seed}, "") for seed in [0]]
    with pytest.raises(CnnGenError, match="bounds an accuracy"):
        NeuralPredictor(above=0.91, epochs=1).fit(known * 12, "time")
