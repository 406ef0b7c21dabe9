"""The service checks webhooks with another secret than the provider signs them with: orders stay pending."""

from harness.faults.kubernetes import WrongConfig
from harness.model.load import HttpProbe
from harness.model.objectives import Objective, Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.scenario import Operator, Scenario

from .cluster import clustered
from .system import SHOPPING

# An order is answered with 201 once the provider's webhook has called it paid, with 202 while it is pending.
PAID = HttpProbe(
    indicator="paid",
    service="backend",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1}',
    status=201,
    contains='"id"',
    timeout=milliseconds(1500),
)

WRONG_SECRET = Scenario(
    title="The webhook secret was rotated on one side only",
    runbook="runbook.md",
    procedure="payment failures",
    follow=("resolution > if signature verification",),
    bindings={"<new-secret>": "whsec_of_march"},
    operator=Operator(database="main", role="store_app"),
    topology=clustered(CONFIRM_S="0.6", PROVIDERS="razorpay=http://razorpay:8080", PROVIDER_PODS="1"),
    fault=WrongConfig(
        source="secret/backend-secrets",
        key="RAZORPAY_WEBHOOK_SECRET",
        value="whsec_of_april",
        restart="deployment/backend",
    ),
    probes=(PAID,),
    objectives=(Objective("paid", ratio=0.95, within=milliseconds(1500)),),
    load=SHOPPING,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    # Every order asks the provider, waits for its webhook and asks the database until it has come: two cores do ten a second.
    period=milliseconds(200),
)
