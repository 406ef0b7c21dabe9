"""The environment's Docker socket in front of a real daemon, used by the real docker and docker-compose as runbooks use them."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.execution import run
from harness.model.units import SECOND
from harness.ports import Completed
from harness.substrates.docker_proxy.serving import serve

DAEMON = Path("/var/run/docker.sock")
IMAGE = os.environ.get("RUNDRILL_TEST_IMAGE", "busybox:latest")
ENVIRONMENT = f"k-test-{os.getpid()}"


def missing() -> str:
    if not shutil.which("docker"):
        return "no docker program on the PATH"
    if not DAEMON.is_socket():
        return f"no Docker daemon at {DAEMON}"
    return ""


pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]


@dataclass
class Docker:
    """docker and docker-compose, through a socket."""

    socket: Path
    home: Path

    async def __call__(self, *args: str, stdin: str = "", program: str = "docker", timeout: int = 60) -> Completed:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DOCKER_HOST": f"unix://{self.socket}",
            "COMPOSE_PROJECT_NAME": ENVIRONMENT,
            "DOCKER_BUILDKIT": "0",
        }
        return await run((program, *args), env=env, cwd=self.home, stdin=stdin, timeout=timeout * SECOND)

    async def said(self, *args: str, stdin: str = "", program: str = "docker") -> str:
        done = await self(*args, stdin=stdin, program=program)
        assert done.status == 0, done
        return done.stdout.strip()

    async def refused(self, *args: str, program: str = "docker") -> str:
        done = await self(*args, program=program)
        assert done.status not in {0, None}, done
        return done.stderr.strip()


@pytest.fixture
async def real(tmp_path) -> AsyncIterator[Docker]:
    """The daemon itself; what bears the environment's label is removed in the end."""
    docker = Docker(DAEMON, tmp_path)
    if (await docker("image", "inspect", IMAGE)).status != 0:
        pytest.skip(f"no image {IMAGE} here (RUNDRILL_TEST_IMAGE names another)")
    mark = f"label=rundrill.environment={ENVIRONMENT}"
    await docker.said(
        "network", "create", "--label", mark.removeprefix("label="), "--label", "rundrill.run=r", ENVIRONMENT
    )
    try:
        yield docker
    finally:
        for kind, remove in (("ps -aq", "rm -fv"), ("network ls -q", "network rm"), ("volume ls -q", "volume rm")):
            found = (await docker.said(*kind.split(), "--filter", mark)).split()
            if found:
                await docker.said(*remove.split(), *found)


@pytest.fixture
async def docker(real, tmp_path) -> AsyncIterator[Docker]:
    """The environment's own."""
    path = tmp_path / "docker.sock"
    async with serve(path, docker=DAEMON, environment=ENVIRONMENT, project=ENVIRONMENT, network=ENVIRONMENT):
        yield Docker(path, tmp_path)


@pytest.fixture
async def web(docker) -> str:
    """A container of the environment's, made through its socket."""
    return await docker.said("run", "-d", "--name", f"{ENVIRONMENT}-web", IMAGE, "sh", "-c", "echo ready; sleep 600")


@pytest.fixture
async def foreign(real) -> AsyncIterator[str]:
    """A container of somebody else's."""
    name = f"foreign-{os.getpid()}"
    await real.said("run", "-d", "--name", name, IMAGE, "sleep", "600")
    try:
        yield name
    finally:
        await real.said("rm", "-f", name)


async def inspected(docker: Docker, name: str) -> dict:
    return json.loads(await docker.said("inspect", name))[0]


async def test_what_is_made_is_the_environments_and_in_its_network(docker, real, web):
    seen = await inspected(real, web)
    assert seen["Config"]["Labels"]["rundrill.environment"] == ENVIRONMENT
    assert seen["Config"]["Labels"]["rundrill.run"] == "r"
    assert list(seen["NetworkSettings"]["Networks"]) == [ENVIRONMENT]


async def test_what_runbooks_do_to_a_container_works_as_without_the_proxy(docker, web):
    name = f"{ENVIRONMENT}-web"
    assert name in await docker.said("ps", "--format", "{{.Names}}")
    assert await docker.said("logs", "--tail", "100", name) == "ready"
    assert "sleep 600" in await docker.said("top", name)
    assert name in await docker.said("stats", "--no-stream", name)
    before = (await inspected(docker, name))["State"]["StartedAt"]
    assert await docker.said("restart", "-t", "0", web[:12]) == web[:12]
    assert (await inspected(docker, name))["State"]["StartedAt"] != before
    await docker.said("pause", name)
    assert (await inspected(docker, name))["State"]["Status"] == "paused"
    await docker.said("unpause", name)
    await docker.said("kill", name)
    assert (await inspected(docker, name))["State"]["ExitCode"] == 137
    await docker.said("start", name)
    await docker.said("stop", "-t", "0", name)
    assert await docker.said("wait", name) == "137"
    await docker.said("rm", name)
    assert await docker.said("ps", "-aq") == ""


