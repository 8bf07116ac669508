"""Sets up logging, as lines of text or of JSON, and lists the kinds of log lines (`Action`)."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)

#: The optional fields of a JSON line, each with its meaning. The documentation of the log shows them.
FIELDS = {
    "session": "id of the session",
    "key": "key of the effect in the outbox, such as the name of a mail followed by the id of its session",
    "calendar": "address of the owner of the calendar",
    "what": "kind of the effect or of the decision, as in the [ledger](ledger.md)",
    "outcome": (
        "state of the effect after an attempt: `done`; `dropped`, as it was no longer needed; `waiting` for a retry; "
        "`uncertain`, when nobody can tell whether the mail was sent; `dead`, when the service refused it"
    ),
    "problem": "why the attempt failed",
}


class Action(StrEnum):
    """The kinds of log lines. The value is the field `action` of a JSON line, and part of the interface.

    Each kind has its usual log level, and one meaning for the documentation.
    """

    level: str
    meaning: str

    def __new__(cls, value: str, level: str, meaning: str) -> "Action":
        """Create a member. `level` is the usual level of its lines, and `meaning` a sentence for the documentation."""
        action = str.__new__(cls, value)
        action._value_, action.level, action.meaning = value, level, meaning
        return action

    RUN_STARTED = "run_started", "info", "`longarc run` or `longarc serve` has started."
    RUN_STOPPED = "run_stopped", "info", "`longarc run` or `longarc serve` has stopped as requested."
    PORT_TAKEN = "port_taken", "warning", "Another process serves the pages or the metrics on this port."
    DECISION = (
        "decision",
        "info",
        "A decision about a session was made, such as booked, deferred or held. `longarc why` shows the reason.",
    )
    EFFECT = (
        "effect",
        "info",
        "An attempt at a mail or at a change of a calendar has ended. The level is `debug` if it is tried again.",
    )
    PEOPLE_IMPORTED = "people_imported", "info", "The roster was imported."
    ROSTER_UNREAD = "roster_unread", "warning", "The directory can't be read; reading it is tried again."
    PEOPLE_CHANGING = "people_changing", "info", "The people file changed while it was read; it is read again."
    PARTICIPATION_CHANGED = "participation_changed", "info", "Some pairs take part from now on, or no longer take part."
    CONTENTS_ERASED = "contents_erased", "info", "Content was erased, for a person or because pairs ended long ago."
    ERASURE_FAILED = (
        "erasure_failed",
        "warning",
        "Content of an ended pair was not erased; this is tried again tomorrow.",
    )
    UNDONE = "undone", "info", "`longarc undo` took events off calendars."
    HABITS_UNREAD = "habits_unread", "warning", "The working hours in a person's calendar can't be read."
    OPENINGS_UNREAD = "openings_unread", "error", "The openings file has problems; the last valid version stays in use."
    CATALOGUE_UNREAD = (
        "catalogue_unread",
        "error",
        "A company's own translations can't be read; pages use the ones of Longarc instead.",
    )
    OPERATOR_ALERT = (
        "operator_alert",
        "error",
        "An operator alert is logged and not mailed, because the setting `operator` is empty.",
    )
    PLAN_FAILED = "plan_failed", "error", "Planning a pair failed; the pair is planned again in an hour."
    CANCELS_REFUSED = "cancels_refused", "error", "A sweep would have cancelled too many events: `rules.max_cancels`."
    LEASE_LOST = "lease_lost", "warning", "A lease ended before the work was done; another worker takes over."
    FREE_BUSY_FAILED = "free_busy_failed", "warning", "The free/busy of some people can't be read at the moment."
    CHANNEL_OPENED = "channel_opened", "info", "A service sends notifications of changes on a calendar from now on."
    CHANNEL_FAILED = (
        "channel_failed",
        "info",
        "A channel can't be opened or renewed, which is tried again; or it can't be closed, and is left to expire.",
    )
    SYNC_FAILED = "sync_failed", "debug", "A calendar can't be read; `outage_begins` reports its service."
    SYNC_REFUSED = "sync_refused", "warning", "A calendar with events of ours was returned empty; it was ignored."
    SESSIONS_RECOVERED = "sessions_recovered", "info", "After a restore, a calendar was searched for lost sessions."
    SYNC_UNFORESEEN = "sync_unforeseen", "error", "Reading a calendar failed with an unexpected error."
    EVENT_UNREADABLE = "event_unreadable", "warning", "An event can't be read completely; its time counts as busy."
    GRAPH_REFUSED = "graph_refused", "info", "Microsoft Graph refused a request, with its code and request-id."
    GRAPH_ROUND = (
        "graph_round",
        "info",
        "A new round of changes begins with a full reading of the calendar: Microsoft Graph's delta token has expired.",
    )
    ORGANIZER_UNREADABLE = (
        "organizer_unreadable",
        "warning",
        "An organizer's calendar can't be read, so our events on guests' calendars are not recognized.",
    )
    COPY_REFUSED = "copy_refused", "warning", "A guest's CalDAV calendar did not accept a copy of an event."
    COPIES_KEPT = "copies_kept", "warning", "An organizer's CalDAV calendar was returned empty; guests' copies stay."
    FOLDER_UNLISTED = (
        "folder_unlisted",
        "info",
        "A CalDAV server can't tell with one request which calendars have changed; each calendar is read by itself.",
    )
    PULSE_WAITS = "pulse_waits", "warning", "A round of the anonymous question can't be opened or closed yet."
    OUTAGE_BEGINS = "outage_begins", "error", "A service, the database or Huey's queue is out of order."
    OUTAGE_LASTS = "outage_lasts", "warning", "An outage still lasts; this is logged once an hour."
    OUTAGE_ENDS = "outage_ends", "warning", "An outage has ended."
    TICK_ENDLESS = "tick_endless", "error", "A tick was given up, because work became due again and again."
    METRICS_UNREAD = "metrics_unread", "warning", "The metrics of the database can't be read; the others are exported."
    PAGE_SERVED = "page_served", "info", "A page was requested: URL rule and status, never the whole URL."
    PAGE_BUSY = "page_busy", "warning", "A page could not be served: the database is busy or out of reach."
    SIGN_IN_REFUSED = "sign_in_refused", "warning", "Somebody could not be signed in; the line has the reason only."
    SIGN_IN_OUTAGE = "sign_in_outage", "error", "The company's sign-in can't be reached or used: see `longarc check`."
    PAGE_FAILED = "page_failed", "error", "A page failed with an unexpected error."


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON. Its field `message` is for people, and `action` for programs."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("action", *FIELDS):
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(level: str = "INFO", style: str = "text") -> None:
    """Make the root logger write to standard error, at this level or above. `style` is `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    text_formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if style == "json" else text_formatter)
    # The library caldav logs whole responses directly to the root logger. Our own modules log to loggers with names.
    handler.addFilter(lambda record: record.name != "root")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for verbose_library in ("huey", "alembic", "urllib3", "caldav", "msal", "sqlalchemy"):
        logging.getLogger(verbose_library).setLevel("WARNING")
    logging.getLogger("googleapiclient").setLevel("ERROR")  # warnings of this library contain whole responses
