"""Knocks at a PostgreSQL server by the network: `python -m harness.faults.knock HOST PORT TIMEOUT` (ns); prints one JSON line
of Answer. It asks for nothing that needs a login."""

import asyncio
import struct
import sys

import msgspec

from harness.clock import now
from harness.measuring.postgres import reason
from harness.model.units import SECOND, Ns

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""The first message of a client that asks for encryption, answered by one byte (PostgreSQL protocol, SSLRequest)."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The time in ns from connecting to the server's first byte, and why there was none, "" if there was."""

    took: Ns
    trouble: str = ""


async def knock(host: str, port: int, timeout: Ns) -> Answer:
    """Connect, ask once, wait for the answer."""
    begun = now()
    try:
        async with asyncio.timeout(timeout / SECOND):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(SSL_REQUEST)
                await reader.readexactly(1)
            finally:
                writer.transport.abort()
    except asyncio.IncompleteReadError:
        return Answer(now() - begun, "closed")
    except ConnectionRefusedError:
        return Answer(now() - begun, "refused")
    except (OSError, TimeoutError) as error:
        return Answer(now() - begun, reason(error))
    return Answer(now() - begun)


def main() -> None:
    """Knock as the command line says."""
    host, port, timeout = sys.argv[1:]
    answer = asyncio.run(knock(host, int(port), int(timeout)))
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


if __name__ == "__main__":
    main()
