"""The benchmark of search methods: what it answers, what it costs, and how searches run on it."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnngen
from cnngen.errors import CnnGenError
from cnngen.runs.trainings import read_trainings
from cnngen.search import Problem, get_searcher, objectives_named
from cnngen.search.benchmark import Benchmark, benchmark, simulate
from cnngen.space import load_space
from cnngen.space.sampling import sample, sample_many

DATA = Path(__file__).parents[1] / "benchmarks" / "data" / "digits.parquet"


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return cnngen.benchmark("digits")


def network(seed: int):
    return sample("paper", input_shape=(8, 8, 1), seed=seed)


def test_a_trained_network_is_answered_as_it_was_measured(bench) -> None:
    columns = ("description", "test_accuracy", "train_seconds", "energy_total_energy", "status")
    for _, training in zip(range(5), read_trainings(DATA, columns), strict=False):
        answer = bench.query(training.network)
        assert answer.source == "measured"
        row = training.row
        assert answer.accuracy == pytest.approx(row["test_accuracy"], abs=1e-6)
        assert answer.seconds == pytest.approx(row["train_seconds"], rel=1e-6)
        assert answer.energy == pytest.approx(row["energy_total_energy"], rel=1e-6)
        other = bench.query(training.network, seed=1)
        assert other.accuracy != answer.accuracy
        assert bench.expected_accuracy(training.network) == pytest.approx(answer.accuracy)


def test_another_network_is_predicted_with_the_noise_of_its_seed(bench) -> None:
    one = network(3)
    answers = [bench.query(one, seed=seed) for seed in range(200)]
    assert {answer.source for answer in answers} == {"predicted"}
    assert answers[7] == bench.query(one, seed=7)
    assert answers[7] == benchmark("digits").query(one, seed=7)
    accuracies = sorted(answer.accuracy for answer in answers)
    assert accuracies[60] < bench.expected_accuracy(one) < accuracies[140]
    assert len({answer.seconds for answer in answers}) == 1
    unlike = cnngen.resolve(
        cnngen.parse(f"input(8x8x1) {'conv(kernel=1) ' * 400} flatten dense output(10)"), seed=0
    )
    assert bench.query(unlike).source == "extrapolated"


def test_curves_lead_to_the_answer_and_fewer_epochs_cost_less(bench) -> None:
    for one in sample_many(10, "paper", input_shape=(8, 8, 1), seed=5):
        whole = bench.query(one)
        assert len(whole.curve) == whole.epochs == bench.epochs == 36
        assert whole.curve[-1] == whole.accuracy
        assert all(0 <= accuracy <= 1 for accuracy in whole.curve)
        part = bench.query(one, epochs=9)
        assert part.curve == whole.curve[:9]
        assert part.accuracy == part.curve[-1]
        assert part.seconds == pytest.approx(whole.seconds / 4)
        assert part.energy == pytest.approx(whole.energy / 4)


def test_what_queries_would_have_cost_is_counted(bench) -> None:
    bench.reset_budget_counters()
    answers = [bench.query(network(seed), epochs=12) for seed in range(3)]
    assert bench.get_budget_counters() == pytest.approx(
        (sum(one.seconds for one in answers), sum(one.energy for one in answers))
    )
    assert bench.queries == 3
    bench.reset_budget_counters()
    assert bench.get_budget_counters() == (0, 0)


def test_what_it_cannot_answer_is_refused(bench) -> None:
    with pytest.raises(CnnGenError, match="images of 8x8x1 in 10 classes"):
        bench.query(sample("paper", seed=1))
    for epochs in (0, 37):
        with pytest.raises(CnnGenError, match="has 1 to 36 epochs"):
            bench.query(network(1), epochs=epochs)
    with pytest.raises(CnnGenError, match="no benchmark 'imagenet'") as refused:
        benchmark("imagenet")
    assert "digits" in str(refused.value.hint)


def search(bench: Benchmark, workers: int, method: str = "evolution", epochs: int = 36):
    problem = Problem(
        load_space("paper"),
        bench.input_shape,
        bench.classes,
        objectives_named(["accuracy", "energy"]),
        epochs,
    )
    return simulate(get_searcher(method)(problem, 1), bench, count=26, workers=workers, seed=2)


def test_workers_run_side_by_side_on_a_simulated_clock(bench) -> None:
    alone, four = search(bench, 1), search(bench, 4)
    assert alone == search(bench, 1)
    assert alone[-1].ended == pytest.approx(sum(step.answer.seconds for step in alone))
    assert four[-1].ended < alone[-1].ended
    for steps, workers in ((alone, 1), (four, 4)):
        assert [step.ended for step in steps] == sorted(step.ended for step in steps)
        for step in steps:
            beside = sum(one.began <= step.began < one.ended for one in steps)
            assert beside <= workers


def test_halving_spends_less_than_whole_trainings(bench) -> None:
    steps = search(bench, 1, "halving")
    assert {step.answer.epochs for step in steps} >= {4, 12}
    assert steps[-1].ended < search(bench, 1, "random")[-1].ended / 2
