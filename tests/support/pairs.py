"""Values of one pair for tests: Dana, her report Sam, their sessions, commitments and effects, as of one `NOW`."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Commitment,
    Effect,
    EffectKind,
    EventRef,
    Owner,
    Pair,
    PairId,
    PairState,
    Person,
    PlacedEvent,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.time.mail_hours import list_mail_spans
from worker.domain.time.worktime import get_local_date, is_working_day, parse_hours

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def person(
    name: str = "Dana",
    zone: str = "Europe/Berlin",
    country: str = "DE",
    hours: str = "Mon-Fri 09:00-17:00",
    calendar: str = "caldav",
) -> Person:
    email = f"{name.lower()}@x.example"
    return Person(email=email, name=name, zone=zone, country=country, hours=parse_hours(hours), calendar=calendar)


DANA, SAM = person(), person("Sam", "Europe/London", "GB")
BOTH_PEOPLE = (DANA, SAM)

#: A Monday morning before working hours, in UTC: Berlin is two hours ahead of UTC, London one.
NOW = utc(2026, 9, 7, 5)


def pair_of(manager: Person = DANA, report: Person = SAM, **fields: Any) -> Pair:
    return Pair(**{"manager": manager.email, "report": report.email, "first_seen": NOW.date(), **fields})


def starting_pair(**fields: Any) -> Pair:
    """A pair that begins today: its first session belongs two to five weeks from now, best on 28 September (T-3a)."""
    return pair_of(start=NOW.date(), **fields)


#: Another pair of the same manager.
OTHER_PAIR = PairId(DANA.email, "kim@corp.example")


def session_of(start: datetime | None = None, minutes: int = 75, **fields: Any) -> Session:
    """A career session that is booked at `start`, or owed without it.

    Its window begins two weeks before its target and ends three weeks after it.
    """
    target = start or NOW + 3 * WEEK
    defaults: dict[str, Any] = {
        "id": "c1",  # ids of career sessions begin with c
        "pair": pair_of().id,
        "kind": SessionKind.CAREER,
        "cycle": 1,
        "minutes": minutes,
        "earliest": target - 2 * WEEK,
        "target": target,
        "latest": target + 3 * WEEK,
        "state": SessionState.BOOKED if start else SessionState.OWED,
        "start": start,
        "end": start + minutes * MINUTE if start else None,
        "sequence": 1,  # iCalendar's SEQUENCE of its event
    }
    return Session(**{**defaults, **fields})


def commitment_of(due: date, owner: Owner = Owner.MANAGER, **fields: Any) -> Commitment:
    defaults = {"id": "p1", "pair": pair_of().id, "session": "c1", "recorded_at": NOW}
    return Commitment(owner=owner, due=due, **{**defaults, **fields})


def effect_of(name: str = "", **fields: Any) -> Effect:
    """A mail of that name to Dana; without a name, the creation of the session's event."""
    defaults: dict[str, Any] = {
        "key": f"{name or 'event'}:c1:1",
        "kind": EffectKind.MAIL if name else EffectKind.CREATE,
        "pair": pair_of().id,
        "subject": "c1",
        "due_at": NOW,
        "decided_at": NOW,
        "name": name,
        "to": DANA.email if name else "",
    }
    return Effect(**{**defaults, **fields})


def placed_event_of(key: str, span: Span, **fields: Any) -> PlacedEvent:
    return PlacedEvent(
        **{"key": key, "ref": EventRef(DANA.email, key, "1"), "span": span, "written_span": span, **fields}
    )


def state_of(*sessions: Session, **fields: Any) -> PairState:
    """The state of the pair with these sessions. Those that are booked have their event on the calendar."""
    placed = {s.key: placed_event_of(s.key, s.span, sequence=s.sequence) for s in sessions if s.booked}
    defaults = {"pair": pair_of(), "manager": DANA, "report": SAM, "sessions": sessions, "placed_events": placed}
    return PairState(**{**defaults, **fields})


def count_shared_days(start: datetime, end: datetime) -> int:
    """Count the days on which both work, from the day after `start` to the day of `end`, inclusive."""
    first, last = (get_local_date(DANA.zone, at) for at in (start, end))
    days = [first + n * DAY for n in range(1, (last - first).days + 1)]
    return sum(all(is_working_day(who, day) for who in (DANA, SAM)) for day in days)


def is_mail_time(who: Person, instant: datetime) -> bool:
    """Whether the instant is in the mail hours of a person. The instant at which they end is outside."""
    day = get_local_date(who.zone, instant)
    # mail hours that begin the day before may last past midnight
    spans = (*list_mail_spans(who, day - DAY), *list_mail_spans(who, day))
    return any(span.start <= instant < span.end for span in spans)


def format_local(instant: datetime, who: Person) -> str:
    """Format an instant on the clock of a person, with the weekday."""
    return f"{instant.astimezone(ZoneInfo(who.zone)):%a %Y-%m-%d %H:%M}"
