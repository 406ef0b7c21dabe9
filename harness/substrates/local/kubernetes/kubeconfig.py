"""A kubeconfig as text. JSON is YAML, and kubectl writes it as it likes when it changes it."""

import base64

import msgspec

from harness.substrates.local.kubernetes.certificates import Pair

NAME = "rundrill"


def kubeconfig(server: str, *, authority: str, user: str, pair: Pair, namespace: str = "default") -> str:
    """For `user` with that certificate, at `server` (an https URL) that shows a certificate of `authority` (PEM)."""
    context = {"cluster": NAME, "user": user, "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encoded(pair.certificate),
                    "client-key-data": _encoded(pair.key),
                },
            }
        ],
        "contexts": [{"name": NAME, "context": context}],
        "current-context": NAME,
        "preferences": {},
    }
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
