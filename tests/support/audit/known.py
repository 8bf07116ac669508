"""What an audit keeps in mind of a run: its sessions, the events of commitments, and what was found wrong."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from worker.domain.model import Address, Pair, Span

Line = Mapping[str, Any]

#: A commitment's event as long as this is a note for the day and takes no time.
ALL_DAY = timedelta(hours=20)
#: How long before a session somebody has to book over it so that there is time to see that and to act.
SEEN_BY_THEN = timedelta(hours=28)
#: How far ahead the calendars of a simulated company hold all their weekly meetings.
SEEN_AHEAD = timedelta(weeks=20)
MAY_FOLLOW = {
    "owed": {"owed", "booked", "held", "cancelled"},
    "deferred": {"booked", "held", "cancelled"},
    "booked": {"booked", "owed", "deferred", "held", "contracted", "cancelled"},
    "held": {"held", "deferred", "contracted", "unfinished"},
    "unfinished": {"held", "deferred", "contracted"},
}

#: What humans do that has to be answered at once, and the rule that says so.
ANSWERED = {"decline": "T-10", "delete": "T-10", "no_show": "R-8", "move": "R-9"}


class Timers:
    """What is to be looked for at an instant, in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    def add(self, at: datetime, check: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (at, next(self._order), check))

    def pop_before(self, until: datetime) -> Iterator[tuple[datetime, Callable[[], None]]]:
        """Each check before that instant, those included that a check adds."""
        while self._heap and self._heap[0][0] < until:
            at, _, check = heapq.heappop(self._heap)
            yield at, check


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: which, when, to whom, in words."""

    rule: str
    at: datetime
    pair: str
    what: str


class Sent(NamedTuple):
    """A mail about a session: when it went out, the start it had then, and to whom."""

    at: datetime
    start: datetime | None
    to: str


@dataclass(slots=True)
class Talk:
    """A session as the ledger told it so far."""

    id: str
    pair: Pair
    kind: str
    topic: str
    adhoc: bool
    asked: datetime  #: when it was first heard of
    changed: datetime  #: the last line of its own
    state: str = "owed"
    turn: int = 0  #: how many lines of its own there were
    start: datetime | None = None
    end: datetime | None = None
    since: datetime | None = None  #: when it got the time it has
    chosen: datetime | None = None  #: when a person gave it the time it has; None where we did
    count: int = 0
    first: bool = False  #: it follows no other, or its day was over when it got its time (T-3a)
    reason: str = ""  #: why it has the time it has
    lost_at: datetime | None = None  #: when it lost a time last
    cause: str = ""  #: why it did
    cause_by: str = ""  #: whose calendar or answer it was
    contracted: datetime | None = None  #: when its first contract was recorded
    missed: bool = False  #: somebody said that it did not take place, and it was not held since
    left: bool = False  #: until the next quarter, when the two were asked
    lost: datetime | None = None  #: the start it lost last; the moment when it was found not held
    was: datetime | None = None  #: the start it had before this one
    moves: list[datetime] = field(default_factory=list)  #: when it lost a time and nobody had asked for another one
    inside: bool = False  #: a review inside a 1:1, without an event
    why_told: bool = False  #: there is no time, and a person was told
    once_told: bool = False  #: a person was told so at some time
    held: datetime | None = None  #: the end of the conversation that took place
    key: str = ""
    event: Span | None = None  #: as it stands on the calendar
    acts: set[str] = field(default_factory=set)  #: of humans, since we gave it a time
    wish: Span | None = None  #: where a human moved it
    recorded: datetime | None = None  #: when its contract, or the last revision, was recorded
    offered: tuple[Span, ...] = ()  #: the times held for the two to choose from
    offered_until: datetime | None = None
    mails: dict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))  #: by name

    @property
    def booked(self) -> bool:
        return self.state == "booked"

    @property
    def was_asked(self) -> bool:
        """T-11: whether the two were asked, because it lost its time for the third time within seven days."""
        recent = [at for at in self.moves if self.moves[-1] - at < timedelta(days=7)]
        return self.kind == "career" and self.chosen is None and len(recent) > 2 and self.lost_at == self.moves[-1]

    @property
    def closes(self) -> bool:
        """True when a contract is asked for at its end."""
        return self.kind == "career" and self.topic in ("all", "gap")

    @property
    def is_alone_in_cycle(self) -> bool:
        """True when its deferrals are those of its cycle (T-12): it is no part of a series, and nobody asked for it."""
        return self.topic == "all" and not self.adhoc

    @property
    def span(self) -> Span | None:
        """The time it has or had; None when it has none."""
        return Span(self.start, self.end) if self.start and self.end else None

    def knows_of_move(self, person: Address) -> bool:
        """T-12: whether that person needs no mail about its only deferral: the manager who is out of office then, or
        was warned of what stands there."""
        if person != self.pair.manager or self.count != 1:
            return False
        warned = any(sent.start == self.lost for sent in self.mails["booked_over_warning"])
        return (self.cause == "booked_over" and warned) or (self.cause == "out_of_office" and self.cause_by == person)

    def lose_time(self, cause: str, now: datetime, who: str = "") -> None:
        """It was deferred."""
        self.cause, self.cause_by = cause, who
        self.lost = now if cause == "not_held" else self.start or self.lost
        self.lost_at, self.left = now, False
        self.missed = self.missed or cause == "not_held"
        self.moves += [now] if cause != "asked" else []
        self.state, self.start, self.end, self.held, self.wish = "deferred", None, None, None, None

    def leave(self, until: datetime) -> None:
        """T-11: the two left it until the next quarter."""
        self.lost, self.lost_at, self.left = until, None, True

    def went_out(self, mail: str, since: datetime, to: str = "") -> bool:
        """Whether a mail of that name was sent since; to that person, when one is given."""
        return any(sent.at >= since and to in ("", sent.to) for sent in self.mails[mail])


class Nearby:
    """Who has which session at a time not long past, and when somebody last put something onto a calendar."""

    def __init__(self) -> None:
        self._talks: dict[Address, dict[str, Talk]] = defaultdict(dict)
        self._taken: dict[Address, datetime] = {}

    def add(self, talk: Talk) -> None:
        for person in talk.pair.id.people:
            self._talks[person][talk.id] = talk

    def list_near(self, person: Address, now: datetime) -> list[Talk]:
        """The person's sessions that have a time, but for those long past."""
        talks = self._talks[person]
        for talk in list(talks.values()):
            if talk.end is None or talk.end < now - timedelta(days=2):
                del talks[talk.id]
        return list(talks.values())

    def note_act(self, act: str, pair: Pair | None, now: datetime) -> None:
        """What a human did, which may have put something onto the calendar of one of the two."""
        if pair is not None and act in ("book_over", "out_of_office", "move"):
            self._taken |= dict.fromkeys(pair.id.people, now)

    def note_taken(self, person: Address, now: datetime) -> None:
        """That person put something onto their calendar."""
        self._taken[person] = now

    def is_intended(self, talk: Talk) -> bool:
        """T-11: whether a person chose the session's time, and nobody has put anything onto the two calendars since.

        Of a time that lay far ahead nobody can tell: weekly meetings appear as the weeks go by.
        """
        if talk.chosen is None or talk.start is None or talk.start - talk.chosen > SEEN_AHEAD:
            return False
        return all(self._taken.get(who, talk.chosen) <= talk.chosen for who in talk.pair.id.people)


def why_is_known(pair: Pair, talks: Iterable[Talk]) -> bool:
    """Whether a mail says why there is no time: one speaks for all conversations of a pair, while it holds."""
    mine = (talk for talk in talks if talk.pair.id == pair.id and talk.why_told)
    return any(talk.went_out("unplaceable", talk.changed) for talk in mine)


@dataclass(slots=True)
class Block:
    """A manager's commitment on the manager's own calendar."""

    id: str
    pair: Pair
    key: str
    span: Span
    due: date | None
    open: bool = True

    @property
    def all_day(self) -> bool:
        return self.span.end - self.span.start >= ALL_DAY


def instant(text: str) -> datetime:
    """An instant of the ledger. Raises ValueError when it isn't one in UTC."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or at.utcoffset() != timedelta():
        raise ValueError(f"{text} is not an instant in UTC")
    return at


def span_of(line: Line) -> Span:
    return Span(instant(line["start"]), instant(line["end"]))
