"""Start it: `python -m provider`. HOST, PORT; NAME and WEBHOOK_SECRET sign its webhooks (X-NAME-Signature)."""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web

log = logging.getLogger("provider")
MODES = ("ok", "error", "slow", "silent")
"""It answers; with 503; after `delay_s`; not at all (until the caller gives up)."""

AGAIN_S = (0.0, 0.5, 2.0)
"""When a webhook is sent, and sent again if it is not taken: seconds after the try before."""


class Provider:
    """POST /charges and /completions answer as the mode has it, which POST /switch {"mode": …, "delay_s": N} sets.

    A charge that names a webhook is captured a moment later, and said so there, signed with HMAC-SHA256.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._name = environ.get("NAME", "provider")
        self._secret = environ.get("WEBHOOK_SECRET", "")
        self._mode = environ.get("MODE", "ok")
        self._delay = 5.0
        self._asked = 0
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """What it answers."""
        application = web.Application()
        application.add_routes(
            [
                web.post("/charges", self.charge),
                web.post("/completions", self.complete),
                web.get("/live", self.state),
                web.get("/switch", self.state),
                web.post("/switch", self.switch),
            ]
        )
        application.cleanup_ctx.append(self._running)
        return application

    async def charge(self, request: web.Request) -> web.Response:
        """POST /charges {"reference": N, "amount_cents": N, "webhook": URL or null}."""
        asked = await request.json()
        if trouble := await self._misbehaved():
            return trouble
        if asked.get("webhook"):
            body = json.dumps({"event": "payment.captured", "reference": asked["reference"]}).encode()
            task = asyncio.create_task(self._send(str(asked["webhook"]), body))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return web.json_response({"id": f"ch_{self._asked}", "status": "authorized"})

    async def complete(self, request: web.Request) -> web.Response:
        """POST /completions {"prompt": text}."""
        await request.json()
        return await self._misbehaved() or web.json_response({"text": "a recommendation"})

    async def state(self, _: web.Request) -> web.Response:
        """GET /switch, /live: how it answers at present."""
        return web.json_response({"mode": self._mode, "delay_s": self._delay, "asked": self._asked})

    async def switch(self, request: web.Request) -> web.Response:
        """POST /switch {"mode": one of MODES, "delay_s": N}."""
        asked = await request.json()
        mode = asked.get("mode", self._mode)
        if mode not in MODES:
            return web.json_response({"error": f"expected a mode of {', '.join(MODES)}; found {mode!r}"}, status=400)
        self._mode, self._delay = mode, float(asked.get("delay_s", self._delay))
        return await self.state(request)

    async def _misbehaved(self) -> web.Response | None:
        self._asked += 1
        match self._mode:
            case "error":
                return web.json_response({"error": "temporarily unavailable"}, status=503)
            case "slow":
                await asyncio.sleep(self._delay)
            case "silent":
                await asyncio.sleep(600)
            case _:
                pass
        return None

    async def _send(self, url: str, body: bytes) -> None:
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {f"X-{self._name.title()}-Signature": signature, "Content-Type": "application/json"}
        for pause in AGAIN_S:
            await asyncio.sleep(pause)
            why = await self._sent(url, body, headers)
            if not why:
                return
            log.warning("webhook to %s: %s", url, why)

    async def _sent(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Why it was not taken; "" if it was."""
        if self._session is None:
            return "shutting down"
        try:
            async with self._session.post(url, data=body, headers=headers) as answer:
                return "" if answer.status == 200 else f"answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"

    async def _running(self, _: web.Application) -> AsyncIterator[None]:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        yield
        for task in self._sending:
            task.cancel()
        await self._session.close()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)

    async def application() -> web.Application:
        return Provider(os.environ).application()

    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))
    web.run_app(application(), host=host, port=port, access_log=None, print=None, shutdown_timeout=0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
