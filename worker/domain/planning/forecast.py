"""Forecasts what follows from the plans of a manager's pairs if people do what they are asked.

The forecast plans each pair again at the instant for which its last plan asked. It assumes that nobody declines or
moves an event, that no event clashes with a session, that each session takes place, and that its contract is recorded
when it is requested. People are assumed to be free where their free/busy would have to be read. Therefore a session
that gets its time in the forecast is only expected to have that time.
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

#: The longest and the shortest time until a pair is planned again.
LONGEST_WAIT, SHORTEST_WAIT = timedelta(days=14), timedelta(minutes=1)
#: A pair is planned at most this often in one forecast, because the plans of a faulty pair might never come to an end.
MAX_PLANS = 200
#: The assumed free/busy covers this time before and after the instant of planning, more than any window that is needed.
FREE_BUSY_REACH = timedelta(days=1000)


@dataclass(frozen=True, slots=True)
class ExpectedMail:
    """A mail that leaves at `mail.due_at`, and the states of the pairs that it is about at that time."""

    mail: Effect
    states: tuple[PairState, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for the pairs of one manager."""

    states_now: tuple[PairState, ...]  #: the pairs once their present plans are carried out
    states_later: tuple[PairState, ...]  #: the same pairs at the end of the forecast
    mails: tuple[ExpectedMail, ...]  #: in order of time


def forecast_pairs(pairs: Sequence[tuple[PairState, Plan]], now: datetime, until: datetime, policy: Policy) -> Forecast:
    """Return the forecast from `now` up to `until`.

    `pairs` are the active pairs of one manager, each with its plan as of `now`. For a pair whose calendars could not be
    read, the forecast contains only the effects of that plan.
    """
    return _Forecaster(pairs, now, until, policy).run()


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    """A step of a forecast: a pair is planned, or a mail leaves. Pairs are planned before mails of the same instant."""

    at: datetime
    is_mail: bool
    key: str  #: the id of the pair as text, or the key of the mail


class _Forecaster:
    """Simulates the pairs of one manager step by step, in order of time."""

    def __init__(self, pairs: Sequence[tuple[PairState, Plan]], now: datetime, until: datetime, policy: Policy) -> None:
        self._plans = {str(state.pair.id): pair_plan for state, pair_plan in pairs}
        self._states = {str(state.pair.id): state for state, _ in pairs}
        self._taken_times: dict[str, tuple[TakenTime, ...]] = {}  #: by the pair's id, from its present state
        self._manager = pairs[0][0].manager.email
        self._now = now
        self._until = until
        self._policy = policy
        self._plan_counts = dict.fromkeys(self._states, 0)
        self._steps: list[_Step] = []  #: a heap
        self._mails: dict[str, Effect] = {}  #: by key

    def run(self) -> Forecast:
        """Return the forecast."""
        for pair_id, new_plan in self._plans.items():
            waiting_mails = [e for e in self._states[pair_id].effects if e.is_pending and e.kind is EffectKind.MAIL]
            self._add_mails(replace(mail, due_at=max(mail.due_at, self._now)) for mail in waiting_mails)
            self._carry_out(pair_id, new_plan, self._now)
            if not _is_next_session_decided(self._states[pair_id], self._now):
                self._plan_counts[pair_id] = MAX_PLANS  # the pair is not planned again
        states_now = tuple(self._states.values())
        mails = tuple(self._take_steps())
        return Forecast(states_now, tuple(self._states.values()), mails)

    def _take_steps(self) -> Iterator[ExpectedMail]:
        """Take all steps in order of time, and yield the mails that leave."""
        while self._steps and self._steps[0].at < self._until:
            step = heapq.heappop(self._steps)
            if step.is_mail:
                yield from self._send(self._mails[step.key])
            elif self._plan_counts[step.key] < MAX_PLANS:
                self._plan_counts[step.key] += 1
                state = replace(self._states[step.key], taken_times=self._list_taken_times())
                new_plan = plan(step.at, state, _make_snapshot(state, step.at), self._policy)
                self._carry_out(step.key, new_plan, step.at)

    def _list_taken_times(self) -> dict[Address, tuple[TakenTime, ...]]:
        """Return the manager's times that the sessions of all pairs take."""
        return {self._manager: tuple(chain.from_iterable(self._taken_times[pair_id] for pair_id in self._states))}

    def _carry_out(self, pair_id: str, new_plan: Plan, now: datetime) -> None:
        """Apply a plan to the state of its pair, and add the steps for its mails and for the next plan of the pair."""
        self._states[pair_id] = apply_plan(self._states[pair_id], new_plan, now)
        if new_plan.sessions or pair_id not in self._taken_times:
            with_time = (s for s in self._states[pair_id].sessions if s.start and (s.booked or s.held_at))
            self._taken_times[pair_id] = tuple(
                TakenTime(s.span, subject=s.id, kind=s.kind, pair=s.pair, in_turn=s.in_turn) for s in with_time
            )
        self._add_mails(effect for effect in new_plan.effects if effect.kind is EffectKind.MAIL)
        latest = now + LONGEST_WAIT  # also when the plan does not say when to plan the pair again
        next_at = min(max(new_plan.due_at or latest, now + SHORTEST_WAIT), latest)
        heapq.heappush(self._steps, _Step(next_at, is_mail=False, key=pair_id))

    def _add_mails(self, mails: Iterable[Effect]) -> None:
        """Add a step for each of the mails. A mail that several pairs have decided is added once."""
        for mail in mails:
            if mail.key not in self._mails and (mail.pair is None or str(mail.pair) in self._states):
                self._mails[mail.key] = mail
                heapq.heappush(self._steps, _Step(mail.due_at, is_mail=True, key=mail.key))
                if mail.pair is None:
                    self._add_to_all_states(replace(mail, progress=EffectProgress.DONE))

    def _add_to_all_states(self, mail: Effect) -> None:
        """Add a mail about all pairs to the state of each pair, so that no pair decides the same mail again."""
        for pair_id, state in self._states.items():
            if all(effect.key != mail.key for effect in state.effects):
                self._states[pair_id] = replace(state, effects=(*state.effects, mail))

    def _send(self, mail: Effect) -> Iterator[ExpectedMail]:
        """Yield the mail as it leaves, unless it is a weekly mail without news.

        When the mail asks for a contract, the contract is recorded.
        """
        states = tuple(self._states.values()) if mail.pair is None else (self._states[str(mail.pair)],)
        if mail.name == MailName.WEEKLY and not weekly.list_all_news(states, mail.due_at):
            return
        yield ExpectedMail(mail, states)
        if mail.name == MailName.CONTRACT_REQUEST:
            self._record_contract(states[0], mail)

    def _record_contract(self, state: PairState, request: Effect) -> None:
        """Record an empty contract for the held session that the request is about, when the request leaves."""
        session = state.find_session(request.subject)
        if session is not None and session.state is SessionState.HELD:
            builder = PlanBuilder(request.due_at, state, snapshot=None, policy=self._policy)
            actions.record_contract(builder, session, (), revision=1)
            builder.plan_again_at(request.due_at)
            self._carry_out(str(state.pair.id), builder.build(), request.due_at)


