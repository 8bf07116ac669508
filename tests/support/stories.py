"""A pair through time: what the store, the outbox and the calendars would do with a plan, in plain values.

A `Story` plans when a plan says so, writes the plan down, performs its effects, and asserts at each step that planning
the same world once more changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, pair_of, placed_of, session_of, state_of, utc
from worker.domain.model import (
    ONCE_PER_PAIR_MAILS,
    Address,
    Answer,
    BusyTime,
    Commitment,
    CommitmentStanding,
    Decision,
    Effect,
    EffectKind,
    EffectProgress,
    FreeBusy,
    FreeBusyRequest,
    FreeBusySnapshot,
    MailName,
    Meeting,
    Pair,
    PairState,
    Person,
    PlacedEvent,
    Plan,
    Policy,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    TakenTime,
    clip_busy,
)
from worker.domain.planning import notices
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.planner import plan
from worker.errors import Refused
from worker.mail.kinds import KINDS

#: How far back the store reads mails about the pair as such, and commitments that ended.
PAIR_MAILS, LATELY = timedelta(days=40), timedelta(days=2)
#: How often the sweep answers once more what one plan asks.
MORE_LOOKS = 9
#: The rules as they are unless a company says otherwise.
RULES = Policy()


# --- what the store does ---


def loaded(state: PairState, now: datetime) -> PairState:
    """The part of it that the store reads back: what is open, the last three cycles held, and what belongs to it."""
    regular = [s for s in state.sessions if s.kind is SessionKind.CAREER and not s.adhoc]
    newest = max((s.cycle for s in regular if s.held_at), default=0)
    sessions = tuple(s for s in state.sessions if not s.is_closed or s.cycle >= newest - 2)
    commitments = tuple(
        c for c in state.commitments if c.is_open or c.block or (c.closed_at and c.closed_at >= now - LATELY)
    )
    subjects = {s.id for s in sessions if not s.is_closed} | {c.id for c in commitments}
    standing = {p.key for p in state.placed_events.values() if not p.is_gone and p.span.end > now}
    seen = {m.subject for m in state.effects if m.event in standing} | subjects
    messages = tuple(m for m in state.effects if _speaks(m) and (m.subject in seen or _read_back(m, now)))
    about = subjects | {s.id for s in sessions if s.count}
    return replace(
        state,
        sessions=sessions,
        commitments=commitments,
        effects=messages,
        deferrals=tuple(d for d in state.deferrals if d.session in about),
        meetings=tuple(m for m in state.meetings if m.span.end > now),
    )


def _speaks(message: Effect) -> bool:
    """Mails and cancels, and changes of events that are under way or were refused; the others are in the events."""
    return message.kind in (EffectKind.MAIL, EffectKind.CANCEL) or message.progress not in (
        EffectProgress.DONE,
        EffectProgress.DROPPED,
    )


def _read_back(message: Effect, now: datetime) -> bool:
    if message.pair is None or message.name == MailName.REFLECTION_PROMPT:
        return True
    of_pair = message.subject == str(message.pair)
    return of_pair and (message.name in ONCE_PER_PAIR_MAILS or message.snapshot_at >= now - PAIR_MAILS)


def applied(state: PairState, made: Plan, now: datetime) -> PairState:
    """The state with a plan written into it, as the store writes it."""
    keys = [m.key for m in (*state.effects, *made.effects)]
    assert len(set(keys)) == len(keys), "a message with a key that was used before never goes out"
    sessions = {s.id: s for s in (*state.sessions, *made.sessions)}
    commitments = {c.id: c for c in (*state.commitments, *made.commitments)}
    known = {(d.session, d.number) for d in state.deferrals}
    placed = dict(state.placed_events)
    for key, span in made.accepted_moves.items():
        placed[key] = replace(placed[key], written_span=span)
    return replace(
        state,
        sessions=tuple(sorted(sessions.values(), key=lambda s: (s.cycle, s.target, s.id))),
        commitments=tuple(sorted(commitments.values(), key=lambda c: c.id)),
        effects=(*state.effects, *made.effects),
        deferrals=(*state.deferrals, *(d for d in made.deferrals if (d.session, d.number) not in known)),
        placed_events=placed,
        free_busy_used_at=now if made.used_free_busy else state.free_busy_used_at,
    )


# --- what the outbox does ---


def performed(state: PairState, now: datetime, refuse: bool = False) -> PairState:
    """The state after everything that waits was tried. With `refuse`, the calendar takes nothing."""
    for message in [m for m in state.effects if m.progress is EffectProgress.WAITING and m.due_at <= now]:
        if message.kind is EffectKind.MAIL:
            holds = KINDS[message.name].is_valid(message, state, now)
            progress = EffectProgress.DONE if holds else EffectProgress.DROPPED
        elif refuse:
            progress = EffectProgress.DEAD
        else:
            placed = _written(state, message)
            progress = EffectProgress.DONE if placed else EffectProgress.DROPPED
            state = replace(state, placed_events={**state.placed_events, message.event: placed}) if placed else state
        settled = replace(message, progress=progress, attempts=1)
        state = replace(state, effects=tuple(settled if m.key == message.key else m for m in state.effects))
    return state


def _written(state: PairState, message: Effect) -> PlacedEvent | None:
    """The event as it stands after the message; None when the message no longer holds."""
    placed = state.placed_events.get(message.event)
    if message.kind is EffectKind.CANCEL:
        return replace(placed, is_gone=True) if placed and not placed.is_gone else None
    span = _wanted(state, message)
    moved = placed is None or placed.is_gone or bool(message.start and placed.span.start != message.start)
    if span is None or (message.kind is EffectKind.UPDATE and moved):
        return None
    if message.kind is EffectKind.CREATE and placed is not None:
        return placed  # the same key again is the same event, be it cancelled
    return placed_of(message.event, span)


def _wanted(state: PairState, message: Effect) -> Span | None:
    for session in state.sessions:
        if session.key == message.event:
            return session.span if session.booked else None
    found = (c for c in state.commitments if c.key == message.event and c.is_open)
    return next((c.block for c in found), None)


# --- what the sweep does ---


@dataclass
class Calendars:
    """What the calendars of people hold besides our events."""

    busy: dict[Address, list[BusyTime]] = field(default_factory=dict)
    unknown: dict[Address, str] = field(default_factory=dict)  #: can't be read, and why
    unavailable: set[Address] = field(default_factory=set)
    taken: dict[Address, tuple[TakenTime, ...]] = field(default_factory=dict)  #: by other pairs

    def book(self, who: Person, start: datetime, end: datetime, show: ShowAs = ShowAs.BUSY) -> None:
        self.busy.setdefault(who.email, []).append(BusyTime(Span(start, end), show))

    def look(self, state: PairState, windows: Mapping[Address, Span]) -> FreeBusySnapshot:
        """Free/busy of these people, our own events among it."""
        ours = [(p.span, p.key) for p in state.placed_events.values() if not p.is_gone]
        return FreeBusySnapshot(
            windows=windows,
            free_busy={who: self._free_busy(who, window, state, ours) for who, window in windows.items()},
            unavailable=frozenset(self.unavailable),
        )

    def _free_busy(self, who: Address, window: Span, state: PairState, ours: Sequence[tuple[Span, str]]) -> FreeBusy:
        if who in self.unknown:
            return FreeBusy(is_known=False, reason=self.unknown[who])
        blocks = {c.key for c in state.commitments}
        shared = [BusyTime(span, key=key) for span, key in ours if key not in blocks or who == state.manager.email]
        return FreeBusy(clip_busy((*self.busy.get(who, ()), *shared), window))


def decide(now: datetime, state: PairState, calendars: Calendars, policy: Policy = RULES) -> Plan:
    """Plan, and answer whatever is asked for, as often as the sweep does."""
    state = loaded(state, now)
    made = plan(now, state, None, policy)
    windows: dict[Address, Span] = {}
    for _ in range(1 + MORE_LOOKS):
        if made.needed_free_busy is None:
            return made
        _widen(windows, made.needed_free_busy)
        known = {who: calendars.taken.get(who, ()) for who in (state.manager.email, state.report.email)}
        made = plan(now, replace(state, taken_times=known), calendars.look(state, windows), policy)
    assert made.needed_free_busy is None, f"planning does not come to an end: {made.needed_free_busy}"
    return made


def _widen(windows: dict[Address, Span], need: FreeBusyRequest) -> None:
    for who in need.people:
        old = windows.get(who, need.window)
        windows[who] = Span(min(old.start, need.window.start), max(old.end, need.window.end))


def nothing(made: Plan) -> bool:
    """True for a plan that changes nothing, hand moves included."""
    return made.is_empty and not made.accepted_moves


# --- a story ---


class Story:
    """One pair through time."""

    def __init__(
        self,
        pair: Pair | None = None,
        manager: Person = DANA,
        report: Person = SAM,
        *,
        now: datetime = NOW,
        policy: Policy = RULES,
        state: PairState | None = None,
    ) -> None:
        self.now = now
        self.policy = policy
        self.calendars = Calendars()
        self.state = state or PairState(pair=pair or pair_of(manager, report), manager=manager, report=report)
        self.due: datetime | None = now
        self.told: list[Decision] = []
        self.refuses = False  #: whether the calendar refuses what it is asked to hold

    # reading

    @property
    def pair(self) -> Pair:
        return self.state.pair

    def session(self, session_id: str) -> Session:
        return next(s for s in self.state.sessions if s.id == session_id)

    def of_kind(self, kind: SessionKind) -> list[Session]:
        return [s for s in self.state.sessions if s.kind is kind]

    @property
    def next(self) -> Session:
        """The first career session that is owed or to come."""
        return next(s for s in self.of_kind(SessionKind.CAREER) if s.owed or s.booked)

    def placed(self, session: Session | Commitment) -> PlacedEvent | None:
        found = self.state.placed_events.get(session.key)
        return found if found and not found.is_gone else None

    def standing(self) -> list[PlacedEvent]:
        """Every event of ours that is on the calendar."""
        return [p for p in self.state.placed_events.values() if not p.is_gone]

    def mails(self, name: str) -> list[Effect]:
        """Those of that name that went out, or will when their reader works."""
        there = (EffectProgress.DONE, EffectProgress.WAITING)
        return [m for m in self.state.effects if m.name == name and m.progress in there]

    def sent(self, name: str) -> list[Effect]:
        """Those of that name that went out."""
        return [m for m in self.mails(name) if m.progress is EffectProgress.DONE]

    def commitment(self, commitment_id: str = "p1") -> Commitment:
        return next(c for c in self.state.commitments if c.id == commitment_id)

    # time

    def plan(self) -> Plan:
        """What would be decided now."""
        return decide(self.now, self.state, self.calendars, self.policy)

    def tick(self) -> Plan:
        """Plan, write it down, perform it; and see that nothing is left to do. The first plan of them."""
        first = self._round()
        if self._to_be_told():
            self._round()
        return first

    def _round(self) -> Plan:
        first = self._once()
        for _ in range(10):
            if self.due is None or self.due > self.now:
                break
            self._once()
        self._nothing_left()
        self._perform()
        return first

    def _to_be_told(self) -> bool:
        """Whether a new time stands now of which the manager has to hear: then it is planned again at once."""
        timed = [s for s in self.state.sessions if notices.has_new_time(s)]
        new = [s for s in timed if (placed := self.placed(s)) and placed.span == s.span]
        told = {(m.subject, m.number) for m in self.state.effects if m.name == "deferral_notice"}
        return any((s.id, s.count) not in told for s in new)

    def _perform(self) -> None:
        """Have the effects, and see that nothing follows from them that nobody would look at soon."""
        before = self.state
        self.state = performed(before, self.now, self.refuses)
        settled = [now for was, now in zip(before.effects, self.state.effects, strict=True) if was != now]
        if any(
            m.progress in (EffectProgress.DEAD, EffectProgress.DROPPED) and m.kind is not EffectKind.MAIL
            for m in settled
        ):
            self.due = self.now  # whatever could not be done is planned again
        if self._to_be_told():
            self.due = self.now
        after = self.plan()
        soon = self.due is not None and self.due <= self.now + RECHECK_SOON
        assert soon or nothing(after), f"planned again after the effects: {after}"

    def _once(self) -> Plan:
        made = self.plan()
        self.told += made.decisions
        self.state = applied(self.state, made, self.now)
        self.due = made.due_at
        return made

    def _nothing_left(self) -> None:
        again = self.plan()
        assert nothing(again), f"the same world planned again: {again}"

    def until(self, instant: datetime) -> None:
        """Tick whenever something is due, up to and with that instant."""
        for _ in range(2000):
            due = self._find_next_instant()
            if due is None or max(due, self.now) > instant:
                break
            self.now = max(due, self.now)
            self.tick()
        else:
            raise AssertionError("time does not pass")
        self.now = instant

    def _find_next_instant(self) -> datetime | None:
        """When the pair is planned next, or a mail is due that waits for its reader's hours."""
        waiting = [m.due_at for m in self.state.effects if m.progress is EffectProgress.WAITING and m.name]
        return min([*waiting, *([self.due] if self.due else [])], default=None)

    def at(self, instant: datetime) -> Plan:
        """Go to that instant, and tick there though nothing be due."""
        self.until(instant)
        return self.tick()

    # people

    def see(self, session: Session | Commitment, **fields: Any) -> Plan:
        """Somebody does something to our event; the calendar tells us of it."""
        placed = self.state.placed_events[session.key]
        self.state = replace(
            self.state, placed_events={**self.state.placed_events, session.key: replace(placed, **fields)}
        )
        return self.tick()

    def decline(self, session: Session, who: Person = SAM) -> Plan:
        return self.see(session, answers={who.email: Answer.DECLINED})

    def delete(self, session: Session | Commitment) -> Plan:
        return self.see(session, is_gone=True)

    def move(self, session: Session | Commitment, start: datetime, minutes: int) -> Plan:
        return self.see(session, span=Span(start, start + minutes * MINUTE))

    def book(self, who: Person, span: Span, show: ShowAs = ShowAs.BUSY) -> Plan:
        """Something is booked in somebody's calendar, and we are told to look."""
        self.calendars.book(who, span.start, span.end, show)
        return self.look()

    def clear(self) -> Plan:
        """Everything that isn't ours goes from everybody's calendar, and we are told to look."""
        self.calendars.busy.clear()
        return self.look()

    def look(self) -> Plan:
        self.state = replace(self.state, free_busy_used_at=None)
        return self.tick()

    def say(self, act: Callable[[PlanBuilder], object]) -> Plan:
        """A person says something to the program; it is written, and the pair is planned."""
        p = PlanBuilder(self.now, loaded(self.state, self.now), None, self.policy)
        act(p)
        made = p.build()
        self.told += made.decisions
        self.state = applied(self.state, made, self.now)
        return self.tick()

    def change(self, **fields: Any) -> Plan:
        """The people file says something else about the pair."""
        self.state = replace(self.state, pair=replace(self.pair, **fields))
        return self.tick()

    def meet(self, starts: Iterable[datetime], minutes: int = 30) -> Plan:
        """The 1:1s of the two stand at these times, and no others."""
        spans = [Span(start, start + minutes * MINUTE) for start in starts]
        self.state = replace(self.state, meetings=tuple(Meeting(pair=self.pair.id, span=s) for s in spans))
        return self.tick()


