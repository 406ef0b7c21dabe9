"""What the service is told by its environment variables. Not how it is used."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shop.coupons import Coupon, Coupons

NAMES = (
    "products",
    "products.id",
    "products.name",
    "products.category_id",
    "products.price_cents",
    "products.stock",
    "orders",
    "orders.id",
    "orders.user_id",
    "orders.product_id",
    "orders.quantity",
    "orders.status",
    "orders.created_at",
)
"""The tables and columns the service uses; SCHEMA_NAMES may call them otherwise."""


class SettingsError(ValueError):
    """Variables that cannot be understood, all of them at once."""


DEFECTS = ("", "crash", "errors", "slow")
"""What is wrong with a release (DEFECT): nothing; it does not start; it answers 500; every answer takes two seconds longer."""


@dataclass(frozen=True, slots=True)
class Payments:
    """`providers` are names and URLs of those that are enabled, the first is used; without any nobody is asked.

    `timeout` bounds each question, in seconds. `confirm`: how long an order may wait for the provider's webhook to call it
    paid, in seconds; 0: the provider's answer is enough. `callback` is the URL that webhooks are to be sent to, `secrets` what
    each provider signs them with.
    """

    providers: tuple[tuple[str, str], ...] = ()
    timeout: float = 1.0
    confirm: float = 0.0
    callback: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds. `payment_latency`: how long the payment provider takes to answer, inside the order's transaction.
    `names` maps each of NAMES that is called otherwise to what it is called. `pidfile` keeps a second process from starting
    beside the first, `spool` takes a receipt for each order, `redis_url` and `queue` are where tasks go, `strain` lets a drill
    ask the process to misbehave (shop.strain), `client_target` is whom a client asks (shop.client); all of them are off where
    they are empty or false. Without `keepalive` every answer ends its connection, so that each request goes to whichever process
    is chosen then, as behind a proxy that balances requests."""

    host: str = "127.0.0.1"
    port: int = 8080
    worker: str = "0"
    service: str = "shop"
    conninfo: str = ""
    application_name: str = "shop"
    pool_min: int = 1
    pool_size: int = 5
    pool_timeout: float = 1.0
    pool_max_lifetime: float = 3600.0
    pool_max_idle: float = 600.0
    reconnect_timeout: float = 0.5
    query_timeout: float = 5.0
    statement_timeout_ms: int = 0
    shutdown_timeout: float = 2.0
    keepalive: bool = True
    payment_latency: float = 0.0
    payments: Payments = field(default_factory=Payments)
    coupons: Coupons = field(default_factory=Coupons)
    version: str = "1.0"
    defect: str = ""
    role: str = ""
    pidfile: str = ""
    spool: str = ""
    redis_url: str = ""
    queue: str = "celery"
    strain: bool = False
    client_target: str = ""
    client_rate: float = 0.0
    metrics_folder: str = ""
    features: Mapping[str, bool] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def feature(self, name: str) -> bool:
        """Whether that feature is on; features are on unless FEATURE_<NAME> says otherwise."""
        return self.features.get(name, True)


_WORDS = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


