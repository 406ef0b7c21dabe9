"""What is concluded from Kubernetes' objects: what a controller lacks, what a drill left behind, what follows a Service."""

import json

import msgspec
import pytest

from harness.errors import SubstrateError
from harness.model.topology import Exposed
from harness.substrates.kind import exposed, leftovers
from harness.substrates.kind.objects import Controller, Service


def controller(kind: str = "Deployment", *, want: int = 2, generation: int = 3, **status: int) -> Controller:
    """One whose status is as said; `all_of` it, where nothing is said."""
    return msgspec.convert(
        {
            "kind": kind,
            "metadata": {"name": "web", "namespace": "shop", "generation": generation},
            "spec": {"replicas": want},
            "status": {"observedGeneration": 3, **status},
        },
        Controller,
    )


def whole(**but: int) -> Controller:
    return controller(**{"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, **but})


def test_a_deployment_has_all_it_wants_when_every_replica_is_of_its_present_version_and_ready() -> None:
    assert whole().lack() == ""
    assert whole(readyReplicas=1).lack() == "deployment/web in shop: 1 of 2 ready"
    assert whole(updatedReplicas=1).lack() == "deployment/web in shop: 2 of 2 ready"
    assert whole(replicas=3).lack() == "deployment/web in shop: 2 of 2 ready"
    assert whole(generation=4).lack() == "deployment/web in shop: not looked at yet"


def test_a_controller_that_wants_nothing_has_it_when_nothing_is_left() -> None:
    assert controller(want=0).lack() == ""
    assert controller(want=0, replicas=1, readyReplicas=1).lack() != ""


def test_a_daemon_set_has_all_it_wants_when_every_node_has_one() -> None:
    on_two = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2}
    assert controller("DaemonSet", **on_two, numberReady=2).lack() == ""
    assert controller("DaemonSet", **on_two, numberReady=1).lack() == "daemonset/web in shop: 1 of 2 ready"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("namespace/shop", "delete namespace/shop --wait=false --ignore-not-found"),
        ("taint w1 key=value:NoSchedule", "taint nodes w1 key=value:NoSchedule-"),
        ("cordon w1", "uncordon w1"),
        ("label w1 disk=fast", "label --overwrite nodes w1 disk-"),
        ("label w1 zone=b", "label --overwrite nodes w1 zone=a"),
        ("default pod/x", "delete -n default pod/x --wait=false --ignore-not-found --grace-period=1"),
    ],
)
def test_each_thing_left_behind_is_undone_by_one_command(line: str, command: str) -> None:
    assert " ".join(leftovers.removal(line, ["label w1 zone=a"])) == command


def service(*, selector: dict[str, str] | None = None, target: int | str = "http") -> Service:
    return msgspec.convert(
        {
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"app": "web"} if selector is None else selector,
                "ports": [{"port": 80, "targetPort": target}, {"port": 443}],
            },
        },
        Service,
    )


def test_the_service_beside_has_the_same_pods_and_ports() -> None:
    made = exposed.beside(Exposed("shop", 80, service="web"), service(), {"rundrill.run": "r"})
    assert made["metadata"] == {"name": "rundrill-shop", "labels": {"rundrill.run": "r"}}
    assert made["spec"] == {
        "type": "NodePort",
        "selector": {"app": "web"},
        "ports": [{"name": "exposed", "port": 80, "targetPort": "http"}],
    }
    assert exposed.beside(Exposed("shop", 443), service(), {})["spec"]["ports"][0]["targetPort"] == 443


def test_beside_a_service_that_is_gone_nobody_answers() -> None:
    assert exposed.beside(Exposed("shop", 80), None, {})["spec"]["selector"] == exposed.NOBODY


def test_a_port_that_the_service_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(SubstrateError, match="expected a port 81, which is exposed; it has: 80, 443"):
        exposed.beside(Exposed("web", 81), service(), {})
    with pytest.raises(SubstrateError, match="expected a selector"):
        exposed.beside(Exposed("web", 80), service(selector={}), {})


def test_a_stream_of_events_is_read_in_whatever_pieces_it_comes() -> None:
    one = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "web"}}}, indent=4)
    text = one + "\n" + one
    seen, rest = [], ""
    for char in text:
        events, rest = exposed.parted(rest + char)
        seen += events
    assert [event.object.metadata.name for event in seen] == ["web", "web"]
    assert rest == ""
