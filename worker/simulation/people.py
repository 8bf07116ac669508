"""Simulated people, who answer, move and delete events, book other events, go on leave, and use Longarc.

Each decision has a random generator of its own, which depends on the seed and the subject of the decision. So the order
of decisions does not matter, and the same seed gives the same ledger.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from worker.domain.model import (
    CONTRACT_TOPICS,
    Address,
    Answer,
    Contract,
    PairId,
    Person,
    Session,
    SessionState,
    ShowAs,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.domain.time.worktime import add_working_days, get_local_date, list_spells
from worker.errors import LongarcError
from worker.simulation.world import LedgerLine, SimulatedWorld

QUARTER_HOUR = timedelta(minutes=15)
#: The latest time of a reaction, as a fraction of the time from the booking until the start of the event.
LATEST_REACTION = 0.98
#: Reactions to a booked event, by the names of their probabilities in `Behaviour`.
REACTIONS = ("decline", "move", "move_out", "delete", "book_over", "away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The probabilities, from 0 to 1, with which people act.

    At most one of the first six actions happens to each booked event. `no_show`, `forget` and `ask_ad_hoc` are
    probabilities for each career session that has ended, and `complete` for each commitment.
    """

    decline: float
    move: float  #: move the event within the rules
    move_out: float  #: move the event to a time or length that the rules do not allow
    delete: float
    book_over: float  #: book another event at the same time
    away: float  #: go on leave
    no_show: float  #: record that the session did not take place
    forget: float  #: record no contract
    complete: float  #: mark the commitment as done
    ask_ad_hoc: float  #: ask for an ad hoc session
    meetings: int  #: the number of other meetings of a person per week


CALM = Behaviour(
    decline=0.02,
    move=0.05,
    move_out=0.005,
    delete=0.005,
    book_over=0.02,
    away=0.02,
    no_show=0.01,
    forget=0.05,
    complete=0.9,
    ask_ad_hoc=0.03,
    meetings=4,
)
BUSY = Behaviour(
    decline=0.08,
    move=0.1,
    move_out=0.02,
    delete=0.02,
    book_over=0.1,
    away=0.05,
    no_show=0.05,
    forget=0.15,
    complete=0.7,
    ask_ad_hoc=0.05,
    meetings=10,
)
HOSTILE = Behaviour(
    decline=0.2,
    move=0.12,
    move_out=0.08,
    delete=0.1,
    book_over=0.15,
    away=0.08,
    no_show=0.2,
    forget=0.35,
    complete=0.4,
    ask_ad_hoc=0.1,
    meetings=12,
)
BEHAVIOURS = {"calm": CALM, "busy": BUSY, "hostile": HOSTILE}

MANAGER_COMMITMENTS = (
    "Introduce {name} to the head of the platform group",
    "Give {name} the lead of the next planning round",
    "Write {name} feedback on how the last presentation landed",
    "Ask the regional lead to hear {name} present in the spring review",
    "Talk to my own manager about where {name} wants to go",
)
REPORT_COMMITMENTS = (
    "Draft one page on the direction I want to take",
    "Shadow the incident review twice",
    "Ask two people outside the team for feedback",
)


#: Performs an action at an instant, and returns a ledger line for it; no line when the action is no longer possible.
Action = Callable[[datetime], Iterable[LedgerLine]]


@dataclass(frozen=True, slots=True)
class BookedEvent:
    """The event of a session, as it was booked when somebody decided to react to it."""

    pair: PairId
    session_id: str
    key: str
    start: datetime


