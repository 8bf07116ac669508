"""Simulated people: they accept, decline, move and delete events, book over them, go on leave, and keep promises.

Each decision has a random generator of its own, made from the seed and the subject of the decision. So the order of
decisions does not matter, and the same seed gives the same ledger.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from worker.domain.model import (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How people behave, as probabilities from 0 to 1.

    Per booked event: `decline` to `away`, of which at most one happens. Per career session that ended: `no_show`,
    `forget` and `talk`. Per commitment: `complete`.
    """

    decline: float
    move: float
    move_out: float  #: move outside the rules
    delete: float
    book_over: float
    away: float
    no_show: float
    forget: float  #: record no contract
    complete: float
    talk: float
    meetings: int  #: other meetings of a person per week


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
    talk=0.03,
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
    talk=0.05,
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
    talk=0.1,
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


class SimulatedHumans:
    """All people of a simulated world. Their actions wait in a queue until the clock reaches them."""

    def __init__(self, world: SimulatedWorld, behaviour: Behaviour, seed: int) -> None:
        self._world = world
        self._behaviour = behaviour
        self._seed = seed
        #: (time, sequence number, name of the action, its arguments); the action is the method of that name after `_`
        self._queue: list[tuple[datetime, int, str, dict[str, Any]]] = []
        self._sequence_numbers = count()
        self._times_seen: Counter[tuple[str, str]] = Counter()  #: how often an event came to stand at that start

    # --- called by the world ---

    def next_at(self) -> datetime | None:
        return self._queue[0][0] if self._queue else None

    def act(self, now: datetime) -> Iterator[LedgerLine]:
        while self._queue and self._queue[0][0] <= now:
            _, _, action, arguments = heapq.heappop(self._queue)
            yield from getattr(self, f"_{action}")(now, **arguments)

    def handle_line(self, line: Mapping[str, Any]) -> None:
        if line["what"] in ("event.create", "event.update") and line.get("kind") in ("career", "review", "checkin"):
            self._plan_reaction(line)
        elif line["what"] == "session" and line.get("state") == SessionState.HELD.value and line["kind"] == "career":
            self._plan_follow_up(line)

    # --- decisions ---

    def _make_random(self, *subject: object) -> random.Random:
        """Return a random generator that depends only on the seed and the subject."""
        return random.Random("|".join(map(str, (self._seed, *subject))))

    def _schedule(self, at: datetime, action: str, **arguments: Any) -> None:
        """Queue an action for the next quarter-hour: several then happen at the same instant, as in a real company."""
        delay = -(at - datetime(2024, 1, 1, tzinfo=UTC)) % QUARTER_HOUR
        heapq.heappush(self._queue, (at + delay, next(self._sequence_numbers), action, arguments))

    def _plan_reaction(self, line: Mapping[str, Any]) -> None:
        """Decide what somebody does with a new or moved event, and when before its start.

        Each time that an event comes back to a start, people decide anew.
        """
        self._times_seen[line["key"], line["start"]] += 1
        times = self._times_seen[line["key"], line["start"]]
        rng = self._make_random(line["key"], line["start"], *([times] if times > 1 else []))
        start, now = _parse_instant(line["start"]), self._world.clock()
        at = now + (start - now) * rng.random() * 0.98
        arguments = {
            "pair": PairId.parse(line["pair"]),
            "session_id": line["session"],
            "key": line["key"],
            "start": start,
        }
        action = self._choose_reaction(rng)
        if action == "accept":
            at = min(now + timedelta(hours=rng.uniform(0.2, 20)), at)
        self._schedule(at, action, **arguments)

    def _choose_reaction(self, rng: random.Random) -> str:
        """Return the name of one action; each is chosen with its probability, `accept` otherwise."""
        remainder = rng.random()
        for action in ("decline", "move", "move_out", "delete", "book_over", "away"):
            remainder -= getattr(self._behaviour, action)
            if remainder < 0:
                return action
        return "accept"

    def _plan_follow_up(self, line: Mapping[str, Any]) -> None:
        """Decide what happens after a session: no show, contract, and a request to talk."""
        rng = self._make_random(line["session"], line["end"], "held")
        end = _parse_instant(line["end"])
        arguments = {"pair": PairId.parse(line["pair"]), "session_id": line["session"]}
        if rng.random() < self._behaviour.no_show:
            self._schedule(end + timedelta(hours=rng.uniform(0.3, 20)), "no_show", **arguments)
        elif line["topic"] in ("all", "gap") and rng.random() >= self._behaviour.forget:
            hours = rng.uniform(0.3, 30) if rng.random() < 0.8 else rng.uniform(30, 110)
            self._schedule(end + timedelta(hours=hours), "record_contract", **arguments)
        if rng.random() < self._behaviour.talk:
            self._schedule(end + timedelta(days=rng.uniform(10, 60)), "talk", pair=arguments["pair"])

    def _find_unchanged_session(self, session_id: str, key: str, start: datetime) -> Session | None:
        """Return the session if it is still booked at this time, with this event; otherwise None."""
        session = self._world.worker.store.queries.get_session(session_id)
        if session is None or not session.booked or (session.key, session.start) != (key, start):
            return None
        return session if self._world.calendar.find(session.pair.manager, key) else None

    # --- acting on calendars ---

    def _accept(self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        if self._find_unchanged_session(session_id, key, start):
            self._world.calendar.answer(pair.manager, key, pair.report, Answer.ACCEPTED)
        return ()

    def _decline(self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        session = self._find_unchanged_session(session_id, key, start)
        if not session:
            return ()
        self._world.calendar.answer(pair.manager, key, pair.report, Answer.DECLINED)
        return (_make_line(now, "decline", session, calendar=pair.report),)

    def _move(self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        """Move the event as the rules allow: by a few working days, within the hours of the manager."""
        session = self._find_unchanged_session(session_id, key, start)
        rng = self._make_random(key, start, "move")
        manager = self._world.persons[pair.manager]
        to = session and self._find_span(manager, start, rng.choice((-2, -1, 1, 2, 3)), session.span.minutes, rng)
        if not session or not to or to.start <= now + QUARTER_HOUR or to.start > session.latest:
            return ()
        self._world.calendar.move(manager.email, key, to)
        return (_make_line(now, "move", session, calendar=manager.email, to=to),)

    def _move_out(
        self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime
    ) -> Iterable[LedgerLine]:
        """Move the event outside the rules: make it too short, or put it after the latest instant."""
        session = self._find_unchanged_session(session_id, key, start)
        if not session:
            return ()
        is_shortened = self._make_random(key, start, "out").random() < 0.5 and session.kind == "career"
        to = (
            Span(start, start + timedelta(minutes=30))
            if is_shortened
            else _shift_past_window(session.span, session.latest)
        )
        self._world.calendar.move(pair.manager, key, to)
        return (_make_line(now, "move", session, calendar=pair.manager, to=to),)

    def _delete(self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        session = self._find_unchanged_session(session_id, key, start)
        if not session:
            return ()
        who = pair.manager if self._make_random(key, start, "who").random() < 0.7 else pair.report
        self._world.calendar.remove(who, key)
        return (_make_line(now, "delete", session, calendar=who),)

    def _book_over(
        self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime
    ) -> Iterable[LedgerLine]:
        return self._take_time(now, pair, session_id, key, start, "book_over")

    def _away(self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        return self._take_time(now, pair, session_id, key, start, "out_of_office")

    def _take_time(
        self, now: datetime, pair: PairId, session_id: str, key: str, start: datetime, act: str
    ) -> Iterable[LedgerLine]:
        session = self._find_unchanged_session(session_id, key, start)
        if not session:
            return ()
        rng = self._make_random(key, start, act)
        who = rng.choice(pair.people)
        if act == "book_over":
            self._world.calendar.add(who, Span(start, start + timedelta(minutes=30)))
        else:
            days = timedelta(days=rng.choice((1, 5, 10)))
            self._world.calendar.add(who, Span(start - timedelta(hours=6), start + days), show=ShowAs.AWAY)
        return (_make_line(now, act, session, calendar=who),)

    def _find_span(self, person: Person, start: datetime, days: int, minutes: int, rng: random.Random) -> Span | None:
        """Return a random span of that length in the working hours, `days` working days after `start`; None when no
        working period of that day is long enough."""
        day = add_working_days(person, get_local_date(person.zone, start), days)
        for spell in list_spells(person, day):
            spare_quarter_hours = (spell.minutes - minutes) // 15
            if spare_quarter_hours >= 0:
                begin = spell.start + QUARTER_HOUR * rng.randint(0, spare_quarter_hours)
                return Span(begin, begin + timedelta(minutes=minutes))
        return None

    # --- acting in Longarc ---

    def _no_show(self, now: datetime, pair: PairId, session_id: str) -> Iterable[LedgerLine]:
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
        self._world.worker.contracts.record(session_id, self._make_contract(now.date(), name, rng))
        for commitment in self._world.worker.store.queries.list_commitments_of_session(session_id):
            if rng.random() < self._behaviour.complete:
                due = datetime.combine(commitment.due, datetime.min.time(), UTC)
                at = max(due - timedelta(days=rng.uniform(0, 10)), now + timedelta(hours=1))
                self._schedule(at, "complete", pair=pair, commitment_id=commitment.id)
        return (_make_line(now, "record_contract", session),)

    def _make_contract(self, day: date, name: str, rng: random.Random) -> Contract:
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

    def _complete(self, now: datetime, pair: PairId, commitment_id: str) -> Iterable[LedgerLine]:
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

    def _talk(self, now: datetime, pair: PairId) -> Iterable[LedgerLine]:
        rng = self._make_random(pair, now, "talk")
        try:
            session_id = self._world.worker.actions.request_talk(
                pair, rng.choice(list(Trigger)), "Something has come up."
            )
        except LongarcError:  # a talk has been requested already
            return ()
        return ({"at": _format_instant(now), "what": "human", "act": "talk", "pair": str(pair), "session": session_id},)


class OtherMeetings:
    """The other meetings of people: on the calendars for AHEAD from now, and erased a week after they end."""

    #: More than any search looks ahead.
    AHEAD = timedelta(weeks=22)
    EVERY = timedelta(weeks=1)

    def __init__(self, world: SimulatedWorld, behaviour: Behaviour, seed: int) -> None:
        self._world = world
        self._behaviour = behaviour
        self._seed = seed
        self._filled_until = world.clock()
        self._meetings: list[tuple[datetime, str]] = []  # a heap of (end, event id)

    def refresh(self) -> None:
        """Erase old meetings, and fill the calendars up to AHEAD from now."""
        now = self._world.clock()
        while self._meetings and self._meetings[0][0] < now - self.EVERY:
            self._world.calendar.erase(heapq.heappop(self._meetings)[1])
        while self._filled_until < now + self.AHEAD:
            for person in self._world.persons.values():
                self._fill_week(person, self._filled_until)
            self._filled_until += self.EVERY

    def _fill_week(self, person: Person, start: datetime) -> None:
        rng = random.Random(f"{self._seed}|{person.email}|{start}|meetings")
        day = get_local_date(person.zone, start)
        day_offsets = sorted(rng.randrange(5) for _ in range(self._behaviour.meetings))
        for offset in day_offsets:
            for spell in list_spells(person, day + timedelta(days=offset))[:1]:
                begin = spell.start + QUARTER_HOUR * rng.randrange(max(spell.minutes // 15 - 4, 1))
                span = Span(begin, begin + timedelta(minutes=rng.choice((30, 30, 60))))
                heapq.heappush(self._meetings, (span.end, self._world.calendar.add(person.email, span)))


def _shift_past_window(span: Span, latest: datetime) -> Span:
    """Return a span of the same length, about a week after the latest instant allowed."""
    shift = timedelta(days=(latest - span.start).days + 8)
    return Span(span.start + shift, span.end + shift)


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _format_instant(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"


def _make_line(now: datetime, act: str, session: Session, calendar: Address = "", to: Span | None = None) -> LedgerLine:
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
    span = to or session.span
    return line | {"start": _format_instant(span.start), "end": _format_instant(span.end)}
