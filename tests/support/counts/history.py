"""The history of each session in a ledger: its times, how it ended, and to which conversation it belongs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.audit.known import Line, parse_instant
from worker.domain.model import Pair

#: The parts of a series, in the order in which they are to be held.
PARTS = ("now", "direction", "gap")
#: States of a session that is still to come: an earlier time of it is lost.
OPEN = frozenset({"booked", "owed", "deferred"})


@dataclass(frozen=True, slots=True)
class Step:
    """One line about a session: its state from `at` on, and its time, if the line has one."""

    at: datetime
    state: str
    start: datetime | None
    end: datetime | None
    cause: str


@dataclass(slots=True)
class SessionHistory:
    """All lines about one session, in order."""

    id: str
    pair: str
    kind: str
    topic: str
    adhoc: bool
    steps: list[Step] = field(default_factory=list)

    @property
    def is_regular(self) -> bool:
        """True for a regular session: a career session of the rhythm."""
        return self.kind == "career" and not self.adhoc

    def find_held_step(self) -> Step | None:
        """Return the line that says that it was held; None without one, or when a later line says that it was not."""
        held: Step | None = None
        for step in self.steps:
            if step.state == "held":
                held = step
            elif step.state in OPEN or step.state == "cancelled":
                held = None
        return held

    def find_step(self, at: datetime) -> Step | None:
        """Return the last line at or before that instant."""
        return next((step for step in reversed(self.steps) if step.at <= at), None)

    def find_lost_start(self, at: datetime) -> datetime | None:
        """Return the start that it had lost last at that instant; None when it had lost none."""
        lost: datetime | None = None
        current: datetime | None = None
        for step in self.steps:
            if step.at > at:
                break
            if current is not None and step.start != current and step.state in OPEN:
                lost = current
            if step.state == "booked":
                current = step.start
        return lost


@dataclass(slots=True)
class Conversation:
    """A regular conversation: one session, or the three of a series."""

    pair: str
    parts: list[SessionHistory]

    def find_held_span(self) -> tuple[datetime, datetime] | None:
        """Return the start of its first part and the end of its last one; None unless all parts were held."""
        steps = [part.find_held_step() for part in self.parts]
        spans = [(step.start, step.end) for step in steps if step and step.start and step.end]
        if len(spans) < (len(PARTS) if self.parts[0].topic in PARTS else 1):
            return None
        return min(start for start, _ in spans), max(end for _, end in spans)


@dataclass(frozen=True, slots=True)
class History:
    """The sessions and mails of a ledger."""

    sessions: Mapping[str, SessionHistory]
    mails: Sequence[Line]

    def iter_regular(self) -> Iterator[SessionHistory]:
        """Yield the regular sessions."""
        return (session for session in self.sessions.values() if session.is_regular)

    def list_conversations(self) -> dict[str, list[Conversation]]:
        """Return the regular conversations of each pair, in the order in which the ledger first tells of them.

        The n-th `now`, `direction` and `gap` of a pair belong together.
        """
        series: dict[str, list[Conversation]] = defaultdict(list)
        numbers: dict[tuple[str, str], int] = defaultdict(int)
        by_number: dict[tuple[str, int], Conversation] = {}
        for session in self.iter_regular():
            if session.topic not in PARTS:
                series[session.pair].append(Conversation(session.pair, [session]))
                continue
            number = numbers[session.pair, session.topic]
            numbers[session.pair, session.topic] += 1
            if (session.pair, number) not in by_number:
                by_number[session.pair, number] = Conversation(session.pair, [])
                series[session.pair].append(by_number[session.pair, number])
            by_number[session.pair, number].parts.append(session)
        return series


def read_history(lines: Iterable[Line]) -> History:
    """Return the history that the lines tell, with cancelled sessions: their last line says that they are."""
    sessions: dict[str, SessionHistory] = {}
    mails: list[Line] = []
    asked_for: set[str] = set()  #: ad hoc sessions
    for line in lines:
        if line["what"] == "mail":
            mails.append(line)
        elif line["what"] == "human" and line["act"] == "talk":
            asked_for.add(line["session"])
            if line["session"] in sessions:
                sessions[line["session"]].adhoc = True
        elif line["what"] == "session":
            session = sessions.setdefault(
                line["session"],
                SessionHistory(
                    line["session"], line["pair"], line["kind"], line.get("topic", "all"), line["session"] in asked_for
                ),
            )
            start, end = (parse_instant(line[name]) if name in line else None for name in ("start", "end"))
            session.steps.append(Step(parse_instant(line["at"]), line["state"], start, end, line.get("cause", "")))
    return History(sessions, mails)


def compute_shortest_rhythm(pair: Pair) -> timedelta:
    """Return the least length of the pair's rhythm: a month counts as 30 days."""
    return timedelta(weeks=pair.every.weeks) if pair.every.weeks else timedelta(days=30 * pair.every.months)
