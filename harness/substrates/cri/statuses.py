"""How a session's end is told to the client on its error stream: Kubernetes' Status as JSON, or only words, by protocol.

The texts are those of containerd and of k8s.io/kubelet/pkg/cri/streaming: kubectl prints and decides by them.
"""

import msgspec

WORDS_ONLY = frozenset({"v2.channel.k8s.io", "v3.channel.k8s.io"})
"""Protocols that know no exit status: what failed is told in words, success by silence."""


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """metav1.StatusCause."""

    reason: str = ""
    message: str = ""


class Details(msgspec.Struct, frozen=True):
    """metav1.StatusDetails, as far as it is used."""

    causes: tuple[Cause, ...]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """metav1.Status, as far as it is used."""

    metadata: dict[str, str]
    status: str
    message: str = ""
    reason: str = ""
    details: Details | None = None
    code: int = 0


SUCCESS = Outcome(metadata={}, status="Success")


def exited(command: tuple[str, ...], code: int) -> Outcome:
    """The end of a command by its exit code."""
    if code == 0:
        return SUCCESS
    why = f"error executing command [{' '.join(command)}], exit code {code}"
    return Outcome(
        metadata={},
        status="Failure",
        message=f"command terminated with non-zero exit code: {why}",
        reason="NonZeroExitCode",
        details=Details((Cause("ExitCode", str(code)),)),
    )


def failed(why: str) -> Outcome:
    """The end of what could not be done."""
    return Outcome(
        metadata={},
        status="Failure",
        message=f"Internal error occurred: {why}",
        reason="InternalError",
        details=Details((Cause(message=why),)),
        code=500,
    )


def encoded(outcome: Outcome, protocol: str) -> bytes:
    """What is written to the error stream."""
    if protocol in WORDS_ONLY:
        return outcome.message.encode()
    return msgspec.json.encode(outcome)
