"""The objects by which a cluster knows of what its network serves: Services, the metrics API, and the policies it cannot keep."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.units import SECOND
from harness.substrates.network import enforcement, plan
from harness.substrates.network.api import Api

METRICS_PORT = 4443
METRICS_NAME = "metrics-server.kube-system.svc"
_PATIENCE = 60 * SECOND
_SYSTEM = "/api/v1/namespaces/kube-system"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_METRICS_LABELS = {"k8s-app": "metrics-server"}


@dataclass(frozen=True, slots=True)
class Furniture:
    """An object and where it is."""

    path: str
    thing: Mapping[str, object]


def objects(*, dns: str, authority: str) -> Sequence[Furniture]:
    """All of them; `authority` (PEM) has signed what the metrics API shows."""
    return (*_name_service(dns), *_metrics(authority), *_admission())


def _name_service(dns: str) -> Sequence[Furniture]:
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    return (_service("kube-dns", labels, {"clusterIP": dns, "ports": ports}),)


def _metrics(authority: str) -> Sequence[Furniture]:
    """As metrics-server's own manifest has them, but for the pods: it is served by the control plane's node."""
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": METRICS_PORT}
    name = "metrics-server"
    labels = {**_METRICS_LABELS, "kubernetes.io/service-name": name}
    slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    return (
        _service(name, _METRICS_LABELS, {"ports": [port]}),
        Furniture(
            f"{slices}/{name}",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": "https", "port": METRICS_PORT, "protocol": "TCP"}],
                "endpoints": [{"addresses": [plan.API_NODE], "conditions": {"ready": True}}],
            },
        ),
        Furniture(
            "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io",
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": _METRICS_LABELS},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": base64.b64encode(authority.encode()).decode(),
                    "service": {"name": name, "namespace": "kube-system", "port": 443},
                },
            },
        ),
    )


def _service(name: str, labels: Mapping[str, str], spec: Mapping[str, object]) -> Furniture:
    metadata = {"name": name, "namespace": "kube-system", "labels": labels}
    return Furniture(
        f"{_SYSTEM}/services/{name}", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    )


def _admission() -> Sequence[Furniture]:
    """Policies that could not be kept are refused, with the reason."""
    name = "networkpolicies.rundrill"
    kept = [
        f"!has(object.spec.{one}) || object.spec.{one}.all(rule, !has(rule.ports) || rule.ports.all(one, !has(one.port) || "
        f"type(one.port) != int || one.port < {plan.SERVERS.stop}))"
        for one in ("ingress", "egress")
    ]
    rule = {
        "apiGroups": ["networking.k8s.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["networkpolicies"],
    }
    spec = {
        "failurePolicy": "Ignore",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": one, "message": enforcement.REFUSED} for one in kept],
    }
    version = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return (
        Furniture(
            f"{_ADMISSION}/validatingadmissionpolicies/{name}",
            {**version, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        ),
        Furniture(
            f"{_ADMISSION}/validatingadmissionpolicybindings/{name}",
            {**version, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
        ),
    )


async def furnish(api: Api, furniture: Sequence[Furniture]) -> None:
    """Have all of them be there, as soon as the API server takes them. SubstrateError with what it says if it never does."""
    await asyncio.gather(*(_place(api, one) for one in furniture))


async def _place(api: Api, one: Furniture) -> None:
    said = ""

    async def placed() -> bool | None:
        nonlocal said
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            try:
                await api.apply(one.path, one.thing)
            except SubstrateError as error:
                said = str(error)
                return None
            return True
        return None

    if not await until(placed, deadline=now() + _PATIENCE, every=SECOND // 10):
        raise SubstrateError(said or f"{one.path}: expected an API server; found none")
