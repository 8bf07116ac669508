"""Logging: one line for each record, as text or as JSON, and the events that lines are about."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)

#: The fields of a line in JSON besides those that every line has, each with its meaning.
FIELDS = {
    "session": "id of the session",
    "key": "key of the effect in the outbox: the name of the mail or kind of change, and what it is about",
    "calendar": "address whose calendar it is about",
    "what": "kind of the effect or of the decision, as in the [ledger](ledger.md)",
    "outcome": "what became of the effect: `done`, `dropped`, `waiting` (it is tried again), `uncertain` or `dead`",
    "problem": "why the attempt failed",
}


class Action(StrEnum):
    """The events of note: `action` in a line of JSON. Values are an interface; each has one level and one meaning."""

    level: str
    meaning: str

    def __new__(cls, value: str, level: str, meaning: str) -> "Action":
        """Create a member. `level` is that of its lines, `meaning` a sentence for the documentation."""
        action = str.__new__(cls, value)
        action._value_, action.level, action.meaning = value, level, meaning
        return action

    RUN_STARTED = "run_started", "info", "`longarc run` or `longarc serve` has started."
    RUN_STOPPED = "run_stopped", "info", "It has stopped in order."
    PORT_TAKEN = "port_taken", "warning", "Another process serves the pages or the metrics; this one goes on without."
    DECISION = (
        "decision",
        "info",
        "Something was decided about a session: booked, deferred, held, … `longarc why` has the reason.",
    )
    EFFECT = "effect", "info", "A change of a calendar or a mail has come to an end. Attempts that failed: `debug`."
    PEOPLE_IMPORTED = "people_imported", "info", "The roster was imported."
    ROSTER_UNREAD = "roster_unread", "warning", "The directory can't be read just now; it is tried again."
    PEOPLE_CHANGING = "people_changing", "info", "The people file changed while it was read; it is read again."
    PARTICIPATION_CHANGED = "participation_changed", "info", "Pairs take part from now on, or take part no longer."
    CONTENTS_ERASED = "contents_erased", "info", "What was written was erased: for a person, or long after pairs ended."
    ERASURE_FAILED = "erasure_failed", "warning", "What an ended pair wrote could not be erased; it is tried tomorrow."
    UNDONE = "undone", "info", "`longarc undo` took events off calendars."
    HABITS_UNREAD = "habits_unread", "warning", "The working hours in a person's calendar can't be read."
    OPENINGS_UNREAD = "openings_unread", "error", "The openings file has problems; the last good one counts."
    CATALOGUE_UNREAD = "catalogue_unread", "error", "A catalogue of your own can't be read; the page is in English."
    OPERATOR_ALERT = "operator_alert", "error", "An alert, while the settings name no `operator` to mail it to."
    PLAN_FAILED = "plan_failed", "error", "Planning a pair failed; it is tried again in an hour."
    CANCELS_REFUSED = "cancels_refused", "error", "A sweep was to cancel more events than `rules.max_cancels`."
    LEASE_LOST = "lease_lost", "warning", "Another worker took over what this one was too slow for; nothing is lost."
    FREE_BUSY_FAILED = "free_busy_failed", "warning", "The free/busy of some people can't be read just now."
    CHANNEL_OPENED = "channel_opened", "info", "A service tells of changes of a calendar from now on."
    CHANNEL_FAILED = "channel_failed", "info", "A service does not tell of changes of a calendar; it is tried again."
    SYNC_FAILED = "sync_failed", "debug", "A calendar can't be read; the outage of its service says so at `error`."
    SYNC_REFUSED = "sync_refused", "warning", "A calendar reads empty where events of ours stood; nothing was changed."
    SESSIONS_RECOVERED = "sessions_recovered", "info", "A calendar was read for the first time after a restoration."
    SYNC_UNFORESEEN = "sync_unforeseen", "error", "Reading a calendar failed in a way that nobody foresaw."
    EVENT_UNREADABLE = "event_unreadable", "warning", "An event can't be read; it counts for the span it names."
    GRAPH_REFUSED = "graph_refused", "info", "Microsoft Graph refused a request, with its code and request-id."
    GRAPH_ROUND = "graph_round", "info", "A delta token of Microsoft Graph has expired; the calendar is read in full."
    ORGANIZER_UNREADABLE = "organizer_unreadable", "warning", "An organizer's calendar can't be read for a guest."
    COPY_REFUSED = "copy_refused", "warning", "A guest's CalDAV calendar takes no copy of an event."
    COPIES_KEPT = "copies_kept", "warning", "An organizer's CalDAV calendar reads empty; the guests' copies stay."
    FOLDER_UNLISTED = (
        "folder_unlisted",
        "info",
        "A CalDAV server doesn't list a folder's calendars; each is read alone.",
    )
    PULSE_WAITS = "pulse_waits", "warning", "The round of the anonymous question can't be opened or closed yet."
    OUTAGE_BEGINS = "outage_begins", "error", "A service, the database or the queue is out of order."
    OUTAGE_LASTS = "outage_lasts", "warning", "It still is; one line an hour."
    OUTAGE_ENDS = "outage_ends", "warning", "It works again, after so many minutes and failed attempts."
    TICK_ENDLESS = "tick_endless", "error", "A tick did not come to an end."
    METRICS_UNREAD = "metrics_unread", "warning", "The metrics of the database can't be read; the others are told."
    PAGE_SERVED = "page_served", "info", "A page was asked for: its rule and status, never its address."
    PAGE_BUSY = "page_busy", "warning", "A page could not be served, because the database is busy or out of reach."
    SIGN_IN_REFUSED = "sign_in_refused", "warning", "Somebody could not be signed in; the line says why, not who."
    SIGN_IN_OUTAGE = "sign_in_outage", "error", "The company's sign-in can't be reached or used: `longarc check`."
    PAGE_FAILED = "page_failed", "error", "A page failed in a way that nobody foresaw."


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: `message` is for people, `action` for programs."""

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
