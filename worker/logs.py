"""Logging: one line for each record, as text or as JSON."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: `message` is for people, `action` for programs."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("action", "session", "key", "calendar", "problem"):
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(level: str = "INFO", style: str = "text") -> None:
    """Make the root logger write to standard error. `style` is `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    text_formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if style == "json" else text_formatter)
    handler.addFilter(lambda record: record.name != "root")  # a library logs whole responses there; we never do
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for verbose_library in ("huey", "alembic", "urllib3", "caldav", "msal", "sqlalchemy"):
        logging.getLogger(verbose_library).setLevel("WARNING")
    logging.getLogger("googleapiclient").setLevel("ERROR")  # its warnings contain whole responses
