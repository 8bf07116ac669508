"""The plan builder: a working copy of a pair's state that collects the changes of one plan.

The rules of planning (in `placement`, `deferrals`, `reviews`, `notices`, …) are functions that take a builder, and
`planner.plan` calls them in order. They read the state from the builder, change sessions and commitments, and add
effects (events to write and mails to send). One builder is used for one call of `plan`, or for one action of a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from worker.domain.model import (
    Address,
    Commitment,
    Decision,
    Deferral,
    Effect,
    EffectKind,
    EffectProgress,
    FreeBusy,
    FreeBusyRequest,
    FreeBusySnapshot,
    MailName,
    PairState,
    Participation,
    Person,
    PlacedEvent,
    Plan,
    Policy,
    Reasons,
    Session,
    SessionKind,
    Span,
    TakenTime,
)
from worker.domain.planning.mail_times import choose_mail_time, make_personal_mail
from worker.domain.reason_texts import format_reasons
from worker.domain.time.worktime import DAY, add_weekdays, find_midnight, get_local_date

#: The time until a pair is planned again while one of its effects is still being carried out.
RECHECK_SOON = timedelta(minutes=1)
#: The time until a pair is planned again when a calendar can't be read at the moment.
RECHECK_LATER = timedelta(minutes=5)
#: A session that begins within this time keeps its time slot, unless somebody declines or deletes it (T-10).
LAST_HOURS = timedelta(hours=4)
#: Steps of the grid of `floor_to_shared_grid`.
DAILY, HALF_DAILY = timedelta(days=1), timedelta(hours=12)
#: For this long after a session was held, its time still counts as taken, for the limits per day and week (T-2, T-3a).
RECENTLY_HELD = timedelta(weeks=1)
#: The wait after a calendar first refused a change. It grows fourfold with each refusal, up to the longest wait.
FIRST_RETRY_WAIT, RETRY_WAIT_FACTOR, LONGEST_RETRY_WAIT = timedelta(minutes=5), 4, timedelta(days=1)

T = TypeVar("T", Session, Commitment)


class PlanBuilder:
    """The state of one pair as it would be if the plan that has been built so far were carried out.

    `state` is the state as it was read, before the changes of the plan. `sessions` and `commitments` map ids to the
    planned values. `effects` holds the effects of the state and those that the plan adds.
    """

    def __init__(self, now: datetime, state: PairState, snapshot: FreeBusySnapshot | None, policy: Policy) -> None:
        self.now = now
        self.state = state
        self.snapshot = snapshot
        self.policy = policy
        self.pair = state.pair
        self.manager = state.manager
        self.report = state.report
        self.sessions: dict[str, Session] = {s.id: s for s in state.sessions}
        self.commitments: dict[str, Commitment] = {c.id: c for c in state.commitments}
        self.effects: list[Effect] = list(state.effects)
        #: Ids of the sessions and commitments with an unfinished change of their event.
        self._changing = {e.subject for e in state.effects if e.is_pending and e.kind is not EffectKind.MAIL}
        self.used_free_busy = False
        #: By session id: a time that a guest proposed and that does not fit. The session is placed near to it.
        self.requested_times: dict[str, Span] = {}
        self._accepted_moves: dict[str, Span] = {}  #: by event key: the time to which a person moved the event
        self._deferrals: list[Deferral] = []
        self._decisions: list[Decision] = []
        self._free_busy_request: FreeBusyRequest | None = None
        self._plan_again_at: datetime | None = None

    # --- reading ---

    @property
    def people(self) -> tuple[Person, Person]:
        """The manager and the report."""
        return self.manager, self.report

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The addresses of the manager and the report."""
        return self.state.addresses

    def find_weekday_start(self, weekdays: int, instant: datetime) -> datetime:
        """Return the start of the day that is `weekdays` weekdays after `instant`, in the manager's zone.

        Weekdays are Monday to Friday. A negative number counts backward.
        """
        return find_midnight(self.manager.zone, self._find_weekday(weekdays, instant))

    def find_weekday_end(self, weekdays: int, instant: datetime) -> datetime:
        """Return the end of the day that is `weekdays` weekdays after `instant`, in the manager's zone."""
        return find_midnight(self.manager.zone, self._find_weekday(weekdays, instant) + DAY)

    def _find_weekday(self, weekdays: int, instant: datetime) -> date:
        return add_weekdays(get_local_date(self.manager.zone, instant), weekdays)

    def list_sessions(self, *kinds: SessionKind) -> list[Session]:
        """Return the sessions of these kinds: those of the state first, then those that the plan adds."""
        return [s for s in self.sessions.values() if s.kind in kinds]

    def find_event(self, key: str) -> PlacedEvent | None:
        """Return the event with that key as last seen on the calendar; None when there is none or it is gone."""
        placed = self.state.placed_events.get(key)
        return placed if placed is not None and not placed.is_gone else None

    def has_pending_change(self, subject: str) -> bool:
        """Return whether a change to the event of that session or commitment is decided but not finished yet."""
        return subject in self._changing

    def is_on_calendar(self, key: str) -> bool:
        """Return whether the event with that key is on the calendar, or an effect to write the event is pending."""
        return self.find_event(key) is not None or any(
            effect.event == key and effect.is_pending and effect.kind in (EffectKind.CREATE, EffectKind.UPDATE)
            for effect in self.effects
        )

    def list_deferrals(self, session_id: str) -> list[Deferral]:
        """Return the deferrals of the session, oldest first, without moves by hand. Those of this plan are included."""
        return [loss for loss in self.list_time_losses(session_id) if loss.is_counted]

    def list_time_losses(self, session_id: str) -> list[Deferral]:
        """Return the deferrals and the moves by hand of the session, oldest first. Those of this plan are included."""
        losses = [loss for loss in (*self.state.deferrals, *self._deferrals) if loss.session == session_id]
        return sorted(losses, key=lambda loss: loss.position)

    def list_mails(self, name: MailName, subject: str) -> list[Effect]:
        """Return the mails with that name about that subject which were sent or may still be sent.

        `subject` is the id of the session, commitment or pair that the mail is about.
        """
        return [
            effect
            for effect in self.effects
            if effect.name == name and effect.subject == subject and effect.progress is not EffectProgress.DROPPED
        ]

    def list_prompts(self) -> list[Effect]:
        """Return the reflection prompts for the report, also dropped ones and those of past sessions."""
        return [e for e in self.effects if e.name == MailName.REFLECTION_PROMPT and e.to == self.report.email]

    def find_retry_time(self, subject: str) -> datetime | None:
        """Return the instant from which a change that a calendar refused may be tried again; None if none was refused.

        The wait is 5 minutes after the first refusal, then 20, then 80, … up to a day. It is counted from the plan that
        decided the refused change.
        """
        decided_at = [
            effect.decided_at
            for effect in self.effects
            if effect.subject == subject
            and effect.progress is EffectProgress.DEAD
            and effect.kind is not EffectKind.MAIL
        ]
        if not decided_at:
            return None
        exponent = min(len(decided_at) - 1, 5)  # the wait is a day from here on, and larger powers could overflow
        factor: int = RETRY_WAIT_FACTOR**exponent
        return max(decided_at) + min(FIRST_RETRY_WAIT * factor, LONGEST_RETRY_WAIT)

    def has_to_wait_for_retry(self, subject: str) -> bool:
        """Return whether a refused change of that subject must wait; if so, have the pair planned again in time."""
        retry_at = self.find_retry_time(subject)
        if retry_at is None or self.now >= retry_at:
            return False
        self.plan_again_at(retry_at)
        return True

    def list_taken_times(self, address: Address, exclude: str = "") -> tuple[TakenTime, ...]:
        """Return the times of a person that sessions and commitments take.

        The times of the session or commitment with the id `exclude` are left out, if an id is given. Offered times are
        included. So are the times of sessions that were held within the last week, because these count for the limits
        per day and per week (T-2, T-3a).
        """
        taken_times_by_address = self.state.taken_times or {}
        # The taken times of this pair come from the plan, which is newer than the state.
        taken_times = [item for item in taken_times_by_address.get(address, ()) if item.pair != self.pair.id]
        for session in self.sessions.values():
            if session.id == exclude:
                continue
            has_time = session.booked or (session.held_at and self.now - session.held_at < RECENTLY_HELD)
            spans = (session.span, *session.options) if has_time else session.options
            taken_times += [TakenTime(span, session.id, session.kind, in_turn=session.in_turn) for span in spans]
        if address == self.manager.email:
            taken_times += [
                TakenTime(c.block, c.id)
                for c in self.commitments.values()
                if c.block and c.is_open and not c.all_day and c.id != exclude
            ]
        return tuple(taken_times)

    @property
    def lacks_free_busy(self) -> bool:
        """Whether a rule needs free/busy that was not read. The plan then consists only of the request for it."""
        return self._free_busy_request is not None

    def get_free_busy(
        self, people: Sequence[Person], window: Span, *, for_booking: bool = True
    ) -> Mapping[Address, FreeBusy] | None:
        """Return the free/busy of these people in that window by address; None while it is not available.

        Free/busy that was not read yet is requested. When a calendar can't be read at the moment, the pair is planned
        again some minutes later. With `for_booking`, a session may be booked at a free time, so that the taken times of
        other pairs are needed as well.
        """
        readable = tuple(p.email for p in people if p.has_calendar)
        if self.snapshot is None or (for_booking and self.state.taken_times is None):
            self._request_free_busy(readable, window, for_booking=for_booking)
            return None
        free_busy: dict[Address, FreeBusy] = {p.email: FreeBusy() for p in people if not p.has_calendar}
        for email in readable:
            if email in self.snapshot.unavailable:
                self.plan_again_at(self.now + RECHECK_LATER)
                return None
            if email not in self.snapshot.windows or not _covers(self.snapshot.windows[email], window):
                self._request_free_busy(readable, window, for_booking=for_booking)
                return None
            free_busy[email] = self.snapshot.free_busy[email]
        self.used_free_busy = True
        return free_busy

    def _request_free_busy(self, people: tuple[Address, ...], window: Span, *, for_booking: bool) -> None:
        """Request this free/busy, together with all that was requested before."""
        if self._free_busy_request is not None:
            earlier = self._free_busy_request
            people = tuple(dict.fromkeys(earlier.people + people))
            window = Span(min(earlier.window.start, window.start), max(earlier.window.end, window.end))
            for_booking = for_booking or earlier.includes_taken
        self._free_busy_request = FreeBusyRequest(people, window, includes_taken=for_booking)

    # --- changing ---

    def update_session(self, session: Session, **fields: Any) -> Session:
        """Put the session with these fields changed into the plan, and return the changed session."""
        new = replace(session, **fields)
        self.sessions[new.id] = new
        return new

    def update_commitment(self, commitment: Commitment, **fields: Any) -> Commitment:
        """Put the commitment with these fields changed into the plan, and return the changed commitment."""
        new = replace(commitment, **fields)
        self.commitments[new.id] = new
        return new

    def accept_move(self, placed: PlacedEvent) -> None:
        """Accept the time that the event has on the calendar, so that it no longer counts as a move by a person."""
        self._accepted_moves[placed.key] = placed.span

    def add_deferral(self, deferral: Deferral) -> None:
        """Add a deferral, or a move by hand, to the plan."""
        self._deferrals.append(deferral)

    def record_decision(self, category: str, reason: str | Reasons, session: str = "", **fields: object) -> None:
        """Add a line to the history, without any content of a conversation. Fields that are None or empty are omitted.

        `category` becomes `Decision.what`, and `session` is the id of the session that was decided about.
        """
        filled_fields = {name: value for name, value in fields.items() if value not in (None, "")}
        text = reason if isinstance(reason, str) else format_reasons(reason)
        self._decisions.append(
            Decision(at=self.now, what=category, pair=self.pair.id, reason=text, session=session, fields=filled_fields)
        )

    def record_session_decision(self, session: Session, reason: str | Reasons, **fields: object) -> None:
        """Add the current state of a session to the history, with the reason for it."""
        self.record_decision(
            "session",
            reason,
            session.id,
            state=session.state.value,
            kind=session.kind.value,
            topic=session.topic.value,
            start=session.start,
            end=session.end,
            count=session.count,
            **fields,
        )

    def add_mail(
        self,
        name: MailName,
        subject: str,
        to: Address,
        *,
        start: datetime | None = None,
        number: int = 0,
        due_at: datetime | None = None,
        event: str = "",
    ) -> Effect:
        """Add the effect that sends a mail, due in the reader's mail hours unless it may leave at any hour (T-16).

        `subject` is the id of the session, commitment or pair that the mail is about. `start` is the instant that the
        mail is about, such as the start of the session. `number` distinguishes mails of one name and subject. `event`
        is the key of the event in an invitation. `due_at` is the earliest time to send the mail.

        The key of the effect contains everything that distinguishes one mail from another, because the state does not
        contain all old mails. The key ends with a counter, so that a mail can be decided again after an earlier effect
        for it was dropped.
        """
        key_prefix = f"{name}:{subject}:{to}:" + (f"{start:%Y%m%d}." if start else "") + f"{number}."
        count = sum(effect.key.startswith(key_prefix) for effect in self.effects) + 1
        reader = self.manager if to == self.manager.email else self.report
        session_start, lost_start = self._find_session_times(subject, start)
        wanted_at = max(due_at or self.now, self.now)
        mail_time = choose_mail_time(name, reader, wanted_at, session_start=session_start, lost_start=lost_start)
        mail = Effect(
            key=f"{key_prefix}{count}",
            kind=EffectKind.MAIL,
            pair=self.pair.id,
            subject=subject,
            due_at=mail_time.due_at,
            decided_at=self.now,
            name=name.value,
            to=to,
            number=number,
            start=start,
            event=event,
            is_limited=mail_time.is_limited,
        )
        self.effects.append(mail)
        return mail

    def add_personal_mail(self, name: MailName, about: str) -> None:
        """Add a mail to the manager about several pairs, unless the mail is decided already.

        `about` distinguishes mails with the same name (see `make_personal_mail`).
        """
        due_at = choose_mail_time(name, self.manager, self.now).due_at
        mail = make_personal_mail(name, self.manager, about, now=self.now, due_at=due_at)
        # Keys are not compared as a whole, because a key from before a change of the manager's address contains the old
        # address.
        if not any(e.name == name and e.to == mail.to and e.key.endswith(f":{about}") for e in self.effects):
            self.effects.append(mail)

    def _find_session_times(self, subject: str, start: datetime | None) -> tuple[datetime | None, datetime | None]:
        """Return the start of the session that a mail is about, and the start that this session lost last.

        Both are None for a mail that is not about a session. The `start` of such a mail is a due date or an instant of
        the past, and does not matter for the time at which the mail leaves (T-16).
        """
        session = self.sessions.get(subject)
        if session is None:
            return None, None
        lost_starts = [loss.was.start for loss in self.list_time_losses(subject) if loss.was]
        return start or session.start, lost_starts[-1] if lost_starts else None

    def write_event(self, subject: str, event: str, sequence: int) -> None:
        """Add the effect that creates the event with the key `event` on the manager's calendar.

        When the event is on the calendar already, or about to be, the effect updates the event. `subject` is the id of
        the session or commitment. `sequence` counts its writes, which distinguishes this effect from earlier ones.
        """
        kind = EffectKind.UPDATE if self.is_on_calendar(event) else EffectKind.CREATE
        self._add_event_effect(kind, subject, event, f"{kind.value}:{event}:{sequence}")

    def cancel_event(self, subject: str, event: str) -> None:
        """Add the effect that cancels the event with the key `event` on the manager's calendar."""
        kind = EffectKind.CANCEL
        count = sum(effect.event == event and effect.kind is kind for effect in self.effects) + 1
        suffix = f":{count}" if count > 1 else ""  # an earlier cancel was refused by the calendar
        self._add_event_effect(kind, subject, event, f"{kind.value}:{event}{suffix}")

    def _add_event_effect(self, kind: EffectKind, subject: str, event: str, key: str) -> None:
        """Add an effect with the given key. From now on, the change of the subject's event is pending."""
        placed = self.find_event(event)
        self._changing.add(subject)
        self.effects.append(
            Effect(
                key=key,
                kind=kind,
                pair=self.pair.id,
                subject=subject,
                due_at=self.now,
                decided_at=self.now,
                calendar=self.manager.email,
                event=event,
                start=placed.span.start if placed else None,
                quiet=self.pair.participation is Participation.WITHDRAWN_QUIETLY,
            )
        )

    def plan_again_at(self, instant: datetime) -> None:
        """Have this pair planned again at `instant`, or earlier if another rule asks for that."""
        if self._plan_again_at is None or instant < self._plan_again_at:
            self._plan_again_at = max(instant, self.now)

    # --- the result ---

    def make_state(self) -> PairState:
        """Return the state of the pair with the sessions and commitments as they are planned so far."""
        return replace(self.state, sessions=tuple(self.sessions.values()), commitments=tuple(self.commitments.values()))

    def build(self) -> Plan:
        """Return the plan with everything that changed, or with only the request when free/busy is missing."""
        if self._free_busy_request is not None:
            return Plan(pair=self.pair.id, needed_free_busy=self._free_busy_request)
        known_keys = {effect.key for effect in self.state.effects}
        return Plan(
            pair=self.pair.id,
            due_at=self._plan_again_at,
            sessions=_select_changed(self.sessions.values(), {s.id: s for s in self.state.sessions}),
            deferrals=tuple(self._deferrals),
            commitments=_select_changed(self.commitments.values(), {c.id: c for c in self.state.commitments}),
            effects=tuple(effect for effect in self.effects if effect.key not in known_keys),
            decisions=tuple(self._decisions),
            accepted_moves=self._accepted_moves,
            used_free_busy=self.used_free_busy,
        )


def _select_changed(after: Iterable[T], before: Mapping[str, T]) -> tuple[T, ...]:
    """Return the items that are new or differ from the item with the same id in `before`."""
    return tuple(item for item in after if before.get(item.id) != item)


def _covers(outer: Span, inner: Span) -> bool:
    """Return whether the inner span lies inside the outer span."""
    return outer.start <= inner.start and inner.end <= outer.end


def floor_to_shared_grid(instant: datetime, step: timedelta) -> datetime:
    """Return the last grid point at or before `instant`, on a grid with that step and a point at 05:00 UTC.

    All pairs have their calendars read at grid points, so that one request can read the calendars of many people.
    """
    first_point = datetime(2024, 1, 1, 5, tzinfo=UTC)
    return first_point + (instant - first_point) // step * step
