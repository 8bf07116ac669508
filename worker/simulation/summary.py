"""Counts the lines of a ledger while it is written: sessions by state, deferrals by cause, mails, events."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

#: A contract recorded within this time after the end of its session counts as in time.
DEADLINE = timedelta(hours=48)


@dataclass(slots=True)
class Summary:
    """The counts of a ledger."""

    lines: int = 0
    states: Counter[str] = field(default_factory=Counter)  #: how often career sessions reached each state
    causes: Counter[str] = field(default_factory=Counter)  #: deferrals of career sessions by cause
    mails: Counter[str] = field(default_factory=Counter)  #: by mail template
    actions: Counter[str] = field(default_factory=Counter)  #: actions of people by name
    events: Counter[str] = field(default_factory=Counter)  #: created, updated, cancelled
    unplaceable: int = 0
    in_time: int = 0  #: contracts recorded within 48 hours
    pairs_met: set[str] = field(default_factory=set)  #: pairs that held a career session
    _ends: dict[str, datetime] = field(default_factory=dict)  #: ends of sessions held without a contract so far, by id

    def add(self, line: Mapping[str, Any]) -> None:
        """Count one line."""
        self.lines += 1
        what = line["what"]
        if what == "session" and line.get("kind") == "career":
            self._count_session(line)
        elif what == "mail":
            self.mails[line["message"]] += 1
        elif what == "human":
            self.actions[line["act"]] += 1
        elif what == "unplaceable":
            self.unplaceable += 1
        elif what.startswith("event."):
            self.events[what.removeprefix("event.")] += 1

    def _count_session(self, line: Mapping[str, Any]) -> None:
        state = line["state"]
        self.states[state] += 1
        if state == "deferred":
            self.causes[line.get("cause", "")] += 1
        elif state == "held":
            self.pairs_met.add(line["pair"])
            self._ends[line["session"]] = datetime.fromisoformat(line["end"])
        elif state == "contracted" and line["session"] in self._ends:
            ended = self._ends.pop(line["session"])
            self.in_time += datetime.fromisoformat(line["at"]) <= ended + DEADLINE

    def list_rows(self, pair_count: int) -> Iterator[tuple[str, str]]:
        """Yield the rows of the printed summary: a name and its figures."""
        states = self.states
        yield "Pairs that met", f"{len(self.pairs_met):,} of {pair_count:,}"
        yield "Conversations held", f"{states['held']:,}"
        yield "Put off", _format_counts(self.causes)
        yield "Without a time for a while", f"{self.unplaceable:,}"
        yield "Closed with a contract", f"{states['contracted']:,}, {self.in_time:,} of them within 48 hours"
        yield "Left unfinished", f"{states['unfinished']:,}"
        yield "On calendars", _format_counts(self.events)
        yield "Mails", _format_counts(self.mails)
        yield "What people did", _format_counts(self.actions)


def _format_counts(counts: Counter[str]) -> str:
    """Return the total and its parts, largest first: `5: 3 declined, 2 deleted`."""
    if not counts:
        return "0"
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{counts.total():,}: " + ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in parts)
