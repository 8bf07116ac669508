"""The working copy of a pair while it is planned: what is read from it, what is changed, what is sent, when to wake.

The rules (`deferrals`, `placing`, `notices`, `blocks`) are functions over this; `planner.plan` calls them in order.
Everything here lives for the length of one call of `plan`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from worker.domain.model import (
    Address,
    Commitment,
    Decision,
    Deferral,
    FreeBusy,
    Kind,
    MailName,
    Message,
    Need,
    PairState,
    Person,
    Placed,
    Plan,
    Policy,
    Progress,
    Seen,
    Session,
    Span,
    Taken,
    What,
    Why,
)
from worker.domain.reason_texts import words

#: How soon a pair is looked at again while an effect is under way or a calendar can't be asked.
SOON = timedelta(minutes=1)
LATER = timedelta(minutes=5)
DAILY, HALF_DAILY = timedelta(days=1), timedelta(hours=12)

T = TypeVar("T", Session, Commitment)


class Planning:
    """One pair, as it would be if the plan made so far were carried out."""

    def __init__(self, now: datetime, state: PairState, seen: Seen | None, policy: Policy) -> None:
        self.now = now
        self.state = state
        self.seen = seen
        self.policy = policy
        self.pair = state.pair
        self.manager = state.manager
        self.report = state.report
        self.sessions: dict[str, Session] = {s.id: s for s in state.sessions}
        self.commitments: dict[str, Commitment] = {c.id: c for c in state.commitments}
        self.messages: list[Message] = list(state.messages)
        self.looked = False
        self.wishes: dict[str, Span] = {}  #: by session: the time that somebody would rather have had
        self._acknowledged: dict[str, Span] = {}
        self._deferrals: list[Deferral] = []
        self._decisions: list[Decision] = []
        self._needs: Need | None = None
        self._wake: datetime | None = None

    # --- reading ---

    @property
    def people(self) -> tuple[Person, Person]:
        return self.manager, self.report

    @property
    def addresses(self) -> tuple[Address, Address]:
        return self.state.addresses

    def of_kind(self, *kinds: Kind) -> list[Session]:
        """The sessions of these kinds, in order of their ids' making."""
        return [s for s in self.sessions.values() if s.kind in kinds]

    def find_event(self, key: str) -> Placed | None:
        """The event of that key as last seen, unless it is gone."""
        found = self.state.placed.get(key)
        return found if found is not None and not found.gone else None

    def in_flight(self, subject: str) -> bool:
        """True while a change of that subject's event is decided and not yet settled."""
        return any(m.subject == subject and m.live and m.what is not What.MAIL for m in self.messages)

    def in_flight_key(self, event: str) -> bool:
        """True while that very event is about to be made or changed."""
        return any(m.event == event and m.live and m.what in (What.CREATE, What.UPDATE) for m in self.messages)

    @property
    def new_deferrals(self) -> tuple[Deferral, ...]:
        """Those of this plan."""
        return tuple(self._deferrals)

    def list_mails(self, name: MailName, subject: str) -> list[Message]:
        """The mails of that name about that subject that went out or still may."""
        return [
            m for m in self.messages if m.name == name and m.subject == subject and m.progress is not Progress.DROPPED
        ]

    def refused_until(self, subject: str) -> datetime | None:
        """A calendar that refuses is not asked again at once: after 5 minutes, then 20, … up to a day."""
        dead = [
            m.snapshot_at
            for m in self.messages
            if m.subject == subject and m.progress is Progress.DEAD and m.what is not What.MAIL
        ]
        if not dead:
            return None
        wait = timedelta(minutes=5 * pow(4, min(len(dead) - 1, 5)))
        return max(dead) + min(wait, timedelta(days=1))

    def list_taken_times(self, person: Address, but: str = "") -> tuple[Taken, ...]:
        """All of a person's time that was decided by us, this pair's own included, one session or commitment aside;
        what was held within a day is part of it, since it counts for the day (T-2)."""
        known, ours = self.state.taken or {}, self.pair.id
        others = [t for t in known.get(person, ()) if t.pair != ours]
        for session in self.sessions.values():
            if session.id == but:
                continue
            if session.booked or (session.held_at and self.now - session.held_at < DAILY):
                others.append(Taken(session.span, session.id, session.kind))
            others += [Taken(option, session.id, session.kind) for option in session.options]
        if person == self.manager.email:
            others += [
                Taken(c.block, c.id)
                for c in self.commitments.values()
                if c.block and c.open and not c.all_day and c.id != but
            ]
        return tuple(others)

    @property
    def asks(self) -> bool:
        """True once something is needed that was not read: what is planned then is only the question."""
        return self._needs is not None

    def free_busy(
        self, people: Sequence[Person], window: Span, *, giving: bool = True
    ) -> Mapping[Address, FreeBusy] | None:
        """Everybody's time in that window, or None when it can't be told now: then it is asked for, or asked again.

        `giving`: that time may be given away, so that what other pairs have taken of it has to be known as well.
        """
        readable = tuple(p.email for p in people if p.has_calendar)
        if self.seen is None or (giving and self.state.taken is None):
            self._need(readable, window, giving=giving)
            return None
        known: dict[Address, FreeBusy] = {p.email: FreeBusy() for p in people if not p.has_calendar}
        for email in readable:
            if email in self.seen.unavailable:
                self.wake(self.now + LATER)
                return None
            if email not in self.seen.windows or not _covers(self.seen.windows[email], window):
                self._need(readable, window, giving=giving)
                return None
            known[email] = self.seen.free_busy[email]
        self.looked = True
        return known

    def _need(self, people: tuple[Address, ...], window: Span, *, giving: bool) -> None:
        if self._needs is not None:
            old = self._needs
            people = tuple(dict.fromkeys(old.people + people))
            window = Span(min(old.window.start, window.start), max(old.window.end, window.end))
            giving = giving or old.giving
        self._needs = Need(people, window, giving)

    # --- changing ---

    def put(self, session: Session, **fields: Any) -> Session:
        """Keep the session with these fields changed; the same again is no change."""
        new = replace(session, **fields)
        self.sessions[new.id] = new
        return new

    def keep(self, commitment: Commitment, **fields: Any) -> Commitment:
        """Keep the commitment with these fields changed."""
        new = replace(commitment, **fields)
        self.commitments[new.id] = new
        return new

    def acknowledge(self, placed: Placed) -> None:
        """Accept the time a human gave an event of ours."""
        self._acknowledged[placed.key] = placed.span

    def add_deferral(self, deferral: Deferral) -> None:
        self._deferrals.append(deferral)

    def decide(self, what: str, reason: str | Why, session: str = "", **fields: object) -> None:
        """Put a line into the history. No content of a conversation may be in it."""
        told = {name: value for name, value in fields.items() if value not in (None, "")}
        said = reason if isinstance(reason, str) else words(reason)
        self._decisions.append(
            Decision(at=self.now, what=what, pair=self.pair.id, reason=said, session=session, fields=told)
        )

    def decide_session(self, session: Session, reason: str | Why, **fields: object) -> None:
        """Put the present state of a session into the history."""
        self.decide(
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

    def mail(
        self,
        name: MailName,
        subject: str,
        to: Address,
        *,
        start: datetime | None = None,
        number: int = 0,
        due_at: datetime | None = None,
        event: str = "",
    ) -> None:
        """Decide to send a mail. The key says what it speaks of, since old mails are not all known here, and counts how
        often the same was decided, so that another may follow one that was dropped."""
        about = f"{name}:{subject}:{to}:" + (f"{start:%Y%m%d}." if start else "") + f"{number}."
        count = sum(m.key.startswith(about) for m in self.messages) + 1
        self.messages.append(
            Message(
                key=f"{about}{count}",
                what=What.MAIL,
                pair=self.pair.id,
                subject=subject,
                due_at=due_at or self.now,
                snapshot_at=self.now,
                name=name.value,
                to=to,
                number=number,
                start=start,
                event=event,
            )
        )

    def write_event(self, what: What, subject: str, event: str, sequence: int) -> None:
        """Decide to create, update or cancel an event on the manager's calendar."""
        suffix = "" if what is What.CANCEL else f":{sequence}"
        again = sum(m.event == event and m.what is What.CANCEL for m in self.messages)
        if what is What.CANCEL and again:
            suffix = f":{again + 1}"  # the calendar would not give it up
        placed = self.find_event(event)
        self.messages.append(
            Message(
                key=f"{what.value}:{event}{suffix}",
                what=what,
                pair=self.pair.id,
                subject=subject,
                due_at=self.now,
                snapshot_at=self.now,
                calendar=self.manager.email,
                event=event,
                start=placed.span.start if placed else None,
            )
        )

    def wake(self, instant: datetime) -> None:
        """Look at this pair again at that instant, or earlier."""
        if self._wake is None or instant < self._wake:
            self._wake = max(instant, self.now)

    # --- the result ---

    def plan(self) -> Plan:
        """What changed. With a need, only the question."""
        if self._needs is not None:
            return Plan(pair=self.pair.id, needs=self._needs)
        before = {m.key for m in self.state.messages}
        return Plan(
            pair=self.pair.id,
            due_at=self._wake,
            sessions=_select_changed(self.sessions.values(), {s.id: s for s in self.state.sessions}),
            deferrals=tuple(self._deferrals),
            commitments=_select_changed(self.commitments.values(), {c.id: c for c in self.state.commitments}),
            messages=tuple(m for m in self.messages if m.key not in before),
            decisions=tuple(self._decisions),
            acknowledged=self._acknowledged,
            looked=self.looked,
        )


def _select_changed(after: Iterable[T], before: Mapping[str, T]) -> tuple[T, ...]:
    return tuple(one for one in after if before.get(one.id) != one)


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def last_look(now: datetime, step: timedelta) -> datetime:
    """The last instant at or before `now` at which calendars are looked at: every day at 05:00 UTC, or every 12 hours.

    One grid for all pairs, so that many people are read in one request.
    """
    base = datetime(2024, 1, 1, 5, tzinfo=UTC)
    return base + (now - base) // step * step
