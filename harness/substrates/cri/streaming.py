"""The streaming server that the kubelet sends exec, attach and port-forward to: HTTP/1.1, upgraded to SPDY/3.1.

What the runtime has to do for it is harness.substrates.cri.sessions.Sessions.
"""

from harness.model.units import SECOND, Ns
from harness.substrates.cri.sessions import Attach, Exec, PortForward, Sessions

TOKEN_LIFE: Ns = 60 * SECOND
"""How long a URL waits for its client, who may use it once."""


class Streaming:
    """Serves `sessions` to whoever has a URL from here."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def start(self, host: str, port: int = 0) -> int:
        """Listen from now on; the port, chosen by the kernel for 0. OSError if it cannot."""
        raise NotImplementedError

    def url(self, request: Exec | Attach | PortForward) -> str:
        """The URL to answer the kubelet with: good for one client within TOKEN_LIFE.

        InputError if the request cannot be met as it is (no stream at all; a terminal and a stderr of its own; no id): a
        gRPC INVALID_ARGUMENT with that text. SubstrateError if too many wait already: RESOURCE_EXHAUSTED.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End every session and listen no more."""
        raise NotImplementedError
