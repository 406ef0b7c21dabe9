"""Background tasks are queued and nobody does them: the workers crash, or the queue's server is gone."""

from dataclasses import replace

from harness.faults.kubernetes import CrashLoop, KillPod
from harness.model.load import HttpProbe
from harness.model.objectives import Objective, Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Scenario

from .cluster import clustered

# A task is queued, and the answer waits until a worker has done it.
DONE = HttpProbe(
    indicator="done", service="backend", path="/tasks", body="{}", contains='"done": true', timeout=milliseconds(1000)
)

CRASHED = Scenario(
    title="The workers crash and cannot start again",
    runbook="runbook.md",
    procedure="celery workers",
    follow=("resolution > if workers crashed",),
    topology=clustered(QUEUES="1", REDIS_URL="redis://redis:6379/0"),
    fault=CrashLoop(workload="deployment/celery-worker"),
    probes=(DONE,),
    objectives=(Objective("done", ratio=0.95, within=milliseconds(1000)),),
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)

QUEUE_GONE = replace(
    CRASHED,
    title="The queue's server is killed, and nothing else is wrong",
    follow=("resolution > if redis connection lost",),
    deviations=(
        Deviation(
            match="redis-cli PING", why="the queue's server is a pod: from the operator's shell it has no address"
        ),
    ),
    fault=KillPod(workload="deployment/redis"),
    expect=Known(
        word=Word.UNNECESSARY,
        because="the Deployment replaces the pod by itself; the tasks that were queued are lost either way",
    ),
)
