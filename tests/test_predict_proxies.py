"""Zero-cost proxies, against hand-computed cases, known properties and finite differences."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import numpy as np
import pytest
from known import known

import cnngen
from cnngen.backend import get_backend
from cnngen.backend.testing.networks import fixed
from cnngen.backend.untrained import IMAGES, Signals, probe
from cnngen.errors import BackendError, CnnGenError
from cnngen.network import Network
from cnngen.predict import load
from cnngen.predict.boosting import Growth
from cnngen.predict.proxies import PROXIES, Proxies, proxies, proxy_table
from cnngen.predict.trees import Trees
from cnngen.predict.zero_cost import FIGURES, K, jacobian_covariance, naswot, rank

torch = pytest.importorskip("torch")


def signals(network: Network) -> Signals:
    return get_backend("torch").signals(network, *probe(network.input_shape, network.classes or 1))


def network(text: str, shape: tuple[int, int, int] = (4, 4, 1)) -> Network:
    return cnngen.resolve(cnngen.parse(text), input_shape=shape)


def test_jacobians_without_correlation_score_best_and_equal_ones_worst() -> None:
    # Eigenvalues of the correlations: 1, 1, 1 for the one, 3, 0, 0 for the other.
    apart = np.array([[1.0, -1, 0, 0, 0, 0], [0, 0, 1, -1, 0, 0], [0, 0, 0, 0, 1, -1]])
    assert jacobian_covariance(apart) == pytest.approx(-3 * (log(1 + K) + 1 / (1 + K)))
    worst = -(log(3 + K) + 1 / (3 + K)) - 2 * (log(K) + 1 / K)
    assert jacobian_covariance(np.tile(apart[0], (3, 1))) == pytest.approx(worst, rel=1e-6)


def test_naswot_is_the_log_determinant_of_shared_activations() -> None:
    # Three units; the two images share one of them: |3 1; 1 3| = 8.
    assert naswot(np.array([[3.0, 1], [1, 3]])) == pytest.approx(log(8))


def test_features_have_as_many_directions_as_are_equally_long() -> None:
    assert rank(np.vstack([np.eye(4), -np.eye(4)])) == pytest.approx(4)
    assert rank(np.ones((5, 3))) == 0


def test_synaptic_flow_is_the_same_through_every_layer_of_a_chain() -> None:
    """Tanaka et al., theorem 1 and 2: what flows in flows out, layer by layer."""
    chain = network(
        "input conv(filters=3, kernel=3, stride=1) bnconv(filters=4, kernel=2, stride=2) "
        "dropout(rate=0.5) avg_pooling(size=2, stride=1) flatten dense(units=5) dense output"
    )
    flows = signals(chain).flows
    assert len(flows) == 4
    assert np.ptp(flows) < 1e-9


def test_synaptic_flow_of_a_dense_network_is_the_product_of_its_weights() -> None:
    some = network(
        "input conv(filters=2, kernel=4, stride=1, padding=valid, activation=tanh) "
        "flatten dense(units=3, activation=gelu) dense output"
    )
    from cnngen_torch.train import load as build

    torch.manual_seed(0)
    model = build(some.to_source("torch"))
    first, second, third = (
        p.detach().double().abs().numpy() for p in model.parameters() if p.ndim > 1
    )
    total = (third @ second @ first.reshape(2, 16) @ np.ones(16)).sum()
    assert signals(some).flows == pytest.approx(np.log(total), rel=1e-6)


def test_signals_of_one_dense_layer_are_those_of_the_closed_form() -> None:
    some = network("input conv(filters=16, kernel=4, stride=1, padding=valid, activation=linear, "
                   "bias=false) flatten dense output")  # fmt: skip
    from cnngen_torch.train import load as build

    torch.manual_seed(0)
    weights = [p.detach().double().numpy() for p in build(some.to_source("torch")).parameters()]
    first, last = weights[0].reshape(16, 16), weights[1]
    images, labels = probe(some.input_shape, 10)
    x = images.reshape(IMAGES, 16) / 255
    hidden, logits = x @ first.T, x @ first.T @ last.T
    exp = np.exp(logits - logits.max(1, keepdims=True))
    error = exp / exp.sum(1, keepdims=True) - np.eye(10)[labels]
    found = signals(some)
    assert found.features == pytest.approx(hidden, abs=1e-5)
    assert found.moments == pytest.approx([(hidden**2).mean(), (logits**2).mean()], rel=1e-4)
    differences = logits[:, None] - logits[None]
    pairs = IMAGES * (IMAGES - 1)
    assert found.distances[1] == pytest.approx((differences**2).sum() / pairs / 10 / 2, rel=1e-4)
    assert found.gradients[1] == pytest.approx((error**2).mean(), rel=1e-4)
    by_weight = error.T @ hidden / IMAGES, last.T @ error.T @ x / IMAGES
    slopes = [np.linalg.norm(by_weight[1]), np.linalg.norm(by_weight[0])]
    assert found.slopes == pytest.approx(slopes, rel=1e-4)
    assert found.jacobian == pytest.approx(np.tile((last @ first).sum(0), (64, 1)), abs=1e-5)
    codes = hidden > 0
    same = (codes[:, None] == codes[None]).sum(2)
    assert (np.abs(found.agreement - same) <= 1).all()  # a number beside 0 may round away


@pytest.mark.parametrize("name", sorted(fixed().keys() - {"backbone"}))
def test_every_network_has_finite_figures(name: str) -> None:
    found = proxy_table([fixed()[name]])
    assert found.shape == (1, len(FIGURES))
    assert np.isfinite(found).all()


def test_a_backbone_has_no_proxies() -> None:
    with pytest.raises(CnnGenError, match="need logits"):
        proxies(fixed()["backbone"])


def test_probing_leaves_torchs_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    proxies(fixed()["small"])
    assert torch.equal(torch.rand(1), expected)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_figures_are_kept_and_bad_ones_made_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = fixed()["small"]
    first = proxies(some)
    assert set(PROXIES) <= first.keys()
    (file,) = cache.rglob("*.json")
    with monkeypatch.context() as patch:
        patch.setattr("cnngen_torch.TorchBackend.signals", None)
        assert proxies(some) == first
    for broken in ("{", "[]", '{"synflow": 1}', file.read_text().replace(":", ': "x" , "y":', 1)):
        file.write_text(broken)
        assert proxies(some) == first
        assert json.loads(file.read_text()) == first


def test_a_backend_without_signals_is_named() -> None:
    with pytest.raises(BackendError, match="keras backend does not provide signals"):
        proxy_table([], "keras")


def test_proxies_learn_and_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnngen.predict.boosting.GROWTHS", (Growth(40, 6, 0.1),))
    some = known()[:40]
    asked = [one.network for one in some]
    for with_features in (False, True):
        model = Proxies(bags=1, folds=2, with_features=with_features).fit(some, "time")
        model.save(tmp_path / "saved")
        said, again = model.predict(asked), load(tmp_path / "saved").predict(asked)
        assert np.array_equal(said.mean, again.mean)
        assert np.corrcoef(np.log(said.mean), [log(one.targets["time"] or 1) for one in some])[0, 1] > 0.5  # fmt: skip


def test_an_ensemble_weighs_its_members_and_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnngen.predict.ensemble import Ensemble

    # The graph transformer has tests of its own, and takes its time.
    monkeypatch.setattr("cnngen.predict.graph.GraphPredictor", Trees)
    monkeypatch.setattr("cnngen.predict.boosting.GROWTHS", (Growth(40, 6, 0.1),))
    some = known()[:60]
    model = Ensemble().fit(some[:40], "accuracy", some[40:])
    assert model.weights_.sum() == pytest.approx(1)
    assert (model.weights_ >= 0.25).all()
    asked = [one.network for one in some]
    said = model.predict(asked)
    accuracy = np.array([one.targets["accuracy"] for one in some])
    # The interval was made so that nine of ten of those held out lie inside.
    inside = (said.low <= accuracy) & (accuracy <= said.high)
    assert inside[40:].mean() >= 0.9
    model.save(tmp_path / "saved")
    again = load(tmp_path / "saved").predict(asked)
    assert np.allclose(said.mean, again.mean)
    assert np.allclose(said.high, again.high)
    with pytest.raises(CnnGenError, match="contains a predictor 'ensemble'"):
        Proxies.load(tmp_path / "saved")
