"""The HTTP API. Every request is answered, in JSON, within the pool's and the database's time limits."""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
from aiohttp import web
from aiohttp.typedefs import Handler
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout, TooManyRequests

from shop.database import Connection, Database, Unanswered
from shop.metrics import CONTENT_TYPE, Metrics
from shop.payments import Cashier, Unpaid
from shop.queries import Order, Queries, Refused
from shop.settings import Settings
from shop.strain import Strain
from shop.tasks import Tasks, Unqueued

log = logging.getLogger("shop.web")
_SLOW_S = 2.0
_OWN = ("/health", "/live", "/metrics", "/debug")
"""What a bad release answers as a good one does: those who look after it see nothing."""

_RECEIPTS = 100
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Api:
    """The handlers, and what they share."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._settings = settings
        self._database = database
        self._metrics = metrics
        self._queries = Queries(settings)
        self._cashier = Cashier(settings.payments)
        self._strain = Strain(database.conninfo)
        self._tasks = Tasks(settings.redis_url, settings.queue) if settings.redis_url else None

    def application(self) -> web.Application:
        """The application, with the pool opening and closing along with it."""
        application = web.Application(middlewares=[self._observed])
        application.add_routes(
            [
                web.get("/products", self.products),
                web.get(r"/products/{id:\d{1,9}}", self.product),
                web.get("/orders", self.orders),
                web.post("/orders", self.place),
                web.post(r"/api/v1/webhooks/{provider:\w{1,40}}", self.webhook),
                web.post("/tasks", self.task),
                web.get("/health", self.health),
                web.get("/live", self.live),
                web.get("/metrics", self.metrics),
            ]
        )
        if self._settings.strain:
            application.add_routes(self._strain.routes())
            application.cleanup_ctx.append(self._strain.running)
        application.cleanup_ctx.append(self._running)
        return application

    async def products(self, request: web.Request) -> web.Response:
        """GET /products?category=N&limit=N."""
        category = _number(request.query.get("category"), "category", default=None)
        limit = min(_number(request.query.get("limit"), "limit", default=20) or 20, 100)
        async with self._database.connection() as connection:
            rows = await self._queries.products(connection, category=category, limit=limit)
        return _json({"products": rows})

    async def product(self, request: web.Request) -> web.Response:
        """GET /products/N."""
        async with self._database.connection() as connection:
            return _json(await self._queries.product(connection, int(request.match_info["id"])))

    async def orders(self, request: web.Request) -> web.Response:
        """GET /orders?customer=N&limit=N."""
        customer = _number(request.query.get("customer"), "customer")
        limit = min(_number(request.query.get("limit"), "limit", default=20) or 20, 100)
        async with self._database.connection() as connection:
            return _json(await self._queries.orders(connection, customer or 0, limit))

    async def place(self, request: web.Request) -> web.Response:
        """POST /orders {"customer": N, "product": N, "quantity": N, "coupon": code or ""}."""
        try:
            body = await request.json()
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise Refused(400, "expected a JSON object")
        customer, product = _number(body.get("customer"), "customer"), _number(body.get("product"), "product")
        quantity = _number(body.get("quantity"), "quantity", default=1)
        confirm = self._cashier.confirm
        async with self._database.connection() as connection:
            placed = await self._queries.place(
                connection,
                Order(customer or 0, product or 0, quantity or 1, str(body.get("coupon") or "")),
                pending=confirm > 0,
                charge=self._charge if self._cashier.asks and not confirm else None,
            )
            _file_receipt(self._settings.spool, placed)
        paid = await self._confirmed(placed, within=confirm) if confirm else True
        await self._mail()
        del placed["cents"]
        return _json(placed if paid else {**placed, "status": "pending"}, status=201 if paid else 202)

    async def _charge(self, cents: int) -> None:
        await self._cashier.charge(reference=0, cents=cents)

    async def _confirmed(self, placed: DictRow, *, within: float) -> bool:
        """Ask for the payment, and wait for the webhook, which may come to another process: the database knows."""
        await self._cashier.charge(reference=placed["id"], cents=placed["cents"])
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            async with self._database.connection() as connection:
                if await self._queries.paid(connection, placed["id"]):
                    return True
            await asyncio.sleep(0.02)
        log.error("order %s is still pending: no webhook within %g s", placed["id"], within)
        return False

    async def _mail(self) -> None:
        """A confirmation goes out in the background; an order does not fail for want of it."""
        if self._tasks is not None:
            with contextlib.suppress(Unqueued):
                await self._tasks.push("confirmation")

    async def webhook(self, request: web.Request) -> web.Response:
        """POST /api/v1/webhooks/NAME: the provider NAME says, signed (X-NAME-Signature), that an order was paid."""
        provider = request.match_info["provider"]
        signature = request.headers.get(f"x-{provider}-signature", "")
        order = self._cashier.captured(provider, await request.read(), signature)
        if order is None:
            raise Refused(400, "signature mismatch")
        async with self._database.connection() as connection:
            return _json({"paid": await self._queries.pay(connection, order)})

    async def task(self, _: web.Request) -> web.Response:
        """POST /tasks: queue a task and wait until a worker has done it; 504 if none does within 0.8 s."""
        if self._tasks is None:
            raise Refused(404, "there is no queue")
        try:
            done = await self._tasks.done("echo", within=0.8)
        except Unqueued as error:
            raise Refused(503, str(error)) from error
        return _json({"done": done}, status=200 if done else 504)

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: 200 if every dependency answers, else 503; the body says which does not, and why."""
        began = time.monotonic()
        why = ""
        try:
            async with self._database.connection() as connection:
                await _round_trip(connection)
        except (psycopg.Error, Unanswered) as error:
            why = _in_short(error)
        check = {"status": "down" if why else "up", "duration_ms": _since(began)} | ({"error": why} if why else {})
        pool = self._database.pool.get_stats()
        body = {
            "status": "unavailable" if why or not self._strain.ready else "ok",
            "service": self._settings.service,
            "version": self._settings.version,
            "worker": self._settings.worker,
            "checks": {"database": check},
            "pool": {
                name: pool.get(name, 0) for name in ("pool_size", "pool_available", "pool_max", "requests_waiting")
            },
            "features": dict(self._settings.features),
        }
        return _json(body, status=503 if why or not self._strain.ready else 200)

    async def live(self, _: web.Request) -> web.Response:
        """GET /live: the process answers; nothing is said of its dependencies."""
        return _json({"status": "alive", "worker": self._settings.worker, "version": self._settings.version})

    async def metrics(self, _: web.Request) -> web.Response:
        """GET /metrics, in Prometheus' text format."""
        self._metrics.pool(self._database.pool)
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    @web.middleware
    async def _observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        response, note = await _answered(request, self._released(request, handler))
        route = request.match_info.route.resource
        path = route.canonical if route is not None else "(unknown)"
        self._metrics.answered(
            method=request.method, path=path, status=response.status, seconds=time.monotonic() - began
        )
        request_id = request.headers.get("x-request-id") or secrets.token_hex(8)
        parent = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
        response.headers["x-request-id"] = request_id
        if not self._settings.keepalive:
            response.force_close()
        log.log(
            logging.ERROR if response.status >= 500 else logging.INFO,
            "%s %s %d%s",
            request.method,
            path,
            response.status,
            f": {note}" if note else "",
            extra={
                "request_id": request_id,
                "trace_id": parent[1] if parent else secrets.token_hex(16),
                "status": response.status,
                "duration_ms": _since(began),
                "path": request.path_qs,
            },
        )
        return response

    def _released(self, request: web.Request, handler: Handler) -> Handler:
        """The handler as this release has it: with its defect, except where it is only looked after."""
        if not self._settings.defect or request.path.startswith(_OWN):
            return handler

        async def defective(asked: web.Request) -> web.StreamResponse:
            if self._settings.defect == "errors":
                raise Refused(500, f"release {self._settings.version}: 'NoneType' object has no attribute 'price'")
            await asyncio.sleep(_SLOW_S)
            return await handler(asked)

        return defective

    async def _running(self, _: web.Application) -> AsyncIterator[None]:
        await self._database.open()
        self._cashier.open()
        gauges = asyncio.create_task(self._watch_pool())
        yield
        gauges.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gauges
        await self._cashier.close()
        if self._tasks is not None:
            await self._tasks.close()
        await self._database.close()

    async def _watch_pool(self) -> None:
        # Whichever process is scraped can only read what the others have written down.
        while True:
            self._metrics.pool(self._database.pool)
            await asyncio.sleep(0.5)


