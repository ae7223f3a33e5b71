"""Study a data set of trainings and write a report.

    found = study(read_study_data("runs/digits"), StudyPlan(("trees", "neural")), folder="report")
    write_report(found, "report")

All figures come from the trainings. Random splits use the seeds 0, 1, 2 …
"""

from __future__ import annotations

from pathlib import Path

from cnngen.report.fits import Fit, Task
from cnngen.report.search_history import SearchHistory, read_searches
from cnngen.report.significance import Contest, contests
from cnngen.report.study import Study, StudyPlan, study
from cnngen.report.trainings import StudyData, read_study_data
from cnngen.system.files import write_file

Plan = StudyPlan
"""The former name of `StudyPlan`."""

Material = StudyData
read_material = read_study_data
"""The names that these had in 0.1.0."""

PICTURES = "figures"


def write_report(found: Study, folder: str | Path) -> Path:
    """Write the report of a study as HTML, Markdown and JSON; return the path of the HTML page.

    `report.html` is self-contained, `report.md` has its pictures in the folder `figures`, and
    `report.json` contains all figures. Raises `StoreError` if they cannot be written.
    """
    import json

    from cnngen.report.chapters import chapters, title
    from cnngen.report.page import Image, file_name, to_html, to_markdown

    blocks = chapters(found)
    for block in blocks:
        if isinstance(block, Image):
            write_file(folder, f"{PICTURES}/{file_name(block.name)}", block.svg)
    whole = json.dumps(found.figures(), indent=2, allow_nan=False) + "\n"
    write_file(folder, "report.json", whole.encode())
    write_file(folder, "report.md", to_markdown(title(found), blocks, PICTURES).encode())
    return write_file(folder, "report.html", to_html(title(found), blocks).encode())


__all__ = [
    "Contest",
    "Fit",
    "Material",
    "Plan",
    "SearchHistory",
    "Study",
    "StudyData",
    "StudyPlan",
    "Task",
    "contests",
    "read_material",
    "read_searches",
    "read_study_data",
    "study",
    "write_report",
]
