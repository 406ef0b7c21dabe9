"""A tagged release is deployed by hand. What is wrong in production meanwhile is the release that it replaces.

A deploy answers no fault, so the fault is a release that only the next one mends, and the arm without a fault (sham) is the
routine deploy: what that does to users while it runs is what is measured there.
"""

from dataclasses import replace
from pathlib import Path
from string import Template

from harness.faults.kubernetes import BadRelease
from harness.model.design import CONTROL, SHAM, TREATED
from harness.model.objectives import Recovery
from harness.model.units import minutes, seconds
from harness.model.verdict import Word
from harness.scenario import Deviation, Known, Operator, Scenario

from .system import BROWSE, CLUSTER, OBJECTIVES, SYSTEM, TRAFFIC

_STACK = Path(__file__).resolve().parents[2] / "clusters/stacks/gateway"


def _release() -> str:
    """The manifests of release 1.1 as they are rendered for the environment: the stack's own, with another image."""
    _secret, _, gateway = (_STACK / "10-gateway.yaml").read_text(encoding="utf-8").partition("\n---\n")
    rendered = Template(gateway.replace("shop:1.0", "shop:1.1")).substitute(dict(CLUSTER.variables))
    return "---\n".join((rendered, (_STACK / "20-others.yaml").read_text(encoding="utf-8")))


_UNSIGNED = Deviation(match="cosign verify", why="images are not signed here: there is no registry, and no key")

AS_WRITTEN = Scenario(
    title="Release 1.1 is deployed over a slow one, by the text as it is written",
    runbook="runbook.md",
    procedure="manual deploy",
    bindings={"<tag>": "v1.1"},
    deviations=(_UNSIGNED,),
    operator=Operator(files={"deploy/releases/v1.1.yaml": _release()}),
    topology=SYSTEM,
    fault=BadRelease(workload="deployment/gateway", image="shop:2.0-slow"),
    probes=(BROWSE,),
    objectives=OBJECTIVES,
    load=TRAFFIC,
    recovery=Recovery(rto=minutes(15), horizon=seconds(40)),
    step_timeout=seconds(30),
    expect=Known(
        word=Word.BROKEN,
        because="`rollout status deploy/gateway control console` mixes two ways of naming things, which kubectl refuses: the "
        "release comes up, but who follows the text cannot watch it",
    ),
)

WATCHED = replace(
    AS_WRITTEN,
    title="Release 1.1 is deployed over a slow one, and watched",
    deviations=(
        _UNSIGNED,
        Deviation(
            match="rollout status deploy/gateway control console",
            instead="for name in gateway control console; do kubectl -n aion rollout status deploy/$name; done",
            why="kubectl refuses the text's way of naming three deployments; each is watched, one after the other",
        ),
    ),
    arms=(CONTROL, TREATED, SHAM),
    expect=None,
)
