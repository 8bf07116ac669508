"""The working copy of a pair while it is planned: what is read from it, what is changed, what is sent, when to wake.

The rules (`placement`, `deferrals`, `reviews`, `notices`, …) are functions over this;
`planner.plan` calls them in order.
Everything here lives for the length of one call of `plan`.
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

#: How soon a pair is looked at again while an effect is under way or a calendar can't be asked.
RECHECK_SOON = timedelta(minutes=1)
RECHECK_LATER = timedelta(minutes=5)
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
        """The beginning of the manager's day that lies so many days of Monday to Friday from that instant."""
        return wall_to_utc(self.manager.zone, self._find_weekday(weekdays, instant), 0)

    def find_weekday_end(self, weekdays: int, instant: datetime) -> datetime:
        """The end of that day."""
        return wall_to_utc(self.manager.zone, self._find_weekday(weekdays, instant) + DAILY, 0)

    def _find_weekday(self, weekdays: int, instant: datetime) -> date:
        return add_weekdays(get_local_date(self.manager.zone, instant), weekdays)

    def list_sessions(self, *kinds: SessionKind) -> list[Session]:
        """The sessions of these kinds, in order of their ids' making."""
        return [s for s in self.sessions.values() if s.kind in kinds]

    def find_event(self, key: str) -> PlacedEvent | None:
        """The event of that key as last seen, unless it is gone."""
        found = self.state.placed_events.get(key)
        return found if found is not None and not found.gone else None

    def has_pending_change(self, subject: str) -> bool:
        """True while a change of that subject's event is decided and not yet settled."""
        return any(m.subject == subject and m.is_live and m.kind is not EffectKind.MAIL for m in self.effects)

    def has_pending_write(self, event: str) -> bool:
        """True while that very event is about to be made or changed."""
        return any(
            m.event == event and m.is_live and m.kind in (EffectKind.CREATE, EffectKind.UPDATE) for m in self.effects
        )

    @property
    def new_deferrals(self) -> tuple[Deferral, ...]:
        """Those of this plan."""
        return tuple(self._deferrals)

    def list_mails(self, name: MailName, subject: str) -> list[Effect]:
        """The mails of that name about that subject that went out or still may."""
        return [
            m
            for m in self.effects
            if m.name == name and m.subject == subject and m.progress is not EffectProgress.DROPPED
        ]

    def list_prompts(self) -> list[Effect]:
        """The prompts that the report got or is about to get, those of sessions that are over included."""
        return [m for m in self.effects if m.name == MailName.REFLECTION_PROMPT and m.to == self.report.email]

    def find_retry_time(self, subject: str) -> datetime | None:
        """A calendar that refuses is not asked again at once: after 5 minutes, then 20, … up to a day."""
        dead = [
            m.snapshot_at
            for m in self.effects
            if m.subject == subject and m.progress is EffectProgress.DEAD and m.kind is not EffectKind.MAIL
        ]
        if not dead:
            return None
        wait = timedelta(minutes=5 * pow(4, min(len(dead) - 1, 5)))
        return max(dead) + min(wait, timedelta(days=1))

    def list_taken_times(self, person: Address, exclude: str = "") -> tuple[TakenTime, ...]:
        """All of a person's time that was decided by us, this pair's own included, one session or commitment aside;
        what was held within a week is part of it, since it counts for its day and its week (T-2, T-3a)."""
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
        """True once something is needed that was not read: what is planned then is only the question."""
        return self._needs is not None

    def get_free_busy(
        self, people: Sequence[Person], window: Span, *, for_booking: bool = True
    ) -> Mapping[Address, FreeBusy] | None:
        """Everybody's time in that window, or None when it can't be told now: then it is asked for, or asked again.

        `for_booking`: that time may be given away, so that what other pairs have taken of it has to be known as well.
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
        """Keep the session with these fields changed; the same again is no change."""
        new = replace(session, **fields)
        self.sessions[new.id] = new
        return new

    def update_commitment(self, commitment: Commitment, **fields: Any) -> Commitment:
        """Keep the commitment with these fields changed."""
        new = replace(commitment, **fields)
        self.commitments[new.id] = new
        return new

    def accept_move(self, placed: PlacedEvent) -> None:
        """Accept the time a human gave an event of ours."""
        self._accepted_moves[placed.key] = placed.span

    def add_deferral(self, deferral: Deferral) -> None:
        self._deferrals.append(deferral)

    def record_decision(self, what: str, reason: str | Reasons, session: str = "", **fields: object) -> None:
        """Put a line into the history. No content of a conversation may be in it."""
        told = {name: value for name, value in fields.items() if value not in (None, "")}
        said = reason if isinstance(reason, str) else format_reasons(reason)
        self._decisions.append(
            Decision(at=self.now, what=what, pair=self.pair.id, reason=said, session=session, fields=told)
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
        """Decide to send a mail. The key says what it speaks of, since old mails are not all known here, and counts how
        often the same was decided, so that another may follow one that was dropped. It leaves inside the reader's
        working hours, unless it may come at any hour (T-16)."""
        about = f"{name}:{subject}:{to}:" + (f"{start:%Y%m%d}." if start else "") + f"{number}."
        count = sum(m.key.startswith(about) for m in self.effects) + 1
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
        if not any(m.name == name and m.to == mail.to and m.key.endswith(f":{about}") for m in self.effects):
            self.effects.append(mail)

    def _find_times(self, subject: str, start: datetime | None) -> tuple[datetime | None, datetime | None]:
        """When the session that a mail is about begins, and when it was to begin until now (T-16). A mail that is about
        none waits for its reader's hours: the start that it carries is a day, or an instant of the past."""
        session = self.sessions.get(subject)
        if session is None:
            return None, None
        lost = [d.was.start for d in (*self.state.deferrals, *self._deferrals) if d.session == subject and d.was]
        return start or session.start, lost[-1] if lost else None

    def write_event(self, what: EffectKind, subject: str, event: str, sequence: int) -> None:
        """Decide to create, update or cancel an event on the manager's calendar."""
        suffix = "" if what is EffectKind.CANCEL else f":{sequence}"
        again = sum(m.event == event and m.kind is EffectKind.CANCEL for m in self.effects)
        if what is EffectKind.CANCEL and again:
            suffix = f":{again + 1}"  # the calendar would not give it up
        placed = self.find_event(event)
        self.effects.append(
            Effect(
                key=f"{what.value}:{event}{suffix}",
                kind=what,
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
        """Look at this pair again at that instant, or earlier."""
        if self._wake is None or instant < self._wake:
            self._wake = max(instant, self.now)

    # --- the result ---

    def make_state(self) -> PairState:
        """The pair as it would be, for what is decided from a state as a whole."""
        return replace(self.state, sessions=tuple(self.sessions.values()), commitments=tuple(self.commitments.values()))

    def build(self) -> Plan:
        """What changed. With a need, only the question."""
        if self._needs is not None:
            return Plan(pair=self.pair.id, needs=self._needs)
        before = {m.key for m in self.state.effects}
        return Plan(
            pair=self.pair.id,
            due_at=self._wake,
            sessions=_select_changed(self.sessions.values(), {s.id: s for s in self.state.sessions}),
            deferrals=tuple(self._deferrals),
            commitments=_select_changed(self.commitments.values(), {c.id: c for c in self.state.commitments}),
            effects=tuple(m for m in self.effects if m.key not in before),
            decisions=tuple(self._decisions),
            accepted_moves=self._accepted_moves,
            used_free_busy=self.used_free_busy,
        )


def _select_changed(after: Iterable[T], before: Mapping[str, T]) -> tuple[T, ...]:
    return tuple(one for one in after if before.get(one.id) != one)


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def find_last_look(now: datetime, step: timedelta) -> datetime:
    """The last instant at or before `now` at which calendars are looked at: every day at 05:00 UTC, or every 12 hours.

    One grid for all pairs, so that many people are read in one request.
    """
    base = datetime(2024, 1, 1, 5, tzinfo=UTC)
    return base + (now - base) // step * step
