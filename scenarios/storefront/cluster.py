"""The storefront in its cluster, as the runbook's kubectl commands know it: the stack `storefront`, its database outside."""

from harness.model.topology import Cluster, Exposed, Topology

from .system import DATABASE

CLUSTER = Cluster(
    stack="storefront",
    namespace="indostar-naturals",
    variables=(
        ("CONFIRM_S", "0"),
        ("DATABASE_URL", "postgresql://store_app:store-secret@storefront-db.internal:5432/storefront"),
        ("PIDFILE", ""),
        ("PROVIDERS", ""),
        ("PROVIDER_PODS", "0"),
        ("QUEUES", "0"),
        ("REDIS_IMAGE", "queue:1.0"),
        ("REDIS_URL", ""),
        ("WEBHOOK_SECRET", "whsec_of_march"),
    ),
    exposed=(Exposed("backend", 8000),),
)


def clustered(**variables: str) -> Topology:
    """The storefront with these variables of its manifests changed."""
    return Topology("storefront", databases=(DATABASE,), cluster=CLUSTER.with_variables(**variables))
