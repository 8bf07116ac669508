"""What follows from the plans of a manager's pairs, if from then on nobody changes anything.

The planner is asked again at each instant at which it wants to look. Nobody declines or moves anything, nothing is
booked over a conversation, each one takes place, and its contract is written down when it is asked for. Calendars that
have to be asked once more are taken for free: what gets its time only then is expected, and not certain.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

from worker.domain.model import (
    Address,
    Commitment,
    Effect,
    EffectKind,
    EffectProgress,
    EventRef,
    FreeBusy,
    FreeBusySnapshot,
    MailName,
    PairState,
    Person,
    PlacedEvent,
    Plan,
    Policy,
    Session,
    SessionState,
    Span,
    TakenTime,
)
from worker.domain.planning import actions, cadence, turns, weekly
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.planner import plan

#: How long a pair waits between two looks at most, however little it waits for, and at least.
LONGEST_WAIT, SHORTEST_WAIT = timedelta(days=14), timedelta(minutes=1)
#: How often a pair is planned at most: one that needs more never settles, and its forecast ends there.
MAX_LOOKS = 200
#: How far the free time of a forecast reaches: more than any window that planning asks about.
EVER = timedelta(days=1000)


@dataclass(frozen=True, slots=True)
class ExpectedMail:
    """A mail that leaves at `mail.due_at`, and the pairs it is about, as they are then."""

    mail: Effect
    states: tuple[PairState, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A manager's pairs as their plans leave them, as they are in the end, and the mails in order of time."""

    planned: tuple[PairState, ...]
    later: tuple[PairState, ...]
    mails: tuple[ExpectedMail, ...]


def forecast_pairs(pairs: Sequence[tuple[PairState, Plan]], now: datetime, until: datetime, policy: Policy) -> Forecast:
    """Return what follows up to `until`. `pairs` are the active pairs of one manager, each with its plan as of `now`.

    Of a pair whose calendars could not be asked, nothing but its plan is known.
    """
    return _Forecaster(pairs, now, until, policy).run()


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    """A pair to look at, or a mail that leaves: a mail that is decided at an instant leaves after all looks of it."""

    at: datetime
    is_mail: bool
    key: str  #: the pair's id as text, or the mail's key


class _Forecaster:
    """Lets time pass for the pairs of one manager."""

    def __init__(self, pairs: Sequence[tuple[PairState, Plan]], now: datetime, until: datetime, policy: Policy) -> None:
        self._plans = {str(state.pair.id): pair_plan for state, pair_plan in pairs}
        self._states = {str(state.pair.id): state for state, _ in pairs}
        self._taken: dict[str, tuple[TakenTime, ...]] = {}  #: by pair, as of its state
        self._manager = pairs[0][0].manager.email
        self._now = now
        self._until = until
        self._policy = policy
        self._looks = dict.fromkeys(self._states, 0)
        self._steps: list[_Step] = []
        self._mails: dict[str, Effect] = {}  #: by key

    def run(self) -> Forecast:
        """Return the forecast."""
        for key, new_plan in self._plans.items():
            waiting = [m for m in self._states[key].effects if m.is_live and m.kind is EffectKind.MAIL]
            self._add_mails(replace(mail, due_at=max(mail.due_at, self._now)) for mail in waiting)
            self._follow(key, new_plan, self._now)
            if not _is_known(self._states[key], self._now):
                self._looks[key] = MAX_LOOKS  # it is not planned again
        planned = tuple(self._states.values())
        mails = tuple(self._let_time_pass())
        return Forecast(planned, tuple(self._states.values()), mails)

    def _let_time_pass(self) -> Iterator[ExpectedMail]:
        while self._steps and self._steps[0].at < self._until:
            step = heapq.heappop(self._steps)
            if step.is_mail:
                yield from self._send(self._mails[step.key])
            elif self._looks[step.key] < MAX_LOOKS:
                self._looks[step.key] += 1
                state = replace(self._states[step.key], taken_times=self._list_taken_times())
                self._follow(step.key, plan(step.at, state, _make_snapshot(state, step.at), self._policy), step.at)

    def _list_taken_times(self) -> dict[Address, tuple[TakenTime, ...]]:
        """Return the time of the manager's sessions that have one."""
        return {self._manager: tuple(chain.from_iterable(self._taken[key] for key in self._states))}

    def _follow(self, key: str, new_plan: Plan, at: datetime) -> None:
        """Carry out a plan, and remember when to look next and what leaves."""
        self._states[key] = apply_plan(self._states[key], new_plan, at)
        if new_plan.sessions or key not in self._taken:
            timed = (s for s in self._states[key].sessions if s.start and (s.booked or s.held_at))
            self._taken[key] = tuple(TakenTime(s.span, s.id, s.kind, s.pair, s.in_turn) for s in timed)
        self._add_mails(effect for effect in new_plan.effects if effect.kind is EffectKind.MAIL)
        wait = min(max(new_plan.due_at or at + LONGEST_WAIT, at + SHORTEST_WAIT), at + LONGEST_WAIT)
        heapq.heappush(self._steps, _Step(wait, is_mail=False, key=key))

    def _add_mails(self, mails: Iterable[Effect]) -> None:
        """Have these mails leave when they are due; one that several pairs decided leaves once."""
        for mail in mails:
            if mail.key not in self._mails and (mail.pair is None or str(mail.pair) in self._states):
                self._mails[mail.key] = mail
                heapq.heappush(self._steps, _Step(mail.due_at, is_mail=True, key=mail.key))
                if mail.pair is None:
                    self._share(replace(mail, progress=EffectProgress.DONE))

    def _share(self, mail: Effect) -> None:
        """Let every pair know of a mail to the manager about all of them."""
        for key, state in self._states.items():
            if all(known.key != mail.key for known in state.effects):
                self._states[key] = replace(state, effects=(*state.effects, mail))

    def _send(self, mail: Effect) -> Iterator[ExpectedMail]:
        states = tuple(self._states.values()) if mail.pair is None else (self._states[str(mail.pair)],)
        if mail.name == MailName.WEEKLY and not weekly.list_all_news(states, mail.due_at):
            return
        yield ExpectedMail(mail, states)
        if mail.name == MailName.CONTRACT_REQUEST:
            self._write_contract(states[0], mail)

    def _write_contract(self, state: PairState, asked: Effect) -> None:
        session = state.find_session(asked.subject)
        if session is not None and session.state is SessionState.HELD:
            builder = PlanBuilder(asked.due_at, state, None, self._policy)
            actions.record_contract(builder, session, (), revision=1)
            builder.wake_at(asked.due_at)
            self._follow(str(state.pair.id), builder.build(), asked.due_at)


