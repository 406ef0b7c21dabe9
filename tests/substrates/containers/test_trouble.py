"""Trouble with Docker is told in words, with the remedy, in bounded time, and leaves nothing behind."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness import extensions
from harness.clock import now
from harness.errors import InputError, SubstrateError
from harness.faults.server import session
from harness.model.topology import Topology
from harness.model.units import seconds
from harness.ports import Capability
from harness.substrates.containers import Containers
from tests.faults.conftest import API, DATABASE
from tests.substrates.containers.conftest import Bring, there

pytestmark = pytest.mark.real

docker = pytest.importorskip("docker", reason="the extra `containers` is not installed")


@pytest.fixture
def asked_anew(namespaces: str) -> Iterator[None]:
    """Whether there is Docker is asked once a process: not here. Without namespaces it would not be asked at all."""
    from harness.substrates.containers import daemon

    daemon.trouble.cache_clear()
    yield
    daemon.trouble.cache_clear()


def said(substrate: Containers) -> str:
    (problem,) = substrate.lacks(frozenset({Capability.POSTGRES}))
    return str(problem)


def test_it_is_chosen_by_name() -> None:
    assert extensions.substrate("containers").name == "containers"


def test_without_docker_it_provides_nothing_and_says_why(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert Containers().provides == frozenset()
    assert "no Docker daemon answers" in said(Containers())
    assert "start Docker" in said(Containers())


def test_a_daemon_that_is_silent_is_not_waited_for(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent.sock")
        assert "is silent" in said(Containers())


def test_where_not_even_containers_can_be_had_that_is_why_there_is_no_kind(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    substrate = extensions.substrate("kind")
    assert substrate.provides == frozenset()
    (problem,) = substrate.lacks(frozenset({Capability.KUBERNETES}))
    assert "no Docker daemon answers" in str(problem)
    assert "start Docker" in str(problem)


def test_a_daemon_elsewhere_is_refused(asked_anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert "expected a daemon of this machine" in said(Containers())


async def test_an_image_that_cannot_be_had_is_named_with_the_setting(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNDRILL_IMAGES_POSTGRES", "registry.invalid/no/postgres:0")
    with pytest.raises(SubstrateError, match="is not there and cannot be pulled") as caught:
        async with bring():
            pytest.fail("it came up")
    assert "RUNDRILL_IMAGES_POSTGRES" in str(caught.value)
    assert not [one for one in there() if "containers-" in one]


async def test_a_disk_without_room_is_told_with_what_needs_it_before_anything_is_made(
    bring: Bring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNDRILL_DOCKER_SPARE_MB", str(10**9))
    monkeypatch.setenv("RUNDRILL_IMAGES_POSTGRES", "registry.invalid/no/postgres:0")
    with pytest.raises(SubstrateError, match=r"Docker's disk .*: expected 1000000\d+ MiB free \(") as caught:
        async with bring():
            pytest.fail("it came up")
    assert "the image registry.invalid/no/postgres:0 600, 3 containers 96, to spare 1000000000" in str(caught.value)
    assert not os.listdir(tmp_path)  # noqa: PTH208 - an async function
    assert not [one for one in there() if "containers-" in one]


def test_a_setting_that_means_nothing_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.substrates.containers import settings

    monkeypatch.chdir(tmp_path)
    (tmp_path / "rundrill.toml").write_text('[images]\npostgres = "postgres:16"\n')
    assert settings.images().postgres == "postgres:16"
    assert settings.images().python == "python:3.13-slim"
    monkeypatch.setenv("RUNDRILL_IMAGES_POSTGRES", "postgres:15")
    assert settings.images().postgres == "postgres:15"
    (tmp_path / "rundrill.toml").write_text("[images]\npostgre = 1\n")
    with pytest.raises(InputError, match=r"rundrill.toml:1: .*postgre"):
        settings.images()


async def test_a_build_that_fails_shows_the_end_of_its_log(containers: Containers, tmp_path: Path) -> None:
    from harness.substrates.containers import daemon, images

    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        "ARG PYTHON=none\nFROM $PYTHON\nRUN echo the last thing that it said && exit 7\n"
    )
    client = daemon.client()
    try:
        with pytest.raises(SubstrateError, match="the last thing that it said") as caught:
            await images.built(client, folder, python="python:3.13-slim")
    finally:
        client.close()
    assert "returned a non-zero code: 7" in str(caught.value)
    assert str(folder / "Dockerfile") in str(caught.value)


async def test_a_port_that_is_taken_is_told_from_other_trouble(containers: Containers) -> None:
    from harness.substrates.containers import daemon
    from harness.substrates.containers.settings import images

    client = daemon.client()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = client.containers.create(
            images().postgres, ports={"5432/tcp": ("127.0.0.1", taken.getsockname()[1])}, network_mode="bridge"
        )
        try:
            with pytest.raises(daemon.PortTakenError, match="a container"):
                await daemon.do("a container", made.start)
        finally:
            made.remove(force=True, v=True)
            client.close()


async def test_a_volume_that_is_too_small_is_found_out_and_leaves_nothing(bring: Bring) -> None:
    topology = Topology("store", databases=(replace(DATABASE, volume_mb=20),))
    with pytest.raises(SubstrateError, match=r"No space left on device|do not fit"):
        async with bring(topology):
            pytest.fail("it came up")
    assert not [one for one in there() if "containers-" in one]


@pytest.mark.slow
async def test_a_standby_streams_from_its_primary(bring: Bring) -> None:
    topology = Topology("store", databases=(replace(DATABASE, standbys=1),))
    async with bring(topology) as environment:
        async with session(environment.database("main")) as primary:
            await primary.ask("CREATE TABLE streamed AS SELECT 42 AS answer")
            assert await primary.number("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 1
            lsn = str((await primary.ask("SELECT pg_current_wal_lsn()::text"))[0][0])
        async with session(environment.database("main-standby-1"), within=seconds(20)) as standby:
            deadline = now() + seconds(20)
            while not await standby.number(f"SELECT (pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn)::int"):
                assert now() < deadline
            assert await standby.number("SELECT answer FROM streamed") == 42
            assert await standby.number("SELECT pg_is_in_recovery()::int") == 1


@pytest.mark.slow
async def test_the_operator_has_compose_and_docker_of_this_environment_alone(
    bring: Bring, containers: Containers
) -> None:
    if not (containers.tool("docker") and containers.tool("docker-compose")):
        pytest.skip("docker and docker-compose are not installed below /usr or /opt")
    api = replace(API, env_file="/home/operator/.env")
    topology = Topology("store", databases=(DATABASE,), workloads=(api,))
    async with bring(topology) as environment:

        async def shell(text: str) -> tuple[int | None, str]:
            done = await environment.operate(("bash", "-c", text), timeout=seconds(90))
            return done.status, done.stdout + done.stderr

        assert (await shell("docker ps --format '{{.Names}}' | grep -c ."))[1].strip() == "3"
        status, text = await shell("docker-compose up -d")
        assert status == 0
        assert "is up-to-date" in text or "Running" in text
        assert "Recreat" not in text
        await shell("sed -i 's/^DATABASE_POOL_SIZE=.*/DATABASE_POOL_SIZE=7/' .env")
        assert (await shell("docker-compose restart api"))[0] == 0
        health = "curl -fsS --retry 20 --retry-delay 1 --retry-all-errors http://api:8000/health"
        assert '"pool_max": 2' in (await shell(health))[1]  # what a container is told, it is told when it is made
        status, text = await shell("docker-compose up -d")
        assert status == 0
        assert "Recreat" in text
        assert '"pool_max": 7' in (await shell(health))[1]
        assert (await shell("service api restart"))[0] == 0
        assert '"pool_max": 7' in (await shell(health))[1]
        assert (await shell("docker-compose exec -T main pg_isready"))[0] == 0
        status, text = await shell("docker compose ps")  # whichever of the two is installed
        assert (status, "main" in text) == (0, True), text
        assert (await shell("docker run --rm -v /:/host postgres:17 ls /host"))[0] != 0
        assert (await shell("docker system prune -af"))[0] != 0
