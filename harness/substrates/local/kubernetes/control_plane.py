"""How the programs of a cluster are called: etcd, API server, controller manager, scheduler, kubelets. No effects."""

from collections.abc import Mapping, Sequence

import msgspec

from harness.substrates.local.kubernetes.places import (
    API_PORT,
    DNS_SERVICE,
    DOMAIN,
    ETCD,
    ETCD_PORT,
    KUBELET_PORT,
    PKI,
    POD_LOGS,
    POD_NETWORK,
    PROGRAMS,
    SERVICE_NETWORK,
    STATE,
    Node,
)

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NEEDED = (*CONTROL_PLANE, "kubelet")

_ETCD_URL = f"http://127.0.0.1:{ETCD_PORT}"
_PEER_URL = f"http://127.0.0.1:{ETCD_PORT + 1}"

RESOLV_CONF = f"{STATE}/resolv.conf"


def etcd() -> Sequence[str]:
    """One member, alone: it need not wait long for others before it elects itself, nor for a disk that is memory."""
    return _command(
        "etcd",
        name="rundrill",
        data_dir=ETCD,
        listen_client_urls=_ETCD_URL,
        advertise_client_urls=_ETCD_URL,
        listen_peer_urls=_PEER_URL,
        initial_advertise_peer_urls=_PEER_URL,
        initial_cluster=f"rundrill={_PEER_URL}",
        heartbeat_interval="10",
        election_timeout="100",
        unsafe_no_fsync="true",
        log_level="warn",
    )


def api_server() -> Sequence[str]:
    """As kubeadm calls it, but for etcd, which listens on the loopback only."""
    return _command(
        "kube-apiserver",
        advertise_address=Node(0).address,
        bind_address="0.0.0.0",
        secure_port=str(API_PORT),
        etcd_servers=_ETCD_URL,
        allow_privileged="true",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        client_ca_file=f"{PKI}/ca.crt",
        tls_cert_file=f"{PKI}/apiserver.crt",
        tls_private_key_file=f"{PKI}/apiserver.key",
        kubelet_certificate_authority=f"{PKI}/ca.crt",
        kubelet_client_certificate=f"{PKI}/apiserver-kubelet-client.crt",
        kubelet_client_key=f"{PKI}/apiserver-kubelet-client.key",
        kubelet_preferred_address_types="InternalIP,ExternalIP,Hostname",
        service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}",
        service_account_key_file=f"{PKI}/sa.crt",
        service_account_signing_key_file=f"{PKI}/sa.key",
        service_cluster_ip_range=SERVICE_NETWORK,
        requestheader_client_ca_file=f"{PKI}/front-proxy-ca.crt",
        requestheader_allowed_names="front-proxy-client",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        requestheader_group_headers="X-Remote-Group",
        requestheader_username_headers="X-Remote-User",
        proxy_client_cert_file=f"{PKI}/front-proxy-client.crt",
        proxy_client_key_file=f"{PKI}/front-proxy-client.key",
        enable_aggregator_routing="true",
        profiling="false",
    )


def controller_manager() -> Sequence[str]:
    """As kubeadm and kind call it. The ranges of the nodes' pods are given with the nodes, so that they are known before."""
    config = f"{STATE}/controller-manager.conf"
    return _command(
        "kube-controller-manager",
        kubeconfig=config,
        authentication_kubeconfig=config,
        authorization_kubeconfig=config,
        bind_address="127.0.0.1",
        client_ca_file=f"{PKI}/ca.crt",
        requestheader_client_ca_file=f"{PKI}/front-proxy-ca.crt",
        root_ca_file=f"{PKI}/ca.crt",
        cluster_signing_cert_file=f"{PKI}/ca.crt",
        cluster_signing_key_file=f"{PKI}/ca.key",
        service_account_private_key_file=f"{PKI}/sa.key",
        cluster_name="kubernetes",
        cluster_cidr=POD_NETWORK,
        service_cluster_ip_range=SERVICE_NETWORK,
        allocate_node_cidrs="false",
        use_service_account_credentials="true",
        controllers="*,bootstrapsigner,tokencleaner",
        enable_hostpath_provisioner="true",
        leader_elect="false",
        profiling="false",
    )


def scheduler() -> Sequence[str]:
    """As kubeadm calls it; there is no other that could lead."""
    config = f"{STATE}/scheduler.conf"
    return _command(
        "kube-scheduler",
        kubeconfig=config,
        authentication_kubeconfig=config,
        authorization_kubeconfig=config,
        bind_address="127.0.0.1",
        tls_cert_file=f"{PKI}/apiserver.crt",  # or it makes one first, which takes some tenths of a second
        tls_private_key_file=f"{PKI}/apiserver.key",
        leader_elect="false",
        profiling="false",
    )


def kubelet(node: Node) -> Sequence[str]:
    """The kubelet of that node."""
    return _command(
        "kubelet",
        config=f"{node.root}/config.json",
        kubeconfig=f"{node.root}/kubelet.conf",
        hostname_override=node.name,
        node_ip=node.address,
        root_dir=node.root,
        cert_dir=f"{node.root}/pki",
        housekeeping_interval="2s",  # `top nodes` has to wait for two of its looks at the machine
    )


def kubelet_config(node: Node) -> str:
    """Its configuration: kind's, and what lets it do without cgroups and without being root of the machine."""
    config: Mapping[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{node.root}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{node.root}/pki/kubelet.key",
        "rotateCertificates": False,
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "resolvConf": RESOLV_CONF,
        "podLogsDir": pod_logs(node),
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": True,  # without it there is no /stats/summary, and nothing is evicted for what it fills
        "makeIPTablesUtilChains": False,
        # Not PodAndContainerStatsFromCRI: with it /metrics/resource has pods without their containers (1.34), which is what
        # metrics are made of; without it they come from the runtime all the same.
        # Nor resizing in place: without cgroups of pods the kubelet dereferences nil (1.34, doPodResizeAction) and is gone.
        "featureGates": {"KubeletInUserNamespace": True, "InPlacePodVerticalScaling": False},
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": f"{node.root}/volume-plugins",
    }
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"


def node_object(node: Node) -> Mapping[str, object]:
    """The Node as kubeadm and kind leave it; the kubelet finds it and fills in the rest."""
    role = "node-role.kubernetes.io/control-plane"
    labels = {role: ""} if not node.index else {}
    if node.tainted:
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
    taints = [{"key": role, "effect": "NoSchedule"}] if node.tainted else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {
            "podCIDR": node.pods,
            "podCIDRs": [node.pods],
            "providerID": f"rundrill://local/{node.name}",
            "taints": taints,
        },
    }


def pod_logs(node: Node) -> str:
    """The folder of its containers' logs."""
    return POD_LOGS if not node.index else f"{POD_LOGS}-{node.index}"


def _command(program: str, **options: str) -> Sequence[str]:
    return (f"{PROGRAMS}/{program}", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()))
