"""`relay.py HOST PORT`: passes on every connection that comes in at its standard input, a socket that listens elsewhere.

A socket stays in the network namespace that it was made in: the harness makes it, this runs in the environment.
"""

import asyncio
import socket
import sys
from contextlib import suppress

CHUNK = 1 << 16


async def one_way(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on until the sender ends, then end."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Relay for ever."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(one_way(reader, far_writer), one_way(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


def main() -> None:
    """The program."""
    listener = socket.socket(fileno=0)
    asyncio.run(serve(listener, sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
