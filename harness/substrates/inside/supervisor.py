"""The first process of a local environment: starts programs and servers on request, reaps, and takes all with it.

It lives as long as the harness holds the other end of its control socket, and not one moment longer. In namespaces it is
pid 1, so that the kernel ends the rest; in process isolation a parent of the same program does (`guarded`).
"""

# The standard library's slow modules are avoided: pathlib alone costs more than all the rest of the start.
# ruff: noqa: PTH100, PTH101, PTH102, PTH103, PTH116, PTH123, S103
import array
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Generator, Sequence
from typing import NoReturn, TypedDict

sys.path.insert(0, os.path.abspath(__file__).rsplit("/harness/", 1)[0])

from harness.substrates.inside import kernel, landlock, root
from harness.substrates.inside.services import Service, Spec, Wait
from harness.substrates.inside.spawn import Confinement, PidNamespaces, Program, Starter, StartError

LARGEST = 1 << 20
TICK_S = 0.004
SWEEP_S = 1.0
DONE = object()


class Boot(TypedDict):
    """The first request: what to become. `root` is None in process isolation."""

    root: root.Plan | None
    socket: str
    writable: Sequence[str]
    confinement: Confinement


class Request(TypedDict, total=False):
    """What the harness asks for; `id` comes back in the answer. A start comes with three descriptors, its standard ones."""

    id: int
    do: str
    program: Program
    pid: int
    number: int
    sweep: bool
    service: Spec
    name: str
    verb: str


class Running(TypedDict):
    """A program that the harness waits for."""

    id: int
    sweep: bool


class Supervisor:
    """Serves one control socket until it ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._starter: Starter
        self._proc = -1
        self._adopter = os.getpid()
        self._running: dict[int, Running] = {}
        self._services: dict[str, Service] = {}
        self._jobs: list[Generator[None, None, None]] = []

    def boot(self) -> None:
        """Become what the first request says, and serve from then on."""
        data = self._control.recv(LARGEST)
        if not data:
            return
        boot: Boot = json.loads(data)
        self._proc = host_proc = _open("/proc")
        namespaces = None
        try:
            if boot["root"]:
                self._proc = root.build(boot["root"])
                self._adopter, namespaces = self._system()
                root.enter()
            else:
                kernel.adopt_orphans()
                landlock.restrict(writable=boot["writable"], scoped=True)
        except OSError as error:
            self._say({"trouble": str(error)})
            return
        self._starter = Starter(
            proc=self._proc, host_proc=host_proc, confinement=boot["confinement"], namespaces=namespaces
        )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(boot["socket"])
        os.chmod(boot["socket"], 0o666)
        listener.listen()
        self._say({"pid": int(os.readlink("self", dir_fd=host_proc)), "landlock": kernel.landlock_version()})
        self._serve(listener)

    def _system(self) -> tuple[int, PidNamespaces]:
        """Make the pid namespace of the system and its operator; the pid of its init, which mounts its /proc and reaps."""
        ours = _open("self/ns/pid", self._proc)
        kernel.unshare(kernel.CLONE_NEWPID)
        report, told = os.pipe2(os.O_CLOEXEC)
        init = os.fork()
        if not init:
            self._control.close()
            _init(told)
        os.close(told)
        with open(report, encoding="utf-8") as file:
            if trouble := file.read():
                raise OSError(trouble)
        return init, PidNamespaces(ours, _open(f"{init}/ns/pid", self._proc))

    def _serve(self, listener: socket.socket) -> None:
        wake, woken = socket.socketpair()
        woken.setblocking(False)  # noqa: FBT003 - the library's signature
        wake.setblocking(False)  # noqa: FBT003 - the library's signature
        signal.set_wakeup_fd(woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for source in (self._control, listener, wake):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(TICK_S if self._jobs else None):
                if key.fileobj is self._control:
                    if not self._asked():
                        return
                elif key.fileobj is listener:
                    self._operator(listener.accept()[0])
                else:
                    wake.recv(4096)
            self._reap()
            self._jobs = [job for job in self._jobs if next(job, DONE) is not DONE]

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            os._exit(1)  # the harness is gone

    def _asked(self) -> bool:
        """Answer one request; False when there will be no more."""
        space = socket.CMSG_SPACE(3 * array.array("i").itemsize)
        data, ancillary, _, _ = self._control.recvmsg(LARGEST, space, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        fds = array.array("i")
        for _, _, content in ancillary:
            fds.frombytes(content)
        request: Request = json.loads(data)
        try:
            self._answer(request, fds)
        except (StartError, OSError) as error:
            self._say({"id": request["id"], "trouble": str(error)})
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _answer(self, request: Request, fds: Sequence[int]) -> None:
        match request["do"]:
            case "start":
                started = self._starter.start(request["program"], fds)
                self._running[started.pid] = {"id": request["id"], "sweep": request["sweep"]}
                self._say({"id": request["id"], "pid": started.pid, "host_pid": started.host})
            case "signal":
                if request["pid"] in self._running:
                    _signal_group(request["pid"], request["number"])
                self._say({"id": request["id"]})
            case "define":
                service = Service(request["service"], self._starter, self._proc, self._changed)
                self._services[request["service"]["name"]] = service
                self._say({"id": request["id"]})
            case _:
                service = self._services[request["name"]]
                self._jobs.append(self._finish(request["id"], _done(service, request["verb"], request["number"])))

    def _finish(self, number: int, wait: Wait) -> Generator[None, None, None]:
        trouble = yield from wait
        self._say({"id": number, "trouble": trouble})

    def _changed(self, service: Service) -> None:
        self._say({"service": service.spec["name"], "pids": [pid.host for pid in service.pids.values()]})

    def _operator(self, peer: socket.socket) -> None:
        """Serve one call of the `service` command; it may come from anybody in the environment."""
        peer.settimeout(0.2)
        try:
            words = peer.recv(4096).decode("utf-8", "replace").split("\0")
        except OSError:
            peer.close()
            return
        self._jobs.append(self._serve_operator(peer, words[0], words[-1]))

    def _serve_operator(self, peer: socket.socket, name: str, verb: str) -> Generator[None, None, None]:
        service = next((service for service in self._services.values() if service.known_as(name)), None)
        text, status = "", 0
        if service is None:
            text, status = f"{name}: unrecognized service", 4
        elif verb == "status":
            text, status = service.status(), 0 if service.pids else 3
        else:
            text = yield from _done(service, verb)
            status = 1 if text else 0
        try:
            peer.send(f"{status}\0{text}".encode())
        except OSError:
            return  # whoever asked did not wait for the answer
        finally:
            peer.close()

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            running = self._running.pop(pid, None)
            if running:
                _signal_group(pid, signal.SIGKILL)  # before it is reaped: afterwards the number may be another's
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if running:
                self._jobs.append(self._ended(running, status))
            for service in self._services.values():
                if service.ended(pid):
                    break

    def _ended(self, running: Running, status: int) -> Generator[None, None, None]:
        """Tell the harness, once what an operator's program left behind is gone as well."""
        deadline = time.monotonic() + SWEEP_S
        while running["sweep"] and self._sweep() and time.monotonic() < deadline:
            yield
        self._say({"id": running["id"], "ended": status})

    def _sweep(self) -> bool:
        """Kill what lost its parent; whether there was any of it."""
        known = {*self._running, *(pid for service in self._services.values() for pid in service.pids)}
        left = [pid for pid in children(self._adopter, self._proc) if pid not in known]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it has ended meanwhile, and the system's init has reaped it
                continue
        return bool(left)


