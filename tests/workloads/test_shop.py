"""The reference service, as its clients, its operator and Prometheus see it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.real_postgres import Server, free_port, postgres

pytestmark = pytest.mark.real

SHOP = Path(__file__).parents[2] / "clusters" / "workloads" / "shop"


@dataclass
class Shop:
    port: int
    processes: list["subprocess.Popen[bytes]"]
    log: Path

    def ask(
        self, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict, dict[str, str]]:
        status, text, answered = self.raw(path, body, headers)
        return status, json.loads(text), answered

    def raw(
        self, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, sent, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def until(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come about in time"
        time.sleep(0.02)  # noqa: TID251 - between two looks, before a deadline
    return time.monotonic() - began


@contextmanager
def shop(folder: Path, conninfo: str, *, processes: int = 1, wait: bool = True, **env: str) -> Iterator[Shop]:
    port = free_port()
    log = folder / "shop.log"
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(processes):
            given = {
                "PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOST": "127.0.0.1", "PORT": str(port),
                "WORKER": str(number), "DATABASE_URL": conninfo, **env,
            }  # fmt: skip
            with log.open("ab") as out:
                running.append(
                    subprocess.Popen([sys.executable, "-m", "shop"], cwd=SHOP, env=given, stdout=out, stderr=out)
                )
        service = Shop(port, running, log)
        if wait:
            until(lambda: _listens(service), 10)
        yield service
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(10)


def _listens(service: Shop) -> bool:
    try:
        return service.ask("/live")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres(tmp_path_factory.mktemp("shop") / "pg") as running:
        running.run("SET shop.orders = '20000';" + (SHOP / "schema.sql").read_text())
        yield running


@pytest.fixture(scope="module")
def service(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("two"), server.conninfo, processes=2) as running:
        until(lambda: running.ask("/health")[0] == 200, 5)
        yield running


def test_products_are_read(service: Shop) -> None:
    assert service.ask("/products/7")[1]["name"] == "Product 7"
    listed = service.ask("/products?category=8&limit=3")[1]["products"]
    assert [product["id"] for product in listed] == [7, 47, 87]
    assert service.ask("/products/999999")[0] == 404
    assert service.ask("/products?category=x")[0] == 400


def test_a_placed_order_takes_stock_and_is_listed(service: Shop) -> None:
    before = service.ask("/products/9")[1]["stock"]
    status, placed, _ = service.ask("/orders", {"customer": 5, "product": 9, "quantity": 2})
    assert status == 201
    assert service.ask("/products/9")[1]["stock"] == before - 2
    answer = service.ask("/orders?customer=5")[1]
    assert answer["orders"][0]["id"] == placed["id"]
    assert answer["months"][-1]["items"] >= 2


def test_an_order_that_cannot_be_met_changes_nothing(service: Shop) -> None:
    before = service.ask("/products/10")[1]["stock"]
    assert service.ask("/orders", {"customer": 5, "product": 10, "quantity": before + 1})[0] == 409
    assert service.ask("/orders", {"customer": 5, "product": 999999})[0] == 404
    assert service.ask("/orders", {"customer": 5})[0] == 400
    assert service.ask("/products/10")[1]["stock"] == before


def test_the_index_makes_a_customers_orders_fast(service: Shop, server: Server) -> None:
    def took(customer: int) -> float:
        began = time.monotonic()
        assert service.ask(f"/orders?customer={customer}")[0] == 200
        return time.monotonic() - began

    fast = min(took(customer) for customer in range(1, 6))
    server.run("DROP INDEX idx_orders_user_created")
    try:
        slow = min(took(customer) for customer in range(1, 6))
    finally:
        server.run("CREATE INDEX idx_orders_user_created ON orders (user_id, created_at)")
    assert slow > 2 * fast  # with a tenth of the orders; with all of them 20 times


def test_the_metrics_of_all_processes_are_one_answer(service: Shop) -> None:
    def counted() -> float:
        line = 'http_server_requests_total{method="GET",path="/live",status="200"} '
        page = service.raw("/metrics")[1]
        return next((float(row.removeprefix(line)) for row in page.splitlines() if row.startswith(line)), 0.0)

    before = counted()
    workers = {service.ask("/live")[1]["worker"] for _ in range(30)}
    assert counted() - before == 30
    assert workers == {"0", "1"}
    page = service.raw("/metrics")[1]
    assert 'http_server_request_duration_seconds_bucket{le="0.005",method="GET",path="/products/{id}"}' in page
    assert "\ndatabase_pool_connections_max 10.0" in page


def test_each_request_is_one_line_of_the_log(service: Shop) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "r-77", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert service.ask("/products/3?x=1", headers=headers)[2]["x-request-id"] == "r-77"
    [line] = [line for line in service.lines() if line.get("request_id") == "r-77"]
    assert line["trace_id"] == trace
    assert (line["level"], line["service"], line["status"], line["path"]) == ("info", "shop", 200, "/products/3?x=1")
    assert line["duration_ms"] > 0
    assert line["timestamp"].endswith("Z")
    assert line["message"] == "GET /products/{id} 200"


def test_a_pool_with_nothing_free_is_a_503_in_time(server: Server, tmp_path: Path) -> None:
    with (
        shop(tmp_path, server.conninfo, DATABASE_POOL_SIZE="1", DATABASE_POOL_TIMEOUT_S="0.3") as service,
        psycopg.connect(server.conninfo) as other,
    ):
        until(lambda: service.ask("/health")[0] == 200, 5)
        other.execute("SELECT * FROM products WHERE id = 11 FOR UPDATE")
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        connection.request("POST", "/orders", json.dumps({"customer": 1, "product": 11}))
        until(lambda: service.ask("/health")[1]["pool"]["pool_available"] == 0, 5)
        began = time.monotonic()
        status, body, _ = service.ask("/products/1")
        assert (status, time.monotonic() - began < 1.0) == (503, True)
        assert "no database connection free" in body["error"]
        other.rollback()
        assert connection.getresponse().status == 201
        connection.close()
        assert service.ask("/products/1")[0] == 200


def test_it_listens_without_a_database_and_recovers_by_itself(server: Server, tmp_path: Path) -> None:
    server.stop()
    try:
        with shop(tmp_path, server.conninfo, DATABASE_POOL_TIMEOUT_S="0.3") as service:
            status, body, _ = service.ask("/health")
            assert (status, body["checks"]["database"]["status"]) == (503, "down")
            assert service.ask("/products/1")[0] == 503
            server.start()
            assert until(lambda: service.ask("/products/1")[0] == 200, 10) < 2.5
            for _ in range(5):
                service.ask("/products/1")
            server.stop()
            assert service.ask("/products/1")[0] == 503
            server.start()
            assert until(lambda: service.ask("/health")[0] == 200, 10) < 2.5
    finally:
        if server.process is None:
            server.start()


def test_a_silent_database_is_a_503_in_time(server: Server, tmp_path: Path) -> None:
    limits = {"DATABASE_POOL_TIMEOUT_S": "0.4", "DATABASE_QUERY_TIMEOUT_S": "0.6"}
    with shop(tmp_path, server.conninfo, **limits) as service:
        until(lambda: service.ask("/health")[0] == 200, 5)
        family = _family(server)
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert service.ask("/products/1")[0] == 503
            assert time.monotonic() - began < 2.5
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)
        assert until(lambda: service.ask("/products/1")[0] == 200, 10) < 3.5


def _family(server: Server) -> list[int]:
    assert server.process is not None
    top = server.process.pid
    return [top, *map(int, Path(f"/proc/{top}/task/{top}/children").read_text().split())]


def test_a_statement_that_takes_too_long_is_a_503(server: Server, tmp_path: Path) -> None:
    with (
        shop(tmp_path, server.conninfo, DATABASE_STATEMENT_TIMEOUT_MS="150") as service,
        psycopg.connect(server.conninfo) as other,
    ):
        until(lambda: service.ask("/health")[0] == 200, 5)
        other.execute("SELECT * FROM products WHERE id = 12 FOR UPDATE")
        status, body, _ = service.ask("/orders", {"customer": 1, "product": 12})
        assert (status, "statement timeout" in body["error"]) == (503, True)


def test_it_stops_when_asked_and_starts_in_under_a_second(server: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    with shop(tmp_path, server.conninfo) as service:
        assert time.monotonic() - began < 3.0  # 0.5 s on a quiet machine
        [process] = service.processes
        process.terminate()
        assert process.wait(5) == 0


def test_tables_and_columns_may_be_called_otherwise(server: Server, tmp_path: Path) -> None:
    server.run(
        "CREATE VIEW items AS SELECT id, name AS title, category_id, price_cents, stock AS on_hand FROM products"
    )
    names = "products=items products.name=title products.stock=on_hand"
    with shop(tmp_path, server.conninfo, SCHEMA_NAMES=names, FEATURE_RECOMMENDATIONS="off") as service:
        until(lambda: service.ask("/health")[0] == 200, 5)
        assert service.ask("/products/7")[1] == {
            "id": 7, "name": "Product 7", "category_id": 8, "price_cents": 199 + 7 * 7919 % 9800, "stock": 1000000,
        }  # fmt: skip


def test_everything_wrong_with_the_settings_is_said_at_once(tmp_path: Path) -> None:
    with shop(
        tmp_path, "", wait=False, DATABASE_POOL_SIZE="many", FEATURE_X="maybe", SCHEMA_NAMES="orders=a;b"
    ) as service:
        assert service.processes[0].wait(10) == 2
        text = service.log.read_text()
    assert all(name in text for name in ("DATABASE_POOL_SIZE", "FEATURE_X", "SCHEMA_NAMES"))
