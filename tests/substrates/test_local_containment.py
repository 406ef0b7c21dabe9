"""What a runbook's command cannot do to the machine it is drilled on, even where the harness is root."""

# A test may wait for a small file or a short program.
# ruff: noqa: ASYNC240
import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.model.units import SECOND, milliseconds
from harness.ports import Completed, Environment
from harness.running.following import lay_out
from harness.scenario import Operator
from tests.substrates.conftest import TOPOLOGY as WITH_DATABASE
from tests.substrates.conftest import Bring

pytestmark = pytest.mark.real

NOTHING = type(WITH_DATABASE)("bare")


async def sh(environment: Environment, text: str, **env: str) -> Completed:
    return await environment.operate(["bash", "-c", text], env=env, timeout=20 * SECOND)


COUNT = """
import pathlib, sys
lines = []
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        lines.append(path.read_bytes().split(b"\\0"))
    except OSError:
        pass
print(sum(line[:2] == [b"sleep", sys.argv[1].encode()] for line in lines))
"""


async def asleep(environment: Environment, mark: str) -> str:
    """How many processes sleep for that time."""
    done = await environment.run([environment.python, "-c", COUNT, mark], timeout=5 * SECOND)
    assert done.ok, done.stderr
    return done.stdout.strip()


@pytest.fixture
def listener() -> Iterator[int]:
    """A server of the host's that a runbook has no business with."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("the harness's own")
    return path


@pytest.mark.parametrize(
    "attempt",
    [
        "touch /usr/rundrill-was-here",
        "touch /usr/bin/rundrill-was-here",
        "mount -o remount,rw,bind /usr",
        "mount -t tmpfs none /srv",
        "unshare -Urm true",
        "unshare -Urm mount -o remount,rw,bind /usr",
        "unshare -Urpmf mount -t proc proc /proc",
        "umount /usr",
        "umount -l /proc",
        "mknod /tmp/sda b 8 0",
        "mknod /tmp/null c 1 3",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo x > /proc/sys/kernel/core_pattern",
        "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
        "test -s /proc/kcore",
        "chroot / true",
        "hostname other",
        "ip link set lo down",
        "nsenter -t 1 -m true",
        "ls /proc/1/root/",
        "cat /proc/1/environ",
        "su -c true nobody",
        "dmesg",
        "ls /sys/kernel",
        "stat /dev/kmsg /dev/mem /dev/sda",
        "ls /var/run/docker.sock",
        "date -s 2001-01-01",
    ],
)
async def test_it_is_refused(namespaces: str, bring: Bring, attempt: str) -> None:
    async with bring(NOTHING) as environment:
        done = await sh(environment, attempt)
    assert done.status, f"{attempt}: {done.stdout}{done.stderr}"


WITH_NAMESPACES_OF_ITS_OWN = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000 | 0x00020000) == 0, "user and mount namespaces"
def tried(name, result):
    print(name, "done" if result >= 0 else os.strerror(ctypes.get_errno()))
attr = ctypes.create_string_buffer((0).to_bytes(8, "little") + (1).to_bytes(8, "little") + bytes(16))
for place in (b"/usr", b"/proc", b"/usr/bin"):
    tried(f"remount {place}", libc.mount(b"none", place, b"", 0x1020, None))
    tried(f"setattr {place}", libc.syscall(442, -100, place, 0x8000, attr, 32))
    tried(f"umount {place}", libc.umount2(place, 2))
os.makedirs("/tmp/new", exist_ok=True)
tried("proc", libc.mount(b"proc", b"/tmp/new", b"proc", 0, None))
tried("sysfs", libc.mount(b"sysfs", b"/tmp/new", b"sysfs", 0, None))
tried("move", libc.mount(b"/usr", b"/tmp/new", b"", 8192, None))
tried("bind", libc.mount(b"/usr", b"/tmp/new", b"", 4096 | 16384, None))
try:
    open("/tmp/new/rundrill-was-here", "w")
    print("write done")
except OSError as error:
    print("write", error.strerror)
"""


