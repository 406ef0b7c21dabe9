"""A coupon for first orders works for everybody, again and again; the runbook blacklists it."""

from dataclasses import replace

from harness.faults.kubernetes import WrongConfig
from harness.model.load import HttpProbe, LoadProfile, Task
from harness.model.objectives import Recovery
from harness.model.units import milliseconds, minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Scenario

from .cluster import ORDER, clustered, objectives

# Customer 7 has ordered before: a coupon for first orders has to be refused.
REFUSED = HttpProbe(
    indicator="abuse refused",
    service="checkout",
    path="/orders",
    body='{"customer": 7, "product": {n}, "quantity": 1, "coupon": "WELCOME90"}',
    status=422,
    contains="WELCOME90",
)
_PATCH = (
    "kubectl patch configmap checkout-config -n microservices --type merge "
    """-p '{"data": {"BLACKLISTED_COUPONS": "WELCOME90"}}'"""
)

BLACKLISTED = Scenario(
    title="A coupon has lost its limit, and is blacklisted",
    runbook="runbook.md",
    procedure="promotion abuse",
    deviations=(
        Deviation(
            match="BLACKLISTED_COUPONS",
            instead=_PATCH,
            why="the text says which key of the ConfigMap, not how",
        ),
    ),
    topology=clustered(),
    fault=WrongConfig(
        source="configmap/checkout-config", key="COUPONS", value="WELCOME90=90", restart="deployment/checkout"
    ),
    probes=(ORDER, REFUSED),
    objectives=objectives(ORDER, REFUSED),
    load=LoadProfile(
        service="checkout",
        tasks=(
            Task("/products?category={n}&limit=10"),
            Task("/orders", body='{"customer": {n}, "product": {n}, "quantity": 1, "coupon": "WELCOME90"}'),
        ),
        users=4,
        pace=milliseconds(250),
        timeout=seconds(5),
    ),
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    expect=Known(
        word=Word.INEFFECTIVE,
        because="checkout reads its ConfigMap when it starts, and this procedure does not restart it: the coupon goes on working "
        "until somebody does",
    ),
    caveats=(
        "what was sold with the coupon before stays sold: stock and money are not brought back",
        "the campaign is not deactivated: there is no `promotion-admin` here",
    ),
    period=milliseconds(100),
)

RESTARTED = replace(
    BLACKLISTED,
    title="A coupon has lost its limit, is blacklisted, and checkout restarted",
    deviations=(
        Deviation(
            match="BLACKLISTED_COUPONS",
            instead=f"{_PATCH}\nkubectl rollout restart deployment/checkout -n microservices",
            why="the text says which key of the ConfigMap, not how; the restart that checkout needs is said under feature flags",
        ),
    ),
    expect=None,
)
