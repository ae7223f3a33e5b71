"""The study of a data set of trainings, and its report.

    found = study(read_material("runs/digits"), Plan(("trees", "neural")), folder="report")
    write_report(found, "report")

All figures come from the trainings; the seeds of what is random are 0, 1, 2 …
"""

from __future__ import annotations

from pathlib import Path

from cnngen.report.fits import Fit, Task
from cnngen.report.significance import Contest, contests
from cnngen.report.study import Plan, Study, study
from cnngen.report.trainings import Material, read_material
from cnngen.system.files import write_file

PICTURES = "figures"


def write_report(found: Study, folder: str | Path) -> Path:
    """Write `report.html`, which needs no other file, `report.md` with its pictures in
    `figures`, and `report.json` with all figures; gives the path of the page.

    Raises `StoreError` where they cannot be written.
    """
    import json

    from cnngen.report.chapters import chapters, title
    from cnngen.report.page import Image, file_name, to_html, to_markdown

    blocks = chapters(found)
    for block in blocks:
        if isinstance(block, Image):
            write_file(Path(folder) / PICTURES, file_name(block.name), block.svg)
    whole = json.dumps(found.figures(), indent=2, allow_nan=False) + "\n"
    write_file(folder, "report.json", whole.encode())
    write_file(folder, "report.md", to_markdown(title(found), blocks, PICTURES).encode())
    return write_file(folder, "report.html", to_html(title(found), blocks).encode())


__all__ = [
    "Contest",
    "Fit",
    "Material",
    "Plan",
    "Study",
    "Task",
    "contests",
    "read_material",
    "study",
    "write_report",
]