async def test_namespaces_of_its_own_do_not_help(namespaces: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        done = await environment.operate(["python3", "-c", WITH_NAMESPACES_OF_ITS_OWN], timeout=5 * SECOND)
    results = dict(line.rsplit(" done", 1) for line in done.stdout.splitlines() if line.endswith(" done"))
    assert done.ok, done.stderr
    assert set(results) <= {"bind"}, done.stdout
    assert "write Read-only file system" in done.stdout or "write Permission denied" in done.stdout


async def test_it_has_no_capabilities_and_cannot_get_any(namespaces: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        status = (await sh(environment, "cat /proc/self/status")).stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["1000"] * 4


async def test_every_mount_of_the_host_is_read_only(namespaces: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        mounts = [line.split() for line in (await sh(environment, "cat /proc/self/mounts")).stdout.splitlines()]
    writable = {place: kind for _, place, kind, options, *_ in mounts if "rw" in options.split(",")}
    own = {place for place, kind in writable.items() if kind in {"tmpfs", "devpts"} and not place.startswith("/dev/")}
    assert own >= {"/", "/tmp", "/var/log", "/run", "/srv", "/home/operator", "/dev"}
    devices = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm", "/dev/pts"}
    assert set(writable) - own <= devices


async def test_the_hosts_files_are_not_there(namespaces: str, bring: Bring, secret: Path) -> None:
    homes = [str(Path.home() / name) for name in (".ssh", ".bashrc", ".cache")]
    async with bring(NOTHING) as environment:
        done = await sh(
            environment, f"cat {secret}; ls -A {' '.join(homes)} /home /root; cat /etc/shadow /etc/machine-id"
        )
    assert done.stdout.split() in (
        ["/home:", "operator"],
        ["/home:", "operator", "/root:"],
        ["/home:", "operator", "/root:", ".pyenv"],
    )
    assert "the harness's own" not in done.stdout


async def test_what_it_writes_stays_inside(namespaces: str, bring: Bring) -> None:
    name = f"rundrill-test-{os.getpid()}"
    places = ("/tmp", "/var/tmp", "/var/log", "/run", "/srv", "/etc", "/dev/shm", "~")
    async with bring(NOTHING) as environment:
        done = await sh(environment, "".join(f"touch {place}/{name} && " for place in places) + "rm -rf /tmp/* && ls ~")
        again = await sh(environment, f"ls /srv/{name}")
    assert done.stdout == f"{name}\n"
    assert again.status == 0
    assert not any(Path(place).expanduser().joinpath(name).exists() for place in places)


async def test_the_operators_files_are_in_its_home_and_its_programs_run(isolation: str, bring: Bring) -> None:
    files = {"ops/bin/greet.sh": "#!/bin/sh\necho hello $1\n", "notes.txt": "it's\n$HOME"}
    async with bring(NOTHING) as environment:
        await lay_out(environment, Operator(files=files))
        done = await sh(environment, "./ops/bin/greet.sh world && cat ~/notes.txt && test ! -x notes.txt")
    assert (done.status, done.stdout) == (0, "hello world\nit's\n$HOME")


async def test_processes_of_the_host_are_neither_seen_nor_signalled(namespaces: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        seen = await sh(environment, "ls /proc | grep -c '^[0-9]'")
        done = await sh(environment, f"kill -0 {os.getpid()}; kill -9 -1; true")
        assert (await sh(environment, "true")).ok, "the supervisor does not fall to its own children"
    assert int(seen.stdout) < 12
    assert done.status in {0, -9}


async def test_what_measures_is_neither_seen_nor_killed_by_the_operator(
    namespaces: str, bring: Bring, folder: Path
) -> None:
    async with bring(WITH_DATABASE) as environment:
        ours = await environment.start(["sleep", "1000"], stdout=folder / "out", stderr=folder / "err")
        seen = await sh(environment, "ps ax -o args; pkill -9 sleep; kill -9 -1; sleep 1")
        after = await environment.run(["ps", "ax", "-o", "args"], timeout=5 * SECOND)
        assert "postgres: checkpointer" in seen.stdout
        assert "sleep 1000" not in seen.stdout
        assert "sleep 1000" in after.stdout
        assert "postgres: checkpointer" not in after.stdout
        assert ours.returncode is None
        assert (await ours.stop()) == -2


async def test_listeners_of_the_host_cannot_be_reached(isolation: str, bring: Bring, listener: int) -> None:
    async with bring(NOTHING) as environment:
        done = await sh(environment, f"exec 3<>/dev/tcp/127.0.0.1/{listener}")
    assert done.status == 1
    assert "refused" in done.stderr or "denied" in done.stderr


async def test_it_has_only_the_environment_that_is_given(
    isolation: str, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the person who drills")
    async with bring(NOTHING) as environment:
        done = await sh(environment, "env; pwd; echo ~", GIVEN="yes")
    assert "AWS_SECRET" not in done.stdout
    assert "GIVEN=yes" in done.stdout
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert done.stdout.splitlines()[-2:] == [variables["HOME"]] * 2
    assert variables["TMPDIR"] != variables["HOME"]


async def test_what_it_leaves_in_the_background_ends_with_the_call(isolation: str, bring: Bring) -> None:
    mark = f"{os.getpid()}.25"
    async with bring(NOTHING) as environment:
        await sh(environment, f"sleep {mark} & setsid sleep {mark} & (setsid setsid nohup sleep {mark} &>/dev/null &)")
        left = await asleep(environment, mark)
    assert left == "0"


async def test_what_it_leaves_may_end_by_itself_at_the_same_moment(namespaces: str, bring: Bring) -> None:
    # At the end of the shell all of them read the end of what it held open, while they are looked for to be killed.
    script = "mkfifo p$$; for i in $(seq 60); do (cat p$$ &) done; exec 3>p$$; sleep 0.05"
    async with bring(NOTHING) as environment:
        for _ in range(12):
            assert (await environment.operate(["bash", "-c", script], timeout=10 * SECOND)).ok


async def test_at_the_time_limit_everything_it_started_is_killed(isolation: str, bring: Bring) -> None:
    mark = f"{os.getpid()}.5"
    async with bring(NOTHING) as environment:
        done = await environment.operate(
            ["bash", "-c", f"trap '' INT TERM; echo begun; setsid sleep {mark} & sleep {mark}; sleep {mark}"],
            timeout=milliseconds(200),
        )
        left = await asleep(environment, mark)
    assert (done.status, done.stdout) == (None, "begun\n")
    assert left == "0"


async def test_cancelling_kills_what_was_started(isolation: str, bring: Bring) -> None:
    mark = f"{os.getpid()}.75"
    async with bring(NOTHING) as environment:
        task = asyncio.create_task(sh(environment, f"sleep {mark} & sleep {mark}"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = await asleep(environment, mark)
    assert left == "0"


async def test_a_program_that_is_not_there_is_the_runbooks_trouble(isolation: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        done = await environment.operate(["no-such-program"], timeout=SECOND)
    assert done.status == 127
    assert "no-such-program" in done.stderr


async def test_a_command_costs_little(isolation: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        took = [(await environment.operate(["true"], timeout=SECOND)).took for _ in range(20)]
    assert min(took) < milliseconds(30)


async def test_a_hundred_kilobytes_of_script_and_of_output_pass(isolation: str, bring: Bring) -> None:
    text = "x" * 100_000
    async with bring(NOTHING) as environment:
        done = await environment.operate(["bash", "-c", f"cat; echo {text}"], stdin=text, timeout=5 * SECOND)
    assert done.stdout == f"{text}{text}\n"


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "{tmp}", "{home}"])
async def test_processes_isolation_writes_only_into_its_own_folder(
    processes: str, bring: Bring, tmp_path: Path, place: str
) -> None:
    target = Path(place.format(tmp=tmp_path, home=Path.home())) / f"rundrill-test-{os.getpid()}"
    tmp_path.chmod(0o777)
    async with bring(NOTHING) as environment:
        done = await sh(
            environment, f"touch {target}; touch ~/kept && touch $TMPDIR/kept && echo fine; ls {Path.home()}"
        )
    assert done.stdout == "fine\n"
    assert "ermission denied" in done.stderr
    assert not target.exists()


async def test_process_isolation_keeps_signals_in(processes: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        done = await sh(environment, f"kill -0 {os.getpid()}")
    assert done.status == 1
    assert "not permitted" in done.stderr


async def test_process_isolation_says_so_first(processes: str, bring: Bring) -> None:
    async with bring(NOTHING) as environment:
        assert environment.remarks[0].startswith("process isolation")
