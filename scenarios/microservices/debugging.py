"""A debug container beside a running one: what it may cost users, and what it cures (nothing)."""

from harness.faults.kubernetes import BreakProvider
from harness.model.design import CONTROL, SHAM, TREATED
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Scenario

from .cluster import BROWSE, ORDER, TRAFFIC, clustered, objectives

_POD = "$(kubectl get pods -n microservices -l app=checkout -o jsonpath='{.items[0].metadata.name}')"
_LOOK = "wget -q -T 2 -O - http://127.0.0.1:8080/health; echo; wget -q -T 2 -O - http://stripe:8080/live; echo; ps"

LOOKED_AT = Scenario(
    title="Checkout's pod is looked at from inside while its provider fails",
    runbook="runbook.md",
    procedure="debugging",
    bindings={"<service-name>": "checkout"},
    deviations=(
        Deviation(
            match="kubectl debug",
            instead=f"kubectl debug -i {_POD} --image=busybox:1.28 --target=checkout -- sh -c '{_LOOK}'",
            why="a terminal waits for a person: what one would look at is given as a command, and the pod is checkout's first",
        ),
    ),
    topology=clustered(PROVIDERS="stripe=http://stripe:8080 paypal=http://paypal:8080", PROVIDER_PODS="1"),
    fault=BreakProvider(workload="deployment/stripe", answer="error"),
    probes=(BROWSE, ORDER),
    objectives=objectives(BROWSE, ORDER),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(25)),
    arms=(CONTROL, TREATED, SHAM),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="it looks and changes nothing, as debugging should: what is tried is that the container starts beside the "
        "running one, sees it, and (the sham arm) costs its users nothing",
    ),
    caveats=(
        "the text names no namespace for `kubectl debug`: it finds the pod because the operator's context has one",
        "an ephemeral container cannot be removed: it is listed in the pod until the pod goes",
    ),
    step_timeout=seconds(20),
)
