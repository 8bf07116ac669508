"""Simulated people: they accept, decline, move, delete, book over, go on holiday, stay away, forget, and keep promises.

Everything somebody does follows from the seed and from what it is about, never from the order in which things are
looked at; so the same seed gives the same year.
"""

import heapq
import random
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
    """How people are: chances per session, per held conversation, per commitment."""

    decline: float
    move: float
    move_out: float
    delete: float
    book_over: float
    away: float
    no_show: float
    forget: float
    complete: float
    talk: float
    meetings: int  #: other meetings a person has in a week


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
    """Everybody in a world, acting by one manner."""

    def __init__(self, world: SimulatedWorld, manner: Behaviour, seed: int) -> None:
        self._world = world
        self._manner = manner
        self._seed = seed
        self._queue: list[tuple[datetime, int, str, dict[str, Any]]] = []
        self._order = count()

    # --- what the world asks ---

    def next_at(self) -> datetime | None:
        return self._queue[0][0] if self._queue else None

    def act(self, now: datetime) -> Iterator[LedgerLine]:
        while self._queue and self._queue[0][0] <= now:
            _, _, name, what = heapq.heappop(self._queue)
            yield from getattr(self, f"_{name}")(now, **what)

    def notice(self, line: Mapping[str, Any]) -> None:
        if line["what"] in ("event.create", "event.update") and line.get("kind") in ("career", "review", "checkin"):
            self._plan_reaction(line)
        elif line["what"] == "session" and line.get("state") == SessionState.HELD.value and line["kind"] == "career":
            self._plan_follow_up(line)

    # --- making up their minds ---

    def _make_dice(self, *about: object) -> random.Random:
        return random.Random("|".join(map(str, (self._seed, *about))))

    def _schedule(self, at: datetime, name: str, **what: Any) -> None:
        # people act on the quarter hour: so many things happen at one instant, as they do in a company
        late = -(at - datetime(2024, 1, 1, tzinfo=UTC)) % QUARTER_HOUR
        heapq.heappush(self._queue, (at + late, next(self._order), name, what))

    def _plan_reaction(self, line: Mapping[str, Any]) -> None:
        dice = self._make_dice(line["key"], line["start"])
        start, now = _parse_instant(line["start"]), self._world.clock()
        at = now + (start - now) * dice.random() * 0.98
        what = {"pair": PairId.parse(line["pair"]), "session": line["session"], "key": line["key"], "start": start}
        chosen = self._choose_reaction(dice)
        if chosen == "accept":
            at = min(now + timedelta(hours=dice.uniform(0.2, 20)), at)
        self._schedule(at, chosen, **what)

    def _choose_reaction(self, dice: random.Random) -> str:
        manner, left = self._manner, dice.random()
        for name in ("decline", "move", "move_out", "delete", "book_over", "away"):
            left -= getattr(manner, name)
            if left < 0:
                return name
        return "accept"

    def _plan_follow_up(self, line: Mapping[str, Any]) -> None:
        dice = self._make_dice(line["session"], line["end"], "held")
        end = _parse_instant(line["end"])
        what = {"pair": PairId.parse(line["pair"]), "session": line["session"]}
        if dice.random() < self._manner.no_show:
            self._schedule(end + timedelta(hours=dice.uniform(0.3, 20)), "no_show", **what)
        elif line["topic"] in ("all", "gap") and dice.random() >= self._manner.forget:
            hours = dice.uniform(0.3, 30) if dice.random() < 0.8 else dice.uniform(30, 110)
            self._schedule(end + timedelta(hours=hours), "record_contract", **what)
        if dice.random() < self._manner.talk:
            self._schedule(end + timedelta(days=dice.uniform(10, 60)), "talk", pair=what["pair"])

    def _find_unchanged_session(self, session: str, key: str, start: datetime) -> Session | None:
        """The session, if it is still what the person had in mind."""
        found = self._world.worker.store.queries.get_session(session)
        same = found is not None and found.booked and found.key == key and found.start == start
        on_calendar = same and self._world.calendar.find(found.pair.manager, key) if found else None
        return found if on_calendar else None

    # --- acting on calendars ---

    def _accept(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        if self._find_unchanged_session(session, key, start):
            self._world.calendar.answer(pair.manager, key, pair.report, Answer.ACCEPTED)
        return ()

    def _decline(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        found = self._find_unchanged_session(session, key, start)
        if not found:
            return ()
        self._world.calendar.answer(pair.manager, key, pair.report, Answer.DECLINED)
        return (_make_line(now, "decline", found, calendar=pair.report),)

    def _move(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        """A move that a person is free to make: a few days later or earlier, in their own hours."""
        found = self._find_unchanged_session(session, key, start)
        dice = self._make_dice(key, start, "move")
        manager = self._world.persons[pair.manager]
        to = found and self._find_span(manager, start, dice.choice((-2, -1, 1, 2, 3)), found.span.minutes, dice)
        if not found or not to or to.start <= now + QUARTER_HOUR or to.start > found.latest:
            return ()
        self._world.calendar.move(manager.email, key, to)
        return (_make_line(now, "move", found, calendar=manager.email, to=to),)

    def _move_out(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        """A move outside the rules: too short, or far too late."""
        found = self._find_unchanged_session(session, key, start)
        if not found:
            return ()
        short = self._make_dice(key, start, "out").random() < 0.5 and found.kind == "career"
        to = Span(start, start + timedelta(minutes=30)) if short else _shift_past_window(found.span, found.latest)
        self._world.calendar.move(pair.manager, key, to)
        return (_make_line(now, "move", found, calendar=pair.manager, to=to),)

    def _delete(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        found = self._find_unchanged_session(session, key, start)
        if not found:
            return ()
        who = pair.manager if self._make_dice(key, start, "who").random() < 0.7 else pair.report
        self._world.calendar.remove(who, key)
        return (_make_line(now, "delete", found, calendar=who),)

    def _book_over(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        return self._take_time(now, pair, session, key, start, "book_over")

    def _away(self, now: datetime, pair: PairId, session: str, key: str, start: datetime) -> Iterable[LedgerLine]:
        return self._take_time(now, pair, session, key, start, "out_of_office")

    def _take_time(
        self, now: datetime, pair: PairId, session: str, key: str, start: datetime, act: str
    ) -> Iterable[LedgerLine]:
        found = self._find_unchanged_session(session, key, start)
        if not found:
            return ()
        dice = self._make_dice(key, start, act)
        who = dice.choice(pair.people)
        if act == "book_over":
            self._world.calendar.add(who, Span(start, start + timedelta(minutes=30)))
        else:
            days = timedelta(days=dice.choice((1, 5, 10)))
            self._world.calendar.add(who, Span(start - timedelta(hours=6), start + days), show=ShowAs.AWAY)
        return (_make_line(now, act, found, calendar=who),)

    def _find_span(self, person: Person, start: datetime, days: int, minutes: int, dice: random.Random) -> Span | None:
        """A stretch of that length in somebody's working hours, so many working days from a day."""
        day = add_working_days(person, get_local_date(person.zone, start), days)
        for spell in list_spells(person, day):
            quarters = (spell.minutes - minutes) // 15
            if quarters >= 0:
                begin = spell.start + QUARTER_HOUR * dice.randint(0, quarters)
                return Span(begin, begin + timedelta(minutes=minutes))
        return None

    # --- talking to the program ---

    def _no_show(self, now: datetime, pair: PairId, session: str) -> Iterable[LedgerLine]:
        found = self._world.worker.store.queries.get_session(session)
        if found is None or found.state is not SessionState.HELD:
            return ()
        self._world.worker.actions.record_not_held(session)
        return (_make_line(now, "no_show", found),)

    def _record_contract(self, now: datetime, pair: PairId, session: str) -> Iterable[LedgerLine]:
        found = self._world.worker.store.queries.get_session(session)
        if found is None or found.state not in (SessionState.HELD, SessionState.UNFINISHED):
            return ()
        dice = self._make_dice(session, found.held_at, "contract")
        name = self._world.persons[pair.report].name
        self._world.worker.contracts.record(session, self._make_contract(now.date(), name, dice))
        for commitment in self._world.worker.store.queries.list_commitments_of_session(session):
            if dice.random() < self._manner.complete:
                due = datetime.combine(commitment.due, datetime.min.time(), UTC)
                at = max(due - timedelta(days=dice.uniform(0, 10)), now + timedelta(hours=1))
                self._schedule(at, "complete", pair=pair, session=session, commitment=commitment.id)
        return (_make_line(now, "record_contract", found),)

    def _make_contract(self, day: date, name: str, dice: random.Random) -> Contract:
        first = name.split(maxsplit=1)[0]
        mine = dice.sample(MANAGER_COMMITMENTS, 2)
        theirs = dice.sample(REPORT_COMMITMENTS, 1)
        return Contract(
            manager=tuple(
                WrittenCommitment(text=t.format(name=first), due=day + timedelta(days=dice.randint(4, 75)))
                for t in mine
            ),
            report=tuple(WrittenCommitment(text=t, due=day + timedelta(days=dice.randint(10, 75))) for t in theirs),
            question="What would have to be true for this to be the right place in three years?",
            progress=("The last quarter's work was named by two other teams.",),
        )

    def _complete(self, now: datetime, pair: PairId, session: str, commitment: str) -> Iterable[LedgerLine]:
        found = self._world.worker.store.queries.get_commitment(commitment)
        if found is None or not found.is_open:
            return ()
        self._world.worker.contracts.mark_done(commitment)
        line: LedgerLine = {
            "at": _format_instant(now),
            "what": "human",
            "act": "complete",
            "pair": str(pair),
            "session": commitment,
        }
        return (line | {"due": found.due.isoformat()},)

    def _talk(self, now: datetime, pair: PairId) -> Iterable[LedgerLine]:
        dice = self._make_dice(pair, now, "talk")
        try:
            session = self._world.worker.actions.request_talk(
                pair, dice.choice(list(Trigger)), "Something has come up."
            )
        except LongarcError:  # one has been asked for already
            return ()
        return ({"at": _format_instant(now), "what": "human", "act": "talk", "pair": str(pair), "session": session},)


class OtherMeetings:
    """Everybody's other meetings: put on the calendars some weeks ahead, and cleared away when they are over."""

    AHEAD, EVERY = timedelta(weeks=22), timedelta(weeks=1)

    def __init__(self, world: SimulatedWorld, manner: Behaviour, seed: int) -> None:
        self._world = world
        self._manner = manner
        self._seed = seed
        self._until = world.clock()
        self._past: list[tuple[datetime, str]] = []

    def refresh(self) -> None:
        """Have the calendars filled as far ahead as anybody looks."""
        now = self._world.clock()
        while self._past and self._past[0][0] < now - self.EVERY:
            self._world.calendar.erase(heapq.heappop(self._past)[1])
        while self._until < now + self.AHEAD:
            for person in self._world.persons.values():
                self._fill_week(person, self._until)
            self._until += self.EVERY

    def _fill_week(self, person: Person, start: datetime) -> None:
        dice = random.Random(f"{self._seed}|{person.email}|{start}|meetings")
        day = get_local_date(person.zone, start)
        chosen = sorted(dice.randrange(5) for _ in range(self._manner.meetings))
        for number in chosen:
            for spell in list_spells(person, day + timedelta(days=number))[:1]:
                begin = spell.start + QUARTER_HOUR * dice.randrange(max(spell.minutes // 15 - 4, 1))
                span = Span(begin, begin + timedelta(minutes=dice.choice((30, 30, 60))))
                heapq.heappush(self._past, (span.end, self._world.calendar.add(person.email, span)))


def _shift_past_window(span: Span, latest: datetime) -> Span:
    """The same length, a week after the latest instant allowed."""
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
