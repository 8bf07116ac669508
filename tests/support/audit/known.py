"""Data of an audit: sessions and commitments as the ledger tells of them, violations, and checks to come."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from worker.domain.model import Address, Owner, Pair, Span

Line = Mapping[str, Any]

#: The event of a commitment that is as long as this, or longer, is an all-day event and takes no time.
ALL_DAY = timedelta(hours=20)
#: An event that is put over a session this long before it leaves enough time to notice it and to act.
TIME_TO_NOTICE = timedelta(hours=28)
#: How far ahead the calendars of a simulated company hold all their weekly meetings.
MEETINGS_KNOWN_AHEAD = timedelta(weeks=20)
#: Whether the reader of a mail that prepares a session may be out of office counts from so long before the session.
PREPARING_PERIOD = timedelta(days=15)
#: A career session that a human made shorter than this is deferred (R-9, T-1).
LEAST_MINUTES_BY_HAND = 45
#: The states that may follow each state of a session.
NEXT_STATES = {
    "owed": {"owed", "booked", "held", "cancelled"},
    "deferred": {"booked", "held", "cancelled"},
    "booked": {"booked", "owed", "deferred", "held", "contracted", "cancelled"},
    "held": {"held", "deferred", "contracted", "unfinished"},
    "unfinished": {"held", "deferred", "contracted"},
}

#: Acts of humans that the program has to answer at once, each with the rule that says so.
ANSWER_RULES = {"decline": "T-10", "delete": "T-10", "no_show": "R-8", "move": "R-9"}


class Timers:
    """Checks that are to run at an instant, in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    def add(self, at: datetime, check: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (at, next(self._order), check))

    def pop_before(self, until: datetime) -> Iterator[tuple[datetime, Callable[[], None]]]:
        """Yield the checks before that instant, also those that are added in the meantime."""
        while self._heap and self._heap[0][0] < until:
            at, _, check = heapq.heappop(self._heap)
            yield at, check


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: the rule, when, for which pair, and in what way.

    `T-n` is a rule of time, `R-n` a rule of the practice. Two more are about the ledger: `D-5`, each effect is done
    once and is true when it is done; `D-8`, each line fits what was told before.
    """

    rule: str
    at: datetime
    pair: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule} {self.at:%Y-%m-%d %H:%M} {self.pair}: {self.what}"


#: Keeps a violation: of which rule, for which pair, and in what way.
Flag = Callable[[str, Pair | str, str], None]


def flag_all(flag: Flag, pair: Pair, faults: Iterable[tuple[str, str]]) -> None:
    """Flag each of these faults of a pair, which are a rule and what is wrong."""
    for rule, what in faults:
        flag(rule, pair, what)


class PreparingMail(NamedTuple):
    """A mail that prepares a session."""

    rule: str
    reader: Owner
    least_lead: timedelta  #: it goes out at least so long before the start


class TeamPair(NamedTuple):
    """A pair of a manager, with the ends of its last regular session and of its report's last career session."""

    pair: Pair
    last_held: datetime | None
    report_last_held: datetime | None


class Sent(NamedTuple):
    """A mail about a session: when it went out, the session's start at that time, and the address."""

    at: datetime
    start: datetime | None
    to: str


