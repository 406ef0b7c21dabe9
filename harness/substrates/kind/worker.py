"""What is asked of kind, each by a program of its own: `python -m harness.substrates.kind.worker DO NAME KUBECONFIG KIND KUBECTL
IMAGE [ARGUMENT]`. The only importer of pytest-kind, which waits blockingly, writes below the current directory, and is under
the GPL: here it can be killed with all that it started, and shares a process with nothing else of ours.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CalledProcessError

from pytest_kind.cluster import KindCluster


def main(words: Sequence[str]) -> None:
    """`create CONFIG` or `delete`; kind's own words go to standard error, and its status is this program's."""
    do, name, kubeconfig, kind, kubectl, image, *argument = words
    cluster = KindCluster(name, Path(kubeconfig), image=image or None, kind_path=Path(kind), kubectl_path=Path(kubectl))
    try:
        match do:
            case "create":
                cluster.create(argument[0])
            case "delete":
                cluster.delete()
            case _:
                raise SystemExit(f"{do}: expected create or delete")
    except CalledProcessError as error:
        raise SystemExit(error.returncode) from None


if __name__ == "__main__":
    main(sys.argv[1:])
