"""What a person runs by hand against a local cluster: their program in its network, with kubectl and a kubeconfig at hand."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import execution
from harness.errors import SubstrateError
from harness.substrates import inside
from harness.substrates.local.kubernetes import binaries, places
from harness.substrates.local.site import Site

_HOSTS_LINE = re.compile(r"^hosts:.*$", re.MULTILINE)


async def visit(site: Site, argv: Sequence[str], *, folder: Path, kubeconfig: str) -> int:
    """Run a program of the caller's, in the foreground of the caller's terminal, and return its exit status, -n for signal n.

    It has the caller's files, directory and variables, and besides KUBECONFIG and kubectl first on its PATH. `folder`
    (existing, host, empty) holds what it needs.
    """
    member = site.pids("etcd")
    if not member:
        raise SubstrateError("the cluster is not up")
    config = _laid_out(site, folder, kubeconfig)
    program = Path(inside.__file__).with_name("visit.py")
    return await execution.foreground(
        (sys.executable, "-I", "-S", str(program), str(member[0]), str(folder / "etc"), *argv),
        env={**os.environ, **_variables(folder, config)},
    )


def _laid_out(site: Site, folder: Path, kubeconfig: str) -> Path:
    """Write what lies over the host's /etc, and the kubeconfig, whose path is returned."""
    etc = folder / "etc"
    etc.mkdir()
    for name in ("hosts", "resolv.conf"):
        (etc / name).write_text(site.layout.seen(f"/etc/{name}").read_text(encoding="utf-8"), encoding="utf-8")
    switch = Path("/etc/nsswitch.conf")
    if switch.is_file():
        text = _HOSTS_LINE.sub("hosts: files dns", switch.read_text(encoding="utf-8"))
        (etc / switch.name).write_text(text, encoding="utf-8")
    config = folder / "config"
    config.touch(mode=0o600)
    config.write_text(kubeconfig, encoding="utf-8")
    return config


def _variables(folder: Path, config: Path) -> dict[str, str]:
    tools = folder / "bin"
    tools.mkdir()
    if path := binaries.kubectl():
        (tools / "kubectl").symlink_to(path)
    found = {
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "KUBECONFIG": str(config),
        "KUBECACHEDIR": str(folder / "cache"),  # another cluster had the same address
    }
    return found | _directly()


def _directly() -> dict[str, str]:
    """No proxy of the caller's stands between them and the cluster."""
    networks = (places.NODE_NETWORK, places.SERVICE_NETWORK, places.POD_NETWORK, f".{places.DOMAIN}", ".svc")
    return {
        name: ",".join(filter(None, (os.environ.get(name, ""), "localhost", "127.0.0.1", *networks)))
        for name in ("no_proxy", "NO_PROXY")
    }
