"""A provider falls silent; the runbook's routine for feature flags takes it out of use."""

from harness.faults.kubernetes import BreakProvider
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.scenario import Deviation, Scenario

from .cluster import ORDER, TRAFFIC, clustered, objectives

STRIPE_OFF = Scenario(
    title="A feature that waits for a silent provider is switched off",
    runbook="runbook.md",
    procedure="feature flag",
    bindings={"<service-name>": "checkout"},
    deviations=(
        Deviation(
            match="kubectl edit configmap",
            instead="kubectl patch configmap checkout-config -n microservices --type merge "
            """-p '{"data": {"ENABLE_STRIPE": "false"}}'""",
            why="an editor waits for a person: what would be typed in it is sent instead",
        ),
    ),
    topology=clustered(PROVIDERS="stripe=http://stripe:8080 paypal=http://paypal:8080", PROVIDER_PODS="1"),
    fault=BreakProvider(workload="deployment/stripe", answer="silent"),
    probes=(ORDER,),
    objectives=objectives(ORDER),
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
)
