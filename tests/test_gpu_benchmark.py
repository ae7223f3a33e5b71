"""`benchmarks/gpu.py` on a machine without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]


def test_without_a_gpu_it_says_so_and_runs_a_short_form(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    ran = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", "--out", str(out)],
        cwd=HERE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "no GPU: a short form on the CPU" in ran.stdout
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert set(figures) == {"torch", "gpu", "equality", "parity"}
    equality, parity = figures["equality"], figures["parity"]
    assert equality["off"]["the loop again"] == [0.0, 0.0]
    assert all(one["off"] < 1e-5 for one in equality["float64"])
    assert 0 < max(equality["off"]["bfloat16"]) < 0.05
    assert 0 < max(equality["off"]["float16"]) < 0.05
    assert parity["statuses unequal"] == {"bfloat16": 0}
