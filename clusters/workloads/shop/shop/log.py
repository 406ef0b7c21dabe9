"""JSON lines on standard output: one per request, and the libraries' warnings in the same form."""

import datetime as dt
import json
import logging
import sys

FIELDS = ("request_id", "trace_id", "status", "duration_ms", "path")


class JsonLines(logging.Formatter):
    """timestamp level service message, and what a request adds."""

    def __init__(self, service: str, worker: str) -> None:
        super().__init__()
        self._service = service
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
        line = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "worker": self._worker,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(service: str, worker: str) -> None:
    """Send everything at INFO and above (libraries: WARNING) to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service, worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("shop").setLevel(logging.INFO)
