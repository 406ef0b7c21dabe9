"""Who is who in a local cluster: the files of its keys, and what is made anew for each environment. Not who may do what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from harness.substrates.local.kubernetes.certificates import Authority, Pair, signing_keys
from harness.substrates.local.kubernetes.kubeconfig import kubeconfig
from harness.substrates.local.kubernetes.places import (
    API_PORT,
    API_SERVICE,
    DOMAIN,
    PKI,
    STATE,
    Node,
)

_LASTING = ("ca", "front-proxy-ca", "sa")
"""What etcd's data depends on, so that it lies in the template beside them."""

HARNESS = f"{STATE}/harness.conf"
"""The kubeconfig of what belongs to the harness inside."""

LOCALLY = f"https://127.0.0.1:{API_PORT}"
ADVERTISED = f"https://{Node(0).address}:{API_PORT}"


@dataclass(frozen=True, slots=True)
class Roots:
    """What a cluster's data depends on: its authority, that of the API server as a proxy, and the key of its tokens."""

    authority: Authority
    front: Authority
    tokens: Pair

    @classmethod
    def make(cls) -> Self:
        """New ones."""
        return cls(Authority.make("kubernetes"), Authority.make("front-proxy-ca"), signing_keys())

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> Self:
        """Those that `texts` once gave. KeyError or ValueError if it is not theirs."""
        ca, front, tokens = (Pair(texts[f"{name}.crt"], texts[f"{name}.key"]) for name in _LASTING)
        return cls(Authority.read(ca), Authority.read(front), tokens)

    @property
    def texts(self) -> Mapping[str, str]:
        """Their files."""
        pairs = zip(_LASTING, (self.authority.pair, self.front.pair, self.tokens), strict=True)
        return {f"{name}.{end}": text for name, pair in pairs for end, text in _both(pair)}

    def kubeconfig(self, server: str, *, user: str, groups: Sequence[str] = (), namespace: str = "default") -> str:
        """A kubeconfig for a user of these groups, who is given a certificate by it."""
        return kubeconfig(
            server,
            authority=self.authority.pair.certificate,
            user=user,
            pair=self.authority.client(user, *groups),
            namespace=namespace,
        )


def files(roots: Roots, nodes: Sequence[Node]) -> Mapping[str, str]:
    """Every file of keys and kubeconfigs that the programs of a cluster with these nodes need, by its path inside."""
    server = roots.authority.server(
        "kube-apiserver",
        names=("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}",
               "localhost", Node(0).name),
        addresses=(API_SERVICE, Node(0).address, "127.0.0.1"),
    )  # fmt: skip
    pairs = {
        "apiserver": server,
        "apiserver-kubelet-client": roots.authority.client("kube-apiserver-kubelet-client", "kubeadm:cluster-admins"),
        "front-proxy-client": roots.front.client("front-proxy-client"),
        "harness": roots.authority.client("rundrill", "system:masters"),
    }
    found = {f"{PKI}/{name}": text for name, text in roots.texts.items()}
    found |= {f"{PKI}/{name}.{end}": text for name, pair in pairs.items() for end, text in _both(pair)}
    for program in ("controller-manager", "scheduler"):
        found[f"{STATE}/{program}.conf"] = roots.kubeconfig(LOCALLY, user=f"system:kube-{program}")
    found[HARNESS] = roots.kubeconfig(LOCALLY, user="rundrill", groups=("system:masters",))
    for node in nodes:
        found |= _of_node(roots, node)
    return found


def administrator(roots: Roots, server: str, namespace: str) -> str:
    """The kubeconfig of the cluster's administrator, who is called as kubeadm calls him."""
    return roots.kubeconfig(server, user="kubernetes-admin", groups=("kubeadm:cluster-admins",), namespace=namespace)


def _of_node(roots: Roots, node: Node) -> Mapping[str, str]:
    serving = roots.authority.server(f"system:node:{node.name}", names=(node.name,), addresses=(node.address,))
    found = {f"{node.root}/pki/kubelet.{end}": text for end, text in _both(serving)}
    client = roots.kubeconfig(LOCALLY, user=f"system:node:{node.name}", groups=("system:nodes",))
    return found | {f"{node.root}/kubelet.conf": client}


def _both(pair: Pair) -> Sequence[tuple[str, str]]:
    return (("crt", pair.certificate), ("key", pair.key))
