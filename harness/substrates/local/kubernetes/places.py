"""Where the parts of a local cluster are: folders inside the environment, addresses, names of nodes. No effects."""

from dataclasses import dataclass

PROGRAMS = "/rundrill/kubernetes"
"""Where Kubernetes' own programs are bound, read-only, each under its name."""

STATE = "/var/lib/kubernetes"
PKI = f"{STATE}/pki"
ETCD = "/var/lib/etcd"
KUBELETS = "/var/lib/kubelet"
LOGS = f"{STATE}/log"
POD_LOGS = f"{STATE}/pods"
"""Not below /var/log: an operator who clears that does not sit on a node."""

OPERATORS = "/home/operator/.kube/config"
"""The operator's kubeconfig."""

RUN = "/run/rundrill/kubernetes"

NODE_NETWORK = "10.0.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
POD_NETWORK = "10.244.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"
RESOLVING = f"nameserver {DNS_SERVICE}\noptions timeout:2 attempts:2\n"
"""The environment's /etc/resolv.conf."""


API_PORT = 6443
ETCD_PORT = 2379
KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class Node:
    """One node: `index` 0 is the control plane's. `address` is the environment's own, `pods` the range of its pods."""

    index: int
    tainted: bool = False

    @property
    def name(self) -> str:
        """As kind calls it, for a cluster that is called rundrill."""
        if not self.index:
            return "rundrill-control-plane"
        return "rundrill-worker" + (str(self.index) if self.index > 1 else "")

    @property
    def address(self) -> str:
        """Its InternalIP."""
        return f"10.0.0.{self.index + 1}"

    @property
    def pods(self) -> str:
        """The range that its pods' addresses are from."""
        return f"10.244.{self.index}.0/24"

    @property
    def root(self) -> str:
        """The kubelet's folder."""
        return f"{KUBELETS}/{self.name}"

    @property
    def state(self) -> str:
        """The container runtime's folder."""
        return f"{STATE}/runtime/{self.name}"

    @property
    def socket(self) -> str:
        """Where its container runtime listens."""
        return f"{RUN}/{self.name}.sock"


def nodes(workers: int) -> tuple[Node, ...]:
    """The control plane's node, on which no pods run once there are workers, and those."""
    return (Node(0, tainted=workers > 0), *(Node(index) for index in range(1, workers + 1)))
