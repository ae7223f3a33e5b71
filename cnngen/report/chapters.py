"""Turn a study into the chapters of its report: text, tables and plots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnngen.errors import counted
from cnngen.network.cost import short
from cnngen.predict import Target
from cnngen.predict.predictor import LEVEL, Floats
from cnngen.report import plots
from cnngen.report.page import Block, Heading, Image, Paragraph, Table
from cnngen.report.search_chapters import search_chapters
from cnngen.report.significance import TEST_OVER_TRAIN, figures
from cnngen.report.spread import Outcomes, Spread
from cnngen.report.study import Study
from cnngen.report.trainings import StudyData
from cnngen.runs.repeats import pooled_deviation

UNITS: dict[Target, tuple[float, str]] = {
    "accuracy": (100.0, "percentage points"),
    "time": (1.0, "s"),
    "energy": (1e6, "mWh"),
    "trainability": (1.0, "of 1"),
}
"""The factor applied to a target's error, and the resulting unit."""

PUBLISHED = (
    "Published for NAS-Bench-101, and quoted here, not measured: 423,624 cells trained for 108 "
    "epochs on CIFAR-10, most of them above 90 % test accuracy, the best with a mean of 94.32 %, "
    "the ResNet-like cell 93.12 %, the Inception-like cell 92.95 % (Ying et al. 2019, "
    "arXiv:1902.09635, section 3)."
)

MOST_ROWS = 20

BUSY = 10
"""Per cent of the machine that other programs may use before times and energies are doubted."""


def title(study: Study) -> str:
    """Return the report's title."""
    return f"A study of {study.data.networks:,} networks: {study.data.name}"


def chapters(study: Study) -> list[Block]:
    """Return all blocks of the report."""
    return [
        *_trainings(study),
        *_accuracy(study),
        *_size_and_energy(study),
        *search_chapters(study.searches),
        *_examples(study),
        *_predictors(study),
        *_contests(study),
        *_generalization(study),
        *_curves(study),
        *_importance(study),
    ]


def _trainings(study: Study) -> Iterator[Block]:
    data = study.data
    yield Heading("What was trained, and how")
    columns = ("backend", "versions_framework", "data_name", "space", "protocol_name")
    rows = [
        [*map(str, texts), "unknown" if np.isnan(epochs) else f"{epochs:g}", f"{count:,}"]
        for (*texts, epochs), count in data.counts(*columns, "protocol_epochs").items()
    ]
    heads = ("backend", "framework", "data", "space", "protocol", "epochs", "trainings")
    yield Table(heads, rows[:MOST_ROWS], texts=5)
    machines = [f"{cpu} ({count:,})" for (cpu,), count in data.counts("hardware_cpu").items()]
    yield Paragraph(f"Trained on: {', '.join(machines[:MOST_ROWS])}.")
    yield Paragraph(_energy_note(study))
    if len(data.other_load):
        yield Paragraph(_load_note(data))
    statuses = ", ".join(f"{name} {count:,}" for name, count in study.outcomes.statuses.items())
    yield Paragraph(f"How the trainings ended: {statuses}.")
    repeated = [one for one in data.examples if one.repeats > 1]
    if repeated:
        text = (
            f"{counted(len(repeated), 'network')} trained more than once, "
            f"{sum(one.repeats for one in repeated):,} times in all"
        )
        spreads = (one.spreads["accuracy"] for one in repeated if "accuracy" in one.spreads)
        if (deviation := pooled_deviation(spreads)) is not None:
            text += (
                f": the test accuracies of one network have a standard deviation of "
                f"{100 * deviation:.1f} percentage points"
            )
        yield Paragraph(f"{text}. Predictors learn the means.")


def _energy_note(study: Study) -> str:
    """Describe how time and energy were found."""
    if study.data.energy_is_measured:
        return "Energy was measured by the machine's counters. Time is wall time."
    parts = ", ".join(
        f"CPU {cpu}, RAM {ram}, GPU {gpu} ({count:,})"
        for (cpu, ram, gpu), count in study.data.counts(
            "energy_cpu_method", "energy_ram_method", "energy_gpu_method"
        ).items()
    )
    return (
        f"Energy was not measured but modelled from time and load: {parts}. Such figures rank "
        "networks on one machine; a predictor of them predicts the model. Time is wall time."
    )


