"""Kubernetes' objects as the API gives them, written shortly, and decoded as the network decodes them."""

from typing import Any, TypeVar

import msgspec

from harness.substrates.network.objects import (
    EndpointSlice,
    Namespace,
    NetworkPolicy,
    Node,
    Object,
    Pod,
    Service,
)

T = TypeVar("T", bound=Object)


def decoded(kind: type[T], thing: dict[str, Any]) -> T:
    return msgspec.json.decode(msgspec.json.encode(thing), type=kind)


def meta(name: str, namespace: str = "prod", **labels: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": "1"}


def service(
    name: str, address: str = "10.96.1.1", *, namespace: str = "prod", ports: Any = None, **spec: Any
) -> Service:
    ports = ports or [{"port": 80, "protocol": "TCP", "targetPort": 8000}]
    thing = {"metadata": meta(name, namespace), "spec": {"clusterIP": address, "ports": ports, **spec}}
    return decoded(Service, thing)


def endpoint(address: str, *, ready: bool = True, **more: Any) -> dict[str, Any]:
    conditions = {"ready": ready, "serving": ready, "terminating": False, **more.pop("conditions", {})}
    return {"addresses": [address], "conditions": conditions, **more}


def endpoints(name: str, *found: dict[str, Any], namespace: str = "prod", ports: Any = None) -> EndpointSlice:
    thing = {
        "metadata": {**meta(f"{name}-x7k2p", namespace), "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8000, "protocol": "TCP"}] if ports is None else ports,
        "endpoints": list(found) or None,
    }
    return decoded(EndpointSlice, thing)


def pod(
    name: str,
    address: str,
    *,
    namespace: str = "prod",
    ports: Any = (),
    host: bool = False,
    phase: str = "Running",
    host_address: str = "",
    **labels: str,
) -> Pod:
    spec = {"hostNetwork": host, "containers": [{"name": "main", "ports": list(ports)}]}
    status = {"phase": phase, "podIP": address, "hostIP": host_address}
    return decoded(Pod, {"metadata": meta(name, namespace, **labels), "spec": spec, "status": status})


def namespace(name: str, **labels: str) -> Namespace:
    labels = {"kubernetes.io/metadata.name": name, **labels}
    return decoded(Namespace, {"metadata": {"name": name, "labels": labels}})


def node(address: str) -> Node:
    return decoded(
        Node, {"metadata": {"name": address}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}
    )


def policy(name: str, *, namespace: str = "prod", **spec: Any) -> NetworkPolicy:
    return decoded(NetworkPolicy, {"metadata": meta(name, namespace), "spec": spec})