def _done(service: Service, verb: str, number: int = 0) -> Wait:
    """Do what is asked of a service; `number` is the signal to stop with, 0 for its usual one."""
    try:
        match verb:
            case "start":
                return (yield from service.start())
            case "stop":
                return (yield from service.stop(number))
            case "restart":
                return (yield from service.restart())
            case _:
                return f"{verb}: not one of start, stop, restart, status"
    except OSError as error:
        return str(error)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it


def _open(path: str, folder: int | None = None) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)


def _init(told: int) -> NoReturn:
    """Pid 1 of the system: mount its /proc, then reap what loses its parent, until the supervisor ends."""
    try:
        root.mount_proc()
    except OSError as error:
        os.write(told, str(error).encode())
        os._exit(1)
    os.close(told)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})


def children(parent: int, proc: int) -> list[int]:
    """The processes whose parent that is, zombies left out."""
    found = []
    for name in os.listdir(proc):
        if name.isdecimal():
            try:
                with open(_open(f"{name}/stat", proc), "rb") as file:
                    state, ppid = file.read().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            if int(ppid) == parent and state != b"Z":
                found.append(int(name))
    return found


def guarded(control: socket.socket, folder: str, places: Sequence[str]) -> None:
    """Process isolation: be the parent that outlives the supervisor, ends what is left, and removes the folder."""
    os.mkdir(folder, 0o711)
    for place in places:
        os.makedirs(folder + place, exist_ok=True)
    kernel.adopt_orphans()
    proc = _open("/proc")
    supervisor = os.fork()
    if not supervisor:
        kernel.die_with_parent(signal.SIGKILL)
        Supervisor(control).boot()
        os._exit(0)
    control.close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.waitpid(-1, 0)[0] != supervisor:
        pass
    while left := children(os.getpid(), proc):
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(-1, 0)
    import shutil  # noqa: PLC0415 - four milliseconds that the start need not wait for

    _forget_shared_memory(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _forget_shared_memory(folder: str) -> None:
    """Remove what killed postmasters left: line 7 of postmaster.pid is the key and number of a segment (utils/pidfile.h).

    It is done as their owner: in a container that lacks CAP_SYS_ADMIN root itself may not.
    """
    for place, _, files in os.walk(folder):
        if "postmaster.pid" in files:
            path = f"{place}/postmaster.pid"
            with open(path, encoding="utf-8", errors="replace") as file:
                words = file.read().split("\n")[6:7]
            os.seteuid(os.stat(path).st_uid)
            for word in words and words[0].split()[1:2]:
                if word.isdecimal():
                    kernel.remove_shared_memory(int(word))
            os.seteuid(os.getuid())


def main() -> None:
    """`supervisor.py DESCRIPTOR [FOLDER PLACE…]`: with a folder of its own and what is in it, process isolation."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    os.umask(0o022)
    if len(sys.argv) > 2:
        guarded(control, sys.argv[2], sys.argv[3:])
    else:
        Supervisor(control).boot()


if __name__ == "__main__":
    main()