async def test_commands_in_a_container_have_their_input_output_and_exit_code(docker, web):
    assert await docker.said("exec", web, "echo", "hello") == "hello"
    text = "".join(f"line {number}\n" for number in range(20_000))
    done = await docker("exec", "-i", web, "cat", stdin=text)
    assert (done.status, done.stdout) == (0, text)
    done = await docker("exec", web, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.status, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert await docker.said("run", "-i", "--rm", IMAGE, "cat", stdin="once\n") == "once"
    assert "privileged" in (await docker.refused("exec", "--privileged", web, "id")).lower()


async def test_files_are_copied_both_ways(docker, web, tmp_path):
    (tmp_path / "in.txt").write_text("x" * 300_000)
    await docker.said("cp", str(tmp_path / "in.txt"), f"{web}:/tmp/there.txt")
    await docker.said("cp", f"{web}:/tmp/there.txt", str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_text() == "x" * 300_000
    assert "No such container:path" in await docker.refused("cp", f"{web}:/nothing", "-")
    assert "o such" in await docker.refused("cp", str(tmp_path / "in.txt"), f"{web}:/nothing/of/the/kind/")
    assert await _put(docker.socket, web, "/nothing/of/the/kind", size=30 << 20) == 404


async def _put(socket: Path, container: str, path: str, *, size: int) -> int:
    """The status that an archive of that size is answered with, sent whether or not anybody listens."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    head = f"PUT /containers/{container}/archive?path={path} HTTP/1.1\r\nHost: d\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode())
    with suppress(ConnectionError):
        for _ in range(size >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()
    async with asyncio.timeout(20):
        status = (await reader.readline()).split(b" ")[1]
    writer.close()
    return int(status)


async def test_logs_are_followed_until_the_client_goes(docker, real, web):
    done = await docker("logs", "-f", web, timeout=3)
    assert (done.status, done.stdout) == (None, "ready\n")
    follower = asyncio.create_task(docker("logs", "-f", web))
    await asyncio.sleep(0.5)
    await real.said("kill", web)
    assert (await follower).status == 0


async def test_events_are_those_of_the_environment(docker, real, web, foreign):
    watching = asyncio.create_task(docker("events", "--format", "{{.Action}} {{.Actor.Attributes.name}}", timeout=4))
    await asyncio.sleep(1)
    await real.said("kill", foreign)
    await real.said("kill", web)
    assert set((await watching).stdout.split("\n")) >= {f"kill {ENVIRONMENT}-web", f"die {ENVIRONMENT}-web"}
    assert foreign not in (await watching).stdout


async def test_somebody_elses_container_is_not_there(docker, real, foreign):
    for command in ("rm", "kill", "stop", "restart", "inspect", "logs", "pause", "start", "top", "wait"):
        assert "No such" in await docker.refused(*command.split(), foreign)
    assert "No such container" in await docker.refused("exec", foreign, "id")
    for option in (f"--network=container:{foreign}", f"--pid=container:{foreign}", f"--volumes-from={foreign}"):
        said = await docker.refused("run", "--rm", option, IMAGE, "id")
        assert f"refused by the drill: there is no container {foreign} in this environment" in said
    said = await docker.refused("run", "--rm", "--network=bridge-of-others", IMAGE, "id")
    assert "there is no network bridge-of-others in this environment" in said
    identity = (await inspected(real, foreign))["Id"]
    for name in (identity, identity[:8]):
        assert "No such" in await docker.refused("kill", name)
        assert "No such" in (await docker("rm", "-f", name)).stderr
    assert (await inspected(real, foreign))["State"]["Running"]
    assert foreign not in await docker.said("ps", "-a")
    assert "bridge" not in await docker.said("network", "ls", "--format", "{{.Name}}")
    assert "No such network" in await docker.refused("network", "inspect", "bridge")


REACHING = (
    ("system prune -af --volumes", "prune reaches beyond this environment"),
    ("container prune -f", "prune reaches beyond this environment"),
    ("volume prune -f", "prune reaches beyond this environment"),
    ("network prune -f", "prune reaches beyond this environment"),
    ("image prune -af", "prune reaches beyond this environment"),
    (f"pull {IMAGE}", "a drill fetches no images"),
    (f"rmi {IMAGE}", "images are shared with what is beyond this environment"),
    (f"tag {IMAGE} other", "images are shared with what is beyond this environment"),
    ("system df", "disk usage is that of the whole machine"),
    ("swarm init", "there is no swarm"),
    (f"run --rm --privileged {IMAGE} id", "HostConfig.Privileged would reach beyond this environment"),
    (f"run --rm -v /:/host {IMAGE} ls /host", "a folder of the host would reach beyond this environment"),
    (f"run --rm --mount type=bind,src=/,dst=/host {IMAGE} id", "would reach beyond this environment"),
    (f"run --rm --pid host {IMAGE} id", "HostConfig.PidMode=host would reach beyond"),
    (f"run --rm --network host {IMAGE} id", "HostConfig.NetworkMode=host would reach beyond"),
    (f"run --rm --cap-add SYS_ADMIN {IMAGE} id", "HostConfig.CapAdd would reach beyond"),
    (f"run --rm --device /dev/null {IMAGE} id", "HostConfig.Devices would reach beyond"),
    (f"run --rm --security-opt seccomp=unconfined {IMAGE} id", "would reach beyond this environment"),
    (f"run --rm --label com.docker.compose.project=other {IMAGE} id", "the compose project other is another one"),
    ("volume create --opt type=none --opt o=bind --opt device=/ v", "would reach beyond this environment"),
    ("network create --driver macvlan n", "would reach beyond this environment"),
    (f"network rm {ENVIRONMENT}", "is what the drill measures by"),
)
"""Commands that reach beyond the environment, and what docker is told."""


async def test_what_reaches_beyond_the_environment_is_refused_with_the_reason(docker):
    said = {command: await docker.refused(*command.split()) for command, _ in REACHING}
    wrong = {command: said[command] for command, why in REACHING if why not in said[command]}
    assert wrong == {}
    assert [command for command in said if "refused by the drill: " not in said[command]] == []


async def test_volumes_of_the_environment_are_mounted_and_no_others(docker, real):
    ours, theirs = f"{ENVIRONMENT}-v", f"foreign-v-{os.getpid()}"
    await real.said("volume", "create", theirs)
    try:
        await docker.said("volume", "create", ours)
        await docker.said("run", "--rm", "-v", f"{ours}:/d", IMAGE, "sh", "-c", "echo kept > /d/file")
        assert await docker.said("run", "--rm", "-v", f"{ours}:/d:ro", IMAGE, "cat", "/d/file") == "kept"
        assert await docker.said("volume", "ls", "-q") == ours
        assert "o such volume" in await docker.refused("volume", "rm", theirs)
        for command in (f"run --rm -v {theirs}:/d {IMAGE} id", f"volume create {theirs}"):
            assert f"there is no volume {theirs} in this environment" in await docker.refused(*command.split())
        await docker.said("volume", "rm", ours)
    finally:
        await real.said("volume", "rm", theirs)


async def test_a_published_port_is_on_this_machine_alone(docker, real):
    made = await docker.said("run", "-d", "-p", "0.0.0.0::80", IMAGE, "sleep", "60")
    bound = (await inspected(real, made))["HostConfig"]["PortBindings"]["80/tcp"]
    assert [each["HostIp"] for each in bound] == ["127.0.0.1"]


async def test_nothing_is_served_when_the_environment_is_gone(real, tmp_path):
    path = tmp_path / "s"
    async with serve(path, docker=DAEMON, environment=ENVIRONMENT, project=ENVIRONMENT, network=ENVIRONMENT):
        made = await Docker(path, tmp_path).said("run", "-d", IMAGE, "sleep", "60")
        follower = asyncio.create_task(Docker(path, tmp_path)("logs", "-f", made))
        await asyncio.sleep(0.5)
    async with asyncio.timeout(5):
        await follower
    assert not path.exists()
    assert "daemon running" in await Docker(path, tmp_path).refused("ps")


COMPOSE = f"""
version: "2.4"
services:
  api:
    image: {IMAGE}
    command: sh -c 'echo "pool $$POOL"; trap exit TERM; while true; do sleep 0.1; done'
    environment: ["POOL=${{POOL:-5}}"]
    depends_on: [db]
    ports: ["80"]
  db:
    image: {IMAGE}
    command: sh -c 'trap exit TERM; while true; do sleep 0.1; done'
    volumes: ["data:/data"]
volumes:
  data: {{}}
"""


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose on the PATH")
async def test_compose_brings_up_scales_restarts_and_takes_down_the_environments_project(
    docker, real, foreign, tmp_path
):
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)

    async def compose(*args: str) -> str:
        return await docker.said(*args, program="docker-compose")

    async def names() -> set[str]:
        return set((await docker.said("ps", "--format", "{{.Names}}")).split())

    await compose("up", "-d")
    assert len(await names()) == 2
    assert "Up" in await compose("ps")
    await compose("up", "-d", "--scale", "api=2")
    assert len(await names()) == 3
    assert "pool 5" in await compose("logs", "api")
    assert await compose("exec", "-T", "db", "echo", "inside") == "inside"
    await compose("restart", "-t", "1", "api")
    (tmp_path / ".env").write_text("POOL=20\n")
    await compose("up", "-d", "-t", "1")
    assert "pool 20" in await compose("logs", "api")
    for name in await names():
        seen = await inspected(real, name)
        assert seen["Config"]["Labels"]["rundrill.environment"] == ENVIRONMENT
        assert all(network.startswith(ENVIRONMENT) for network in seen["NetworkSettings"]["Networks"])
    await compose("stop", "-t", "1", "api")
    await compose("start", "api")
    await compose("down", "-v", "-t", "1")
    assert await names() == set()
    assert await docker.said("volume", "ls", "-q") == ""
    assert foreign in await real.said("ps", "--format", "{{.Names}}")


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose on the PATH")
async def test_compose_of_another_project_is_refused(docker, tmp_path):
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    said = await docker.refused("-p", "other", "up", "-d", program="docker-compose")
    assert f"the compose project other is another one; this environment's is {ENVIRONMENT}" in said