class _Reader:
    """Reads variables one by one and remembers what was wrong with each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.environ.get(name, default)

    def whole(self, name: str, default: int, *, least: int = 0) -> int:
        return int(self._number(name, default, least, r"\d+", "a whole number"))

    def seconds(self, name: str, default: float) -> float:
        return self._number(name, default, 0.0, r"\d+(\.\d+)?", "a number of seconds")

    def rate(self, name: str, default: float) -> float:
        return self._number(name, default, 0.0, r"\d+(\.\d+)?", "how often a second")

    def _number(self, name: str, default: float, least: float, pattern: str, what: str) -> float:
        text = self.environ.get(name, "").strip()
        if not text:
            return default
        if not re.fullmatch(pattern, text) or float(text) < least:
            self.problems.append(f"{name}: expected {what} of at least {least}, found {text!r}")
            return default
        return float(text)

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.environ.get(name, "").strip().lower()
        if text and text not in _WORDS:
            self.problems.append(f"{name}: expected true or false, found {self.environ[name]!r}")
        return _WORDS.get(text, default)

    def flags(self) -> dict[str, bool]:
        prefix = "FEATURE_"
        named = [name for name in self.environ if name.startswith(prefix)]
        return {name.removeprefix(prefix).lower(): self.flag(name, default=True) for name in named}

    def word(self, name: str, words: tuple[str, ...]) -> str:
        text = self.environ.get(name, "")
        if text not in words:
            self.problems.append(f"{name}: expected one of {', '.join(map(repr, words))}, found {text!r}")
        return text

    def payments(self) -> Payments:
        pairs = [pair.partition("=") for pair in self.environ.get("PAYMENT_PROVIDERS", "").split()]
        for name, _, url in pairs:
            if not name.isidentifier() or not url.startswith(("http://", "https://")):
                self.problems.append(f"PAYMENT_PROVIDERS: expected <name>=<URL>, found {f'{name}={url}'!r}")
        suffix = "_WEBHOOK_SECRET"
        return Payments(
            providers=tuple((name, url) for name, _, url in pairs if self.flag(f"ENABLE_{name.upper()}", default=True)),
            timeout=self.seconds("PAYMENT_TIMEOUT_S", 1.0),
            confirm=self.seconds("PAYMENT_CONFIRM_S", 0.0),
            callback=self.text("PAYMENT_CALLBACK_URL", ""),
            secrets={n.removesuffix(suffix).lower(): v for n, v in self.environ.items() if n.endswith(suffix)},
        )

    def coupons(self) -> Coupons:
        campaigns = {}
        for text in self.environ.get("COUPONS", "").split():
            fitting = re.fullmatch(r"(?P<code>\w+)=(?P<percent>\d{1,2})(?P<first>:first)?", text)
            if fitting:
                campaigns[fitting["code"]] = Coupon(int(fitting["percent"]), first=fitting["first"] is not None)
            else:
                self.problems.append(f"COUPONS: expected <code>=<percent> or <code>=<percent>:first, found {text!r}")
        return Coupons(campaigns, frozenset(self.environ.get("BLACKLISTED_COUPONS", "").replace(",", " ").split()))

    def names(self) -> dict[str, str]:
        found = {}
        for pair in self.environ.get("SCHEMA_NAMES", "").split():
            ours, _, theirs = pair.partition("=")
            if ours in NAMES and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", theirs):
                found[ours] = theirs
            else:
                self.problems.append(
                    f"SCHEMA_NAMES: expected <name>=<identifier>, names {', '.join(NAMES)}; found {pair!r}"
                )
        return found


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `environ`; SettingsError with everything that is wrong.

    DATABASE_URL is a libpq URL or connection string; where it is empty, libpq's own PGHOST, PGPORT, … hold.
    """
    read = _Reader(environ)
    service = read.text("SERVICE_NAME", "shop")
    pool_size = read.whole("DATABASE_POOL_SIZE", 5, least=1)
    settings = Settings(
        host=read.text("HOST", "127.0.0.1"),
        port=read.whole("PORT", 8080, least=1),
        worker=read.text("WORKER", "0"),
        service=service,
        conninfo=read.text("DATABASE_URL", ""),
        application_name=read.text("APPLICATION_NAME", service),
        pool_min=min(read.whole("DATABASE_POOL_MIN", 1), pool_size),
        pool_size=pool_size,
        pool_timeout=read.seconds("DATABASE_POOL_TIMEOUT_S", 1.0),
        pool_max_lifetime=read.seconds("DATABASE_POOL_MAX_LIFETIME_S", 3600.0),
        pool_max_idle=read.seconds("DATABASE_POOL_MAX_IDLE_S", 600.0),
        reconnect_timeout=read.seconds("DATABASE_RECONNECT_TIMEOUT_S", 0.5),
        query_timeout=read.seconds("DATABASE_QUERY_TIMEOUT_S", 5.0),
        statement_timeout_ms=read.whole("DATABASE_STATEMENT_TIMEOUT_MS", 0),
        shutdown_timeout=read.seconds("SHUTDOWN_TIMEOUT_S", 2.0),
        keepalive=read.flag("KEEPALIVE", default=True),
        payment_latency=read.seconds("PAYMENT_LATENCY_S", 0.0),
        payments=read.payments(),
        coupons=read.coupons(),
        version=read.text("VERSION", "1.0"),
        defect=read.word("DEFECT", DEFECTS),
        role=read.word("ROLE", ("", "web", "worker", "backup", "client")),
        pidfile=read.text("PIDFILE", ""),
        spool=read.text("SPOOL", ""),
        redis_url=read.text("REDIS_URL", ""),
        queue=read.text("QUEUE", "celery"),
        strain=read.flag("STRAIN", default=False),
        client_target=read.text("CLIENT_TARGET", ""),
        client_rate=read.rate("CLIENT_CALLS_PER_S", 0.0),
        metrics_folder=read.text("PROMETHEUS_MULTIPROC_DIR", ""),
        features=read.flags(),
        names=read.names(),
    )
    if read.problems:
        raise SettingsError("\n".join(read.problems))
    return settings
