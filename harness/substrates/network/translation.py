"""How packets for a Service's address are led to one of its endpoints, and the answers back: destination and port translation
with a memory for conversations, as the kernel's connection tracking has it. Pure but for that memory; the clock is a parameter.

The client keeps its address (only its port changes, to one of plan.TRANSLATED, by which answers are led back here), so that
servers see who asks them and NetworkPolicies hold for what arrives. What is for nobody passes unchanged: the kernel refuses it.
"""

import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.model.units import SECOND, Ns
from harness.substrates.network import packets, plan
from harness.substrates.network.packets import ACK, FIN, ICMP, RST, SYN, TCP, Address, Key, Rewriting, Tuple

Frontend = tuple[int, Address, int]
"""A protocol, an address and a port that a Service is known by."""

Backend = tuple[Address, int]
"""The address and port of one endpoint."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a frontend leads. `affinity` is for how long a client comes to the same endpoint again, 0 if it need not; with `near`
    clients come to endpoints of their own node only."""

    service: str
    backends: tuple[Backend, ...]
    affinity: Ns = 0
    near: bool = False

    def backends_for(self, client: Address) -> tuple[Backend, ...]:
        """Those that a client may come to."""
        if not self.near:
            return self.backends
        return tuple(one for one in self.backends if plan.node(one[0]) == plan.node(client))


ESTABLISHED: Ns = 24 * 3600 * SECOND
OPENING: Ns = 75 * SECOND
CLOSING: Ns = 60 * SECOND
RESET: Ns = 3 * SECOND
DATAGRAMS: Ns = 60 * SECOND
MASQUERADE = socket.inet_aton(plan.API_NODE)
"""Whose address a client gets that is led to itself: its own would not come in from outside."""

_POD = socket.inet_aton(plan.PODS.partition("/")[0])[:2]
State = Literal["opening", "open", "half closed", "closed", "reset", "datagrams"]
_LASTS: Mapping[State, Ns] = {
    "opening": OPENING,
    "open": ESTABLISHED,
    "half closed": ESTABLISHED,
    "closed": CLOSING,
    "reset": RESET,
    "datagrams": DATAGRAMS,
}


@dataclass(slots=True, eq=False)
class Conversation:
    """A client that was led to an endpoint: both directions before and after, and how far it has come."""

    asked: Tuple
    led: Tuple
    state: State
    seen: Ns
    finished: set[bool] = field(default_factory=set)
    """Which sides have sent their last: True is the client's."""

    def note(self, flags: int, *, client: bool) -> None:
        """Take notice of a segment's flags."""
        if flags & RST:
            self.state = "reset"
        elif flags & FIN:
            self.finished.add(client)
            self.state = "closed" if len(self.finished) == 2 else "half closed"
        elif self.state == "opening" and client and not flags & SYN:
            self.state = "open"  # and whoever begins now from the same port is another one


