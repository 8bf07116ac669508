"""Logging: one line for each record, as text or as JSON."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """One JSON object a line: a sentence for people, an `action` for machines."""

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
    """Log to standard error; once for the whole process."""
    stream = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    stream.setFormatter(JsonLines() if style == "json" else plain)
    stream.addFilter(lambda record: record.name != "root")  # no words of ours: a library logs whole answers there
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(level.upper())
    for noisy in ("huey", "alembic", "urllib3", "caldav", "msal", "sqlalchemy"):
        logging.getLogger(noisy).setLevel("WARNING")
    logging.getLogger("googleapiclient").setLevel("ERROR")  # it repeats whole answers when it warns
