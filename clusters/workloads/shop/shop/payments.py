"""The way to the payment providers and back: a charge is asked for over HTTP, a webhook says later that it was captured."""

import hashlib
import hmac
import json
import logging

import aiohttp

from shop.settings import Payments

log = logging.getLogger("shop.payments")


class Unpaid(Exception):  # noqa: N818 - an answer, not a mistake
    """No provider authorized the charge; the message says why."""


class Cashier:
    """Asks the first provider that is enabled. `open` and `close` belong to the application's life."""

    def __init__(self, settings: Payments) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    @property
    def asks(self) -> bool:
        """Whether a provider is asked at all."""
        return bool(self._settings.providers)

    @property
    def confirm(self) -> float:
        """How long an order may wait for the webhook, in seconds; 0 where the provider's answer is enough."""
        return self._settings.confirm if self.asks else 0.0

    def open(self) -> None:
        """Begin; inside the running loop."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._settings.timeout))

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()

    async def charge(self, *, reference: int, cents: int) -> str:
        """Have `cents` authorized for the order `reference`; the provider's name. Unpaid if it refuses, fails or is silent."""
        if self._session is None:
            raise Unpaid("payment authorization failed: the service is shutting down")
        name, url = self._settings.providers[0]
        asked = {"reference": reference, "amount_cents": cents, "webhook": self._settings.callback or None}
        try:
            async with self._session.post(f"{url}/charges", json=asked) as answer:
                if answer.status != 200:
                    raise Unpaid(f"payment authorization failed: {name} answered {answer.status}")
                await answer.read()
        except TimeoutError:
            raise Unpaid(
                f"payment authorization failed: no answer from {name} in {self._settings.timeout:g} s"
            ) from None
        except aiohttp.ClientError as error:
            raise Unpaid(f"payment authorization failed: {name}: {error}") from error
        return name

    def captured(self, provider: str, body: bytes, signature: str) -> int | None:
        """The order that a webhook calls paid; None if its signature is not ours to believe, or it says nothing of the kind."""
        secret = self._settings.secrets.get(provider, "")
        if not secret or not hmac.compare_digest(sign(secret, body), signature):
            log.error("webhook of %s: signature mismatch", provider)
            return None
        try:
            said = json.loads(body)
            return int(said["reference"]) if said["event"] == "payment.captured" else None
        except (ValueError, KeyError, TypeError):
            log.exception("webhook of %s: not understood", provider)
            return None


def sign(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the body, in hexadecimal digits."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
