"""A client's program orders more than the market can take; the runbook has its address blocked by a NetworkPolicy."""

from harness.faults.kubernetes import WrongConfig
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Deviation, Scenario

from .system import BROWSE, TRAFFIC, market, objectives

_BLOCKED = """\
address=$(kubectl -n prod get pods -l app=partner -o jsonpath='{.items[0].status.podIP}')
kubectl -n prod apply -f - <<EOF
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: without-abuser
spec:
  podSelector: {matchLabels: {app: aislemarts}}
  policyTypes: [Ingress]
  ingress:
    - from:
        - ipBlock: {cidr: 0.0.0.0/0, except: [$address/32]}
EOF"""

# An order holds its connection for a quarter of a second, so that two pods with two connections each have room for 16 a second.
FLOODED = Scenario(
    title="A partner's program orders forty times a second",
    runbook="runbook.md",
    procedure="api abuse",
    deviations=(
        Deviation(
            match=("Network Policy", "NetworkPolicy"),
            instead=_BLOCKED,
            why="the text says by what, not how: all addresses but the client's pod's are let in",
        ),
    ),
    topology=market(PARTNERS="1", PAYMENT_LATENCY_S="0.25", POOL_SIZE="2"),
    fault=WrongConfig(
        source="configmap/partner-config", key="CLIENT_CALLS_PER_S", value="40", restart="deployment/partner"
    ),
    probes=(BROWSE,),
    objectives=objectives(BROWSE),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(30), horizon=seconds(40)),
    caveats=(
        "the client is a pod, whose address the market's pods see; behind an ingress or a NAT a client shares its address",
        "on this network a policy holds for open connections as well; where it does not, the client's would go on",
        "whoever abuses the API from many addresses, or from a new one, is not stopped by this",
    ),
    period=milliseconds(100),
)