def _load_note(data: StudyData) -> str:
    """Describe how busy other programs kept the machine."""
    load = data.other_load * 100
    busy = int((load > BUSY).sum())
    text = (
        f"Meanwhile other programs kept {load.min():.0f} to {load.max():.0f} % of the machine busy "
        f"(median {load.median():.0f} %)"
    )
    if not busy:
        return f"{text}."
    return (
        f"{text}, more than {BUSY} % during {counted(busy, 'training')}: their times, and energies that "
        "were not taken by process, hold part of that load."
    )


def _accuracy(study: Study) -> Iterator[Block]:
    yield Heading("How accuracies are distributed")
    if "accuracy" not in study.spreads:
        yield Paragraph("No training reached a test accuracy.")
        return
    name = study.data.name
    rows = [_accuracy_row(name, study.spreads["accuracy"], study.outcomes)]
    parts = [one for one in study.data.by_data() if len(one.numbers("test_accuracy"))]
    for one in parts:
        spread = Spread.of(one.numbers("test_accuracy"))
        rows.append(_accuracy_row(f"on {one.name}", spread, Outcomes.of(one)))
    shown = {f"on {one.name}": one for one in parts} or {name: study.data}
    if study.beside and study.beside_spread and study.beside_outcomes:
        shown[study.beside.name] = study.beside
        rows.append(_accuracy_row(study.beside.name, study.beside_spread, study.beside_outcomes))
    yield Image(
        "accuracy",
        "Test accuracy after the last epoch (the paper's figure 1).",
        plots.histogram(
            {label: _values(one, "test_accuracy") * 100 for label, one in shown.items()},
            "test accuracy (%)",
            ends=(0.0, 100.0),
        ),
    )
    heads = ("least", "quarter", "median", "three quarters", "most", "std", "at chance", "> 90 %")
    yield Table(("test accuracy (%)", "networks", *heads), rows)
    yield Paragraph(
        "Trainings count as at chance if they succeeded, but are at most three standard errors "
        "better than always choosing the same class."
    )
    yield Paragraph(PUBLISHED)
    ours = study.spreads["accuracy"]
    if study.beside and study.beside_spread:
        cells = study.beside_spread
        yield Paragraph(
            f"The middle half of {study.data.name} spans "
            f"{(ours.three_quarters - ours.quarter) * 100:.1f} percentage points, that of "
            f"{study.beside.name} {(cells.three_quarters - cells.quarter) * 100:.1f}; the standard "
            f"deviations are {ours.spread * 100:.1f} and {cells.spread * 100:.1f}. Brown and "
            f"Forsythe's test of equal spread: p = {_p(study.beside_p)}."
        )


def _accuracy_row(name: str, spread: Spread, outcomes: Outcomes) -> list[str]:
    points = (spread.least, spread.quarter, spread.median, spread.three_quarters, spread.most)
    return [
        name,
        f"{spread.count:,}",
        *(f"{100 * point:.1f}" for point in (*points, spread.spread)),
        f"{outcomes.at_chance / outcomes.count:.1%}",
        f"{outcomes.above_90 / outcomes.count:.1%}",
    ]