@dataclass(slots=True)
class Talk:
    """A session as the ledger has told of it so far. It has its own name beside the product's `Session`."""

    id: str
    pair: Pair
    kind: str
    topic: str
    adhoc: bool
    created_at: datetime  #: when the ledger first told of it
    changed_at: datetime  #: when the last line about it was written
    state: str = "owed"
    line_count: int = 0  #: the number of lines about it, by which a check sees whether anything changed since
    start: datetime | None = None
    end: datetime | None = None
    booked_at: datetime | None = None  #: when it got its present time
    chosen_at: datetime | None = None  #: when a person chose its present time; None when the program did
    deferral_count: int = 0
    is_first: bool = False  #: the pair had never met, or was overdue, when it got its time (T-3a)
    reason: str = ""  #: why it has its present time, in the words of the program
    lost_at: datetime | None = None  #: when it last lost a time
    deferral_cause: str = ""  #: of its last deferral
    deferral_person: str = ""  #: whose calendar or answer caused its last deferral
    contracted_at: datetime | None = None  #: when its first contract was recorded
    was_missed: bool = False  #: somebody said that it did not take place, and it was not held since
    is_left_for_quarter: bool = False  #: the two were asked, and left it until the next quarter
    lost_start: datetime | None = None  #: the start it lost last; for a session that was not held, when that was found
    previous_start: datetime | None = None  #: the start it had before this one
    losses: list[datetime] = field(default_factory=list)  #: when it lost a time though nobody had asked for another one
    is_in_1on1: bool = False  #: it is a review in a usual 1:1, and has no event
    is_reason_told: bool = False  #: it has no time, and the ledger gave a reason
    was_reason_told: bool = False  #: at some time it had no time, and the ledger gave a reason
    held_end: datetime | None = None  #: the end of the conversation, once it counts as held
    key: str = ""
    event_span: Span | None = None  #: as it stands on the calendar
    human_acts: set[str] = field(default_factory=set)  #: what humans did to it since the program gave it a time
    moved_to: Span | None = None  #: where a human moved it
    recorded_at: datetime | None = None  #: when its contract, or the last revision, was recorded
    offered_times: tuple[Span, ...] = ()  #: the times held for the two to choose from
    offered_until: datetime | None = None
    mails: dict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))  #: by the name of the mail

    @property
    def is_booked(self) -> bool:
        return self.state == "booked"

    @property
    def was_asked(self) -> bool:
        """T-11: whether the two were asked, because it lost its time for the third time within seven days."""
        recent = [at for at in self.losses if self.losses[-1] - at < timedelta(days=7)]
        return self.kind == "career" and self.chosen_at is None and len(recent) > 2 and self.lost_at == self.losses[-1]

    @property
    def needs_contract(self) -> bool:
        """True when its end is followed by a request for a contract."""
        return self.kind == "career" and self.topic in ("all", "gap")

    @property
    def is_alone_in_cycle(self) -> bool:
        """True when it is the only session of its cycle (T-12): neither a part of a series nor ad hoc."""
        return self.topic == "all" and not self.adhoc

    @property
    def span(self) -> Span | None:
        """Its present time, or the time at which it was held; None when it has none."""
        return Span(self.start, self.end) if self.start and self.end else None

    def knows_of_move(self, person: Address) -> bool:
        """Whether that person needs no mail about its first deferral (T-12).

        That is the manager whose absence caused it, or who was warned of the event that caused it.
        """
        if person != self.pair.manager or self.deferral_count != 1:
            return False
        warned = any(sent.start == self.lost_start for sent in self.mails["booked_over_warning"])
        return (self.deferral_cause == "booked_over" and warned) or (
            self.deferral_cause == "out_of_office" and self.deferral_person == person
        )

    def lose_time(self, cause: str, now: datetime, who: str = "") -> None:
        """Note that it was deferred; `who` caused it."""
        self.deferral_cause, self.deferral_person = cause, who
        self.lost_start = now if cause == "not_held" else self.start or self.lost_start
        self.lost_at, self.is_left_for_quarter = now, False
        self.was_missed = self.was_missed or cause == "not_held"
        self.losses += [now] if cause != "asked" else []
        self.state, self.start, self.end, self.held_end, self.moved_to = "deferred", None, None, None, None

    def leave(self, until: datetime) -> None:
        """Note that the two left it until the next quarter (T-11); it is looked for around `until`."""
        self.lost_start, self.lost_at, self.is_left_for_quarter = until, None, True

    def went_out(self, mail: str, since: datetime, to: str = "") -> bool:
        """Whether a mail of that name was sent since that instant, to the given person or to anybody."""
        return any(sent.at >= since and to in ("", sent.to) for sent in self.mails[mail])


class PersonCalendars:
    """For each person, the sessions that are not long past, and when somebody last added an event to the calendar."""

    def __init__(self) -> None:
        self._talks: dict[Address, dict[str, Talk]] = defaultdict(dict)
        self._last_addition: dict[Address, datetime] = {}

    def add(self, talk: Talk) -> None:
        for person in talk.pair.id.people:
            self._talks[person][talk.id] = talk

    def list_sessions(self, person: Address, now: datetime) -> list[Talk]:
        """Return the person's sessions that have a time, and forget those that ended more than two days ago."""
        talks = self._talks[person]
        for talk in list(talks.values()):
            if talk.end is None or talk.end < now - timedelta(days=2):
                del talks[talk.id]
        return list(talks.values())

    def note_act(self, act: str, pair: Pair | None, now: datetime) -> None:
        """Note what a human did; it may have added an event to the calendar of either of the two."""
        if pair is not None and act in ("book_over", "out_of_office", "move"):
            self._last_addition |= dict.fromkeys(pair.id.people, now)

    def note_addition(self, person: Address, now: datetime) -> None:
        """Note that this person added an event to the calendar."""
        self._last_addition[person] = now

    def is_intended(self, talk: Talk) -> bool:
        """Whether a person chose the session's time, and nobody has added an event to the two calendars since (T-11).

        False for a time that was chosen very far ahead: weekly meetings that overlap it may appear later by themselves.
        """
        if talk.chosen_at is None or talk.start is None or talk.start - talk.chosen_at > MEETINGS_KNOWN_AHEAD:
            return False
        return all(self._last_addition.get(who, talk.chosen_at) <= talk.chosen_at for who in talk.pair.id.people)


def is_reason_known(pair: Pair, talks: Iterable[Talk]) -> bool:
    """Whether a mail says why a session of the pair has no time; one mail is enough for all its sessions."""
    unplaceable = (talk for talk in talks if talk.pair.id == pair.id and talk.is_reason_told)
    return any(talk.went_out("unplaceable", talk.changed_at) for talk in unplaceable)


@dataclass(slots=True)
class Block:
    """A manager's commitment on the manager's own calendar."""

    id: str
    pair: Pair
    key: str
    span: Span
    due: date | None
    is_open: bool = True

    @property
    def all_day(self) -> bool:
        return self.span.end - self.span.start >= ALL_DAY


def parse_instant(text: str) -> datetime:
    """Return an instant of the ledger. Raises ValueError when it isn't in UTC."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or at.utcoffset() != timedelta():
        raise ValueError(f"{text} is not an instant in UTC")
    return at


def read_span(line: Line) -> Span:
    """Return the time of a line about a session or an event."""
    return Span(parse_instant(line["start"]), parse_instant(line["end"]))
