"""How clusters start: cold once, then from the template; and what is said when they cannot."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from harness.clock import now
from harness.errors import SubstrateError
from harness.model.topology import Cluster, Topology
from harness.model.units import SECOND
from harness.substrates import manifests
from harness.substrates.local.bringing_up import environment
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.kubernetes import applying, binaries
from harness.substrates.local.kubernetes.applying import Applying
from harness.substrates.local.kubernetes.connection import connect

pytestmark = [pytest.mark.real, pytest.mark.slow]

BARE = Topology("bare", cluster=Cluster("", "default"))

DEPLOYMENT = """
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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bare(
    programs_of_the_module: binaries.Binaries, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalEnvironment]:
    """A cluster for stacks that do not come up: each is deleted before the next."""
    folder = tmp_path_factory.mktemp("bare")
    table = folder / "images.toml"
    table.write_text("""["api:1"]\ncommand = ["{python}", "-c", "raise SystemExit('no settings, no service')"]\n""")
    async with environment(BARE, run="test", folder=folder, tables=(table,)) as up:
        yield up


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stack `site`."""
    monkeypatch.setattr(manifests, "stacks", lambda: tmp_path)
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


async def trouble(up: LocalEnvironment) -> str:
    """What is said when that stack is applied."""
    site = up.cluster._site
    api, _ = await connect(site)
    with pytest.raises(SubstrateError) as caught:
        await Applying(site, api, Cluster("site", "default")).stack()
    await up.operate(("kubectl", "delete", "deployments", "--all", "--now"), timeout=30 * SECOND)
    return str(caught.value)


@pytest.mark.asyncio(loop_scope="module")
async def test_pods_that_do_not_get_ready_are_named_with_the_end_of_their_logs(
    bare: LocalEnvironment, stacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stacks / "api.yaml").write_text(DEPLOYMENT)
    monkeypatch.setattr(applying, "PATIENCE", 6 * SECOND)
    told = await trouble(bare)
    assert "stack 'site' is not ready after 6 s" in told
    assert "pod api-" in told
    assert "no settings, no service" in told


@pytest.mark.asyncio(loop_scope="module")
async def test_an_image_that_nobody_has_is_told_at_once_with_its_name_and_the_remedy(
    bare: LocalEnvironment, stacks: Path
) -> None:
    (stacks / "api.yaml").write_text(DEPLOYMENT.replace("api:1", "api:9"))
    begun = now()
    told = await trouble(bare)
    assert now() - begun < 15 * SECOND
    assert "stack 'site': the image api:9 of pod api-" in told
    assert "cannot be had (ErrImagePull: " in told or "cannot be had (ImagePullBackOff: " in told
    assert "say what it is in an image.toml" in told


@pytest.mark.asyncio(loop_scope="module")
async def test_a_manifest_that_kubectl_refuses_ends_it_with_kubectls_words(
    bare: LocalEnvironment, stacks: Path
) -> None:
    (stacks / "10-wrong.yaml").write_text("apiVersion: v1\nkind: Sevice\nmetadata: { name: x }\n")
    told = await trouble(bare)
    assert "10-wrong.yaml" in told
    assert 'no matches for kind "Sevice"' in told