def _is_next_session_decided(state: PairState, now: datetime) -> bool:
    """Return whether the plan has decided about the pair's next session.

    It has when a session is booked or unplaceable, or when no session is due yet because the pair's start lies ahead.
    Otherwise the calendars of the pair could not be read.
    """
    regular = [s for s in state.sessions if cadence.is_regular(s) and (s.booked or s.owed)]
    if not regular:
        earliest_contact = turns.find_earliest_contact(state.pair, state.manager.zone)
        return earliest_contact is not None and now < earliest_contact
    return any(session.booked or session.unplaceable for session in regular)


# --- carrying out a plan ---


def apply_plan(state: PairState, new_plan: Plan, now: datetime) -> PairState:
    """Return the state of the pair after the plan and all effects that waited before it are carried out.

    Each event is on the calendar at its planned time, each mail is sent, and nobody has answered.
    """
    free_busy_used_at = now if new_plan.used_free_busy else state.free_busy_used_at
    has_pending_effects = any(effect.is_pending for effect in state.effects)
    if new_plan.is_empty and not new_plan.new_absences and not has_pending_effects:
        return replace(state, free_busy_used_at=free_busy_used_at) if new_plan.used_free_busy else state
    sessions = {session.id: session for session in (*state.sessions, *new_plan.sessions)}
    commitments = {commitment.id: commitment for commitment in (*state.commitments, *new_plan.commitments)}
    effects = (*state.effects, *new_plan.effects)
    pending = [effect for effect in effects if effect.is_pending]
    return replace(
        state,
        manager=_set_absences(state.manager, new_plan.new_absences),
        report=_set_absences(state.report, new_plan.new_absences),
        sessions=tuple(sessions.values()),
        deferrals=(*state.deferrals, *new_plan.deferrals),
        commitments=tuple(commitments.values()),
        effects=tuple(replace(e, progress=EffectProgress.DONE) if e.is_pending else e for e in effects),
        placed_events=_place_events(state, pending, {**sessions, **commitments}) if pending else state.placed_events,
        free_busy_used_at=free_busy_used_at,
    )


def _set_absences(person: Person, new_absences: Mapping[Address, tuple[Span, ...]]) -> Person:
    """Return the person with the absences that a plan has changed, if any."""
    return replace(person, absences=new_absences[person.email]) if person.email in new_absences else person


def _place_events(
    state: PairState, effects: Sequence[Effect], subjects: Mapping[str, Session | Commitment]
) -> dict[str, PlacedEvent]:
    """Return the events of the pair by key, after these effects are carried out."""
    placed = dict(state.placed_events)
    for effect in effects:
        span = _find_span(subjects.get(effect.subject))
        if effect.kind is EffectKind.CANCEL and effect.event in placed:
            placed[effect.event] = replace(placed[effect.event], is_gone=True)
        elif effect.kind in (EffectKind.CREATE, EffectKind.UPDATE) and span is not None:
            ref = EventRef(effect.calendar, id=effect.event, etag="")
            placed[effect.event] = PlacedEvent(key=effect.event, ref=ref, span=span, written_span=span)
    return placed


def _find_span(subject: Session | Commitment | None) -> Span | None:
    """Return the time of the session or of the commitment's block; None when there is none."""
    if isinstance(subject, Session):
        return Span(subject.start, subject.end) if subject.start and subject.end else None
    return subject.block if subject else None


def _make_snapshot(state: PairState, now: datetime) -> FreeBusySnapshot:
    """Return a snapshot in which both people are always free.

    While a session of the pair is unplaceable, free/busy is unknown instead, so that the forecast invents no time.
    """
    is_unplaceable = any(session.owed and session.unplaceable for session in state.sessions)
    window = Span(now - FREE_BUSY_REACH, now + FREE_BUSY_REACH)
    return FreeBusySnapshot(
        windows=dict.fromkeys(state.addresses, window),
        free_busy=dict.fromkeys(state.addresses, FreeBusy(is_known=not is_unplaceable)),
    )
