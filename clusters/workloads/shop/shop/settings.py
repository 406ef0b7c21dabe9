"""What the service is told by its environment variables. Not how it is used."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

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
    "orders.created_at",
)
"""The tables and columns the service uses; SCHEMA_NAMES may call them otherwise."""


class SettingsError(ValueError):
    """Variables that cannot be understood, all of them at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds. `payment_latency`: how long the payment provider takes to answer, inside the order's transaction.
    `names` maps each of NAMES that is called otherwise to what it is called."""

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
    payment_latency: float = 0.0
    metrics_folder: str = ""
    features: Mapping[str, bool] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def feature(self, name: str) -> bool:
        """Whether that feature is on; features are on unless FEATURE_<NAME> says otherwise."""
        return self.features.get(name, True)


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

    def _number(self, name: str, default: float, least: float, pattern: str, what: str) -> float:
        text = self.environ.get(name, "").strip()
        if not text:
            return default
        if not re.fullmatch(pattern, text) or float(text) < least:
            self.problems.append(f"{name}: expected {what} of at least {least}, found {text!r}")
            return default
        return float(text)

    def flags(self) -> dict[str, bool]:
        words = {
            "1": True,
            "true": True,
            "on": True,
            "yes": True,
            "0": False,
            "false": False,
            "off": False,
            "no": False,
        }
        found = {}
        for name, text in self.environ.items():
            if not name.startswith("FEATURE_"):
                continue
            if text.strip().lower() in words:
                found[name.removeprefix("FEATURE_").lower()] = words[text.strip().lower()]
            else:
                self.problems.append(f"{name}: expected true or false, found {text!r}")
        return found

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
        payment_latency=read.seconds("PAYMENT_LATENCY_S", 0.0),
        metrics_folder=read.text("PROMETHEUS_MULTIPROC_DIR", ""),
        features=read.flags(),
        names=read.names(),
    )
    if read.problems:
        raise SettingsError("\n".join(read.problems))
    return settings
