"""runtime.v1.RuntimeService: each call of the protocol is a method that asks pods, containers or statistics.

Not the transport: that is `server`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from harness import clock
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri import sandboxes as pods
from harness.substrates.cri.commands import Commands
from harness.substrates.cri.container import Container
from harness.substrates.cri.containers import Containers
from harness.substrates.cri.events import Events
from harness.substrates.cri.refusals import RefusalError
from harness.substrates.cri.sandboxes import Sandbox, Sandboxes
from harness.substrates.cri.sessions import Attach, Exec, PortForward
from harness.substrates.cri.stats import Stats
from harness.substrates.cri.streaming import Streaming

NAME = "process"
"""What the runtime is called: container ids are process://…"""

VERSION = "0.1.0"


class RuntimeService:
    """runtime.v1.RuntimeService."""

    def __init__(  # noqa: PLR0913 - each is a part of a runtime
        self,
        *,
        sandboxes: Sandboxes,
        containers: Containers,
        commands: Commands,
        stats: Stats,
        streaming: Streaming,
        events: Events,
    ) -> None:
        self._sandboxes = sandboxes
        self._containers = containers
        self._commands = commands
        self._stats = stats
        self._streaming = streaming
        self._events = events

    async def version(self, _request: cri.VersionRequest) -> cri.VersionResponse:
        return cri.VersionResponse(
            version="0.1.0", runtime_name=NAME, runtime_version=VERSION, runtime_api_version="v1"
        )

    async def status(self, _request: cri.StatusRequest) -> cri.StatusResponse:
        conditions = [cri.RuntimeCondition(type=name, status=True) for name in ("RuntimeReady", "NetworkReady")]
        return cri.StatusResponse(
            status=cri.RuntimeStatus(conditions=conditions),
            runtime_handlers=[cri.RuntimeHandler(name="", features=cri.RuntimeHandlerFeatures())],
            features=cri.RuntimeFeatures(),
        )

    async def runtime_config(self, _request: cri.RuntimeConfigRequest) -> cri.RuntimeConfigResponse:
        return cri.RuntimeConfigResponse(linux=cri.LinuxRuntimeConfiguration(cgroup_driver=cri.CGROUPFS))

    async def update_runtime_config(self, _request: cri.UpdateRuntimeConfigRequest) -> cri.UpdateRuntimeConfigResponse:
        return cri.UpdateRuntimeConfigResponse()  # our pods' network is told on the command line

    async def run_pod_sandbox(self, request: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:
        sandbox = await self._sandboxes.run(request.config, request.runtime_handler)
        return cri.RunPodSandboxResponse(pod_sandbox_id=sandbox.id)

    async def stop_pod_sandbox(self, request: cri.StopPodSandboxRequest) -> cri.StopPodSandboxResponse:
        if sandbox := self._known(request.pod_sandbox_id):
            await asyncio.gather(*(self._containers.stop(each, 0) for each in self._containers.of(sandbox)))
            await self._sandboxes.stop(sandbox)
        return cri.StopPodSandboxResponse()

    async def remove_pod_sandbox(self, request: cri.RemovePodSandboxRequest) -> cri.RemovePodSandboxResponse:
        if sandbox := self._known(request.pod_sandbox_id):
            for container in self._containers.of(sandbox):
                await self._containers.remove(container)
            await self._sandboxes.stop(sandbox)
            self._sandboxes.remove(sandbox)
        return cri.RemovePodSandboxResponse()

    def _known(self, key: str) -> Sandbox | None:
        return next((sandbox for sandbox in self._sandboxes.all() if sandbox.id == key), None)

    async def pod_sandbox_status(self, request: cri.PodSandboxStatusRequest) -> cri.PodSandboxStatusResponse:
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        return cri.PodSandboxStatusResponse(
            status=pods.status(sandbox),
            containers_statuses=[container.status() for container in self._containers.of(sandbox)],
            timestamp=clock.wall(),
        )

    async def list_pod_sandbox(self, request: cri.ListPodSandboxRequest) -> cri.ListPodSandboxResponse:
        wanted = request.filter
        found = [
            cri.PodSandbox(
                id=sandbox.id,
                metadata=sandbox.config.metadata,
                state=sandbox.state,
                created_at=sandbox.created_at,
                labels=sandbox.config.labels,
                annotations=sandbox.config.annotations,
                runtime_handler=sandbox.handler,
            )
            for sandbox in self._sandboxes.all()
            if sandbox.id.startswith(wanted.id)
            and (not wanted.HasField("state") or sandbox.state == wanted.state.state)
            and _selected(sandbox.config.labels, wanted.label_selector)
        ]
        return cri.ListPodSandboxResponse(items=found)

    async def create_container(self, request: cri.CreateContainerRequest) -> cri.CreateContainerResponse:
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        return cri.CreateContainerResponse(container_id=self._containers.create(sandbox, request.config).id)

    async def start_container(self, request: cri.StartContainerRequest) -> cri.StartContainerResponse:
        await self._containers.start(self._containers.get(request.container_id))
        return cri.StartContainerResponse()

    async def stop_container(self, request: cri.StopContainerRequest) -> cri.StopContainerResponse:
        for container in self._containers.all():
            if container.id == request.container_id:
                await self._containers.stop(container, request.timeout)
        return cri.StopContainerResponse()

    async def remove_container(self, request: cri.RemoveContainerRequest) -> cri.RemoveContainerResponse:
        for container in self._containers.all():
            if container.id == request.container_id:
                await self._containers.remove(container)
        return cri.RemoveContainerResponse()

    async def list_containers(self, request: cri.ListContainersRequest) -> cri.ListContainersResponse:
        wanted = request.filter
        found = [
            container.item()
            for container in self._containers.all()
            if container.id.startswith(wanted.id)
            and (not wanted.HasField("state") or container.state == wanted.state.state)
            and container.sandbox.id.startswith(wanted.pod_sandbox_id)
            and _selected(container.config.labels, wanted.label_selector)
        ]
        return cri.ListContainersResponse(containers=found)

    async def container_status(self, request: cri.ContainerStatusRequest) -> cri.ContainerStatusResponse:
        return cri.ContainerStatusResponse(status=self._containers.get(request.container_id).status())

    async def update_container_resources(
        self, request: cri.UpdateContainerResourcesRequest
    ) -> cri.UpdateContainerResourcesResponse:
        self._containers.update(self._containers.get(request.container_id), request.linux)
        return cri.UpdateContainerResourcesResponse()

    async def update_pod_sandbox_resources(
        self, request: cri.UpdatePodSandboxResourcesRequest
    ) -> cri.UpdatePodSandboxResourcesResponse:
        self._sandboxes.get(request.pod_sandbox_id)
        return cri.UpdatePodSandboxResourcesResponse()

    async def reopen_container_log(self, request: cri.ReopenContainerLogRequest) -> cri.ReopenContainerLogResponse:
        self._containers.reopen(self._containers.get(request.container_id))
        return cri.ReopenContainerLogResponse()

    async def exec_sync(self, request: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
        return await self._commands.exec_sync(self._containers.get(request.container_id), request.cmd, request.timeout)

    async def exec(self, request: cri.ExecRequest) -> cri.ExecResponse:
        self._expect_running(self._containers.get(request.container_id))
        wanted = Exec(
            request.container_id,
            tuple(request.cmd),
            tty=request.tty,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
        )
        return cri.ExecResponse(url=self._streaming.url(wanted))

    async def attach(self, request: cri.AttachRequest) -> cri.AttachResponse:
        self._expect_running(self._containers.get(request.container_id))
        wanted = Attach(
            request.container_id, tty=request.tty, stdin=request.stdin, stdout=request.stdout, stderr=request.stderr
        )
        return cri.AttachResponse(url=self._streaming.url(wanted))

    async def port_forward(self, request: cri.PortForwardRequest) -> cri.PortForwardResponse:
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        _ = sandbox.pid  # it has to be there
        return cri.PortForwardResponse(url=self._streaming.url(PortForward(sandbox.id, tuple(request.port))))

    def _expect_running(self, container: Container) -> None:
        if not container.running:
            state = cri.ContainerState.Name(container.state)
            raise RefusalError(f"container is in {state} state")

    async def container_stats(self, request: cri.ContainerStatsRequest) -> cri.ContainerStatsResponse:
        container = self._containers.get(request.container_id)
        self._stats.refresh()
        return cri.ContainerStatsResponse(stats=self._stats.container(container))

    async def list_container_stats(self, request: cri.ListContainerStatsRequest) -> cri.ListContainerStatsResponse:
        wanted = request.filter
        self._stats.refresh()
        found = [
            self._stats.container(container)
            for container in self._containers.all()
            if container.running
            and container.id.startswith(wanted.id)
            and container.sandbox.id.startswith(wanted.pod_sandbox_id)
            and _selected(container.config.labels, wanted.label_selector)
        ]
        return cri.ListContainerStatsResponse(stats=found)

    async def pod_sandbox_stats(self, request: cri.PodSandboxStatsRequest) -> cri.PodSandboxStatsResponse:
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        self._stats.refresh()
        return cri.PodSandboxStatsResponse(stats=self._stats.sandbox(sandbox))

    async def list_pod_sandbox_stats(self, request: cri.ListPodSandboxStatsRequest) -> cri.ListPodSandboxStatsResponse:
        wanted = request.filter
        self._stats.refresh()
        found = [
            self._stats.sandbox(sandbox)
            for sandbox in self._sandboxes.all()
            if sandbox.ready
            and sandbox.id.startswith(wanted.id)
            and _selected(sandbox.config.labels, wanted.label_selector)
        ]
        return cri.ListPodSandboxStatsResponse(stats=found)

    def get_container_events(self, _request: cri.GetEventsRequest) -> AsyncIterator[cri.ContainerEventResponse]:
        return self._events.listen()


def _selected(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.items())
