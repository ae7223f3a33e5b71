"""The chapter of a report about a search: its counts against the journal, told by hand."""

from __future__ import annotations

import pytest
import stand_in
import test_search_run

from cnngen.cli.app import run
from cnngen.errors import StoreError
from cnngen.report import read_searches
from cnngen.report.page import Paragraph, Table
from cnngen.report.search_chapters import search_chapters
from cnngen.report.search_history import history
from cnngen.search import Asked, Candidate, Evaluation, Told, objectives_named
from cnngen.space.sampling import sample_many

OBJECTIVES = objectives_named(["accuracy", "energy"])


@pytest.fixture
def events() -> list[Asked | Told]:
    """Two random networks, a child of the first that is better, one of both that fails, and a
    child of the child."""
    networks = list(sample_many(5, "compact", input_shape=(8, 8, 1)))
    first, second, child, failed, last = networks
    candidates = [
        Candidate(first, "sample"),
        Candidate(second, "sample"),
        Candidate(child, "wrap", (first.id,), 1, {"accuracy": 0.7, "energy": 2e-6}),
        Candidate(failed, "cross", (child.id, second.id), 2),
        Candidate(last, "wrap", (second.id, child.id), 3, {"accuracy": 0.9, "energy": 1e-6}),
    ]
    figures = [(0.5, 4e-6), (0.6, 3e-6), (0.8, 3e-6), None, (0.85, 5e-6)]
    found: list[Asked | Told] = []
    for number, (one, own) in enumerate(zip(candidates, figures, strict=True)):
        told = (
            Evaluation("nan")
            if own is None
            else Evaluation("ok", {"accuracy": own[0], "energy": own[1]}, 2)
        )
        found.append(Asked(number, f"{one.network.id}-stand_in-00000000", one))
        found.append(Told(number, told, own[1] if own else None, 1.0, 10.0 * (number + 1)))
    return found


def test_a_history_counts_what_the_events_tell(events) -> None:
    found = history("night", "nsga2", 3, OBJECTIVES, events)
    assert (found.trainings, found.statuses) == (5, {"ok": 4, "nan": 1})
    assert (found.seconds, found.energy) == (50.0, pytest.approx(15e-6))
    assert [one.number for one in found.winners] == [5, 3]
    tallies = {one.operator: one for one in found.operators}
    assert (tallies["wrap"].used, tallies["wrap"].improved, tallies["wrap"].in_front) == (2, 2, 2)
    assert (tallies["cross"].reached, tallies["cross"].improved) == (0, 0)
    assert tallies["sample"].improved is None
    assert [[one.number for one in line] for line in found.lineages] == [[1, 3, 5], [1, 3]]
    accuracy, energy = found.foresights
    assert (accuracy.count, accuracy.tau, accuracy.off) == (2, 1.0, pytest.approx(0.075))
    assert (energy.tau, energy.off) == (-1.0, pytest.approx(2.5e-6))
    assert [one.trainings for one in found.milestones] == [1, 2, 5]
    assert found.milestones[-1].best == (0.85, 3e-6)
    assert found.milestones[1].seconds == 20.0
    # Of the box from (0.5, 5e-6) to (0.85, 3e-6), 0.8 at 3e-6 has 30/35; the last is on its edge.
    assert found.milestones[-1].hypervolume == pytest.approx(30 / 35)


def test_the_chapter_says_what_was_spent_and_what_paid(events) -> None:
    blocks = list(search_chapters([history("night", "nsga2", 3, OBJECTIVES, events)]))
    texts = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "5 trainings, nan 1, in 0.01 hours, with 0.015 Wh" in texts
    assert "sample (1) → wrap (3) → wrap (5)" in texts
    assert "tau with what came 1.00, 7.5 points off on average" in texts
    tables = [block for block in blocks if isinstance(block, Table)]
    assert ["wrap", "2", "100%", "100%", "2"] in tables[-1].rows
    failures = [Told(0, Evaluation("nan"), None, 1.0, 5.0)]
    alone = list(search_chapters([history("x", "random", 0, OBJECTIVES, [events[0], *failures])]))
    assert alone[-1] == Paragraph("No training reached its figures.")


def test_a_report_of_a_searchs_folder_has_the_chapter(tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "night"
    with stand_in.installed_here(tmp_path / "plugins", monkeypatch):
        test_search_run.go_on(folder, 23)
    assert run(["report", str(folder), "-o", str(tmp_path / "report"), "-p", ""]) == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "The search night: nsga2 for accuracy and parameters" in page
    assert (tmp_path / "report" / "figures" / "search-night.svg").exists()
    [found] = read_searches([folder, tmp_path])
    assert found.trainings == 23
    (folder / "search.json").write_text('{"schema": 1, "objectives": "speed"}')
    with pytest.raises(StoreError, match=r"search\.json: there is no objective 'speed'"):
        read_searches([folder])
