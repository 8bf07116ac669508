"""Sums up a ledger while it is written: how many were held, put off, closed with a contract, and what was mailed."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

DEADLINE = timedelta(hours=48)


@dataclass(slots=True)
class Summary:
    """What a ledger tells, counted."""

    lines: int = 0
    states: Counter[str] = field(default_factory=Counter)  #: of career sessions, as often as each was reached
    causes: Counter[str] = field(default_factory=Counter)  #: of their deferrals
    mails: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)  #: of people
    events: Counter[str] = field(default_factory=Counter)
    unplaceable: int = 0
    in_time: int = 0  #: contracts recorded within 48 hours
    pairs_met: set[str] = field(default_factory=set)  #: pairs that held a career session
    _ends: dict[str, datetime] = field(default_factory=dict)

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

    def list_rows(self, pairs: int) -> Iterator[tuple[str, str]]:
        """What is worth knowing, a name and its figures each."""
        states = self.states
        yield "Pairs that met", f"{len(self.pairs_met):,} of {pairs:,}"
        yield "Conversations held", f"{states['held']:,}"
        yield "Put off", _format_counts(self.causes)
        yield "Without a time for a while", f"{self.unplaceable:,}"
        yield "Closed with a contract", f"{states['contracted']:,}, {self.in_time:,} of them within 48 hours"
        yield "Left unfinished", f"{states['unfinished']:,}"
        yield "On calendars", _format_counts(self.events)
        yield "Mails", _format_counts(self.mails)
        yield "What people did", _format_counts(self.actions)


def _format_counts(counted: Counter[str]) -> str:
    """`5: 3 declined, 2 deleted`, most first."""
    if not counted:
        return "0"
    parts = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return f"{counted.total():,}: " + ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in parts)
