"""The whole program as the environment starts it: what it survives, how it ends, what it says when it cannot work."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.substrates.network import control_plane
from tests.substrates.network.control_plane import KUBECONFIG, api_server, change, create, programs
from tests.substrates.network.stage import in_namespaces, pod
from tests.substrates.network.test_links import asked, server_in
from tests.substrates.network.test_network import SLICES, endpoints_of, serve, soon

ROOT = Path(__file__).parents[3]


@contextmanager
def running(*more: str, kubeconfig: Path = KUBECONFIG) -> Iterator["subprocess.Popen[str]"]:
    argv = (
        *control_plane.DIE_WITH_ME,
        sys.executable,
        "-m",
        "harness.substrates.network",
        "--kubeconfig",
        str(kubeconfig),
        *more,
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@in_namespaces
async def test_it_survives_the_api_server_and_leaves_nothing_when_it_is_told_to_stop() -> None:
    programs()
    async with api_server() as server:
        links_before = socket.if_nameindex()
        await create(server, "/api/v1/namespaces", {"metadata": {"name": "prod"}})
        with pod("10.244.0.2") as one, pod("10.244.0.3") as other, pod("10.244.0.4") as client, running() as process:
            server_in(one, 8000, "one")
            server_in(other, 8000, "other")
            address = await serve(server, "api", "10.244.0.2")

            async def answer() -> str:
                return (await client.running(lambda: asked(address, 80)))[:3]

            await soon(answer, "one", within=10)
            control_plane.kill_api_server()
            assert await answer() == "one"
            await control_plane.restart_api_server(server)
            await change(server, f"{SLICES}/api-1", endpoints_of("api", "10.244.0.3"))
            assert await soon(answer, "oth", within=10) < 5
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 10) == 0
        assert socket.if_nameindex() == links_before
        assert await asyncio.to_thread(asked, address, 80) == "ECONNREFUSED"


@in_namespaces
def test_what_is_no_kubeconfig_is_told_with_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("apiVersion: v1")
    with running(kubeconfig=file) as process:
        _, said = process.communicate(timeout=20)
        assert process.returncode == 4
        assert said.startswith(f"network: {file}: expected a kubeconfig in JSON with an authority")
        assert len(said.splitlines()) == 1


@in_namespaces
async def test_a_second_one_in_the_same_environment_is_told_that_there_is_one() -> None:
    programs()
    async with api_server():
        with running() as first, running() as second:
            ending = [asyncio.create_task(asyncio.to_thread(one.communicate)) for one in (first, second)]
            done, _ = await asyncio.wait(ending, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            (said,) = (task.result()[1] for task in done)
            assert said.startswith("network: expected an environment whose Services nobody leads; found a link nat0")
            assert {first.poll(), second.poll()} == {None, 4}
            for one in (first, second):
                one.kill()
            await asyncio.wait(ending)


def test_it_needs_no_privileges_to_say_what_it_is_for() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "harness.substrates.network", "--help"),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "--cluster-dns" in done.stdout
