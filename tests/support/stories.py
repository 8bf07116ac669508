"""One pair through time, planned by the real planner; store, outbox, sweep and calendars are imitated in memory.

A `Story` plans whenever a plan says that it is due, writes the plan into its state and performs the effects. At each
step it asserts that planning the same state once more changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, pair_of, placed_event_of, session_of, state_of, utc
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

#: How long the store still reads mails whose subject is the pair, and commitments that ended.
PAIR_MAILS_READ_FOR, ENDED_COMMITMENTS_READ_FOR = timedelta(days=40), timedelta(days=2)
#: How often the sweep reads free/busy again, when a plan needs more of it than the first time.
MORE_READINGS = 9
#: The rules of a company that changes none of them.
DEFAULT_POLICY = Policy()


# --- instead of the store ---


def read_back(state: PairState, now: datetime) -> PairState:
    """Return the part of a state that the store reads for planning.

    It reads the open sessions and commitments, the last three cycles that were held, and what belongs to these.
    """
    regular = [s for s in state.sessions if s.kind is SessionKind.CAREER and not s.adhoc]
    last_held_cycle = max((s.cycle for s in regular if s.held_at), default=0)
    sessions = tuple(s for s in state.sessions if not s.is_closed or s.cycle >= last_held_cycle - 2)
    commitments = tuple(
        c
        for c in state.commitments
        if c.is_open or c.block or (c.closed_at and c.closed_at >= now - ENDED_COMMITMENTS_READ_FOR)
    )
    subjects = {s.id for s in sessions if not s.is_closed} | {c.id for c in commitments}
    coming_events = {p.key for p in state.placed_events.values() if not p.is_gone and p.span.end > now}
    effect_subjects = {m.subject for m in state.effects if m.event in coming_events} | subjects
    effects = tuple(
        m for m in state.effects if _is_of_use(m) and (m.subject in effect_subjects or _is_read_in_any_case(m, now))
    )
    deferral_subjects = subjects | {s.id for s in sessions if s.count}
    return replace(
        state,
        sessions=sessions,
        commitments=commitments,
        effects=effects,
        deferrals=tuple(d for d in state.deferrals if d.session in deferral_subjects),
        meetings=tuple(m for m in state.meetings if m.span.end > now),
    )


def _is_of_use(effect: Effect) -> bool:
    """Whether planning can still learn something from an effect.

    From the create or update of an event it can't once it was performed or dropped: the placed events show the result.
    """
    return effect.kind in (EffectKind.MAIL, EffectKind.CANCEL) or effect.progress not in (
        EffectProgress.DONE,
        EffectProgress.DROPPED,
    )


def _is_read_in_any_case(effect: Effect, now: datetime) -> bool:
    """Whether the store reads an effect even if its subject is closed."""
    if effect.pair is None or effect.name == MailName.REFLECTION_PROMPT:
        return True
    is_about_pair = effect.subject == str(effect.pair)
    return is_about_pair and (effect.name in ONCE_PER_PAIR_MAILS or effect.decided_at >= now - PAIR_MAILS_READ_FOR)


def apply_plan(state: PairState, made: Plan, now: datetime) -> PairState:
    """Return the state with a plan written into it, as the store writes one."""
    keys = [m.key for m in (*state.effects, *made.effects)]
    assert len(set(keys)) == len(keys)  # an effect with a key that was used before is never performed
    gone_keys = {key for key, placed in state.placed_events.items() if placed.is_gone}
    created_keys = {m.event for m in made.effects if m.kind is EffectKind.CREATE}
    assert created_keys.isdisjoint(gone_keys)  # not every service refuses the key of an event that is gone
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


# --- instead of the outbox ---


def perform_effects(state: PairState, now: datetime, is_refused: bool = False) -> PairState:
    """Return the state after each due effect was tried. `is_refused`: the calendar refuses every write."""
    for effect in [m for m in state.effects if m.progress is EffectProgress.WAITING and m.due_at <= now]:
        if effect.kind is EffectKind.MAIL:
            holds = KINDS[effect.name].is_valid(effect, state, now)
            progress = EffectProgress.DONE if holds else EffectProgress.DROPPED
        elif is_refused:
            progress = EffectProgress.DEAD
        else:
            placed = _write_event(state, effect)
            progress = EffectProgress.DONE if placed else EffectProgress.DROPPED
            if placed:
                state = replace(state, placed_events={**state.placed_events, effect.event: placed})
        settled = replace(effect, progress=progress, attempts=1)
        state = replace(state, effects=tuple(settled if m.key == effect.key else m for m in state.effects))
    return state


def _write_event(state: PairState, effect: Effect) -> PlacedEvent | None:
    """Return the event after the effect; None if the effect is out of date and has to be dropped."""
    placed = state.placed_events.get(effect.event)
    if effect.kind is EffectKind.CANCEL:
        return replace(placed, is_gone=True) if placed and not placed.is_gone else None
    span = _find_wanted_span(state, effect)
    is_gone_or_elsewhere = placed is None or placed.is_gone or bool(effect.start and placed.span.start != effect.start)
    if span is None or (effect.kind is EffectKind.UPDATE and is_gone_or_elsewhere):
        return None
    if effect.kind is EffectKind.CREATE and placed is not None:
        return placed  # a second create with one key gives the same event, even when it was cancelled
    return placed_event_of(effect.event, span)


def _find_wanted_span(state: PairState, effect: Effect) -> Span | None:
    """Return the span that the event of an effect should have; None if there should be no event."""
    for session in state.sessions:
        if session.key == effect.event:
            return session.span if session.booked else None
    return next((c.block for c in state.commitments if c.key == effect.event and c.is_open), None)


# --- instead of the sweep ---


@dataclass
class Calendars:
    """What people have on their calendars besides our events."""

    busy: dict[Address, list[BusyTime]] = field(default_factory=dict)
    unknown: dict[Address, str] = field(default_factory=dict)  #: why the calendar of a person can't be read
    unavailable: set[Address] = field(default_factory=set)  #: as in `FreeBusySnapshot`
    taken: dict[Address, tuple[TakenTime, ...]] = field(default_factory=dict)  #: the times that other pairs use

    def book(self, who: Person, start: datetime, end: datetime, show: ShowAs = ShowAs.BUSY) -> None:
        self.busy.setdefault(who.email, []).append(BusyTime(Span(start, end), show))

    def read_free_busy(self, state: PairState, windows: Mapping[Address, Span]) -> FreeBusySnapshot:
        """Return the free/busy of these people in these windows, our own events included."""
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


def decide(now: datetime, state: PairState, calendars: Calendars, policy: Policy = DEFAULT_POLICY) -> Plan:
    """Plan, and read the free/busy that the plan needs, as often as the sweep does."""
    state = read_back(state, now)
    made = plan(now, state, None, policy)
    windows: dict[Address, Span] = {}
    for _ in range(1 + MORE_READINGS):
        if made.needed_free_busy is None:
            return made
        _widen(windows, made.needed_free_busy)
        taken = {who: calendars.taken.get(who, ()) for who in (state.manager.email, state.report.email)}
        made = plan(now, replace(state, taken_times=taken), calendars.read_free_busy(state, windows), policy)
    assert made.needed_free_busy is None, f"planning does not come to an end: {made.needed_free_busy}"
    return made


def _widen(windows: dict[Address, Span], need: FreeBusyRequest) -> None:
    """Widen the window of each person so that it covers the request."""
    for who in need.people:
        old = windows.get(who, need.window)
        windows[who] = Span(min(old.start, need.window.start), max(old.end, need.window.end))


def changes_nothing(made: Plan) -> bool:
    """Whether a plan changes nothing, and accepts no event that people moved."""
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
        policy: Policy = DEFAULT_POLICY,
        state: PairState | None = None,
    ) -> None:
        self.now = now
        self.policy = policy
        self.calendars = Calendars()
        self.state = state or PairState(pair=pair or pair_of(manager, report), manager=manager, report=report)
        self.due: datetime | None = now  #: when the pair is planned next
        self.decisions: list[Decision] = []
        self.refuses = False  #: whether the calendar refuses every write

    # reading

    @property
    def pair(self) -> Pair:
        return self.state.pair

    def session(self, session_id: str) -> Session:
        return next(s for s in self.state.sessions if s.id == session_id)

    def sessions_of_kind(self, kind: SessionKind) -> list[Session]:
        return [s for s in self.state.sessions if s.kind is kind]

    @property
    def next(self) -> Session:
        """The first career session that is owed or to come."""
        return next(s for s in self.sessions_of_kind(SessionKind.CAREER) if s.owed or s.booked)

    def placed_event(self, session: Session | Commitment) -> PlacedEvent | None:
        found = self.state.placed_events.get(session.key)
        return found if found and not found.is_gone else None

    def our_events(self) -> list[PlacedEvent]:
        """All events of ours that are on the calendar."""
        return [p for p in self.state.placed_events.values() if not p.is_gone]

    def mails(self, name: str) -> list[Effect]:
        """The mails of that name that were sent, or wait for the mail hours of their reader."""
        sent_or_waiting = (EffectProgress.DONE, EffectProgress.WAITING)
        return [m for m in self.state.effects if m.name == name and m.progress in sent_or_waiting]

    def sent(self, name: str) -> list[Effect]:
        """The mails of that name that were sent."""
        return [m for m in self.mails(name) if m.progress is EffectProgress.DONE]

    def commitment(self, commitment_id: str = "p1") -> Commitment:
        return next(c for c in self.state.commitments if c.id == commitment_id)

    # time

    def plan(self) -> Plan:
        """Return what would be decided now, without writing it."""
        return decide(self.now, self.state, self.calendars, self.policy)

    def tick(self) -> Plan:
        """Plan, write the plan and perform its effects, until nothing is due now. Returns the first plan."""
        first = self._plan_and_perform()
        if self._has_untold_time():
            self._plan_and_perform()
        return first

    def _plan_and_perform(self) -> Plan:
        first = self._plan_and_write()
        for _ in range(10):
            if self.due is None or self.due > self.now:
                break
            self._plan_and_write()
        self._assert_nothing_left()
        self._perform()
        return first

    def _has_untold_time(self) -> bool:
        """Whether a session has a new time on the calendar and no plan has a deferral notice about it yet.

        The notice is planned once the event has the new time, so the pair is planned again at once.
        """
        moved = [s for s in self.state.sessions if notices.has_new_time(s)]
        on_calendar = [s for s in moved if (placed := self.placed_event(s)) and placed.span == s.span]
        noticed = {(m.subject, m.number) for m in self.state.effects if m.name == "deferral_notice"}
        return any((s.id, s.count) not in noticed for s in on_calendar)

    def _perform(self) -> None:
        """Perform the effects. Assert that a new plan changes nothing, or that the pair is planned again soon."""
        before = self.state
        self.state = perform_effects(before, self.now, self.refuses)
        settled = [new for old, new in zip(before.effects, self.state.effects, strict=True) if old != new]
        if any(
            m.progress in (EffectProgress.DEAD, EffectProgress.DROPPED) and m.kind is not EffectKind.MAIL
            for m in settled
        ):
            self.due = self.now  # the outbox wakes the pair of a write that it could not do
        if self._has_untold_time():
            self.due = self.now
        after = self.plan()
        is_due_soon = self.due is not None and self.due <= self.now + RECHECK_SOON
        assert is_due_soon or changes_nothing(after), f"planned again after the effects: {after}"

    def _plan_and_write(self) -> Plan:
        made = self.plan()
        self.decisions += made.decisions
        self.state = apply_plan(self.state, made, self.now)
        self.due = made.due_at
        return made

    def _assert_nothing_left(self) -> None:
        again = self.plan()
        assert changes_nothing(again), f"the same world planned again: {again}"

    def until(self, instant: datetime) -> None:
        """Tick whenever something is due, until that instant and including it."""
        for _ in range(2000):
            due = self._find_next_instant()
            if due is None or max(due, self.now) > instant:
                break
            self.now = max(due, self.now)
            self.tick()
        else:
            raise AssertionError("something is due again and again")
        self.now = instant

    def _find_next_instant(self) -> datetime | None:
        """Return when the pair is planned or a waiting mail is due next; None if neither is."""
        waiting = [m.due_at for m in self.state.effects if m.progress is EffectProgress.WAITING and m.name]
        return min([*waiting, *([self.due] if self.due else [])], default=None)

    def tick_at(self, instant: datetime) -> Plan:
        """Run until that instant, and tick then even if nothing is due."""
        self.until(instant)
        return self.tick()

    # what people do

    def change_event(self, session: Session | Commitment, **fields: Any) -> Plan:
        """Change the event of a session or commitment as people do on a calendar, and tick."""
        placed = self.state.placed_events[session.key]
        self.state = replace(
            self.state, placed_events={**self.state.placed_events, session.key: replace(placed, **fields)}
        )
        return self.tick()

    def decline(self, session: Session, who: Person = SAM) -> Plan:
        return self.change_event(session, answers={who.email: Answer.DECLINED})

    def delete(self, session: Session | Commitment) -> Plan:
        return self.change_event(session, is_gone=True)

    def move(self, session: Session | Commitment, start: datetime, minutes: int) -> Plan:
        return self.change_event(session, span=Span(start, start + minutes * MINUTE))

    def book(self, who: Person, span: Span, show: ShowAs = ShowAs.BUSY) -> Plan:
        """Book something on a person's calendar, and have free/busy read again."""
        self.calendars.book(who, span.start, span.end, show)
        return self.recheck_free_busy()

    def clear(self) -> Plan:
        """Remove everything that isn't ours from all calendars, and have free/busy read again."""
        self.calendars.busy.clear()
        return self.recheck_free_busy()

    def recheck_free_busy(self) -> Plan:
        """Tick with a plan that reads free/busy again, as after a change on a calendar."""
        self.state = replace(self.state, free_busy_used_at=None)
        return self.tick()

    def act(self, action: Callable[[PlanBuilder], object]) -> Plan:
        """Write what an action of a person plans, and tick."""
        plan_builder = PlanBuilder(self.now, read_back(self.state, self.now), None, self.policy)
        action(plan_builder)
        made = plan_builder.build()
        self.decisions += made.decisions
        self.state = apply_plan(self.state, made, self.now)
        return self.tick()

    def change(self, **fields: Any) -> Plan:
        """Change these fields of the pair, as a new people file does, and tick."""
        self.state = replace(self.state, pair=replace(self.pair, **fields))
        return self.tick()

    def set_meetings(self, starts: Iterable[datetime], minutes: int = 30) -> Plan:
        """Let the two have 1:1s at these times and at no others, and tick."""
        spans = [Span(start, start + minutes * MINUTE) for start in starts]
        self.state = replace(self.state, meetings=tuple(Meeting(pair=self.pair.id, span=s) for s in spans))
        return self.tick()


