"""The summary of a simulation: counts conversations, deferrals, mails and events from the lines of its ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import CONTRACT_TOPICS, SessionState
from worker.domain.planning.contract_mails import CONTRACT_PERIOD

#: The most sessions without a time that the summary names.
MAX_NAMED_SESSIONS = 12


@dataclass(slots=True)
class CareerSession:
    """A career session according to the ledger so far."""

    pair: str
    topic: str
    state: str = ""
    held_end: datetime | None = None  #: the end of the session if it was held, and nobody has denied that since
    contracted_at: datetime | None = None  #: when its first contract was recorded
    without_time_since: datetime | None = None  #: since when the session has had no time; None while it has one
    earlier_duration_without_time: timedelta = timedelta()  #: the total length of the earlier periods without a time

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Update the session from a ledger line about it."""
        at, self.state = datetime.fromisoformat(line["at"]), line["state"]
        if self.state == SessionState.HELD.value:
            self.held_end = datetime.fromisoformat(line["end"])
        elif self.state == SessionState.CONTRACTED.value:
            self.contracted_at = self.contracted_at or at
            self.held_end = self.held_end or datetime.fromisoformat(line["end"])
        elif self.state != SessionState.UNFINISHED.value:  # an unfinished session was held, too
            self.held_end = None
        is_without_time = self.state in (SessionState.OWED.value, SessionState.DEFERRED.value)
        if is_without_time and self.without_time_since is None:
            self.without_time_since = at
        elif not is_without_time and self.without_time_since is not None:
            self.earlier_duration_without_time += at - self.without_time_since
            self.without_time_since = None

    def compute_duration_without_time(self, now: datetime) -> timedelta:
        """Return the total length of all periods in which the session had no time, until now."""
        current_period = now - self.without_time_since if self.without_time_since else timedelta()
        return self.earlier_duration_without_time + current_period


@dataclass(slots=True)
class Summary:
    """The counts of the lines of a ledger."""

    lines: int = 0
    career_sessions: dict[str, CareerSession] = field(default_factory=dict)  #: by session id
    ad_hoc_ids: set[str] = field(default_factory=set)  #: the ids of sessions that somebody asked for
    deferral_causes: Counter[str] = field(default_factory=Counter)  #: deferrals of career sessions, by cause
    mails: Counter[str] = field(default_factory=Counter)  #: sent mails, by name
    actions: Counter[str] = field(default_factory=Counter)  #: actions of people, by name
    events: Counter[str] = field(default_factory=Counter)  #: changes of calendars: `create`, `update`, `cancel`
    last_at: str = ""  #: the instant of the last line

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Count one line."""
        self.lines += 1
        self.last_at = line["at"]
        kind = line["what"]
        if kind == "session" and line.get("kind") == "career":
            session = self.career_sessions.setdefault(line["session"], CareerSession(line["pair"], line["topic"]))
            session.add_line(line)
            if line["state"] == SessionState.DEFERRED.value:
                self.deferral_causes[line.get("cause", "")] += 1
        elif kind == "mail":
            self.mails[line["message"]] += 1
        elif kind == "human":
            self.actions[line["act"]] += 1
            if line["act"] == "talk":
                self.ad_hoc_ids.add(line["session"])
        elif kind.startswith("event."):
            self.events[kind.removeprefix("event.")] += 1

    def list_conversations(self) -> list[CareerSession]:
        """Return a session for each conversation that was held, without ad hoc sessions: of a series, its last part."""
        return [
            session
            for session_id, session in self.career_sessions.items()
            if session.held_end and session.topic in CONTRACT_TOPICS and session_id not in self.ad_hoc_ids
        ]

    def list_without_time(self) -> list[tuple[str, int]]:
        """Return the ids of career sessions that had no time for a day or more, with the days, the most days first."""
        if not self.last_at:
            return []
        now = datetime.fromisoformat(self.last_at)
        sessions = self.career_sessions.items()
        days_by_id = {session_id: session.compute_duration_without_time(now).days for session_id, session in sessions}
        return sorted(((session_id, days) for session_id, days in days_by_id.items() if days), key=_order_by_count)

    def list_rows(self, pair_count: int) -> Iterator[tuple[str, str]]:
        """Yield the rows of the printed summary, each with a name and its figures."""
        sessions = self.career_sessions.items()
        held_sessions = {session_id: session for session_id, session in sessions if session.held_end}
        ad_hoc_count = len(self.ad_hoc_ids & held_sessions.keys())
        ad_hoc_figures = f", and {ad_hoc_count:,} that somebody asked for" if ad_hoc_count else ""
        contract_delays = [
            session.contracted_at - session.held_end
            for session in held_sessions.values()
            if session.contracted_at and session.held_end
        ]
        in_time_count = sum(delay <= CONTRACT_PERIOD for delay in contract_delays)
        states = Counter(session.state for session in self.career_sessions.values())
        yield "Pairs that met", f"{len({session.pair for session in held_sessions.values()}):,} of {pair_count:,}"
        yield "Conversations held", f"{len(self.list_conversations()):,}{ad_hoc_figures}"
        yield "Deferrals", _format_counts(self.deferral_causes)
        yield "Without a time", _format_sessions(self.list_without_time())
        yield "Closed with a contract", f"{len(contract_delays):,}, {in_time_count:,} of them within 48 hours"
        yield "Left unfinished", f"{states[SessionState.UNFINISHED.value]:,}"
        yield "On calendars", _format_counts(self.events)
        yield "Mails", _format_counts(self.mails)
        yield "What people did", _format_counts(self.actions)


def _order_by_count(item: tuple[str, int]) -> tuple[int, str]:
    """Return the sort key that puts the largest count first, and equal counts in the order of their names."""
    name, count = item
    return -count, name


def _format_counts(counts: Counter[str]) -> str:
    """Return the total and its parts, the largest first, such as `5: 3 declined, 2 deleted`."""
    if not counts:
        return "0"
    parts = sorted(counts.items(), key=_order_by_count)
    return f"{counts.total():,}: " + ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in parts)


def _format_sessions(sessions: list[tuple[str, int]]) -> str:
    """Return the number of sessions, and each with its days, such as `2: c1a for 12 days, c2b for 1 day`."""
    if not sessions:
        return "0"
    named_sessions = [
        f"{session_id} for {days:,} day{'' if days == 1 else 's'}" for session_id, days in sessions[:MAX_NAMED_SESSIONS]
    ]
    unnamed_count = len(sessions) - len(named_sessions)
    suffix = f" and {unnamed_count:,} more" if unnamed_count else ""
    return f"{len(sessions):,}: {', '.join(named_sessions)}{suffix}"