class Translator:
    """Leads packets by a table that can be changed at any time."""

    def __init__(self, *, seed: int | None = None) -> None:
        self._table: Mapping[Frontend, Target] = {}
        self._pods: frozenset[Address] | None = None
        self._directions: dict[Key, tuple[Conversation, Rewriting, bool]] = {}
        self._kept: dict[tuple[str, Address], tuple[Backend, Ns]] = {}
        self._random = random.Random(seed)  # noqa: S311 - balance, not secrecy

    def lead_by(self, table: Mapping[Frontend, Target], *, pods: frozenset[Address] | None = None) -> None:
        """Lead new conversations by `table` from now on. What is open goes on, but for datagrams to endpoints that are gone.

        `pods` are the addresses that pods have: what others said is forgotten sooner.
        """
        self._table = table
        self._pods = pods
        for conversation in tuple(self.conversations):
            if conversation.state == "datagrams":
                asked, led = conversation.asked, conversation.led
                target = table.get((asked.protocol, asked.target, asked.dport))
                if not target or (led.target, led.dport) not in target.backends:
                    self._forget(conversation)

    @property
    def conversations(self) -> list[Conversation]:
        """Those that are remembered."""
        return [conversation for conversation, _, client in self._directions.values() if client]

    def handle(self, frame: bytearray | memoryview, size: int, at: Ns) -> None:
        """Lead one frame, in place; unchanged where it is for none of ours."""
        key = packets.read(frame, size)
        if key is None:
            return
        if key[0] == ICMP:
            self._error(frame, size)
            return
        flags = packets.flags(frame) if key[0] == TCP else 0
        found = self._directions.get(key)
        if found is None or (flags & (SYN | ACK) == SYN and found[2] and found[0].state != "opening"):
            found = self._begin(key, flags, at)
        if found is None:
            return
        conversation, rewriting, client = found
        conversation.seen = at
        if flags & (FIN | RST | SYN) or conversation.state == "opening":
            conversation.note(flags, client=client)
        rewriting.apply(frame)

    def _begin(self, key: Key, flags: int, at: Ns) -> tuple[Conversation, Rewriting, bool] | None:
        protocol, source, address, sport, dport = key
        if stale := self._directions.get(key):
            self._forget(stale[0])
        target = self._table.get((protocol, address, dport))
        if not target or (protocol == TCP and flags & (SYN | ACK) != SYN):
            return None
        backends = target.backends_for(source)
        if not backends:
            return None
        backend = self._choose(target, backends, source, at)
        asked = Tuple(protocol, source, sport, address, dport)
        led = self._leading(asked, backend)
        if led is None:
            return None
        conversation = Conversation(asked, led, "opening" if protocol == TCP else "datagrams", at)
        there = (conversation, Rewriting(asked, led), True)
        self._directions[key] = there
        self._directions[packets.key(led.reply)] = (conversation, Rewriting(led.reply, asked.reply), False)
        return there

    def _choose(self, target: Target, backends: Sequence[Backend], client: Address, at: Ns) -> Backend:
        if not target.affinity:
            return self._random.choice(backends)
        kept = self._kept.get((target.service, client))
        if kept and kept[0] in backends and at - kept[1] <= target.affinity:
            backend = kept[0]
        else:
            backend = self._random.choice(backends)
        self._kept[target.service, client] = (backend, at)
        return backend

    def _leading(self, asked: Tuple, backend: Backend) -> Tuple | None:
        """The conversation as the endpoint sees it: from the port that belongs to the client's own, or else from the next that no
        other conversation with the same client and endpoint has had of late."""
        address, port = backend
        source = MASQUERADE if address == asked.source else asked.source
        first, count = asked.sport - plan.CLIENTS.start, len(plan.TRANSLATED)
        for place in range(first, first + count):
            led = Tuple(asked.protocol, source, plan.TRANSLATED[place % count], address, port)
            if packets.key(led.reply) not in self._directions:
                return led
        return None

    def _error(self, frame: bytearray | memoryview, size: int) -> None:
        """An ICMP error about a packet that was led: tell the client about the one that it has sent."""
        about = packets.inner(frame, size)
        if about is None:
            return
        protocol, source, target, sport, dport = about
        found = self._directions.get((protocol, target, source, dport, sport))
        if found:
            conversation, _, client = found
            told, other = conversation.asked, conversation.led
            if client:  # about an answer: the endpoint is to hear of it
                told, other = conversation.led.reply, conversation.asked.reply
            sender = bytes(frame[packets.IP + 12 : packets.IP + 16])
            packets.rewrite_error(frame, size, told, source=told.target if sender == other.target else sender)

    def _forget(self, conversation: Conversation) -> None:
        for one in (conversation.asked, conversation.led.reply):
            self._directions.pop(packets.key(one), None)

    def _there(self, conversation: Conversation) -> bool:
        """Whether neither side is a pod that is gone: another may get its address."""
        ends = (conversation.asked.source, conversation.led.target)
        return self._pods is None or all(one in self._pods or one[:2] != _POD for one in ends)

    def sweep(self, at: Ns) -> None:
        """Forget what nobody has said anything in for too long."""
        for conversation in self.conversations:
            lasts = _LASTS[conversation.state] if self._there(conversation) else CLOSING
            if at - conversation.seen > lasts:
                self._forget(conversation)
        services = {target.service: target.affinity for target in self._table.values()}
        self._kept = {
            who: (backend, last) for who, (backend, last) in self._kept.items() if at - last <= services.get(who[0], 0)
        }