async def _round_trip(connection: Connection) -> None:
    await (await connection.execute("SELECT 1")).fetchone()


async def _answered(request: web.Request, handler: Handler) -> tuple[web.StreamResponse, str]:
    """The answer, and a note for the log where it is not what was asked for."""
    try:
        return await handler(request), ""
    except Refused as error:
        return _json({"error": str(error)}, status=error.status), str(error)
    except Unpaid as error:
        return _json({"error": str(error)}, status=502), str(error)
    except web.HTTPException as error:
        return _json({"error": error.reason}, status=error.status), ""
    except (psycopg.OperationalError, Unanswered) as error:  # PoolTimeout is one
        note = _in_short(error)
        return _json({"error": note}, status=503), note
    except psycopg.Error as error:
        note = _in_short(error)
        return _json({"error": note, "sqlstate": error.sqlstate}, status=500), note


def _file_receipt(spool: str, placed: DictRow) -> None:
    """Write the order's receipt, over that of the hundredth before it; Refused(500) where the disk is full."""
    if not spool:
        return
    try:
        text = json.dumps(placed, default=str).ljust(8192)
        Path(spool, f"receipt-{placed['id'] % _RECEIPTS}.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(500, f"spool: {error.strerror}") from error


def _in_short(error: Exception) -> str:
    match error:
        case PoolTimeout() | TooManyRequests():
            return f"no database connection free: {error}"
        case Unanswered():
            return str(error)
        case _:
            first = str(error).strip().splitlines() or [type(error).__name__]
            return f"database: {first[0]}"


def _number(given: object, name: str, *, default: int | None = -1) -> int | None:
    """A small whole number, `default` where none is given (-1: one must be); Refused(400)."""
    if given is None and default != -1:
        return default
    if isinstance(given, bool) or not re.fullmatch(r"\d{1,9}", str(given)):
        raise Refused(400, f"{name}: expected a whole number, found {given!r}")
    return int(str(given))


def _json(body: DictRow, status: int = 200) -> web.Response:
    return web.json_response(text=json.dumps(body, default=str), status=status)


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)
