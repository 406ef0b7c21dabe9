"""Workloads of a local environment, and how its operator restarts what runs there."""

# A test may wait for a small file or a short program.
# ruff: noqa: ASYNC240
import dataclasses
import os
import signal
from pathlib import Path

import pytest

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.topology import Role, Topology, Workload
from harness.model.units import SECOND, milliseconds
from harness.ports import Environment
from harness.substrates.local import workloads
from tests.substrates.conftest import ORDERS, Bring

pytestmark = pytest.mark.real

PROGRAM = """
import http.server, json, os, socket, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({name: os.environ.get(name) for name in sorted(os.environ)} | {"pid": os.getpid()}).encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
if os.environ.get("BROKEN"):
    sys.exit("it is broken")
Server((os.environ["HOST"], int(os.environ["PORT"])), Answer).serve_forever()
"""

IMAGE = """
command = ["{python}", "serve.py"]
ready = "/missing"
[env]
GREETING = "from the image"
COLOUR = "red"
"""

EDIT_AND_RESTART = """
sed -i 's/blue/green/' /srv/api/.env
echo 'export EXTRA="a b"' >> /srv/api/.env
sudo systemctl restart shop-api.service
service api status
"""

API = Workload(
    name="api",
    image="echo",
    port=8080,
    hosts=("api.prod.internal",),
    env=(("COLOUR", "blue"), ("DATABASE_URL", "postgresql://shop@db.prod.internal:5432/shop")),
    env_file="/srv/api/.env",
    aliases=("shop-api",),
)


@pytest.fixture(autouse=True)
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of the tests' own."""
    folder = tmp_path / "images" / "echo"
    folder.mkdir(parents=True)
    folder.joinpath("serve.py").write_text(PROGRAM)
    folder.joinpath("image.toml").write_text(IMAGE)
    monkeypatch.setattr(workloads, "images", lambda: folder.parent)
    monkeypatch.setattr("harness.substrates.local.bringing_up.images", lambda: folder.parent)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    return folder


def topology(**changes: object) -> Topology:
    return Topology("test-shop", workloads=(dataclasses.replace(API, **changes),))  # type: ignore[arg-type]


async def answers(environment: Environment, times: int = 1) -> list[dict[str, str]]:
    import json

    peer = environment.peer("api")
    script = "import sys,urllib.request as u\nfor _ in range(int(sys.argv[2])): print(u.urlopen(sys.argv[1]).read().decode())"
    done = await environment.run(
        [environment.python, "-c", script, f"http://{peer.host}:{peer.port}/", str(times)], timeout=20 * SECOND
    )
    assert done.ok, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_its_processes_stand_behind_one_address(isolation: str, bring: Bring) -> None:
    async with bring(topology(processes=3)) as environment:
        found = await answers(environment, 60)
        assert len(environment.service("api").pids) == 3
        assert {answer["WORKER"] for answer in found} == {"0", "1", "2"}
        assert len({answer["pid"] for answer in found}) == 3
        if isolation == "namespaces":
            assert environment.peer("api").host == "api.prod.internal"
            assert environment.peer("api").port == 8080


async def test_its_variables_come_from_image_topology_and_environment_file(isolation: str, bring: Bring) -> None:
    async with bring(topology()) as environment:
        (answer,) = await answers(environment)
    assert (answer["GREETING"], answer["COLOUR"], answer["SERVICE_NAME"]) == ("from the image", "blue", "api")
    assert "AWS_SECRET_ACCESS_KEY" not in answer


async def test_the_operator_edits_the_environment_file_and_restarts(namespaces: str, bring: Bring) -> None:
    async with bring(topology()) as environment:
        before = environment.service("api").pids
        done = await environment.operate(["bash", "-e", "-c", EDIT_AND_RESTART], timeout=20 * SECOND)
        assert done.ok, done.stderr
        assert done.stdout.startswith("api: active (running)")
        (answer,) = await answers(environment)
        assert (answer["COLOUR"], answer["EXTRA"], answer["HOST"]) == ("green", "a b", "127.0.2.1")
        assert not set(before) & set(environment.service("api").pids)


