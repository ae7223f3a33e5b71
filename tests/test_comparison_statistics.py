"""What a comparison says of measures whose truth is known, since they are made up."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from cnngen.comparison import (
    Compared,
    Design,
    Measure,
    agreement,
    fewest_pairs,
    holm,
    interval,
    p_value,
    verdicts,
)
from cnngen.errors import CnnGenError
from cnngen.runs.record import DataSummary
from cnngen.training.protocol import Protocol


def measured(
    modes: dict[str, float],
    *,
    networks: int = 1,
    repeats: int = 10,
    scatter: float = 0.05,
    seed: int = 0,
    accuracy: float = 0.9,
) -> list[Measure]:
    """Trainings of modes that need so many seconds, but for a scatter of each run."""
    random = np.random.default_rng(seed)
    return [
        Measure(
            mode=mode,
            network=f"{network:016x}",
            repeat=repeat,
            status="ok",
            cause=None,
            seconds=seconds * (network + 1) * math.exp(random.normal(0, scatter)),
            start_seconds=None,
            epoch_seconds=None,
            energy=None,
            net_energy=None,
            accuracy=accuracy + random.normal(0, 0.01),
            test_images=1000,
        )
        for network in range(networks)
        for repeat in range(repeats)
        for mode, seconds in modes.items()
    ]


@pytest.mark.parametrize("shape", [(1, 10), (4, 3)])
def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says(
    shape: tuple[int, int],
) -> None:
    """Law: of the 95 % intervals of normal scatter, 95 % hold the truth: of 120, 105 or more
    but in one of a thousand cases."""
    groups, pairs = shape
    random = np.random.default_rng(1)
    truth = math.log(1.8)
    held = 0
    for _ in range(120):
        # Networks may differ in scatter, but not in what is true of them.
        data = [truth + random.normal(0, 0.1 + 0.1 * i, pairs) for i in range(groups)]
        found = interval(data)
        assert found.low <= found.ratio <= found.high
        held += found.low <= 1.8 <= found.high
    assert held >= 105


def test_the_interval_of_many_pairs_is_students() -> None:
    pairs = np.random.default_rng(2).normal(0.3, 0.2, 400)
    student = ttest_1samp(pairs, 0).confidence_interval(0.95)
    found = interval([pairs])
    width = student.high - student.low
    assert math.log(found.low) == pytest.approx(student.low, abs=width / 15)
    assert math.log(found.high) == pytest.approx(student.high, abs=width / 15)


def test_each_network_weighs_the_same_however_often_it_was_trained() -> None:
    few, many = np.array([1.0, 1.0]), np.array([3.0] * 8)
    assert interval([few, many]).ratio == pytest.approx(math.exp(2.0))


def test_pairs_that_are_all_equal_have_an_interval_of_a_point() -> None:
    found = interval([np.full(5, math.log(2))])
    assert (found.ratio, found.low, found.high) == pytest.approx((2, 2, 2))
    nearly = interval([np.array([1.0, 1.0, 1.0, 1.0, 1.0 + 1e-9])])
    assert nearly.low == pytest.approx(math.e)
    assert nearly.high == pytest.approx(math.e)


def test_the_interval_of_two_pairs_is_no_narrower_than_they_lie_apart() -> None:
    found = interval([np.array([0.1, 0.4])])
    assert math.log(found.low) == pytest.approx(0.1, abs=1e-9)
    assert math.log(found.high) == pytest.approx(0.4, abs=1e-9)


@pytest.mark.parametrize("pairs", [[3.0, 1.0, -2.0], [1.0, 2.0, 4.0, 8.0], [0.5, -0.5, 2.0, 1.0]])
def test_p_is_the_share_of_all_signs_that_give_as_much(pairs: list[float]) -> None:
    """Law: with n pairs, p is the share of the 2^n ways to choose signs whose sum is as far
    from zero."""
    sums = [
        sum(sign * value for sign, value in zip(signs, pairs, strict=True))
        for signs in product((1, -1), repeat=len(pairs))
    ]
    share = sum(abs(total) >= abs(sum(pairs)) - 1e-12 for total in sums) / len(sums)
    assert p_value([np.array(pairs)]) == pytest.approx(share)


def test_without_any_difference_p_is_one() -> None:
    assert p_value([np.zeros(6)]) == 1.0


def test_holms_adjustment_is_that_of_rs_p_adjust() -> None:
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"); the worked example of many textbooks.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("family", [1, 3, 15, 60])
def test_as_many_pairs_as_are_asked_for_suffice_and_one_less_does_not(family: int) -> None:
    """Law: pairs that all say the same come out below 5 % in a family of such, and with one
    pair less they do not."""
    least = fewest_pairs(family)
    assert p_value([np.full(least, 0.7)]) * family < 0.05
    assert p_value([np.full(least - 1, 0.7)]) * family >= 0.05


def test_of_equal_modes_none_is_said_to_need_less() -> None:
    """Law: where all modes are the same, 5 % of comparisons give any verdict: of 30, 6 or less
    but in one of three hundred cases."""
    same = dict.fromkeys(("a", "b", "c"), 2.0)
    wrong = 0
    for seed in range(30):
        found = verdicts(measured(same, scatter=0.2, seed=seed), list(same))
        wrong += any(verdict.told_apart for verdict in found if verdict.scope == "networks")
    assert wrong <= 6


def test_a_true_difference_is_told_with_its_size() -> None:
    found = verdicts(measured({"torch": 1.0, "keras:jax": 1.8}, networks=2), ["torch", "keras:jax"])
    verdict = next(verdict for verdict in found if verdict.scope == "networks")
    assert verdict.told_apart
    assert verdict.interval is not None
    assert verdict.interval.ratio == pytest.approx(1.8, rel=0.06)
    ratio, low, high = (
        f"{value:.3g}"
        for value in (verdict.interval.ratio, verdict.interval.low, verdict.interval.high)
    )
    assert str(verdict) == (f"torch needs {ratio} ({low} to {high}) times less time than keras:jax")


def test_the_order_of_the_modes_does_not_matter() -> None:
    """Law: with the modes exchanged, ratio and interval are the inverse, and p and text stay."""
    data = measured({"a": 1.0, "b": 1.4}, scatter=0.1)
    one, other = (verdicts(data, modes)[0] for modes in (["a", "b"], ["b", "a"]))
    assert one.interval is not None
    assert other.interval is not None
    assert one.interval.ratio == pytest.approx(1 / other.interval.ratio)
    assert one.interval.low == pytest.approx(1 / other.interval.high, rel=0.01)
    assert one.p == pytest.approx(other.p)
    assert str(one).split(" (")[0] == str(other).split(" (")[0]


def test_too_few_pairs_give_no_verdict_however_clear_they_are() -> None:
    found = verdicts(measured({"a": 1.0, "b": 9.0}, repeats=5), ["a", "b"])
    assert [verdict.open for verdict in found] == ["the test needs 6 pairs, there are 5"] * 2
    assert "not told apart" in str(found[0])


def test_where_one_mode_alone_was_trained_there_is_nothing_to_say() -> None:
    """As after a stop within its first trainings, or where the others cannot be loaded."""
    assert verdicts(measured({"a": 1.0}), ["a"], space=True) == []


def test_to_look_before_all_is_trained_makes_no_verdict_easier() -> None:
    """Six pairs suffice for two modes, and not for the first two of three."""
    data = measured({"a": 1.0, "b": 9.0, "c": 9.0}, repeats=6)
    early = [measure for measure in data if measure.mode != "c" or measure.repeat == 0]
    assert verdicts(early, ["a", "b"])[0].told_apart
    assert verdicts(early, ["a", "b", "c"])[0].open == "the test needs 7 pairs, there are 6"


def test_seeds_are_paired_so_that_what_a_seed_does_to_all_modes_cancels() -> None:
    random = np.random.default_rng(3)
    hard = {repeat: math.exp(random.normal(0, 1.0)) for repeat in range(10)}
    data = [
        replace(measure, seconds=measure.seconds * hard[measure.repeat])
        for measure in measured({"a": 1.0, "b": 1.2}, scatter=0.02)
    ]
    verdict = verdicts(data, ["a", "b"])[0]
    assert verdict.told_apart
    assert verdict.interval is not None
    assert verdict.interval.high / verdict.interval.low < 1.1


def test_the_space_at_large_is_judged_by_how_networks_differ() -> None:
    """Ten trainings each of eight networks say much of these eight and little of others."""
    ratios = (0.8, 0.9, 1.1, 1.2, 1.2, 1.3, 1.3, 1.4)
    data = [
        replace(m, seconds=m.seconds * ratios[int(m.network, 16)]) if m.mode == "b" else m
        for m in measured({"a": 1.0, "b": 1.0}, networks=len(ratios))
    ]
    found = {v.scope: v for v in verdicts(data, ["a", "b"], space=True) if v.scope != "network"}
    assert found["networks"].told_apart
    assert not found["space"].told_apart
    assert found["space"].pairs == len(found["networks"].networks) >= 6
    assert found["space"].interval is not None
    assert found["networks"].interval is not None
    assert found["space"].interval.low < 1 < found["networks"].interval.low


def test_a_network_with_unequal_accuracies_gives_no_verdict_and_the_others_do() -> None:
    data = [
        replace(m, accuracy=0.6) if m.network.endswith("1") and m.mode == "b" else m
        for m in measured({"a": 1.0, "b": 2.0}, networks=2)
    ]
    found = verdicts(data, ["a", "b"])
    whole = next(verdict for verdict in found if verdict.scope == "networks")
    assert whole.told_apart
    assert whole.networks == ("0" * 16,)
    assert whole.unequal == ("0" * 15 + "1",)
    apart = {v.network: v for v in found if v.scope == "network"}
    assert apart["0" * 16].told_apart
    assert apart["0" * 15 + "1"].open == "their accuracies differ by more than seeds do"


def test_accuracies_of_the_same_distribution_seldom_count_as_unequal() -> None:
    """Law: of equal modes with five seeds, 5 % are held for unequal."""
    random = np.random.default_rng(4)
    unequal = 0
    for _ in range(2000):
        first, second = random.normal(0.9, 0.02, (2, 5)).tolist()
        unequal += not agreement(first, second, 10_000).agrees
    assert unequal / 2000 == pytest.approx(0.05, abs=0.02)


def test_a_difference_of_some_spreads_of_the_seeds_counts_as_unequal() -> None:
    random = np.random.default_rng(5)
    found = [
        agreement(
            random.normal(0.9, 0.01, 5).tolist(), random.normal(0.86, 0.01, 5).tolist(), 10_000
        )
        for _ in range(300)
    ]
    assert sum(not agreed.agrees for agreed in found) > 285


def test_a_sure_difference_that_is_smaller_than_the_spread_of_seeds_is_no_matter() -> None:
    seeds = np.random.default_rng(6).normal(0.9, 0.02, 200)
    assert agreement(seeds.tolist(), (seeds - 0.01).tolist(), 10_000).agrees
    assert not agreement(seeds.tolist(), (seeds - 0.03).tolist(), 10_000).agrees


def test_one_test_image_is_no_difference() -> None:
    assert agreement([0.9, 0.9], [0.9 + 1 / 360] * 2, 360).agrees
    assert not agreement([0.9, 0.9], [0.9 + 2 / 360] * 2, 360).agrees


def test_trainings_that_failed_are_left_out_with_their_partners() -> None:
    data = [
        replace(m, status="nan", seconds=1e-9) if (m.mode, m.repeat) in {("b", 0), ("a", 1)} else m
        for m in measured({"a": 1.0, "b": 2.0})
    ]
    verdict = verdicts(data, ["a", "b"])[0]
    assert verdict.pairs == 8
    assert verdict.interval is not None
    assert verdict.interval.ratio == pytest.approx(2, rel=0.1)


def test_energy_that_is_lost_in_the_noise_of_the_baseline_gives_no_verdict() -> None:
    data = [
        replace(m, energy=m.seconds * 5, net_energy=-0.1 if m.repeat == 3 else m.seconds)
        for m in measured({"a": 1.0, "b": 2.0})
    ]
    found = {v.figure: v for v in verdicts(data, ["a", "b"]) if v.scope == "networks"}
    assert found["energy"].told_apart
    assert found["net_energy"].open == "the noise of the idle power hides it"


def test_energy_for_a_correct_image_is_above_idle_where_that_is_known() -> None:
    measure = replace(measured({"a": 1.0})[0], energy=90.0, accuracy=0.5, test_images=360)
    assert measure.energy_per_correct == pytest.approx(0.5)
    assert replace(measure, net_energy=18.0).energy_per_correct == pytest.approx(0.1)
    assert replace(measure, accuracy=0.0).energy_per_correct is None


def design(modes: tuple[str, ...], repeats: int) -> Design:
    return Design(
        modes=modes,
        networks=(Compared("0" * 16, None), Compared("1" * 16, "NET")),
        repeats=repeats,
        protocol=Protocol(seed=7),
        data=DataSummary("digits", (8, 8, 1), 10, 1797, "0" * 16),
        test_images=360,
    )


@pytest.mark.parametrize("modes", [("a", "b"), ("a", "b", "c"), ("a", "b:x", "b:y", "c")])
def test_a_steady_drift_of_the_machine_is_the_same_for_all_modes(modes: tuple[str, ...]) -> None:
    """Law: over an even number of repeats, all modes and networks have the same mean place."""
    places: dict[tuple[str, str], list[int]] = {}
    trainings = [
        (block.mode, network.id)
        for block in design(modes, 4).blocks()
        for network in block.networks
    ]
    for place, training in enumerate(trainings):
        places.setdefault(training, []).append(place)
    assert {sum(own) / len(own) for own in places.values()} == {(len(trainings) - 1) / 2}
    assert len(trainings) == len(design(modes, 4))


def test_all_modes_share_the_seeds() -> None:
    planned = design(("a", "b"), 3)
    assert [planned.protocol_of("torch", repeat).seed for repeat in range(3)] == [7, 8, 9]
    keys = [planned.key("0" * 16, mode, 2) for mode in planned.modes]
    assert keys[0].split("-")[2] == keys[1].split("-")[2]


@pytest.mark.parametrize("modes", [("a",), ("a", "a")])
def test_less_than_two_modes_are_refused(modes: tuple[str, ...]) -> None:
    with pytest.raises(CnnGenError):
        design(modes, 1)
