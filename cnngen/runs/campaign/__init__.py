"""Campaigns: many networks trained one beside the other, and none of them lost.

A plan decides the list of networks. Workers train them, each in a process of its own, and
every run appears in the store whole or not at all; so the same plan on the same folder goes
on where it was stopped, however it was stopped.
"""

from cnngen.runs.campaign.campaign import (
    Tally,
    Watch,
    make_job,
    run_campaign,
    tell_epochs,
    train_jobs,
)
from cnngen.runs.campaign.executors import ExecutorFactory, ExecutorSetup, in_process, local
from cnngen.runs.campaign.jobs import Job, Metering
from cnngen.runs.campaign.plan import WHOLE, Plan, Shard
from cnngen.runs.campaign.worker_pool import InProcess, Workers
from cnngen.system.process import WorkerDied

__all__ = [
    "WHOLE",
    "ExecutorFactory",
    "ExecutorSetup",
    "InProcess",
    "Job",
    "Metering",
    "Plan",
    "Shard",
    "Tally",
    "Watch",
    "WorkerDied",
    "Workers",
    "in_process",
    "local",
    "make_job",
    "run_campaign",
    "tell_epochs",
    "train_jobs",
]