async def test_the_harness_restarts_it(isolation: str, bring: Bring) -> None:
    async with bring(topology()) as environment:
        service = environment.service("api")
        before = service.pids
        await service.restart()
        assert len(service.pids) == 2
        assert not set(before) & set(service.pids)


async def test_a_killed_process_is_missed(isolation: str, bring: Bring) -> None:
    async with bring(topology()) as environment:
        service = environment.service("api")
        victim, other = service.pids
        os.kill(victim, signal.SIGKILL)

        async def missed() -> bool | None:
            return True if service.pids == (other,) else None

        assert await until(missed, deadline=now() + 2 * SECOND)
        await service.restart()
        assert len(service.pids) == 2


async def test_one_that_fails_to_start_shows_its_log(isolation: str, bring: Bring) -> None:
    with pytest.raises(SubstrateError, match=r"(?s)api ended while it started.*it is broken"):
        async with bring(topology(env=(("BROKEN", "1"),))):
            raise AssertionError("it came up")


async def test_one_that_does_not_listen_is_given_up(
    namespaces: str, bring: Bring, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workloads, "PATIENCE_S", 0.5)
    image.joinpath("serve.py").write_text(
        "import time\nprint('busy', flush=True)\nimport threading; threading.Event().wait()"
    )
    with pytest.raises(SubstrateError, match=r"(?s)api is not ready after.*busy"):
        async with bring(topology()):
            raise AssertionError("it came up")


async def test_an_image_that_is_not_there_is_an_error_that_names_those_that_are(namespaces: str, bring: Bring) -> None:
    with pytest.raises(SubstrateError, match=r"image 'ecko': expected one of: echo"):
        async with bring(topology(image="ecko")):
            raise AssertionError("it came up")


async def test_an_image_with_an_unknown_key_is_refused(namespaces: str, bring: Bring, image: Path) -> None:
    image.joinpath("image.toml").write_text(IMAGE.replace("ready", "raedy"))
    with pytest.raises(SubstrateError, match=r"image.toml.*raedy"):
        async with bring(topology()):
            raise AssertionError("it came up")


async def test_the_operator_is_told_what_he_asked_wrongly(namespaces: str, bring: Bring) -> None:
    async with bring(topology()) as environment:
        unknown = await environment.operate(["service", "nginx", "restart"], timeout=5 * SECOND)
        nothing = await environment.operate(["systemctl", "daemon-reload"], timeout=5 * SECOND)
    assert (unknown.status, unknown.stdout) == (4, "nginx: unrecognized service\n")
    assert nothing.status == 2
    assert "expected a service and one of start" in nothing.stderr


async def test_the_operator_restarts_the_database(isolation: str, bring: Bring) -> None:
    async with bring(Topology("shop", databases=(ORDERS,))) as environment:
        before = environment.database("orders").pid
        done = await environment.operate(["sudo", "-n", "systemctl", "restart", "postgresql"], timeout=20 * SECOND)
        assert done.ok, done.stdout + done.stderr
        assert environment.database("orders").pid != before
        done = await environment.operate(["sudo", "-u", "postgres", "psql", "-Atc", "SELECT 1"], timeout=5 * SECOND)
        assert (done.stdout, done.stderr) == ("1\n", "")
        await environment.operate(["service", "postgresql", "stop"], timeout=20 * SECOND)
        done = await environment.operate(["systemctl", "status", "postgresql"], timeout=5 * SECOND)
        assert (done.status, done.stdout) == (3, "orders: inactive (dead), pids none\n")


async def test_a_program_of_ours_is_started_told_and_ended(isolation: str, bring: Bring, folder: Path) -> None:
    out = folder / "out"
    async with bring(Topology("bare")) as environment:
        script = "import os; print(os.getpid(), flush=True); print(input(), flush=True); input()"
        program = await environment.start([environment.python, "-c", script], stdout=out, stderr=folder / "err")
        assert program.returncode is None
        await program.send("hello")

        async def said() -> list[str] | None:
            lines = out.read_text().split()
            return lines if len(lines) == 2 else None

        lines = await until(said, deadline=now() + 5 * SECOND)
        assert lines
        assert lines[1] == "hello"
        assert Path(f"/proc/{program.pid}").exists()
        assert await program.wait(milliseconds(10)) is None
        assert await program.stop() == -2 or program.returncode == 1
        with pytest.raises(BrokenPipeError):
            await program.send("more")


