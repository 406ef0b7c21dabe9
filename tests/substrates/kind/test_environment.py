"""The kind substrate keeps to its port; what an operator, pods and probes find in an environment with a cluster of kind's.

A cluster takes half a minute to come up, and the conformance check wants two at a time: few tests, each of which asks much.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness import faults
from harness.faults import kubernetes
from harness.model.topology import Topology
from harness.model.units import milliseconds, seconds
from harness.ports import Capability, Environment, Stage
from harness.running.loading import load
from harness.substrates.kind import Kind
from harness.substrates.local.layout import port
from harness.testing import check_fault, check_substrate
from tests.full import FULL
from tests.substrates import storing
from tests.substrates.kind.conftest import wanted
from tests.substrates.kind.test_cluster import nothing_left
from tests.testing.test_conformance import there_is_room

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    # Programs that end with their environment leave the socket of their input to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]

(STOREFRONT,) = load([str(Path(__file__).parents[3] / "scenarios/storefront/bad_release.py")])
TOPOLOGY: Topology = STOREFRONT.scenario.topology


@pytest.fixture(scope="module")
def substrate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    """The substrate with clusters of these tests' own, which are gone afterwards."""
    settings = wanted()
    with pytest.MonkeyPatch.context() as patch, nothing_left():
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("RUNDRILL_KIND_NAME", settings.name)
        patch.setenv("RUNDRILL_KIND_METRICS_SERVER", settings.metrics_server)
        made = Kind()
        yield made
        made.close()


@pytest.mark.skipif(not FULL, reason="set RUNDRILL_PROOF=full: it takes three minutes")
async def test_the_kind_substrate_keeps_to_its_port(substrate: Kind, tmp_path: Path) -> None:
    skipped = await check_substrate(substrate, TOPOLOGY, tmp_path)
    assert [reason for reason in skipped if "server clock" not in reason] == []


async def said(environment: Environment, text: str) -> tuple[int | None, str]:
    """What a command of the operator's says."""
    done = await environment.operate(("bash", "-c", text), timeout=seconds(60))
    return done.status, done.stdout + done.stderr


async def fetched(environment: Environment, path: str) -> str:
    """What the exposed backend answers to those who ask as probes do, from inside."""
    peer = environment.peer("backend")
    script = f"import urllib.request as u; print(u.urlopen('http://{peer.host}:{peer.port}{path}', timeout=9).read())"
    done = await environment.run((environment.python, "-c", script), timeout=seconds(20))
    return done.stdout + done.stderr


async def test_operator_pods_and_probes_find_what_they_need_and_nothing_else(substrate: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    stores = () if substrate.lacks(frozenset({Capability.REDIS, Capability.MONGO})) else storing.TOPOLOGY.stores
    whole = replace(TOPOLOGY, stores=stores)
    async with substrate.environment(whole, run="a-run", folder=folder, links=frozenset({"main"})) as environment:
        assert environment.cluster.nodes == ("rundrill-test-control-plane",)
        assert "products" in await fetched(environment, "/products?category=7&limit=5")
        status, text = await said(
            environment, "kubectl get deployments -o name; kubectl get pods -A --no-headers | wc -l"
        )
        assert (status, text.split()[0]) == (0, "deployment.apps/backend")
        assert (await said(environment, "kubectl auth can-i create pods"))[1].strip() == "yes"
        status, text = await said(
            environment, "psql -h storefront-db.internal -U store_app storefront -Atc 'select 42'"
        )
        assert (status, text.strip()) == (0, "42")
        status, text = await said(environment, "kubectl exec deploy/backend -- python -c 'print(6 * 7)'")
        assert (status, text.strip().splitlines()[-1]) == (0, "42")
        for store in stores:
            there = f"import socket; print(socket.create_connection(('{store.hosts[0]}', {port(store)})).getpeername())"
            status, text = await said(environment, f'kubectl exec deploy/backend -- python -c "{there}"')
            assert (status, str(port(store)) in text) == (0, True), text
        assert (await said(environment, "ls /var/run/docker.sock ~/.docker"))[0] != 0
        assert "contexts" in (await said(environment, "kubectl config view -o json"))[1]
        assert (await said(environment, "kubectl config get-contexts -o name"))[1].split() == ["kind-rundrill-test"]

        await environment.link("main").set(refuse=True, reset=True)
        assert "HTTP Error 50" in await fetched(environment, "/products?category=7&limit=5")
        await environment.link("main").set()
        assert "products" in await fetched(environment, "/products?category=7&limit=5")

        await environment.link("main").set(latency=milliseconds(300))
        status, text = await said(environment, "time -p psql -h storefront-db.internal -U store_app storefront -c ''")
        assert float(text.split("real")[1].split()[0]) > 0.3
    assert not list(folder.glob("kubeconfig-*"))


async def test_full_volumes_of_servers_and_of_pods_are_felt_and_undone_however_that_ends(
    substrate: Kind, tmp_path: Path
) -> None:
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed")
    async with substrate.environment(TOPOLOGY, run="a-run", folder=tmp_path) as environment:
        stage = Stage(environment, folder=tmp_path)

        async def room() -> bool:
            return await there_is_room(environment)

        injection = await check_fault(faults.FillDisk(database="main", leave_kb=64), stage, intact=room)
        assert injection.evidence["spilling"] == "53100"

        async def nothing_is_filled() -> bool:
            return '"filled": ""' in await fetched(environment, "/debug/strain")

        fault = kubernetes.FillDisk(workload="deployment/backend", path="/var/spool/shop")
        injection = await check_fault(fault, stage, intact=nothing_is_filled)
        assert injection.evidence["free_kb"] == 0
