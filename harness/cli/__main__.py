"""`python -m harness.cli`: the program `rundrill`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Load it, which takes a moment in which it may be interrupted as well, and be it."""
    try:
        from harness.cli.app import main as rundrill  # noqa: PLC0415 - so that Ctrl-C is Ctrl-C from the beginning
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    rundrill()


if __name__ == "__main__":
    main()
