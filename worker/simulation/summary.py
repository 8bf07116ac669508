"""Counts the lines of a ledger while it is written: conversations held, deferrals by cause, mails, events."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import SessionState, Topic

#: A contract recorded within this time after the end of its session counts as in time.
DEADLINE = timedelta(hours=48)
#: How many sessions without a time are named at most.
MAX_NAMED = 12
#: A conversation is a session of one of these topics; a series of three is counted by its last part (T-13).
CLOSING_TOPICS = frozenset({Topic.ALL.value, Topic.GAP.value})


@dataclass(slots=True)
class CareerSession:
    """What became of a career session so far."""

    pair: str
    topic: str
    state: str = ""
    held_end: datetime | None = None  #: its end, when it was held and nobody has said otherwise since
    contracted_at: datetime | None = None
    without_since: datetime | None = None  #: since when it has had no time; None when it has one
    without: timedelta = timedelta()  #: how long it had none before that

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in one line about it."""
        at, self.state = datetime.fromisoformat(line["at"]), line["state"]
        if self.state == SessionState.HELD.value:
            self.held_end = datetime.fromisoformat(line["end"])
        elif self.state == SessionState.CONTRACTED.value:
            self.contracted_at = self.contracted_at or at
            self.held_end = self.held_end or datetime.fromisoformat(line["end"])
        elif self.state != SessionState.UNFINISHED.value:
            self.held_end = None
        is_without_time = self.state in (SessionState.OWED.value, SessionState.DEFERRED.value)
        if is_without_time and self.without_since is None:
            self.without_since = at
        elif not is_without_time and self.without_since is not None:
            self.without += at - self.without_since
            self.without_since = None

    def compute_time_without(self, now: datetime) -> timedelta:
        """Return how long, all together, it has had no time by now."""
        return self.without + (now - self.without_since if self.without_since else timedelta())


@dataclass(slots=True)
class Summary:
    """The counts of a ledger."""

    lines: int = 0
    careers: dict[str, CareerSession] = field(default_factory=dict)  #: by id of the session
    talks: set[str] = field(default_factory=set)  #: the ids of sessions that somebody asked for
    causes: Counter[str] = field(default_factory=Counter)  #: deferrals of career sessions by cause
    mails: Counter[str] = field(default_factory=Counter)  #: by mail template
    actions: Counter[str] = field(default_factory=Counter)  #: actions of people by name
    events: Counter[str] = field(default_factory=Counter)  #: created, updated, cancelled
    last_at: str = ""  #: the instant of the last line

    def add(self, line: Mapping[str, Any]) -> None:
        """Count one line."""
        self.lines += 1
        self.last_at = line["at"]
        what = line["what"]
        if what == "session" and line.get("kind") == "career":
            session = self.careers.setdefault(line["session"], CareerSession(line["pair"], line["topic"]))
            session.add(line)
            if line["state"] == SessionState.DEFERRED.value:
                self.causes[line.get("cause", "")] += 1
        elif what == "mail":
            self.mails[line["message"]] += 1
        elif what == "human":
            self.actions[line["act"]] += 1
            if line["act"] == "talk":
                self.talks.add(line["session"])
        elif what.startswith("event."):
            self.events[what.removeprefix("event.")] += 1

    def list_conversations(self) -> list[CareerSession]:
        """Return the regular conversations that were held, each once; of a series, its last part."""
        held = [session for name, session in self.careers.items() if session.held_end and name not in self.talks]
        return [session for session in held if session.topic in CLOSING_TOPICS]

    def list_without_time(self) -> list[tuple[str, int]]:
        """Return the career sessions that had no time for a day or more, and for how many days; the longest first."""
        now = datetime.fromisoformat(self.last_at) if self.last_at else None
        days = [(name, s.compute_time_without(now).days) for name, s in self.careers.items() if now is not None]
        return sorted(((name, count) for name, count in days if count), key=lambda one: (-one[1], one[0]))

    def list_rows(self, pair_count: int) -> Iterator[tuple[str, str]]:
        """Yield the rows of the printed summary: a name and its figures."""
        conversations, sessions = self.list_conversations(), self.careers.values()
        talks = sum(session.held_end is not None for name, session in self.careers.items() if name in self.talks)
        contracts = [s for s in sessions if s.contracted_at and s.held_end]
        in_time = sum(s.contracted_at <= s.held_end + DEADLINE for s in contracts if s.contracted_at and s.held_end)
        met = {session.pair for session in sessions if session.held_end}
        yield "Pairs that met", f"{len(met):,} of {pair_count:,}"
        yield (
            "Conversations held",
            f"{len(conversations):,}" + (f", and {talks:,} that somebody asked for" * bool(talks)),
        )
        yield "Put off", _format_counts(self.causes)
        yield "Without a time", _format_sessions(self.list_without_time())
        yield "Closed with a contract", f"{len(contracts):,}, {in_time:,} of them within 48 hours"
        yield "Left unfinished", f"{sum(s.state == SessionState.UNFINISHED.value for s in sessions):,}"
        yield "On calendars", _format_counts(self.events)
        yield "Mails", _format_counts(self.mails)
        yield "What people did", _format_counts(self.actions)


def _format_counts(counts: Counter[str]) -> str:
    """Return the total and its parts, largest first: `5: 3 declined, 2 deleted`."""
    if not counts:
        return "0"
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{counts.total():,}: " + ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in parts)


def _format_sessions(sessions: list[tuple[str, int]]) -> str:
    """Return the number of sessions, and each with its days: `2: c1a for 12 days, c2b for 1 day`."""
    if not sessions:
        return "0"
    named = [f"{name} for {days:,} day{'s' * (days != 1)}" for name, days in sessions[:MAX_NAMED]]
    rest = len(sessions) - len(named)
    return f"{len(sessions):,}: " + ", ".join(named) + (f" and {rest:,} more" if rest else "")