class SimulatedHumans:
    """All people of a simulated world. Their actions wait in a queue until the clock reaches them."""

    def __init__(self, world: SimulatedWorld, behaviour: Behaviour, seed: int) -> None:
        self._world = world
        self._behaviour = behaviour
        self._seed = seed
        self._queue: list[tuple[datetime, int, Action]] = []  #: a heap of (time, sequence number, action)
        self._sequence_numbers = count()
        self._times_booked: Counter[tuple[str, str]] = Counter()  #: by key and start of an event

    # --- called by the world: see the protocol `Humans` ---

    def find_next_time(self) -> datetime | None:
        return self._queue[0][0] if self._queue else None

    def act(self, now: datetime) -> Iterator[LedgerLine]:
        while self._queue and self._queue[0][0] <= now:
            _, _, action = heapq.heappop(self._queue)
            yield from action(now)

    def handle_line(self, line: Mapping[str, Any]) -> None:
        if line["what"] in ("event.create", "event.update") and line.get("kind") in ("career", "review", "checkin"):
            self._schedule_reaction(line)
        elif line["what"] == "session" and line.get("state") == SessionState.HELD.value and line["kind"] == "career":
            self._schedule_follow_up(line)

    # --- deciding what to do, and when ---

    def _make_random(self, *subject: object) -> random.Random:
        """Return a random generator that depends only on the seed and the subject."""
        return random.Random("|".join(map(str, (self._seed, *subject))))

    def _schedule(self, time: datetime, action: Action) -> None:
        """Queue an action for the next full quarter-hour, so that the world has to stop at fewer instants."""
        full_hour = datetime(2024, 1, 1, tzinfo=UTC)  # any full hour would do
        delay = -(time - full_hour) % QUARTER_HOUR
        heapq.heappush(self._queue, (time + delay, next(self._sequence_numbers), action))

    def _schedule_reaction(self, line: Mapping[str, Any]) -> None:
        """Choose a reaction to a new or moved event, and schedule it for some time before the start of the event.

        When an event returns to a start that it has had before, the reaction doesn't depend on the one at that time.
        """
        self._times_booked[line["key"], line["start"]] += 1
        times_booked = self._times_booked[line["key"], line["start"]]
        repetition = [times_booked] if times_booked > 1 else []
        rng = self._make_random(line["key"], line["start"], *repetition)
        start, now = _parse_instant(line["start"]), self._world.clock()
        time = now + (start - now) * rng.random() * LATEST_REACTION
        reaction = self._choose_reaction(rng)
        if reaction == "accept":
            time = min(now + timedelta(hours=rng.uniform(0.2, 20)), time)
        pair = PairId.parse(line["pair"])
        event = BookedEvent(pair=pair, session_id=line["session"], key=line["key"], start=start)
        # the method that performs a reaction has its name, with an underscore before it
        react: Callable[[datetime, BookedEvent], Iterable[LedgerLine]] = getattr(self, f"_{reaction}")
        self._schedule(time, lambda now: react(now, event))

    def _choose_reaction(self, rng: random.Random) -> str:
        """Return one of REACTIONS, each with its probability, or `accept` otherwise."""
        remainder = rng.random()
        for reaction in REACTIONS:
            remainder -= getattr(self._behaviour, reaction)
            if remainder < 0:
                return reaction
        return "accept"

    def _schedule_follow_up(self, line: Mapping[str, Any]) -> None:
        """Schedule the actions after a session: recording a no-show or the contract, and asking for another session."""
        rng = self._make_random(line["session"], line["end"], "held")
        end = _parse_instant(line["end"])
        pair, session_id = PairId.parse(line["pair"]), line["session"]
        if rng.random() < self._behaviour.no_show:
            no_show = partial(self._record_no_show, session_id=session_id)
            self._schedule(end + timedelta(hours=rng.uniform(0.3, 20)), no_show)
        elif line["topic"] in CONTRACT_TOPICS and rng.random() >= self._behaviour.forget:
            # most contracts are recorded before the deadline of 48 hours
            hours = rng.uniform(0.3, 30) if rng.random() < 0.8 else rng.uniform(30, 110)
            record_contract = partial(self._record_contract, pair=pair, session_id=session_id)
            self._schedule(end + timedelta(hours=hours), record_contract)
        if rng.random() < self._behaviour.ask_ad_hoc:
            ask_ad_hoc = partial(self._ask_for_ad_hoc_session, pair=pair)
            self._schedule(end + timedelta(days=rng.uniform(10, 60)), ask_ad_hoc)

    def _find_unchanged_session(self, event: BookedEvent) -> Session | None:
        """Return the session of an event; None when it was moved or deleted since somebody decided to react."""
        session = self._world.worker.store.queries.get_session(event.session_id)
        if session is None or not session.booked or (session.key, session.start) != (event.key, event.start):
            return None
        return session if self._world.calendar.find(session.pair.manager, event.key) else None

    # --- acting on calendars ---

    def _accept(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        if self._find_unchanged_session(event):
            self._world.calendar.answer(event.pair.manager, event.key, event.pair.report, Answer.ACCEPTED)
        return ()

    def _decline(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        session = self._find_unchanged_session(event)
        if not session:
            return ()
        self._world.calendar.answer(event.pair.manager, event.key, event.pair.report, Answer.DECLINED)
        return (_make_line(now, "decline", session, calendar=event.pair.report),)

    def _move(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        """Move the event as the rules allow: by a few working days, within the working hours of the manager."""
        session = self._find_unchanged_session(event)
        if not session:
            return ()
        rng = self._make_random(event.key, event.start, "move")
        manager = self._world.persons[event.pair.manager]
        days = rng.choice((-2, -1, 1, 2, 3))
        new_span = self._choose_span(manager, event.start, days, session.span.minutes, rng)
        if not new_span or new_span.start <= now + QUARTER_HOUR or new_span.start > session.latest:
            return ()
        self._world.calendar.move(manager.email, event.key, new_span)
        return (_make_line(now, "move", session, calendar=manager.email, new_span=new_span),)

    def _move_out(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        """Make the event shorter than the rules allow, or move it past its latest allowed start."""
        session = self._find_unchanged_session(event)
        if not session:
            return ()
        is_shortened = self._make_random(event.key, event.start, "out").random() < 0.5 and session.kind == "career"
        short_span = Span(event.start, event.start + timedelta(minutes=30))
        new_span = short_span if is_shortened else _shift_past_latest(session.span, session.latest)
        self._world.calendar.move(event.pair.manager, event.key, new_span)
        return (_make_line(now, "move", session, calendar=event.pair.manager, new_span=new_span),)

    def _delete(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        session = self._find_unchanged_session(event)
        if not session:
            return ()
        is_by_manager = self._make_random(event.key, event.start, "who").random() < 0.7
        person = event.pair.manager if is_by_manager else event.pair.report
        self._world.calendar.remove(person, event.key)
        return (_make_line(now, "delete", session, calendar=person),)

    def _book_over(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        return self._take_time(now, event, "book_over")

    def _away(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        return self._take_time(now, event, "out_of_office")

    def _take_time(self, now: datetime, event: BookedEvent, act: str) -> Iterable[LedgerLine]:
        """Add a meeting or a leave to one of the two calendars at the event's time. `act` is its name in the ledger."""
        session = self._find_unchanged_session(event)
        if not session:
            return ()
        rng = self._make_random(event.key, event.start, act)
        person = rng.choice(event.pair.people)
        if act == "book_over":
            self._world.calendar.add(person, Span(event.start, event.start + timedelta(minutes=30)))
        else:
            length = timedelta(days=rng.choice((1, 5, 10)))
            leave = Span(event.start - timedelta(hours=6), event.start + length)
            self._world.calendar.add(person, leave, show=ShowAs.AWAY)
        return (_make_line(now, act, session, calendar=person),)

    def _choose_span(self, person: Person, start: datetime, days: int, minutes: int, rng: random.Random) -> Span | None:
        """Return a random span of this length in the working hours of a person, `days` working days after `start`.

        Returns None when no spell of working hours on that day is long enough.
        """
        day = add_working_days(person, get_local_date(person.zone, start), days)
        for spell in list_spells(person, day):
            spare_quarter_hours = (spell.minutes - minutes) // 15
            if spare_quarter_hours >= 0:
                new_start = spell.start + QUARTER_HOUR * rng.randint(0, spare_quarter_hours)
                return Span(new_start, new_start + timedelta(minutes=minutes))
        return None

    # --- acting in Longarc ---

    def _record_no_show(self, now: datetime, session_id: str) -> Iterable[LedgerLine]:
        session = self._world.worker.store.queries.get_session(session_id)
        if session is None or session.state is not SessionState.HELD:
            return ()
        self._world.worker.actions.record_not_held(session_id)
        return (_make_line(now, "no_show", session),)

    def _record_contract(self, now: datetime, pair: PairId, session_id: str) -> Iterable[LedgerLine]:
        session = self._world.worker.store.queries.get_session(session_id)
        if session is None or session.state not in (SessionState.HELD, SessionState.UNFINISHED):
            return ()
        rng = self._make_random(session_id, session.held_at, "contract")
        name = self._world.persons[pair.report].name
        self._world.worker.contracts.record(session_id, _make_contract(now.date(), name, rng))
        for commitment in self._world.worker.store.queries.list_commitments_of_session(session_id):
            if rng.random() < self._behaviour.complete:
                due = datetime.combine(commitment.due, datetime.min.time(), UTC)
                time = max(due - timedelta(days=rng.uniform(0, 10)), now + timedelta(hours=1))
                complete = partial(self._complete_commitment, pair=pair, commitment_id=commitment.id)
                self._schedule(time, complete)
        return (_make_line(now, "record_contract", session),)

    def _complete_commitment(self, now: datetime, pair: PairId, commitment_id: str) -> Iterable[LedgerLine]:
        commitment = self._world.worker.store.queries.get_commitment(commitment_id)
        if commitment is None or not commitment.is_open:
            return ()
        self._world.worker.contracts.mark_done(commitment_id)
        line: LedgerLine = {
            "at": _format_instant(now),
            "what": "human",
            "act": "complete",
            "pair": str(pair),
            "session": commitment_id,  # the ledger has no field for commitments
        }
        return (line | {"due": commitment.due.isoformat()},)

    def _ask_for_ad_hoc_session(self, now: datetime, pair: PairId) -> Iterable[LedgerLine]:
        rng = self._make_random(pair, now, "talk")
        try:
            session_id = self._world.worker.actions.request_ad_hoc_session(
                pair, rng.choice(list(Trigger)), "Something has come up."
            )
        except LongarcError:  # there is an ad hoc session already, or the pair is not active
            return ()
        return ({"at": _format_instant(now), "what": "human", "act": "talk", "pair": str(pair), "session": session_id},)


class OtherMeetings:
    """Adds meetings that are not sessions to the calendars of people, and deletes them a week after they have ended."""

    #: How far ahead of now the calendars are filled. This covers the window of a quarterly session, which ends 16 weeks
    #: after the session before it.
    FILL_AHEAD = timedelta(weeks=22)
    #: The length of the period that is filled at once.
    STEP = timedelta(weeks=1)

    def __init__(self, world: SimulatedWorld, behaviour: Behaviour, seed: int) -> None:
        self._world = world
        self._behaviour = behaviour
        self._seed = seed
        self._filled_until = world.clock()
        self._meetings: list[tuple[datetime, str]] = []  #: a heap of (end, event id)

    def refresh(self) -> None:
        """Delete old meetings, and fill the calendars of all people up to FILL_AHEAD from now."""
        now = self._world.clock()
        while self._meetings and self._meetings[0][0] < now - self.STEP:
            self._world.calendar.delete_unreported(heapq.heappop(self._meetings)[1])
        while self._filled_until < now + self.FILL_AHEAD:
            for person in self._world.persons.values():
                self._fill_week(person, self._filled_until)
            self._filled_until += self.STEP

    def _fill_week(self, person: Person, start: datetime) -> None:
        """Add meetings on the five days from `start`, in the first spell of working hours of each day."""
        rng = random.Random(f"{self._seed}|{person.email}|{start}|meetings")
        day = get_local_date(person.zone, start)
        day_offsets = sorted(rng.randrange(5) for _ in range(self._behaviour.meetings))
        for offset in day_offsets:
            for spell in list_spells(person, day + timedelta(days=offset))[:1]:
                # the last hour is left out, so that the longest meeting ends within the working hours
                start_count = max(spell.minutes // 15 - 4, 1)
                meeting_start = spell.start + QUARTER_HOUR * rng.randrange(start_count)
                span = Span(meeting_start, meeting_start + timedelta(minutes=rng.choice((30, 30, 60))))
                heapq.heappush(self._meetings, (span.end, self._world.calendar.add(person.email, span)))


def _make_contract(day: date, name: str, rng: random.Random) -> Contract:
    """Return a contract of two random commitments of the manager and one of the report. `name` is the report's."""
    first_name = name.split(maxsplit=1)[0]
    manager_texts = rng.sample(MANAGER_COMMITMENTS, 2)
    report_texts = rng.sample(REPORT_COMMITMENTS, 1)
    return Contract(
        manager=tuple(
            WrittenCommitment(text=text.format(name=first_name), due=day + timedelta(days=rng.randint(4, 75)))
            for text in manager_texts
        ),
        report=tuple(
            WrittenCommitment(text=text, due=day + timedelta(days=rng.randint(10, 75))) for text in report_texts
        ),
        question="What would have to be true for this to be the right place in three years?",
        progress=("The last quarter's work was named by two other teams.",),
    )


def _shift_past_latest(span: Span, latest: datetime) -> Span:
    """Return a span of the same length that begins about a week after the latest allowed start."""
    shift = timedelta(days=(latest - span.start).days + 8)
    return Span(span.start + shift, span.end + shift)


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _format_instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _make_line(
    now: datetime, act: str, session: Session, calendar: Address = "", new_span: Span | None = None
) -> LedgerLine:
    """Return the ledger line of an action about a session. `calendar` is the owner of a changed calendar."""
    line: LedgerLine = {
        "at": _format_instant(now),
        "what": "human",
        "act": act,
        "pair": str(session.pair),
        "session": session.id,
    }
    line.update(kind=session.kind.value, key=session.key)
    if calendar:
        line["calendar"] = calendar
    span = new_span or session.span
    return line | {"start": _format_instant(span.start), "end": _format_instant(span.end)}