async def test_programs_hear_ctrl_c_where_the_harness_was_started_deaf_to_it(
    isolation: str, bring: Bring, folder: Path
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        async with bring(Topology("bare")) as environment:
            program = await environment.start(["sleep", "60"], stdout=folder / "out", stderr=folder / "err")
            assert await program.stop() == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


async def test_ours_can_import_the_harness(isolation: str, bring: Bring) -> None:
    async with bring(Topology("bare")) as environment:
        done = await environment.run(
            [environment.python, "-c", "import harness.ports, psycopg, aiohttp"], timeout=20 * SECOND
        )
    assert (done.status, done.stderr) == (0, "")


async def test_a_workload_reaches_the_database_by_the_name_it_knows(isolation: str, bring: Bring) -> None:
    everything = Topology("shop", databases=(dataclasses.replace(ORDERS, owner=Role("shop", "pw")),), workloads=(API,))
    async with bring(everything) as environment:
        (answer,) = await answers(environment)
        peer = environment.peer("orders")
        expected = "db.prod.internal:5432" if isolation == "namespaces" else f"{peer.host}:{peer.port}"
        assert answer["DATABASE_URL"] == f"postgresql://shop@{expected}/shop"
        assert (answer["PGUSER"], answer["PGPASSWORD"], answer["PGDATABASE"]) == ("shop", "pw", "shop")


async def test_a_start_right_after_a_crash_starts_a_new_server(isolation: str, bring: Bring) -> None:
    async with bring(Topology("shop", databases=(ORDERS,))) as environment:
        for _ in range(3):
            before = environment.database("orders").pid
            pidfile = "$(psql -Atc 'SHOW data_directory')/postmaster.pid"
            script = f"kill -9 $(head -n1 {pidfile}); service postgresql start && psql -Atc 'SELECT 1'"
            done = await environment.operate(["bash", "-c", script], timeout=20 * SECOND)
            assert (done.stdout, done.stderr) == ("1\n", "")
            assert environment.database("orders").pid != before


async def test_a_start_while_it_stops_waits_and_starts_it_again(isolation: str, bring: Bring) -> None:
    async with bring(Topology("shop", databases=(ORDERS,))) as environment:
        before = environment.database("orders").pid
        script = "service postgresql stop & sleep 0.02; service postgresql start && wait && psql -Atc 'SELECT 1'"
        done = await environment.operate(["bash", "-c", script], timeout=20 * SECOND)
        assert (done.stdout, done.stderr) == ("1\n", "")
        assert environment.database("orders").pid != before


async def test_a_start_after_the_operator_ended_the_server_himself_starts_it_again(
    isolation: str, bring: Bring
) -> None:
    async with bring(Topology("shop", databases=(ORDERS,))) as environment:
        before = environment.database("orders").pid
        script = """
pidfile=$(psql -Atc 'SHOW data_directory')/postmaster.pid
kill -INT $(head -n1 $pidfile)
while grep -qs ready $pidfile; do :; done
service postgresql start && psql -Atc 'SELECT 1'
"""
        done = await environment.operate(["bash", "-c", script], timeout=20 * SECOND)
        assert (done.stdout, done.stderr) == ("1\n", "")
        assert environment.database("orders").pid != before


async def test_servers_yield_to_what_measures_them(isolation: str, bring: Bring, folder: Path) -> None:
    async with bring(Topology("shop", databases=(ORDERS,), workloads=topology().workloads)) as environment:
        ours = await environment.start(["sleep", "60"], stdout=folder / "out", stderr=folder / "err")
        servers = (environment.database("orders").pid, *environment.service("api").pids)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, ours.pid) == own
        assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in servers} == {own + 5}


async def test_a_program_that_ends_with_its_environment_leaves_nothing_open(
    isolation: str, bring: Bring, folder: Path
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with bring(Topology("bare")) as environment:
        program = await environment.start(["sleep", "60"], stdout=folder / "out", stderr=folder / "err")
    assert program.returncode == -signal.SIGKILL
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(BrokenPipeError):
        await program.send("more")
