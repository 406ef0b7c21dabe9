"""Prometheus metrics, the same answer from whichever process is asked. Import only after the settings were read:
prometheus_client looks for its folder while it is imported."""

import os
import tempfile
from pathlib import Path

from psycopg_pool import AsyncConnectionPool

from shop.database import Connection
from shop.settings import Settings

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of this process, in files that all processes of the service share."""

    def __init__(self, settings: Settings) -> None:
        self._folder = _shared_folder(settings)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see the first lines

        self._requests = Counter(
            "http_server_requests", "Requests answered.", ["method", "path", "status"]
        )  # exposed as http_server_requests_total
        self._duration = Histogram(
            "http_server_request_duration_seconds", "From request to answer.", ["method", "path"], buckets=BUCKETS
        )
        self._pool = {
            key: Gauge(f"database_pool_{name}", text, multiprocess_mode="livesum")
            for key, name, text in (
                ("pool_size", "connections", "Connections open or being opened."),
                ("pool_available", "connections_idle", "Connections not in use."),
                ("pool_max", "connections_max", "Connections allowed (DATABASE_POOL_SIZE)."),
                ("requests_waiting", "requests_waiting", "Requests waiting for a connection."),
            )
        }

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request; `path` is the route, not what was asked, so that there are few of them."""
        self._requests.labels(method, path, str(status)).inc()
        self._duration.labels(method, path).observe(seconds)

    def pool(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Take the pool's state."""
        state = pool.get_stats()
        for key, gauge in self._pool.items():
            gauge.set(state.get(key, 0))

    def page(self) -> bytes:
        """The exposition of all processes together."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # noqa: PLC0415

        # A process that was killed could not take its gauges back.
        for pid in {path.stem.rpartition("_")[2] for path in self._folder.glob("gauge_live*_*.db")}:
            if not Path("/proc", pid).exists():
                mark_process_dead(int(pid), str(self._folder))  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _shared_folder(settings: Settings) -> Path:
    """The folder given, or one that every process of this service on this port finds by itself."""
    given = settings.metrics_folder
    folder = Path(given) if given else Path(tempfile.gettempdir(), f"{settings.service}-{settings.port}-metrics")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
