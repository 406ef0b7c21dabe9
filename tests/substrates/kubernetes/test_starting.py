"""How clusters start: cold once, then from the template; and what is said when they cannot."""

from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.model.topology import Cluster, Topology
from harness.model.units import SECOND
from harness.substrates import manifests
from harness.substrates.local.bringing_up import environment
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.kubernetes import applying, binaries

pytestmark = [pytest.mark.real, pytest.mark.slow]

BARE = Topology("bare", cluster=Cluster("", "default"))

CRASHING = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec: { containers: [{ name: api, image: "api:1", imagePullPolicy: IfNotPresent }] }
"""


async def uid(up: LocalEnvironment, what: str) -> str:
    done = await up.operate(("kubectl", "get", what, "-o", "jsonpath={.metadata.uid}"), timeout=30 * SECOND)
    assert done.ok, done.stderr
    return done.stdout


def only_template(cache: Path) -> Path:
    (kept,) = cache.glob("kubernetes-*.tar")
    return kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rundrill"


async def test_a_second_cluster_starts_from_what_the_first_left_and_is_a_cluster_of_its_own(
    programs: binaries.Binaries, cache: Path, tmp_path: Path
) -> None:
    async with environment(BARE, run="test", folder=tmp_path) as up:
        first = await uid(up, "namespace/kube-system")
        made = await up.operate(("kubectl", "create", "configmap", "mine"), timeout=30 * SECOND)
        assert made.ok, made.stderr
    kept = only_template(cache)
    assert kept.stat().st_size < 5_000_000
    async with environment(BARE, run="test", folder=tmp_path) as up:
        assert await uid(up, "namespace/kube-system") == first
        mine = await up.operate(("kubectl", "get", "configmap", "mine"), timeout=30 * SECOND)
        assert "not found" in mine.stderr
        ready = await up.operate(("kubectl", "get", "nodes", "--no-headers"), timeout=30 * SECOND)
        assert ready.stdout.split()[:2] == ["rundrill-control-plane", "Ready"]


async def test_a_template_that_is_spoilt_is_made_again(
    programs: binaries.Binaries, cache: Path, tmp_path: Path
) -> None:
    async with environment(BARE, run="test", folder=tmp_path):
        pass
    kept = only_template(cache)
    kept.write_bytes(kept.read_bytes()[:20_000])
    async with environment(BARE, run="test", folder=tmp_path) as up:
        assert await uid(up, "namespace/kube-system")
    assert kept.stat().st_size > 20_000


async def test_pods_that_do_not_get_ready_are_named_with_the_end_of_their_logs(
    programs: binaries.Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = tmp_path / "stacks"
    (stacks / "site").mkdir(parents=True)
    (stacks / "site" / "api.yaml").write_text(CRASHING)
    table = stacks / "images.toml"
    table.write_text("""["api:1"]\ncommand = ["{python}", "-c", "raise SystemExit('no settings, no service')"]\n""")
    monkeypatch.setattr(manifests, "stacks", lambda: stacks)
    monkeypatch.setattr(applying, "PATIENCE", 8 * SECOND)
    topology = Topology("site", cluster=Cluster("site", "shop"))
    with pytest.raises(SubstrateError) as caught:
        async with environment(topology, run="test", folder=tmp_path, tables=(table,)):
            pass
    told = str(caught.value)
    assert "stack 'site' is not ready after 8 s" in told
    assert "pod api-" in told
    assert "no settings, no service" in told


async def test_a_manifest_that_kubectl_refuses_ends_it_with_kubectls_words(
    programs: binaries.Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = tmp_path / "stacks"
    (stacks / "site").mkdir(parents=True)
    (stacks / "site" / "10-wrong.yaml").write_text("apiVersion: v1\nkind: Sevice\nmetadata: { name: x }\n")
    monkeypatch.setattr(manifests, "stacks", lambda: stacks)
    with pytest.raises(SubstrateError, match=r'10-wrong.yaml.*no matches for kind "Sevice"'):
        async with environment(Topology("site", cluster=Cluster("site", "shop")), run="test", folder=tmp_path):
            pass
