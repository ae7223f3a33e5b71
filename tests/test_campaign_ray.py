"""A campaign on a local Ray cluster of two nodes, one of which is killed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stand_in

from cnngen.runs.parquet_index import read_index
from cnngen.runs.store import load
from cnngen.space.sampling import sample_many

COUNT = 8

# The head has no cores, so that the nodes alone do the work. Node 2 is killed amid a model.
CAMPAIGN = """
import os, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
import stand_in
from cnngen.errors import CnnGenError
from cnngen.runs.campaign import Watch, run_campaign
from cnngen.runs.campaign.ray import on_ray

small = {"object_store_memory": 80 * 2**20}
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small}
)
nodes = [cluster.add_node(num_cpus=1, num_gpus=1, **small) for _ in range(2)]
with on_ray(cluster.address, gpus=0.25)(stand_in.images(), print) as setup:
    share = setup.executor.submit(os.getenv, "CNNGEN_GPU_MEMORY").result()
    print("slots", setup.slots(), "share", share, flush=True)
try:
    with on_ray(cluster.address, gpus=3)(stand_in.images(), print):
        pass
except CnnGenError as error:
    print(error.message, flush=True)
log = Path(sys.argv[2])

def kill():
    while len({line.split()[0] for line in log.read_text().splitlines()}) < 2:
        time.sleep(0.05)
    cluster.remove_node(nodes[1], allow_graceful=False)
    print("killed", flush=True)

class Lost(Watch):
    def lost(self, job, cause):
        print("lost", job.network.id, cause.split(":")[0], flush=True)

threading.Thread(target=kill, daemon=True).start()
tally = run_campaign(
    stand_in.plan(int(sys.argv[3])), stand_in.images(), sys.argv[1],
    executor=on_ray(cluster.address, gpus=0), watches=[Lost()],
)
print("done", tally.done, tally.new, dict(tally.statuses), flush=True)
cluster.shutdown()
"""


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: cnngen[ray]"
)
def test_a_node_that_dies_amid_a_campaign_loses_no_model(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    (tmp_path / "cnngen.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    fast = {"initial_delay": "500", "period": "500", "timeout": "500"}
    environment = {
        **os.environ,
        "PYTHONPATH": stand_in.install(tmp_path / "plugins"),
        "STAND_IN_LOG": str(tmp_path / "log"),
        "STAND_IN_SECONDS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        **{f"RAY_health_check_{name}_ms": value for name, value in fast.items()},
        "RAY_health_check_failure_threshold": "2",
    }
    arguments = [str(tmp_path / "runs"), str(tmp_path / "log"), str(COUNT)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", CAMPAIGN, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / "mark").exists(), "a module of the working folder ran"
    assert "slots 3 share 0.225" in done.stdout
    assert "the Ray cluster has 2 GPUs, a model is to have 3" in done.stdout
    assert "killed" in done.stdout
    assert "NodeDiedError" in done.stdout
    assert f"done {COUNT} {COUNT} {{'ok': {COUNT}}}" in done.stdout
    drawn = sample_many(COUNT, "compact", input_shape=(8, 8, 1), classes=3)
    runs = load(tmp_path / "runs")
    assert not runs.broken
    assert sorted(record.id for record in runs) == sorted(network.id for network in drawn)
    assert read_index(tmp_path / "runs") is not None
