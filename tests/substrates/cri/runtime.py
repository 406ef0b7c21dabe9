"""The container runtime in namespaces of its own, and a client that speaks CRI to it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf import message_factory

from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.local.machine import ENTER

T = TypeVar("T")

WAIT = 20.0
"""Seconds that anything may take here."""

BOOT = """
import sys
from harness.substrates.inside import kernel
from harness.substrates.network import links
kernel.loopback_up()
links.prepare()
from harness.substrates.cri.__main__ import main
sys.exit(main())
"""

IMAGES = """
["demo/server:1.0"]
command = ["{python}", "-m", "http.server", "8000"]
workdir = "/srv/www"
files = { "/srv/www" = "www" }
environment = { VERSION = "1.0", COLOUR = "blue" }

["demo/deep:1.0"]
command = ["cat", "/usr/share/deep/site/index.html"]
files = { "/usr/share/deep/site" = "www" }

["demo/said:1.0"]
command = ["echo", "said"]
arguments = ["by", "default"]

["demo/own:1.0"]
command = ["sleep", "1000"]
files = { "/srv/own" = "www" }
user = "1234:2345"

["demo/user:1.0"]
command = ["sh", "-c", "sleep 1000"]
user = "1234:2345"
stop_signal = "SIGUSR1"
"""


APART = cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.CONTAINER))
"""What the kubelet says of most pods: each container has its own processes."""


def until(question: Callable[[], T | None], what: str) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + WAIT
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)  # noqa: TID251 - a test that waits for another process
    return answer


class Runtime:
    """One that runs. `folder` is seen by it under the same path, `path` is its PATH."""

    def __init__(self, folder: Path, *, path: str = os.environ["PATH"]) -> None:
        self.folder = folder
        (folder / "www").mkdir(exist_ok=True)
        (folder / "www" / "index.html").write_text("home\n")
        (folder / "images.toml").write_text(IMAGES)
        self.socket = folder / "cri.sock"
        complaints = (folder / "stderr").open("wb")
        self.process = subprocess.Popen(
            [
                *(*ENTER, "--kill-child", "--mount-proc", sys.executable, "-c", BOOT),
                *("--socket", str(self.socket), "--state", str(folder / "state"), "--node", "node-1"),
                *("--pods", "10.244.0.0/24", "--images", str(folder / "images.toml")),
            ],
            stderr=complaints,
            env={**os.environ, "PATH": path},
            cwd=Path(__file__).parents[3],
        )
        complaints.close()
        self._channel = grpc.insecure_channel(
            f"unix:{self.socket}", options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)]
        )
        self._methods = {
            method.name: (service.full_name, method)
            for service in cri.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }
        self.count = 0
        until(self._answers, "the runtime answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "stderr").read_text()
        try:
            return bool(self.call("Version").version)
        except grpc.RpcError:
            return False

    def call(self, name: str, **fields: Any) -> Any:
        service, method = self._methods[name]
        request = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        call = make(
            f"/{service}/{name}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
        )
        return call(request(**fields), timeout=WAIT)

    def refused(self, name: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        try:
            answer = self.call(name, **fields)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"not refused: {answer}")

    def host_pid(self) -> int:
        """The runtime itself, as this process sees it: the child of unshare."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in its network."""
        enter = ("nsenter", "-t", str(self.host_pid()), "-U", "-n", "--preserve-credentials")
        return subprocess.run(
            [*enter, *argv], capture_output=True, text=True, check=False, timeout=WAIT, cwd=Path(__file__).parents[3]
        )

    def close(self) -> None:
        self._channel.close()
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def pod(self, *, labels: dict[str, str] | None = None, security: Any = None, **fields: Any) -> "Pod":
        self.count += 1
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=f"pod-{self.count}", uid=f"uid-{self.count}", namespace="default"),
            log_directory=str(self.folder / "logs" / str(self.count)),
            labels=labels or {},
            linux=cri.LinuxPodSandboxConfig(security_context=security or APART, sysctls=fields.pop("sysctls", {})),
            **{"hostname": f"pod-{self.count}", **fields},
        )
        return Pod(self, config, self.call("RunPodSandbox", config=config).pod_sandbox_id)


class Pod:
    """A sandbox."""

    def __init__(self, runtime: Runtime, config: cri.PodSandboxConfig, key: str) -> None:
        self.runtime, self.config, self.id = runtime, config, key
        self.count = 0

    @property
    def status(self) -> cri.PodSandboxStatus:
        return self.runtime.call("PodSandboxStatus", pod_sandbox_id=self.id).status

    def create(self, *, image: str = "busybox:1.36", security: Any = None, **fields: Any) -> "Container":
        self.count += 1
        if security is None:
            security = cri.LinuxContainerSecurityContext(namespace_options=cri.NamespaceOption(pid=cri.CONTAINER))
        config = cri.ContainerConfig(
            **{
                "metadata": cri.ContainerMetadata(name=f"c-{self.count}"),
                "image": cri.ImageSpec(image=image),
                "log_path": f"c-{self.count}/0.log",
                "linux": cri.LinuxContainerConfig(resources=fields.pop("resources", None), security_context=security),
                **fields,
            }
        )
        answer = self.runtime.call("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        return Container(self, config, answer.container_id)

    def run(self, *command: str, **fields: Any) -> "Container":
        """A container that was started; without `command` with its image's."""
        made = self.create(command=command, **fields)
        made.start()
        return made

    def output(self, *command: str, **fields: Any) -> str:
        """What a command prints in a container of its own, which has ended then."""
        made = self.run(*command, **fields)
        made.until_exited()
        return made.output()

    def stop(self) -> None:
        self.runtime.call("StopPodSandbox", pod_sandbox_id=self.id)

    def remove(self) -> None:
        self.runtime.call("RemovePodSandbox", pod_sandbox_id=self.id)


class Container:
    """A container."""

    def __init__(self, pod: Pod, config: cri.ContainerConfig, key: str) -> None:
        self.pod, self.config, self.id = pod, config, key
        self.log = Path(pod.config.log_directory) / config.log_path

    def start(self) -> None:
        self.pod.runtime.call("StartContainer", container_id=self.id)

    def stop(self, grace: int = 0) -> None:
        self.pod.runtime.call("StopContainer", container_id=self.id, timeout=grace)

    @property
    def status(self) -> cri.ContainerStatus:
        return self.pod.runtime.call("ContainerStatus", container_id=self.id).status

    def until_exited(self) -> cri.ContainerStatus:
        return until(
            lambda: status if (status := self.status).state == cri.CONTAINER_EXITED else None, "the container exits"
        )

    def lines(self) -> list[tuple[str, str, str]]:
        """Stream, tag and text of each line of its log."""
        return [tuple(line.split(" ", 3)[1:]) for line in self.log.read_bytes().decode().split("\n")[:-1]]

    def output(self) -> str:
        return "".join(text + ("\n" if tag == "F" else "") for stream, tag, text in self.lines() if stream == "stdout")

    def says(self, text: str) -> None:
        until(lambda: self.log.exists() and text in self.log.read_text(), f"the log says {text}")

    def exec(self, *command: str, timeout: int = 0) -> cri.ExecSyncResponse:
        return self.pod.runtime.call("ExecSync", container_id=self.id, cmd=command, timeout=timeout)