def _size_and_energy(study: Study) -> Iterator[Block]:
    yield Heading("Size, time and energy")
    names = {
        "layers": "layers",
        "parameters": "weights",
        "flops": "FLOPs an image",
        "seconds": "time of a training (s)",
        "energy_mwh": "energy of a training (mWh)",
    }
    rows = [
        [
            names[name],
            f"{spread.count:,}",
            *(
                short(round(point)) if point >= 1000 else f"{point:.4g}"
                for point in (
                    *(spread.least, spread.quarter, spread.median, spread.three_quarters),
                    spread.most,
                )
            ),
        ]
        for name, spread in study.spreads.items()
        if name in names
    ]
    heads = ("networks", "least", "quarter", "median", "three quarters", "most")
    yield Table(("", *heads), rows)
    name = study.data.name
    layers = _values(study.data, "layers")
    if len(layers):
        picture = plots.histogram({name: layers}, "layers (operations, the input among them)")
        yield Image("layers", "Layers of the networks.", picture)
    energy = _values(study.data, "energy_total_energy") * 1e6
    energy = energy[energy > 0]
    if len(energy):
        kind = "measured" if study.data.energy_is_measured else "modelled"
        yield Image(
            "energy",
            f"Energy of a training, {kind} (the paper's figure 5); the axis is logarithmic.",
            plots.histogram({name: energy}, f"{kind} energy of a training (mWh)", log=True),
        )
        yield Image(
            "pareto",
            f"Accuracy against {kind} energy. On the line, no network improves one without "
            "worsening the other.",
            plots.scatter(
                study.data.table["energy_total_energy"].to_numpy() * 1e6,
                study.data.table["test_accuracy"].to_numpy() * 100,
                (f"{kind} energy of a training (mWh)", "test accuracy (%)"),
                study.front,
            ),
        )
        front = study.data.table.iloc[study.front]
        shown = ["test_accuracy", "energy_total_energy", "layers", "parameters"]
        shown.append("energy_others_during")
        front_rows = [
            [
                *(str(key)[:16], f"{a:.1%}", f"{e * 1e6:.3g}", f"{n:.0f}", short(round(w))),
                "" if np.isnan(load) else f"{load:.0%}",
            ]
            for key, (a, e, n, w, load) in zip(front.index, front[shown].to_numpy(), strict=True)
        ]
        columns = ("on the front", "accuracy", "energy (mWh)", "layers", "weights", "other load")
        yield Table(columns, front_rows[-MOST_ROWS:])


def _examples(study: Study) -> Iterator[Block]:
    from cnngen.errors import CnnGenError
    from cnngen.network.picture import to_svg

    if not study.shown:
        return
    yield Heading("The best, the median and the worst network")
    for what, (network, accuracy) in study.shown.items():
        caption = f"The {what}: {network.id}, test accuracy {accuracy:.1%}."
        try:
            yield Image(what, caption, to_svg(network).encode())
        except CnnGenError as error:  # too large to be drawn
            yield Paragraph(f"{caption} Not drawn: {error.message}.")


def _predictors(study: Study) -> Iterator[Block]:
    yield Heading("How well predictors estimate the result of a training")
    if not study.fits:
        yield Paragraph("Predictors were not evaluated: too few networks have descriptions.")
        return
    fit = study.fits[0]
    share = TEST_OVER_TRAIN / (1 + TEST_OVER_TRAIN)
    yield Paragraph(
        f"{study.plan.repeats} random splits with the seeds 0 to {study.plan.repeats - 1}, which "
        f"are also the predictors' seeds: {fit.train:,} networks for training, a tenth of them for "
        f"validation, and {share:.0%} or {fit.test:,} networks for testing. The tables give mean "
        "and standard deviation over the splits. Encodings of networks are cached between splits, "
        "so the times do not include them all."
    )
    for target in dict.fromkeys(fit.target for fit in study.fits):
        factor, unit = UNITS[target]
        taus, maes = (figures(study.fits, target, "tau"), figures(study.fits, target, "mae"))
        rows = []
        for name in taus:
            own = [fit for fit in study.fits if (fit.predictor, fit.target) == (name, target)]
            covered = np.mean([fit.coverage for fit in own])
            rows.append(
                [
                    name,
                    f"{taus[name].mean():.3f} ± {taus[name].std():.3f}",
                    f"{factor * maes[name].mean():.3g} ± {factor * maes[name].std():.2g}",
                    f"{covered:.0%}",
                    f"{np.mean([fit.fit_seconds for fit in own]):.1f}",
                    f"{np.mean([fit.predict_seconds for fit in own]):.2f}",
                ]
            )
        heads = (
            "tau",
            f"MAE ({unit})",
            f"within {LEVEL:.0%} interval",
            "fit (CPU s)",
            "1,000 predictions (CPU s)",
        )
        yield Table((target, *heads), rows)
        yield Image(
            f"tau {target}",
            f"Kendall's tau between predicted and true order, {target} (the paper's figure 6).",
            plots.boxes(taus, f"Kendall's tau, {target}"),
        )
        scaled = {name: factor * values for name, values in maes.items()}
        yield Image(
            f"mae {target}",
            f"Mean absolute error, {target} (the paper's figure 7).",
            plots.boxes(scaled, f"mean absolute error ({unit})"),
        )


