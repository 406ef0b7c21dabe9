"""A client of the streaming server that runs where that server is: `visitor.py URL JSON`. What came is printed as JSON."""

import asyncio
import json
import sys

from tests.substrates.cri.client import WAIT, upgraded


async def visit(url: str, *, streams: list[str], says: list[list[str]], ends: bool) -> dict[str, str]:
    """Open the streams; for each of `says` wait until that was heard, then send it; half-close if it `ends`."""
    async with await upgraded(url) as client:
        opened = {kind: await client.open(streamtype=kind) for kind in ("error", *streams)}
        for heard, text in says:
            await client.until(lambda heard=heard: heard.encode() in opened["stdout"].received)
            kind = "resize" if text.startswith("{") else "stdin"
            opened[kind].send(text.encode())
        if ends:
            opened["stdin"].send(b"", fin=True)
        return {kind: (await opened[kind].all()).decode() for kind in opened if kind not in {"stdin", "resize"}}


async def forward(url: str, *, port: int, text: str) -> dict[str, str]:
    """Send a text to a port, and hear what comes."""
    async with await upgraded(url, "portforward.k8s.io") as client:
        names = {"port": str(port), "requestid": "1"}
        error = await client.open(streamtype="error", fin=True, **names)
        data = await client.open(streamtype="data", **names)
        data.send(text.encode(), fin=True)
        return {"data": (await data.all()).decode(), "error": (await error.all()).decode()}


async def main(url: str, asked: dict) -> None:
    async with asyncio.timeout(WAIT):
        done = await (forward if "port" in asked else visit)(url, **asked)
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
