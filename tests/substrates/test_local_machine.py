"""What the local substrate says it can do on a machine, and what to do about what it cannot."""

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import InputError, SubstrateError
from harness.model.topology import Topology
from harness.model.units import SECOND
from harness.ports import Capability
from harness.substrates.local import Local, bringing_up, layout, machine, wheels
from harness.substrates.local.layout import open_to_all
from tests.substrates.conftest import ORDERS, Bring

ROOT = Path(__file__).parents[2]


def test_namespaces_provide_everything_but_clusters(
    namespaces: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert set(Capability) - Local().provides == {Capability.KUBERNETES, Capability.DOCKER}
    assert Local().lacks(frozenset({Capability.POSTGRES, Capability.NAMES, Capability.VOLUMES})) == ()


def test_process_isolation_lacks_names_and_volumes_and_says_what_to_do(
    processes: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    switch = tmp_path / "max_user_namespaces"
    switch.write_text("0\n")
    monkeypatch.setattr(machine, "_SWITCHES", {str(switch): ("0", "sysctl -w user.max_user_namespaces=10000")})
    problems = Local().lacks(frozenset({Capability.NAMES, Capability.POSTGRES, Capability.VOLUMES}))
    remedy = "as root: sysctl -w user.max_user_namespaces=10000"
    assert [str(problem) for problem in problems] == [
        f"the local substrate cannot provide private host names here: it needs namespaces\n    {remedy}",
        f"the local substrate cannot provide size-limited volumes here: it needs namespaces\n    {remedy}",
    ]


def test_in_a_container_the_remedy_is_dockers(processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_SWITCHES", {})
    (problem,) = Local().lacks(frozenset({Capability.NAMES}))
    assert "--security-opt seccomp=unconfined" in problem.remedy


def test_without_landlock_there_is_no_contained_shell(processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.kernel, "landlock_version", lambda: 0)
    assert Capability.SHELL not in Local().provides
    (problem,) = Local().lacks(frozenset({Capability.SHELL}))
    assert "Landlock" in problem.message


def test_docker_needs_another_substrate_and_a_cluster_namespaces(processes: str) -> None:
    (docker,) = Local().lacks(frozenset({Capability.DOCKER}))
    assert docker.remedy == "choose another substrate"
    (cluster,) = Local().lacks(frozenset({Capability.KUBERNETES}))
    assert "namespaces" in cluster.message
    assert cluster.remedy == machine.namespaces_remedy()


def test_a_meaningless_isolation_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDRILL_ISOLATION", "magic")
    with pytest.raises(InputError, match="RUNDRILL_ISOLATION=magic: expected namespaces or processes"):
        _ = Local().provides


def test_an_isolation_that_the_machine_forbids_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDRILL_ISOLATION", "namespaces")
    monkeypatch.setattr(machine, "namespaces_allowed", lambda: False)
    with pytest.raises(InputError, match="this machine does not allow namespaces"):
        _ = Local().isolation


async def test_a_user_without_a_name_is_told_before_anything_starts(
    processes: str, bring: Bring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "own_user", lambda: None)
    assert Capability.POSTGRES not in Local().provides
    with pytest.raises(SubstrateError, match=r"(?s)has no entry in /etc/passwd.*>> /etc/passwd"):
        async with bring(Topology("bare")):
            raise AssertionError("it came up")
    assert os.listdir(folder) == []  # noqa: PTH208 - the same without waiting


async def test_a_temporary_folder_too_deep_for_sockets_is_told(
    processes: str, bring: Bring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing_up.tempfile, "tempdir", str(folder / ("x" * 100)))
    with pytest.raises(SubstrateError, match="set TMPDIR to a shorter one"):
        async with bring(Topology("bare")):
            raise AssertionError("it came up")


def test_free_ports_lie_below_those_that_clients_are_given() -> None:
    found = layout.free_ports(200)
    assert len(set(found)) == 200
    assert all(20000 <= port < 32000 for port in found)


def test_a_port_that_is_taken_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        taken = sock.getsockname()[1]
        monkeypatch.setattr(layout, "PORTS", range(taken, taken + 1))
        with pytest.raises(SubstrateError, match="expected 1 free ports"):
            layout.free_ports(1)


BACKUP_AND_RESTORE = """
pg_dump -h db.prod.internal -U shop shop > backup.sql
psql -q -h db.prod.internal -U shop shop -c 'DROP TABLE products'
psql -q -h orders-db.prod.svc -U ops shop < backup.sql > restore.log
psql -h db.prod.internal -U shop shop -Atc 'SELECT count(*) FROM products'
"""
"""As runbooks have it: host names of theirs, no port, and no password."""


@pytest.mark.real
async def test_runbooks_host_names_reach_the_only_server(isolation: str, bring: Bring) -> None:
    async with bring() as environment:
        done = await environment.operate(["bash", "-c", BACKUP_AND_RESTORE], timeout=20 * SECOND)
        told = "PostgreSQL's clients reach the server under any host name (PGHOSTADDR)" in environment.remarks
    assert (done.stdout, done.stderr) == ("2\n", "")
    assert told == (isolation == "processes")


@pytest.mark.real
async def test_of_two_servers_none_is_reached_under_a_name_that_may_be_the_others(processes: str, bring: Bring) -> None:
    other = dataclasses.replace(ORDERS, name="users", hosts=("users.prod.internal",))
    async with bring(Topology("two", databases=(ORDERS, other))) as environment:
        done = await environment.operate(
            ["psql", "-h", "users.prod.internal", "-U", "shop", "shop"], timeout=20 * SECOND
        )
        assert not any("PGHOSTADDR" in remark for remark in environment.remarks)
    assert "could not translate host name" in done.stderr


AS_NOBODY = """
import asyncio, sys
from pathlib import Path
from harness.model.units import SECOND
from harness.substrates.local import Local
from tests.substrates.conftest import TOPOLOGY

async def main():
    async with Local().environment(TOPOLOGY, run="nobody", folder=Path(sys.argv[1])) as environment:
        done = await environment.operate(
            ["bash", "-c", "psql -Atc 'SELECT count(*) FROM products'; kill -0 $1 || echo kept in", "-", sys.argv[2]],
            timeout=20 * SECOND,
        )
        print(environment.isolation, done.stdout.split())
        done = await environment.operate(["bash", "-c", sys.argv[3]], timeout=20 * SECOND)
        print(done.stdout.split(), done.stderr)

asyncio.run(main())
"""


@pytest.mark.real
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_a_user_without_privileges_can_drill(isolation: str, tmp_path: Path) -> None:
    python = next(filter(usable_by_nobody, (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3")), None)
    if python is None or not open_to_all(ROOT):
        pytest.skip("there is no Python here that nobody may run, or nobody may not read this folder")
    folder = Path(f"/tmp/rdn{os.getpid()}")
    for path in (folder, folder / "run", folder / "tmp"):
        path.mkdir(mode=0o700)
        os.chown(path, 65534, 65534)
    bystander = subprocess.Popen(["setpriv", *NOBODY, "sleep", "60"])
    try:
        done = subprocess.run(
            ["setpriv", *NOBODY, python, "-c", AS_NOBODY, folder / "run", str(bystander.pid), BACKUP_AND_RESTORE],
            env={
                "PATH": os.defpath,
                "HOME": str(folder),
                "TMPDIR": str(folder / "tmp"),
                "RUNDRILL_ISOLATION": isolation,
                "PYTHONPATH": os.pathsep.join((str(ROOT), *(path for path in sys.path if "site-packages" in path))),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == (f"{isolation} ['2', 'kept', 'in']\n['2'] \n", "")
        assert list((folder / "tmp").iterdir()) == []
    finally:
        bystander.kill()
        bystander.wait()
        subprocess.run(["rm", "-r", folder], check=True)


NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")


def usable_by_nobody(python: str) -> bool:
    """Whether it may run it, and our compiled packages fit it."""
    if not Path(python).exists() or not open_to_all(Path(python)):
        return False
    command = [python, "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


IN_TMP = """
import asyncio, os, sys
from pathlib import Path
from harness.model.topology import Topology, Workload
from harness.model.units import SECOND
from harness.substrates.local import Local
from harness.substrates.local.wheels import installation
from tests.substrates.conftest import ORDERS

EMPTY = "touch /tmp/x; for place in /tmp /var/tmp /srv /home/operator; do rm -rf $place/* || exit; ls $place; done; ls /home"
TOPOLOGY = Topology("shop", databases=(ORDERS,), workloads=(Workload("api", "shop", port=8080),))

async def main():
    assert installation().is_relative_to("/tmp"), installation()
    links = frozenset({"orders"})
    async with Local().environment(TOPOLOGY, run="moved", folder=Path(sys.argv[1]), links=links) as environment:
        done = await environment.operate(["bash", "-c", EMPTY], timeout=5 * SECOND)
        print(done.status, done.stdout.split(), done.stderr)
        done = await environment.operate(["psql", "-Atc", "SELECT count(*) FROM products"], timeout=5 * SECOND)
        print(done.stdout.split(), done.stderr)
        done = await environment.operate(["service", "api", "restart"], timeout=20 * SECOND)
        print(done.status, done.stdout, done.stderr)
        program = "import harness.ports, psycopg; print(harness.__file__)"
        done = await environment.run([environment.python, "-c", program], timeout=20 * SECOND)
        print(done.stdout.strip(), done.stderr)

asyncio.run(main())
"""


@pytest.mark.real
@pytest.mark.parametrize("base", [False, True], ids=["environment", "python"])
def test_a_clone_and_python_in_tmp_stay_out_of_what_a_runbook_empties(
    namespaces: str, tmp_path: Path, base: bool
) -> None:
    clone, python = tmp_path / "clone", tmp_path / "python"
    shutil.copytree(ROOT / "harness", clone / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "clusters", clone / "clusters", ignore=shutil.ignore_patterns("__pycache__"))
    if base:  # the Python itself, with the standard library it needs
        python.mkdir()
        libraries = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
        left_out = shutil.ignore_patterns("__pycache__", "test", "site-packages", "idlelib", "ensurepip", "config-*")
        shutil.copytree(Path(sys.base_prefix) / libraries, python / libraries, ignore=left_out)
        for library in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
            shutil.copy(library, python / "lib")
        (python / "bin").mkdir()
        shutil.copy(Path(sys.executable).resolve(), python / "bin" / "python3")
    origin = python / "bin" / "python3" if base else Path(sys.executable).resolve()
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {origin.parent}\n")
    (tmp_path / "venv" / "bin" / "python3").symlink_to(origin)
    packages = tmp_path / "venv" / "lib" / "python3" / "site-packages"
    installed = wheels.installation()
    assert installed
    wheel = installed.parent
    shutil.copytree(wheel, packages / wheel.name, ignore=shutil.ignore_patterns("include"))
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), packages / f"{wheel.name}.libs")
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python3", "-c", IN_TMP, tmp_path],
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "RUNDRILL_ISOLATION": "namespaces",
            "PYTHONPATH": os.pathsep.join((str(clone), str(packages), *layout.packages(), str(ROOT))),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    inside = f"/rundrill/host{clone}/harness/__init__.py"
    assert (done.stdout, done.stderr) == (f"0 ['operator'] \n['2'] \n0  \n{inside} \n", "")
