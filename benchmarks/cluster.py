"""How long a local cluster takes, and what it needs: `python benchmarks/cluster.py [--kind]` from the repository's root, on a
quiet machine. With --kind, a kind cluster beside it, made and deleted."""  # noqa: INP001 - a program

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from harness import execution
from harness.clock import now, until
from harness.model.topology import Cluster, Topology
from harness.model.units import SECOND, Ns, seconds
from harness.ports import Completed
from harness.running.ahead import Ahead
from harness.substrates import journal
from harness.substrates.kind import machine
from harness.substrates.local import Local, template
from harness.substrates.local.bringing_up import environment
from harness.substrates.local.environment import LocalEnvironment

LIMIT: Ns = seconds(120)
ROUNDS = 3
PODS = 100
TRIAL_S = 20
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller", "kube-scheduler", "kubelet")
KIND = "rundrill-benchmark"
TABLE = """["web:1"]
command = ["{python}", "-S", "-m", "http.server", "8000"]
"""
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: REPLICAS
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: web, image: "web:1", imagePullPolicy: IfNotPresent }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8000 }] }
"""


def tell(what: str, took: Sequence[Ns]) -> None:
    """One line of the table: the least and the most, since a machine can only add to it."""
    figures = f"{min(took) / SECOND:6.2f} s" + (f"  to {max(took) / SECOND:.2f} s" if len(took) > 1 else "")
    sys.stdout.write(f"{what:60}{figures}\n")
    sys.stdout.flush()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[LocalEnvironment]:
    """A bare one."""
    table = folder / "images.toml"
    table.write_text(TABLE, encoding="utf-8")
    async with environment(
        Topology("bench", cluster=Cluster("", "default")), run="bench", folder=folder, tables=(table,)
    ) as up:
        yield up


async def kubectl(up: LocalEnvironment, *words: str, stdin: str = "") -> Completed:
    """As its operator."""
    done = await up.operate(("kubectl", *words), stdin=stdin, timeout=LIMIT)
    if not done.ok:
        raise SystemExit(f"kubectl {' '.join(words)}: {done.stderr}")
    return done


def pids(parent: int) -> list[int]:
    """All below a process."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found = [parent]
    for pid in found:
        found += children.get(pid, ())
    return found[1:]


def lives(pid: int) -> bool:
    """Whether there is a process of that number that can still do anything: one that only waits to be asked how it ended, by
    whoever is the machine's first process, cannot."""
    return journal.started(pid) is not None


def memory() -> int:
    """The proportional share of memory of all below this process, in MiB."""
    total = 0
    for pid in pids(os.getpid()):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // 1024


def everybody() -> list[int]:
    """Every process that this one can see."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def processes(pids: Sequence[int]) -> list[str]:
    """Those among these that are Kubernetes' programs, by name."""
    found: list[str] = []
    for pid in pids:
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
            found += [name] if name.startswith(PROGRAMS) else []
    return found


async def starts(folder: Path) -> None:
    """From nothing, and from the template."""
    for stale in template.cache().glob("kubernetes-*.tar"):
        stale.unlink()
    for what, rounds in (("cold", 1), ("from the template", ROUNDS)):
        passed: list[dict[str, Ns]] = []
        for _ in range(rounds):
            async with cluster(folder) as up:
                passed.append(up.cluster.milestones)
        tell(f"API server ready, {what}", [each["API server"] for each in passed])
        tell(f"node ready, {what}", [each["nodes"] for each in passed])


async def ahead(folder: Path) -> None:
    """From the trial before, during which it came up: `rundrill run --ahead`."""
    topology, folders = Topology("bench", cluster=Cluster("", "default")), [folder / "one", folder / "next"]
    async with Ahead(Local(), folders) as substrate:
        folders[0].mkdir()
        async with substrate.environment(topology, run="bench", folder=folders[0]):
            await asyncio.sleep(TRIAL_S)
        begun = now()
        async with substrate.environment(topology, run="bench", folder=folders[1]):
            tell(f"environment ready, begun {TRIAL_S} s ago beside a trial", [now() - begun])


