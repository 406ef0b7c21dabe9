"""The API of a drill's cluster as faults ask it: every question has a time limit and its answer is decoded into values.
The `kubernetes` client reads the kubeconfig and holds the credentials. Not what is asked (harness.faults.kubernetes.pods, …)."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from harness.errors import FaultError
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Cluster, Stage

T = TypeVar("T")

PATIENCE: Ns = seconds(5)
"""How long one answer of the API server may take."""

STEP: Ns = milliseconds(100)
"""How often the API server is asked again what has become of something."""

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

Body = Mapping[str, object]


class ApiError(FaultError):
    """The API server said no, or nothing. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came, whatever its status."""

    status: int
    text: str


class Api:
    """The API server, and the namespace that faults mean unless they say another."""

    def __init__(self, client: Any, *, host: str, namespace: str) -> None:
        self._client = client
        self._host = host.rstrip("/")
        self.namespace = namespace

    def core(self, kind: str, name: str = "", *, namespace: str = "") -> str:
        """The path of a namespaced object of the core group (`pods`), or of all of the kind."""
        return f"/api/v1/namespaces/{namespace or self.namespace}/{kind}{f'/{name}' if name else ''}"

    def grouped(self, group: str, kind: str, name: str = "", *, namespace: str = "") -> str:
        """The path of a namespaced object of a group (`apps/v1`, `deployments`), or of all of the kind."""
        return f"/apis/{group}/namespaces/{namespace or self.namespace}/{kind}{f'/{name}' if name else ''}"

    async def get(self, path: str, kind: type[T]) -> T:
        """What is at `path`; ApiError, with status 404 if there is nothing."""
        text = await self._asked("GET", path, None, "")
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            raise ApiError(f"GET {path}: not what was expected: {error}", status=200) from error

    async def find(self, path: str, kind: type[T]) -> T | None:
        """What is at `path`, None if there is nothing."""
        try:
            return await self.get(path, kind)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def patch(self, path: str, body: Body, *, how: str = MERGE) -> None:
        """Change what is at `path`; null removes a key."""
        await self._asked("PATCH", path, body, how)

    async def post(self, path: str, body: Body) -> None:
        """Make something."""
        await self._asked("POST", path, body, "application/json")

    async def delete(self, path: str, *, grace_s: int | None = None) -> None:
        """Delete what is at `path`, if it is there; `grace_s` instead of the object's own grace period."""
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        try:
            await self._asked("DELETE", path, body, "application/json")
        except ApiError as error:
            if error.status != 404:
                raise

    async def reply(self, method: str, path: str, body: Body | None = None, *, within: Ns = PATIENCE) -> Reply:
        """The answer of whatever is behind the API server's proxy at `path` (a pod, a kubelet); status 0 for none in time."""
        return await uninterrupted(asyncio.to_thread(self._exchange, method, path, body, "application/json", within))

    async def _asked(self, method: str, path: str, body: Body | None, content: str) -> str:
        said = await uninterrupted(asyncio.to_thread(self._exchange, method, path, body, content, PATIENCE))
        if not 200 <= said.status < 300:
            raise ApiError(f"{method} {path}: {_reason(said)}", status=said.status)
        return said.text

    def _exchange(self, method: str, path: str, body: Body | None, content: str, within: Ns) -> Reply:
        """One request, once; in a thread."""
        import urllib3  # noqa: PLC0415 - comes with the client

        headers = {"Accept": "application/json", "Content-Type": content or "application/json"}
        for each in self._client.configuration.auth_settings().values():
            headers[each["key"]] = each["value"]
        try:
            answer = self._client.rest_client.pool_manager.request(
                method,
                f"{self._host}{path}",
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(total=within / SECOND),
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return Reply(0, f"{type(error).__name__}: {error}")
        return Reply(answer.status, answer.data.decode(errors="replace"))


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Do it and see its end even if cancelled: a change that is under way must not land after its undoing."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        task.exception()
        raise interruption
    return task.result()


class _Status(msgspec.Struct, frozen=True):
    """What the API server says where it refuses (meta/v1 Status)."""

    message: str = ""


def _reason(said: Reply) -> str:
    try:
        message = msgspec.json.decode(said.text, type=_Status).message
    except msgspec.DecodeError:
        message = said.text.strip()
    return f"{said.status}: {message[:500]}" if said.status else f"no answer: {message[:500]}"


def cluster(stage: Stage) -> Cluster:
    """The environment's cluster; FaultError if it has none."""
    try:
        return stage.environment.cluster
    except KeyError:
        raise FaultError(
            "expected a Kubernetes cluster in the environment; its topology has none\n    give the topology a Cluster"
        ) from None


@asynccontextmanager
async def opened(stage: Stage, *, namespace: str = "") -> AsyncIterator[Api]:
    """The API of the environment's cluster. FaultError without a cluster or the client."""
    target = cluster(stage)
    client = await asyncio.to_thread(_client, target)
    try:
        yield Api(client, host=str(client.configuration.host), namespace=namespace or target.spec.namespace)
    finally:
        client.rest_client.pool_manager.clear()


def _client(target: Cluster) -> Any:
    try:
        import yaml  # noqa: PLC0415 - takes a third of a second, and only clusters need it
        from kubernetes import config  # noqa: PLC0415
    except ImportError:
        raise FaultError(
            "expected the Kubernetes client to be installed; it is not\n    pip install 'rundrill[kubernetes]'"
        ) from None
    made: Any = config.new_client_from_config_dict
    try:
        # Given a path, the client would take it for several where a colon is in it, as in the folder of a trial.
        return made(yaml.safe_load(target.kubeconfig.read_text(encoding="utf-8")), persist_config=False)
    except (config.ConfigException, yaml.YAMLError, OSError) as error:
        raise FaultError(f"the cluster's kubeconfig {target.kubeconfig} cannot be used: {error}") from error
