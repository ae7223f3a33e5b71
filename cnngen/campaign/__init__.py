"""Campaigns: many networks trained one beside the other, and none of them lost.

A plan decides the list of networks. Workers train them, each in a process of its own, and
every run appears in the store whole or not at all; so the same plan on the same folder goes
on where it was stopped, however it was stopped.
"""

from cnngen.campaign.crew import Crew, Hire, in_process, local
from cnngen.campaign.jobs import Job, Metering
from cnngen.campaign.plan import WHOLE, Plan, Shard
from cnngen.campaign.run import Tally, Watch, make_job, run_campaign, tell_epochs, train_jobs
from cnngen.campaign.workers import InProcess, Workers
from cnngen.child import WorkerDied

__all__ = [
    "WHOLE",
    "Crew",
    "Hire",
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