def booked_story(story: Story | None = None) -> Story:
    """Tick a story, a new one if none is given, so that its first session is booked; return it."""
    story = story or Story()
    story.tick()
    assert story.next.booked
    return story


def fill_days(story: Story, who: Person, first: date, days: int) -> None:
    """Make a person busy day and night for so many days from `first` on."""
    start = utc(first.year, first.month, first.day)
    story.calendars.book(who, start, start + days * DAY)


def leave_daily_gap(story: Story, minutes: int, first: date = date(2026, 9, 7), days: int = 200) -> None:
    """Make Dana busy on each of these days, but for so many minutes from 13:00 in Berlin on."""
    for n in range(days):
        day = utc(first.year, first.month, first.day) + n * DAY
        story.calendars.book(DANA, day, day + 11 * HOUR)
        story.calendars.book(DANA, day + 11 * HOUR + minutes * MINUTE, day + DAY)


def deferral_causes(story: Story) -> list[str]:
    """The cause of each deferral, oldest first."""
    return [d.cause.value for d in story.state.deferrals]


def mark_done(commitment: Commitment, now: datetime) -> Commitment:
    """Return the commitment as kept at that time."""
    return replace(commitment, standing=CommitmentStanding.DONE, closed_at=now)


def story_at_end() -> Story:
    """A story at the end of its first session."""
    story = booked_story()
    story.until(story.next.span.end)
    return story


def make_story_before_session(lead: timedelta) -> Story:
    """Return a story in which the next session begins after this time, and free/busy was just read."""
    story = booked_story()
    story.tick_at(story.next.span.start - lead)
    story.recheck_free_busy()
    return story


def first_session(story: Story) -> Session:
    """The first career session of the story."""
    return story.sessions_of_kind(SessionKind.CAREER)[0]


def get_refusal_text(session: Session, act: Any, *more: Any, now: datetime = NOW) -> str:
    """Return the error text of an action on the session that the rules don't allow; assert that it changes nothing."""
    plan_builder = PlanBuilder(now, state_of(session), None, DEFAULT_POLICY)
    with pytest.raises(Refused) as error_info:
        act(plan_builder, session, *more)
    assert plan_builder.build().is_empty
    return str(error_info.value)


def session_of_state(state: SessionState, **fields: Any) -> Session:
    """A session in that state that began three days ago."""
    start = NOW - 3 * DAY
    was_held = state in (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
    return session_of(start, state=state, held_at=start + 75 * MINUTE if was_held else None, **fields)