def _contests(study: Study) -> Iterator[Block]:
    if not study.contests:
        return
    yield Heading("Whether one predictor is better than another")
    rows = [
        [
            contest.target,
            contest.measure,
            contest.first,
            contest.second,
            *(_p(p) for p in (contest.p, contest.adjusted)),
            f"{contest.delta:+.2f}",
            _p(contest.corrected),
        ]
        for contest in study.contests
    ]
    heads = ("target", "measure", "first", "second", "p", "p (Holm)", "Cliff's delta")
    yield Table((*heads, "p (corrected t)"), rows, texts=4)
    yield Paragraph(
        "p is that of Mann and Whitney's two-sided test, as in the paper's table 1; Holm's "
        "correction covers all rows. Cliff's delta is +1 if every figure of the first is larger "
        "(better for tau, worse for the error). Repeated splits share networks, which Mann and "
        "Whitney's test ignores. The last column is Nadeau and Bengio's corrected resampled "
        "t-test, which accounts for it, without a correction for multiple testing."
    )


def _generalization(study: Study) -> Iterator[Block]:
    if not study.unlike:
        return
    yield Heading("Generalisation to larger networks and other data")
    random_split = {target: figures(study.fits, target, "tau") for target in study.plan.targets}
    rows = []
    for fit in study.unlike:
        factor, unit = UNITS[fit.target]
        rows.append(
            [
                fit.target,
                fit.predictor,
                fit.unlike,
                f"{fit.train:,}",
                f"{fit.test:,}",
                f"{fit.tau:.3f}",
                f"{random_split[fit.target][fit.predictor].mean():.3f}",
                f"{factor * fit.mae:.3g} {unit}",
                f"{fit.coverage:.0%}",
            ]
        )
    heads = (
        "target",
        "predictor",
        "tested on",
        "training networks",
        "test networks",
        "tau",
        "tau, random split",
    )
    yield Table((*heads, "MAE", f"within {LEVEL:.0%} interval"), rows, texts=3)
    yield Paragraph(
        "The largest networks are the fifth with the most layers; the predictors learnt from the "
        "others. For a data set, the predictors learnt only from the other data sets. One fit "
        "each, seed 0."
    )


def _curves(study: Study) -> Iterator[Block]:
    if not study.curves:
        return
    target = study.curves[0].target
    yield Heading("How many networks predictors need")
    taus: dict[str, dict[int, Floats]] = {}
    for name in dict.fromkeys(fit.predictor for fit in study.curves):
        fits = [
            fit
            for fit in (*study.curves, *study.fits)
            if (fit.predictor, fit.target) == (name, target)
        ]
        sizes = sorted({fit.train for fit in fits})
        taus[name] = {n: np.nan_to_num([fit.tau for fit in fits if fit.train == n]) for n in sizes}
    yield Image(
        "learning curve",
        f"Kendall's tau for {target} on the same test networks for all points; seeds 0 to "
        f"{study.plan.curve_repeats - 1} for all points except the last.",
        plots.curves(taus, ("training networks", f"Kendall's tau, {target}")),
    )
    rows = [
        [name, f"{n:,}", f"{own.mean():.3f}", f"{own.std():.3f}"]
        for name, points in taus.items()
        for n, own in points.items()
    ]
    yield Table(("predictor", "networks", "tau", "std"), rows)


def _importance(study: Study) -> Iterator[Block]:
    if not study.importance:
        return
    yield Heading("Which features matter")
    shown = study.importance[:MOST_ROWS]
    target = study.plan.targets[0]
    yield Image(
        "importance",
        f"Decrease of the trees' tau for {target} on test networks when a feature is shuffled "
        "among them (split of seed 0; mean and standard deviation over shuffles). Features that "
        "are nearly redundant each appear unimportant.",
        plots.bars({one.feature: (one.fall, one.spread) for one in shown}, "decrease of tau"),
    )


def _p(p: float | None) -> str:
    """Format a p value with two significant digits."""
    if p is None or np.isnan(p):
        return "unknown"
    return f"{p:.2g}" if p >= 1e-6 else "less than 1e-6"


def _values(data: StudyData, column: str) -> Floats:
    return np.array(data.numbers(column), np.float64)
