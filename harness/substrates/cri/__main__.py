"""`python -m harness.substrates.cri`: the container runtime of one node, until it is told to end."""

import argparse
import sys
from pathlib import Path

from harness.substrates.cri import zygote


def main() -> int:
    """Fork what containers are forked from, while there is but one thread; only then become the server."""
    parser = argparse.ArgumentParser(prog="python -m harness.substrates.cri", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="the Unix socket to serve CRI at")
    parser.add_argument("--state", type=Path, required=True, help="a folder of its own")
    parser.add_argument("--node", required=True, help="the node's name")
    parser.add_argument("--pods", required=True, help="the addresses of its pods, as CIDR")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="TOML files of images")
    parser.add_argument(
        "--streaming", default="127.0.0.1", help="the address to serve exec, attach and port-forward at"
    )
    options = parser.parse_args()
    control = zygote.fork()

    from harness.substrates.cri.running import Options, run  # noqa: PLC0415 - grpc has threads

    return run(
        control,
        Options(
            socket=options.socket,
            state=options.state,
            node=options.node,
            pods=options.pods,
            images=tuple(options.images),
            streaming=options.streaming,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
