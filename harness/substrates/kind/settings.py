"""What a user may set of the kind substrate. Not what is done with it."""

import msgspec

from harness.substrates import settings


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [kind] of rundrill.toml; RUNDRILL_KIND_NODE_IMAGE and so on.

    `name`: what the first cluster is called, and its nodes after it. `node_image`: the image of the nodes ("": the newest
    kindest/node that Docker has, else kind's own default). `program`, `kubectl`: paths of kind and kubectl ("": the PATH's;
    for kubectl the wheel's first). `metrics_server`: a manifest, file or URL, applied to every new cluster. `extra_images`:
    such as runbooks start pods of, separated by spaces; they are loaded if Docker has them. `most`: how many clusters there
    may be at a time. `keep`: clusters are left up at the end, for the next run. `patience_s`: how long a cluster may take.
    """

    name: str = "rundrill"
    node_image: str = ""
    program: str = ""
    kubectl: str = ""
    metrics_server: str = ""
    extra_images: str = "busybox:latest"
    most: int = 2
    keep: bool = False
    patience_s: float = 300.0


def read() -> Settings:
    """What is set. InputError if it cannot be understood."""
    return settings.read("kind", Settings)