async def deployments(up: LocalEnvironment) -> None:
    """Three replicas from apply to ready, and an endpoint from its pod's deletion to being gone."""
    ready, noticed = [], []
    for number in range(ROUNDS):
        namespace = f"n{number}"
        await kubectl(up, "create", "namespace", namespace)
        await kubectl(up, "wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
        begun = now()
        await kubectl(up, "apply", "-n", namespace, "-f", "-", stdin=MANIFEST.replace("REPLICAS", "3"))
        await kubectl(up, "rollout", "status", "deployment/web", "-n", namespace)
        ready.append(now() - begun)
        noticed.append(await deletion(up, namespace))
    tell("3 replicas ready after apply (kubectl's time included)", ready)
    tell("a pod's deletion seen in the EndpointSlice", noticed)


async def deletion(up: LocalEnvironment, namespace: str) -> Ns:
    """Delete a pod; when the EndpointSlice has its address as ready no more."""
    path = "jsonpath={.items[0].status.podIP} {.items[0].metadata.name}"
    address, name = (await kubectl(up, "get", "pods", "-n", namespace, "-o", path)).stdout.split()
    serving = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses}"
    begun = now()
    await kubectl(up, "delete", "pod", name, "-n", namespace, "--wait=false")

    async def gone() -> bool | None:
        slices = await kubectl(up, "get", "endpointslices", "-n", namespace, "-o", serving)
        return f'"{address}"' not in slices.stdout or None

    if await until(gone, deadline=now() + LIMIT, every=SECOND // 100) is None:
        raise SystemExit(f"{address} is an endpoint still")
    return now() - begun


async def many(up: LocalEnvironment) -> None:
    """As many pods as a node takes."""
    begun = now()
    for number in range(ROUNDS):
        await kubectl(up, "delete", "namespace", f"n{number}", "--wait=true")
    begun = now()
    await kubectl(up, "apply", "-f", "-", stdin=MANIFEST.replace("REPLICAS", str(PODS)))
    await kubectl(up, "rollout", "status", "deployment/web", "--timeout=110s")
    tell(f"{PODS} pods ready on one node", [now() - begun])
    sys.stdout.write(f"{'memory with them (PSS)':60}{memory():6d} MiB\n")


async def killed(folder: Path) -> None:
    """From SIGKILL of a harness to the last of its processes."""
    before = processes(everybody())
    argv = (sys.executable, "-m", "harness.cli", "kubernetes", "run", "--", "sh", "-c", "echo up; exec sleep 600")
    out = folder / "killed"
    child = execution.start(argv, env=os.environ, stdout=out)

    async def up() -> bool | None:
        return out.read_text(encoding="utf-8").startswith("up") or None

    if await until(up, deadline=now() + LIMIT) is None:
        raise SystemExit("the cluster to be killed did not come up")
    below = pids(child.pid)
    counted = [("during", processes(below))]
    begun = now()
    os.kill(child.pid, signal.SIGKILL)

    async def gone() -> bool | None:
        return not any(map(lives, below)) or None

    if await until(gone, deadline=now() + LIMIT, every=SECOND // 200) is None:
        raise SystemExit("processes live on")
    tell(f"its {len(below)} processes gone after SIGKILL of the harness", [now() - begun])
    for when, names in (("before", before), *counted, ("after", processes(everybody()))):
        sys.stdout.write(f"  ps {when}: {' '.join(sorted(names)) or 'none of its programs'}\n")


async def kind() -> None:
    """A cluster of one node of kind's, for comparison."""
    try:
        image = await machine.newest_node_image()
        words = ("--name", KIND, "--wait", "120s", *(("--image", image) if image else ()))
        done = await execution.run(("kind", "create", "cluster", *words), env=os.environ, timeout=4 * LIMIT)
        tell("kind create cluster --wait", [done.took]) if done.ok else sys.stdout.write(f"kind: {done.stderr}\n")
    finally:
        await execution.run(("kind", "delete", "cluster", "--name", KIND), env=os.environ, timeout=LIMIT)


async def main() -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="rundrill-benchmark-"))
    try:
        sys.stdout.write(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
        await starts(folder)
        await ahead(folder)
        async with cluster(folder) as up:
            await asyncio.sleep(10)
            sys.stdout.write(f"{'memory of an idle cluster (PSS)':60}{memory():6d} MiB\n")
            await deployments(up)
            await many(up)
        await killed(folder)
        if "--kind" in sys.argv[1:]:
            await kind()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main())