def booked(story: Story | None = None) -> Story:
    """A story whose first session stands on the calendar."""
    story = story or Story()
    story.tick()
    assert story.next.booked
    return story


def fill(story: Story, who: Person, first: date, days: int) -> None:
    """That person's calendar is busy day and night from that day on, for so many days."""
    start = utc(first.year, first.month, first.day)
    story.calendars.book(who, start, start + days * DAY)


def gaps(story: Story, minutes: int, first: date = date(2026, 9, 7), days: int = 200) -> None:
    """Each day, Dana has so many minutes free from 13:00 Berlin on, and nothing else."""
    for n in range(days):
        day = utc(first.year, first.month, first.day) + n * DAY
        story.calendars.book(DANA, day, day + 11 * HOUR)
        story.calendars.book(DANA, day + 11 * HOUR + minutes * MINUTE, day + DAY)


def causes(story: Story) -> list[str]:
    """The cause of each deferral, oldest first."""
    return [d.cause.value for d in story.state.deferrals]


def done(commitment: Commitment, now: datetime) -> Commitment:
    return replace(commitment, standing=CommitmentStanding.DONE, closed_at=now)


def at_end() -> Story:
    """A story at the end of its first session."""
    story = booked()
    story.until(story.next.span.end)
    return story


def first(story: Story) -> Session:
    """The first career session of the story."""
    return story.of_kind(SessionKind.CAREER)[0]


def refused(session: Session, act: Any, *more: Any, now: datetime = NOW) -> str:
    """The error text of an action that the rules don't allow; the action changes nothing."""
    plan_builder = PlanBuilder(now, state_of(session), None, RULES)
    with pytest.raises(Refused) as answer:
        act(plan_builder, session, *more)
    assert plan_builder.build().is_empty
    return str(answer.value)


def of_state(state: SessionState, **fields: Any) -> Session:
    """A session of three days ago in that state."""
    start = NOW - 3 * DAY
    was_held = state in (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
    return session_of(start, state=state, held_at=start + 75 * MINUTE if was_held else None, **fields)
