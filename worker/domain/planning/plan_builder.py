"""The working copy of a pair while it is planned: what is read from it, what is changed, what is sent, when to wake.

The rules (`placement`, `deferrals`, `reviews`, `notices`, …) are functions over it, and `planner.plan` calls them in
order. A builder serves one call of `plan`, or one action.
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
from worker.domain.planning.quiet_hours import choose_mail_time, make_personal_mail
from worker.domain.reason_texts import format_reasons
from worker.domain.time.worktime import add_weekdays, get_local_date, wall_to_utc

#: When a pair is planned again while an effect of it is under way…
RECHECK_SOON = timedelta(minutes=1)
#: … and when a calendar can't be read just now.
RECHECK_LATER = timedelta(minutes=5)
#: Inside this time before its start a session stays where it is, unless somebody declines or deletes it (T-10).
LAST_HOURS = timedelta(hours=4)
DAILY, HALF_DAILY = timedelta(days=1), timedelta(hours=12)
WEEKLY = timedelta(weeks=1)

T = TypeVar("T", Session, Commitment)


class PlanBuilder:
    """One pair, as it would be if the plan made so far were carried out."""

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
        #: Whose events are about to change.
        self._changing = {one.subject for one in state.effects if one.is_live and one.kind is not EffectKind.MAIL}
        self.used_free_busy = False
        self.requested_times: dict[str, Span] = {}  #: by session: the time that somebody would rather have had
        self._accepted_moves: dict[str, Span] = {}
        self._deferrals: list[Deferral] = []
        self._decisions: list[Decision] = []
        self._needs: FreeBusyRequest | None = None
        self._wake: datetime | None = None

    # --- reading ---

    @property
    def people(self) -> tuple[Person, Person]:
        return self.manager, self.report

    @property
    def addresses(self) -> tuple[Address, Address]:
        return self.state.addresses

    def find_weekday_start(self, weekdays: int, instant: datetime) -> datetime:
        """Return when the manager's day begins that lies so many weekdays (Monday to Friday) from that instant."""
        return wall_to_utc(self.manager.zone, self._find_weekday(weekdays, instant), 0)

    def find_weekday_end(self, weekdays: int, instant: datetime) -> datetime:
        """Return when that day ends."""
        return wall_to_utc(self.manager.zone, self._find_weekday(weekdays, instant) + DAILY, 0)

    def _find_weekday(self, weekdays: int, instant: datetime) -> date:
        return add_weekdays(get_local_date(self.manager.zone, instant), weekdays)

    def list_sessions(self, *kinds: SessionKind) -> list[Session]:
        """Return the sessions of these kinds: those of the state first, then the new ones."""
        return [s for s in self.sessions.values() if s.kind in kinds]

    def find_event(self, key: str) -> PlacedEvent | None:
        """Return the event of that key as last seen; None when it is gone."""
        placed = self.state.placed_events.get(key)
        return placed if placed is not None and not placed.gone else None

    def has_pending_change(self, subject: str) -> bool:
        """True while a change of that subject's event is decided and not yet settled."""
        return subject in self._changing

    def is_on_calendar(self, key: str) -> bool:
        """True when the event of that key is on the calendar, or an effect to create or update it is pending."""
        return self.find_event(key) is not None or any(
            one.event == key and one.is_live and one.kind in (EffectKind.CREATE, EffectKind.UPDATE)
            for one in self.effects
        )

    def list_deferrals(self, session_id: str) -> list[Deferral]:
        """Return the deferrals of the session, those of this plan included, and its moves by hand not."""
        return [one for one in self.list_lost_times(session_id) if one.is_counted]

    def list_lost_times(self, session_id: str) -> list[Deferral]:
        """Return the deferrals and the moves by hand of the session, oldest first, those of this plan included."""
        lost = [one for one in (*self.state.deferrals, *self._deferrals) if one.session == session_id]
        return sorted(lost, key=lambda one: one.position)

    def list_mails(self, name: MailName, subject: str) -> list[Effect]:
        """Return the mails of that name about that subject that went out or still may."""
        return [
            one
            for one in self.effects
            if one.name == name and one.subject == subject and one.progress is not EffectProgress.DROPPED
        ]

    def list_prompts(self) -> list[Effect]:
        """Return the prompts that the report got or is about to get, those of sessions that are over included."""
        return [one for one in self.effects if one.name == MailName.REFLECTION_PROMPT and one.to == self.report.email]

    def find_retry_time(self, subject: str) -> datetime | None:
        """Return from when on a change that a calendar refused is tried again; None when none was refused.

        That is 5 minutes after the first refusal, then 20, then 80, … up to a day.
        """
        refused_at = [
            one.snapshot_at
            for one in self.effects
            if one.subject == subject and one.progress is EffectProgress.DEAD and one.kind is not EffectKind.MAIL
        ]
        if not refused_at:
            return None
        wait = timedelta(minutes=5 * pow(4, min(len(refused_at) - 1, 5)))
        return max(refused_at) + min(wait, timedelta(days=1))

    def wait_for_retry(self, subject: str) -> bool:
        """Return whether it is too early to try a refused change of that subject again; if so, wake when it is time."""
        retry_at = self.find_retry_time(subject)
        if retry_at is None or self.now >= retry_at:
            return False
        self.wake_at(retry_at)
        return True

    def list_taken_times(self, person: Address, exclude: str = "") -> tuple[TakenTime, ...]:
        """Return a person's time that sessions and commitments take, except for the one with the id `exclude`.

        What was held within the last week is part of it, since it counts for its day and its week (T-2, T-3a).
        """
        known, ours = self.state.taken_times or {}, self.pair.id
        others = [t for t in known.get(person, ()) if t.pair != ours]
        for session in self.sessions.values():
            if session.id == exclude:
                continue
            counts = session.booked or (session.held_at and self.now - session.held_at < WEEKLY)
            spans = (session.span, *session.options) if counts else session.options
            others += [TakenTime(span, session.id, session.kind, in_turn=session.in_turn) for span in spans]
        if person == self.manager.email:
            others += [
                TakenTime(c.block, c.id)
                for c in self.commitments.values()
                if c.block and c.is_open and not c.all_day and c.id != exclude
            ]
        return tuple(others)

    @property
    def has_request(self) -> bool:
        """True once free/busy is needed that was not read: the plan then consists of that request alone."""
        return self._needs is not None

    def get_free_busy(
        self, people: Sequence[Person], window: Span, *, for_booking: bool = True
    ) -> Mapping[Address, FreeBusy] | None:
        """Return the free/busy of these people in that window; None while it is not known.

        What was not read is requested; what can't be read just now is read again later. `for_booking`: the time may be
        given away, so the time that other pairs have taken has to be known as well.
        """
        readable = tuple(p.email for p in people if p.has_calendar)
        if self.snapshot is None or (for_booking and self.state.taken_times is None):
            self._request_free_busy(readable, window, for_booking=for_booking)
            return None
        known: dict[Address, FreeBusy] = {p.email: FreeBusy() for p in people if not p.has_calendar}
        for email in readable:
            if email in self.snapshot.unavailable:
                self.wake_at(self.now + RECHECK_LATER)
                return None
            if email not in self.snapshot.windows or not _covers(self.snapshot.windows[email], window):
                self._request_free_busy(readable, window, for_booking=for_booking)
                return None
            known[email] = self.snapshot.free_busy[email]
        self.used_free_busy = True
        return known

    def _request_free_busy(self, people: tuple[Address, ...], window: Span, *, for_booking: bool) -> None:
        if self._needs is not None:
            old = self._needs
            people = tuple(dict.fromkeys(old.people + people))
            window = Span(min(old.window.start, window.start), max(old.window.end, window.end))
            for_booking = for_booking or old.includes_taken
        self._needs = FreeBusyRequest(people, window, for_booking)

    # --- changing ---

    def update_session(self, session: Session, **fields: Any) -> Session:
        """Keep the session with these fields changed, and return it."""
        new = replace(session, **fields)
        self.sessions[new.id] = new
        return new

    def update_commitment(self, commitment: Commitment, **fields: Any) -> Commitment:
        """Keep the commitment with these fields changed, and return it."""
        new = replace(commitment, **fields)
        self.commitments[new.id] = new
        return new

    def accept_move(self, placed: PlacedEvent) -> None:
        """Accept the time that a person gave one of our events."""
        self._accepted_moves[placed.key] = placed.span

    def add_deferral(self, deferral: Deferral) -> None:
        self._deferrals.append(deferral)

    def record_decision(self, what: str, reason: str | Reasons, session: str = "", **fields: object) -> None:
        """Put a line into the history. No content of a conversation may be in it."""
        known = {name: value for name, value in fields.items() if value not in (None, "")}
        text = reason if isinstance(reason, str) else format_reasons(reason)
        self._decisions.append(
            Decision(at=self.now, what=what, pair=self.pair.id, reason=text, session=session, fields=known)
        )

    def record_session_decision(self, session: Session, reason: str | Reasons, **fields: object) -> None:
        """Put the present state of a session into the history."""
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
        """Decide to send a mail, inside the reader's working hours unless it may leave at any hour (T-16).

        The key names what the mail is about, because not all old mails are in the state. It ends with how often the
        same mail was decided, so that one can follow another that was dropped.
        """
        about = f"{name}:{subject}:{to}:" + (f"{start:%Y%m%d}." if start else "") + f"{number}."
        count = sum(one.key.startswith(about) for one in self.effects) + 1
        reader = self.manager if to == self.manager.email else self.report
        begins, lost = self._find_times(subject, start)
        time = choose_mail_time(name, reader, max(due_at or self.now, self.now), begins, lost)
        mail = Effect(
            key=f"{about}{count}",
            kind=EffectKind.MAIL,
            pair=self.pair.id,
            subject=subject,
            due_at=time.due_at,
            snapshot_at=self.now,
            name=name.value,
            to=to,
            number=number,
            start=start,
            event=event,
            counts=time.counts,
        )
        self.effects.append(mail)
        return mail

    def add_personal_mail(self, name: MailName, about: str) -> None:
        """Decide a mail to the manager about several pairs, unless it is decided already: see `make_personal_mail`."""
        due_at = choose_mail_time(name, self.manager, self.now).due_at
        mail = make_personal_mail(name, self.manager, about, self.now, due_at)
        # the key of one that was decided before the manager's address changed has the old address
        if not any(one.name == name and one.to == mail.to and one.key.endswith(f":{about}") for one in self.effects):
            self.effects.append(mail)

    def _find_times(self, subject: str, start: datetime | None) -> tuple[datetime | None, datetime | None]:
        """When the session that a mail is about begins, and when it was to begin until now (T-16). A mail that is about
        none waits for its reader's hours: the start that it carries is a day, or an instant of the past."""
        session = self.sessions.get(subject)
        if session is None:
            return None, None
        lost = [one.was.start for one in self.list_lost_times(subject) if one.was]
        return start or session.start, lost[-1] if lost else None

    def write_event(self, subject: str, event: str, sequence: int) -> None:
        """Decide to create an event on the manager's calendar, or to update it when it is there or about to be."""
        kind = EffectKind.UPDATE if self.is_on_calendar(event) else EffectKind.CREATE
        self._add_event_effect(kind, subject, event, f"{kind.value}:{event}:{sequence}")

    def cancel_event(self, subject: str, event: str) -> None:
        """Decide to cancel an event on the manager's calendar."""
        kind = EffectKind.CANCEL
        count = sum(one.event == event and one.kind is kind for one in self.effects) + 1
        suffix = f":{count}" if count > 1 else ""  # the calendar refused to cancel it before
        self._add_event_effect(kind, subject, event, f"{kind.value}:{event}{suffix}")

    def _add_event_effect(self, kind: EffectKind, subject: str, event: str, key: str) -> None:
        placed = self.find_event(event)
        self._changing.add(subject)
        self.effects.append(
            Effect(
                key=key,
                kind=kind,
                pair=self.pair.id,
                subject=subject,
                due_at=self.now,
                snapshot_at=self.now,
                calendar=self.manager.email,
                event=event,
                start=placed.span.start if placed else None,
                quiet=self.pair.participation is Participation.WITHDRAWN_QUIETLY,
            )
        )

    def wake_at(self, instant: datetime) -> None:
        """Have this pair planned again at that instant, or earlier."""
        if self._wake is None or instant < self._wake:
            self._wake = max(instant, self.now)

    # --- the result ---

    def make_state(self) -> PairState:
        """Return the state of the pair with the sessions and commitments as planned so far."""
        return replace(self.state, sessions=tuple(self.sessions.values()), commitments=tuple(self.commitments.values()))

    def build(self) -> Plan:
        """Return the plan with everything that changed; only the request when free/busy is needed."""
        if self._needs is not None:
            return Plan(pair=self.pair.id, needs=self._needs)
        known_keys = {one.key for one in self.state.effects}
        return Plan(
            pair=self.pair.id,
            due_at=self._wake,
            sessions=_select_changed(self.sessions.values(), {s.id: s for s in self.state.sessions}),
            deferrals=tuple(self._deferrals),
            commitments=_select_changed(self.commitments.values(), {c.id: c for c in self.state.commitments}),
            effects=tuple(one for one in self.effects if one.key not in known_keys),
            decisions=tuple(self._decisions),
            accepted_moves=self._accepted_moves,
            used_free_busy=self.used_free_busy,
        )


def _select_changed(after: Iterable[T], before: Mapping[str, T]) -> tuple[T, ...]:
    return tuple(one for one in after if before.get(one.id) != one)


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def find_last_look(now: datetime, step: timedelta) -> datetime:
    """Return the last instant at or before `now` on a grid of that step, which has 05:00 UTC on it.

    All pairs share the grid, so that the calendars of many people are read in one request.
    """
    base = datetime(2024, 1, 1, 5, tzinfo=UTC)
    return base + (now - base) // step * step