def _is_known(state: PairState, now: datetime) -> bool:
    """Whether the plan found out what becomes of the pair: a time, that there is none, or that its start lies ahead."""
    regular = [s for s in state.sessions if cadence.is_regular(s) and (s.booked or s.owed)]
    if not regular:
        first_notice = turns.find_first_notice(state.pair, state.manager.zone)
        return first_notice is not None and now < first_notice
    return any(session.booked or session.unplaceable for session in regular)


# --- carrying out ---


def apply_plan(state: PairState, new_plan: Plan, now: datetime) -> PairState:
    """Return the pair as it is once the plan, and what waited before it, was carried out: each event stands where it
    was to stand, each mail is sent, and nobody has answered."""
    looked_at = now if new_plan.used_free_busy else state.looked_at
    if new_plan.is_empty and not new_plan.away and not any(effect.is_live for effect in state.effects):
        return state if looked_at is state.looked_at else replace(state, looked_at=looked_at)
    sessions = {session.id: session for session in (*state.sessions, *new_plan.sessions)}
    commitments = {commitment.id: commitment for commitment in (*state.commitments, *new_plan.commitments)}
    effects = (*state.effects, *new_plan.effects)
    live = [effect for effect in effects if effect.is_live]
    return replace(
        state,
        manager=_keep_away(state.manager, new_plan.away),
        report=_keep_away(state.report, new_plan.away),
        sessions=tuple(sessions.values()),
        deferrals=(*state.deferrals, *new_plan.deferrals),
        commitments=tuple(commitments.values()),
        effects=tuple(replace(one, progress=EffectProgress.DONE) if one.is_live else one for one in effects),
        placed_events=_place_events(state, live, {**sessions, **commitments}) if live else state.placed_events,
        looked_at=looked_at,
    )


def _keep_away(person: Person, away: Mapping[Address, tuple[Span, ...]]) -> Person:
    return replace(person, away=away[person.email]) if person.email in away else person


def _place_events(
    state: PairState, effects: Sequence[Effect], subjects: Mapping[str, Session | Commitment]
) -> dict[str, PlacedEvent]:
    """Return the events of the pair after these changes, by key."""
    placed = dict(state.placed_events)
    for effect in effects:
        span = _find_span(subjects.get(effect.subject))
        if effect.kind is EffectKind.CANCEL and effect.event in placed:
            placed[effect.event] = replace(placed[effect.event], gone=True)
        elif effect.kind in (EffectKind.CREATE, EffectKind.UPDATE) and span is not None:
            ref = EventRef(effect.calendar, effect.event, "")
            placed[effect.event] = PlacedEvent(key=effect.event, ref=ref, span=span, written=span)
    return placed


def _find_span(subject: Session | Commitment | None) -> Span | None:
    if isinstance(subject, Session):
        return Span(subject.start, subject.end) if subject.start and subject.end else None
    return subject.block if subject else None


def _make_snapshot(state: PairState, now: datetime) -> FreeBusySnapshot:
    """Return all time of the two as free; as unknown while there is no time for them, so that none is made up."""
    is_unplaceable = any(session.owed and session.unplaceable for session in state.sessions)
    window = Span(now - EVER, now + EVER)
    return FreeBusySnapshot(
        windows=dict.fromkeys(state.addresses, window),
        free_busy=dict.fromkeys(state.addresses, FreeBusy(is_known=not is_unplaceable)),
    )
