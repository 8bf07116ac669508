"""What a ledger tells of each session: its times, how it ended, and which conversation it is part of."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import Pair

Line = Mapping[str, Any]

#: The parts of a series, in the order in which they are to be held.
PARTS = ("now", "direction", "gap")
#: States after which a session is to come; any time it had before is lost.
OPEN = frozenset({"booked", "owed", "deferred"})


def parse_instant(text: str) -> datetime:
    """Return the instant, aware."""
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a session: its state from `at` on, with its time when the line tells one."""

    at: datetime
    state: str
    start: datetime | None
    end: datetime | None
    cause: str


@dataclass(slots=True)
class SessionHistory:
    """All lines of one session, in order."""

    id: str
    pair: str
    kind: str
    topic: str
    adhoc: bool
    steps: list[Step] = field(default_factory=list)

    @property
    def is_regular(self) -> bool:
        """True for a career session of the rhythm."""
        return self.kind == "career" and not self.adhoc

    def find_hold(self) -> Step | None:
        """Return the line that says it was held; None when it was not, or was put off afterwards for not being held."""
        hold = None
        for step in self.steps:
            if step.state == "held":
                hold = step
            elif step.state in OPEN or step.state == "cancelled":
                hold = None
        return hold

    def find_step(self, at: datetime) -> Step | None:
        """Return the last line at or before that instant."""
        return next((step for step in reversed(self.steps) if step.at <= at), None)

    def find_lost_start(self, at: datetime) -> datetime | None:
        """Return the latest start that it has lost by that instant; None when it still has its first."""
        lost: datetime | None = None
        current: datetime | None = None
        for step in self.steps:
            if step.at > at:
                break
            if current is not None and step.start != current and step.state in OPEN:
                lost = current
            current = step.start if step.state == "booked" else current
        return lost


@dataclass(slots=True)
class Conversation:
    """A regular conversation: one session, or the three of a series."""

    pair: str
    parts: list[SessionHistory]

    def find_held_span(self) -> tuple[datetime, datetime] | None:
        """Return the start of its first part and the end of its last; None unless all parts were held."""
        holds = [part.find_hold() for part in self.parts]
        spans = [(hold.start, hold.end) for hold in holds if hold and hold.start and hold.end]
        if len(spans) < (len(PARTS) if self.parts[0].topic in PARTS else 1):
            return None
        return min(start for start, _ in spans), max(end for _, end in spans)


@dataclass(frozen=True, slots=True)
class History:
    """The sessions and mails of a ledger."""

    sessions: Mapping[str, SessionHistory]
    mails: Sequence[Line]

    def iter_regular(self) -> Iterator[SessionHistory]:
        """Yield the career sessions of the rhythm."""
        return (session for session in self.sessions.values() if session.is_regular)

    def list_conversations(self) -> dict[str, list[Conversation]]:
        """Return the regular conversations of each pair, in the order in which they were first told of.

        The n-th `now`, `direction` and `gap` of a pair belong together.
        """
        series: dict[str, list[Conversation]] = defaultdict(list)
        numbers: dict[tuple[str, str], int] = defaultdict(int)
        of_number: dict[tuple[str, int], Conversation] = {}
        for session in self.iter_regular():
            if session.topic not in PARTS:
                series[session.pair].append(Conversation(session.pair, [session]))
                continue
            number = numbers[session.pair, session.topic]
            numbers[session.pair, session.topic] += 1
            if (session.pair, number) not in of_number:
                of_number[session.pair, number] = Conversation(session.pair, [])
                series[session.pair].append(of_number[session.pair, number])
            of_number[session.pair, number].parts.append(session)
        return series


def read_history(lines: Iterable[Line]) -> History:
    """Return what the lines tell. Cancelled sessions stay: they say so in their last line."""
    sessions: dict[str, SessionHistory] = {}
    mails: list[Line] = []
    talks: set[str] = set()
    for line in lines:
        if line["what"] == "mail":
            mails.append(line)
        elif line["what"] == "human" and line["act"] == "talk":
            talks.add(line["session"])
            if line["session"] in sessions:
                sessions[line["session"]].adhoc = True
        elif line["what"] == "session":
            told = sessions.setdefault(
                line["session"],
                SessionHistory(
                    line["session"], line["pair"], line["kind"], line.get("topic", "all"), line["session"] in talks
                ),
            )
            start, end = (parse_instant(line[name]) if name in line else None for name in ("start", "end"))
            told.steps.append(Step(parse_instant(line["at"]), line["state"], start, end, line.get("cause", "")))
    return History(sessions, mails)


def compute_shortest_rhythm(pair: Pair) -> timedelta:
    """Return how long a rhythm of the pair lasts at least; of a month, 30 days."""
    return timedelta(weeks=pair.every.weeks) if pair.every.weeks else timedelta(days=30 * pair.every.months)
