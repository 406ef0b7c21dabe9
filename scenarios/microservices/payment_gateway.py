"""The payment provider answers with errors; the runbook has checkout use the other one."""

from harness.faults.kubernetes import BreakProvider
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Deviation, Scenario

from .cluster import ORDER, TRAFFIC, clustered, objectives

_FLAGS = '{"data": {"ENABLE_STRIPE": "false", "ENABLE_PAYPAL": "true"}}'

STRIPE_DOWN = Scenario(
    title="Stripe answers with errors",
    runbook="runbook.md",
    procedure="payment gateway failure",
    deviations=(
        Deviation(
            match=("Switch the provider", "ENABLE_STRIPE=false"),
            instead=f"kubectl patch configmap checkout-config -n microservices --type merge -p '{_FLAGS}'\n"
            "kubectl rollout restart deployment/checkout -n microservices",
            why="the text says which flags, not how: checkout reads them from its ConfigMap when it starts",
        ),
    ),
    topology=clustered(PROVIDERS="stripe=http://stripe:8080 paypal=http://paypal:8080", PROVIDER_PODS="1"),
    fault=BreakProvider(workload="deployment/stripe", answer="error"),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
