"""`python -m harness.substrates.network --kubeconfig FILE …`: everything a cluster has for a network, in one process.

It runs in the root network namespace of an environment, as its root, until it is told to stop; nothing of it is left then.
"""

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from harness.errors import SubstrateError
from harness.substrates.network.program import Settings, network


def main() -> int:
    """The exit status: 0 when it was stopped, 4 with the reason on standard error when it cannot do its work."""
    parser = argparse.ArgumentParser(prog="python -m harness.substrates.network", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="an administrator's, in JSON, with certificates")
    parser.add_argument("--cluster-dns", default="10.96.0.10", help="the name server's address")
    parser.add_argument("--domain", default="cluster.local", help="what the cluster's names end with")
    parser.add_argument("--hosts", type=Path, default=Path("/etc/hosts"), help="names of what is not in the cluster")
    given = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = Settings(
        kubeconfig=given.kubeconfig, cluster_dns=given.cluster_dns, domain=given.domain, hosts=given.hosts
    )
    status = 0
    try:
        asyncio.run(_until_told(settings))
    except* (SubstrateError, OSError) as group:
        for error in group.exceptions:
            sys.stderr.write(f"network: {error}\n")
        status = 4
    return status


async def _until_told(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        failing = await stack.enter_async_context(network(settings))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if failing.done():
            failing.result()


if __name__ == "__main__":
    sys.exit(main())
