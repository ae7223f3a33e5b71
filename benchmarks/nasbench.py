"""Train random cells of NAS-Bench-101 under our protocol, for comparison with our networks.

    .venv/bin/python benchmarks/nasbench.py -n 200 -o runs/nasbench

The cells are drawn uniformly from all 423,624. The skeleton is the published one except for its
width: the stem has 16 channels instead of 128, to be affordable on a CPU. Batch norm and initial
weights are ours (momentum 0.9, Glorot uniform), as is the training. Runs are ordinary runs; the
same command continues after an interruption.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from cnngen.cli.measure import protocol_of
from cnngen.cli.progress import Display
from cnngen.runs.campaign import Metering, local, make_job, tell_epochs, train_jobs
from cnngen.runs.parquet_index import update_index
from cnngen.space import nasbench101 as nasbench
from cnngen.system.folder_lock import hold
from cnngen.training.data import load_data

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", "--count", type=int, default=200)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("-d", "--data", default="digits")
    parser.add_argument("-p", "--protocol", default="paper")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--stem", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-w", "--workers", type=int, default=1)
    parser.add_argument("--country", default="FRA")
    options = parser.parse_args()

    data = load_data(options.data)
    protocol = protocol_of(options.protocol, epochs=options.epochs)
    display = Display(options.count)
    with hold(options.out), display:
        executor = local(options.workers)
        with executor(data, tell_epochs([display])) as setup:
            metering = Metering(options.country, None, setup.alone)
            jobs = (
                make_job(
                    nasbench.cell_network(
                        cell, input_shape=data.input_shape, classes=data.classes, stem=options.stem
                    ),
                    data,
                    protocol,
                    "torch",
                    metering,
                    space=nasbench.SPACE,
                )
                for cell in nasbench.sample_cells(options.count, options.seed)
            )
            records = list(train_jobs(jobs, data, options.out, setup, watches=[display]))
        update_index(options.out)
    print(f"{len(records)} cells in {options.out}: {dict(Counter(r.status for r in records))}")
