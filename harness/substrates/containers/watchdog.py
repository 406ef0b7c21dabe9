"""Removes an environment's containers when the harness is gone: `python watchdog.py ENVIRONMENT`, run as a plain file.

It waits for the end of its standard input, which only the harness holds open. A line `over` before says that there is
nothing to do. A daemon that is away at that moment is waited for. Of Docker's library it knows nothing until then: it costs a
few MB for as long as a drill lasts.
"""

import sys


def main() -> int:
    """Wait, then sweep. 1 if that failed; why is on standard error."""
    said = sys.stdin.readline()
    if said.strip() == "over":
        return 0
    sys.path[:] = [path for path in sys.argv[2].split(":") if path]
    from harness.substrates.containers import sweeping  # noqa: PLC0415 - see the first lines

    for line in sweeping.sweep_when_up(sys.argv[1]):
        sys.stderr.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
