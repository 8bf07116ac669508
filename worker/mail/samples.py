"""Letters about two people who don't exist, one or more of every message: to prove templates, and to look at them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from worker.domain.model import (
    Access,
    AccessRecord,
    Cause,
    Commitment,
    Contract,
    Deferral,
    Ended,
    Kind,
    Owner,
    Pair,
    Person,
    Promise,
    Reason,
    ReviewPoint,
    Session,
    Span,
    Standing,
    State,
    Topic,
    Trigger,
    WorkingHours,
)
from worker.mail.context import LINKS, WITH_CONTENT, Kept, Letter

NOW = datetime(2026, 11, 3, 16, 20, tzinfo=UTC)
_START = datetime(2026, 11, 5, 15, 0, tzinfo=UTC)
_DAY = timedelta(days=1)

_HOURS = WorkingHours((((540, 1020),),) * 5 + ((),) * 2)
DANA = Person(email="dana@example.com", name="Dana Whitfield", zone="America/New_York", country="US", hours=_HOURS)
SAM = Person(email="sam@example.com", name="Sam Okafor", zone="Europe/Berlin", country="DE", hours=_HOURS)
OPERATOR = Person(email="ops@example.com", name="Operator", zone="UTC", country="US", hours=_HOURS)
PAIR = Pair(manager=DANA.email, report=SAM.email, first_seen=date(2026, 5, 4))
SESSION = Session(
    id="k3f9-2",
    pair=PAIR.id,
    kind=Kind.CAREER,
    cycle=2,
    state=State.BOOKED,
    minutes=75,
    earliest=_START - 14 * _DAY,
    target=_START,
    latest=_START + 21 * _DAY,
    start=_START,
    end=_START + timedelta(minutes=75),
)

_INTRODUCE = Promise(
    text="introduce Sam to Priya, who leads the data platform group",
    due=date(2026, 11, 9),
    success="the two have a coffee without Dana in the room",
)
_PROPOSE = Promise(text="propose Sam as lead of the billing migration to the steering group", due=date(2026, 12, 4))
_SPEAK = Promise(text="speak with Jordan about what the step to staff engineer takes here", due=date(2026, 10, 23))
_SHADOW = Promise(
    text="shadow two architecture reviews and write down what was decided and why",
    due=date(2027, 1, 29),
    support="Priya",
)
_SKETCH = Promise(text="sketch the migration plan on two pages", due=date(2026, 11, 27))
BEFORE = Contract(
    report=(_SKETCH,),
    manager=(_INTRODUCE, _SPEAK),
    reviews=(ReviewPoint(month=date(2026, 12, 1), text="whether leading the migration is as good as it sounded"),),
    question="Is it the people or the systems that Sam wants more of?",
)
CONTRACT = Contract(
    report=(replace(_SKETCH, due=date(2026, 12, 11)), _SHADOW),
    manager=(_INTRODUCE, _PROPOSE),
    reviews=(
        ReviewPoint(month=date(2026, 11, 1), text="how the first architecture review went"),
        ReviewPoint(month=date(2027, 1, 1), text="whether leading the migration is as good as it sounded"),
    ),
    question="What would have to be true for Sam to want to lead people, not only systems?",
    progress=("Sam ran the incident review in September, alone, and people still quote it.",),
)


def _kept(number: int, owner: Owner, promise: Promise, standing: Standing, closed: datetime | None = None) -> Kept:
    commitment = Commitment(
        id=f"c{number}",
        pair=PAIR.id,
        session="k3f9-1",
        owner=owner,
        due=promise.due or NOW.date(),
        recorded_at=NOW - 90 * _DAY,
        standing=standing,
        closed_at=closed,
    )
    return Kept(commitment=commitment, promise=promise)


KEPT = (
    _kept(1, Owner.MANAGER, _SPEAK, Standing.OPEN),
    _kept(2, Owner.MANAGER, replace(_INTRODUCE, due=date(2026, 9, 18)), Standing.DONE, NOW - 40 * _DAY),
    _kept(3, Owner.MANAGER, _PROPOSE, Standing.OPEN),
    _kept(4, Owner.REPORT, _SKETCH, Standing.DONE, NOW - 8 * _DAY),
    _kept(5, Owner.REPORT, _SHADOW, Standing.OPEN),
)
#: Each thing that a command does, for one of the two or the other.
ACCESSES = tuple(
    AccessRecord(
        pair=PAIR.id,
        at=NOW - timedelta(minutes=3 * (len(Access) - number)),
        access=access,
        on_behalf_of=(DANA, SAM)[number % 2].email,
        reason="Sam is travelling, can't open the page, and asked for it by telephone.",
    )
    for number, access in enumerate(Access)
)
_CAUSES = (Cause.DECLINED, Cause.OUT_OF_OFFICE, Cause.BOOKED_OVER)
DEFERRALS = tuple(
    Deferral(
        session=SESSION.id,
        number=number,
        at=NOW,
        cause=cause,
        who=SAM.email,
        was=Span(_START - (28 - 7 * number) * _DAY, _START - (28 - 7 * number) * _DAY + timedelta(minutes=75)),
    )
    for number, cause in enumerate(_CAUSES, start=1)
)
OPTIONS = tuple(Span(_START + days * _DAY, _START + days * _DAY + timedelta(minutes=75)) for days in (5, 6, 8))
#: One that says why there is no time, and one that says what would make room.
WHY_NONE = (
    Reason(
        "room_by_calendar",
        {
            "days": 12,
            "minutes": 75,
            "name": DANA.name,
            "left": 1,
            "other": SAM.name,
            "other_left": 7,
            "both": 0,
        },
    ),
    Reason(
        "moving",
        {
            "what": "busy",
            "name": DANA.name,
            "other": SAM.name,
            "start": _START + 5 * _DAY,
            "end": _START + 5 * _DAY + timedelta(minutes=60),
            "zone": DANA.zone,
            "count": 3,
        },
    ),
)
_NO_TIME = replace(SESSION, state=State.DEFERRED, start=None, end=None)


def letters(locale: str = "en") -> Iterator[Letter]:
    """Sample letters to readers of that language: every message, with what it may have and without."""
    dana, sam = (replace(one, locale=locale) for one in (DANA, SAM))
    operator = replace(OPERATOR, locale=locale)
    to_manager = Letter(
        name="", key="", to=dana, now=NOW, manager=dana, report=sam, pair=PAIR, session=SESSION, contract=CONTRACT
    )
    to_report = replace(to_manager, to=sam)
    made = (
        *_around(to_manager, to_report),
        *_preparing(to_manager, to_report),
        *_contracts(to_manager, to_report),
        *_moving(to_manager, to_report),
        Letter(name="operator_alert", key="", to=operator, now=NOW, reason="Calendar of dana@example.com is refused."),
    )
    for number, letter in enumerate(made):
        named = replace(letter, key=f"sample-{number}-{letter.name}")
        yield named
        linked = replace(
            named, key=f"{named.key}-linked", links={one: f"https://longarc.example/{one}" for one in LINKS}
        )
        yield linked
        if named.name in WITH_CONTENT:
            yield replace(
                linked, key=f"{named.key}-by-link", by_link=True, contract=None, previous=None, commitments=()
            )


def _around(manager: Letter, report: Letter) -> Iterator[Letter]:
    for each in (manager, report):
        yield replace(each, name="introduction")
        yield replace(each, name="introduction", session=None, commitment_text="text")
        yield replace(each, name="introduction", commitment_text="link")
        for ended in (Ended.REPORT_LEFT, Ended.MANAGER_LEFT, Ended.CHANGED):
            yield replace(
                each,
                name="pair_ended",
                session=None,
                pair=replace(PAIR, ended=ended),
            )
        yield replace(each, name="pair_ended", session=None)
        yield replace(each, name="fresh_link", session=None, contract=None)
        yield replace(each, name="content_accessed", session=None, contract=None, accesses=ACCESSES)
        yield replace(each, name="content_accessed", session=None, contract=None, accesses=ACCESSES[:1], links={})


def _preparing(manager: Letter, report: Letter) -> Iterator[Letter]:
    for topic in Topic:
        session = replace(SESSION, topic=topic)
        yield replace(report, name="reflection_prompt", session=session)
        yield replace(report, name="reflection_prompt", session=session, contract=None, learning="I talk too early.")
        brief = replace(manager, name="brief", session=session, now=_START - _DAY, commitments=KEPT, count=2)
        yield replace(brief, deferrals=DEFERRALS[:2], unfinished=(NOW - 95 * _DAY,), pair=replace(PAIR, trust=True))
        yield replace(brief, contract=None, commitments=(), count=0)
        for trigger in Trigger:
            yield replace(brief, trigger=f"{trigger}: It came up on Monday.")
        yield replace(brief, trigger=f"{Trigger.DOUBT}: I am not sure.", asked_by_report=True)


def _contracts(manager: Letter, report: Letter) -> Iterator[Letter]:
    held = replace(SESSION, state=State.HELD, held_at=SESSION.end)
    after = replace(manager, session=held, deadline=_START + 2 * _DAY, now=_START + timedelta(minutes=80))
    yield replace(after, name="contract_request", contract=None)
    for reminder in range(1, 6):
        yield replace(after, name="contract_reminder", reminder=reminder, now=_START + reminder * _DAY)
    for each in (manager, report):
        yield replace(each, name="contract_summary", session=held)
        yield replace(each, name="contract_summary", session=held, revision=2, previous=BEFORE)
        yield replace(each, name="contract_summary", contract=Contract(), session=None)
    for each, kept in ((manager, KEPT[0]), (manager, KEPT[2]), (report, KEPT[4])):
        yield replace(each, name="commitment_due", commitments=(kept,), due=kept.commitment.due)
    review = replace(SESSION, kind=Kind.REVIEW, end=_START + timedelta(minutes=25))
    yield replace(manager, name="review_note", commitments=KEPT, session=review)
    yield replace(manager, name="review_note", session=None, contract=None)


def _moving(manager: Letter, report: Letter) -> Iterator[Letter]:
    for number in (0, 1):
        yield replace(report, name="invitation", number=number)
    yield replace(report, name="invitation_withdrawn", session=_NO_TIME, number=2, was=_START)
    for each in (manager, report):
        for count in (1, 2, 3):
            moved = replace(each, name="deferral_notice", count=count, deferrals=DEFERRALS[:count])
            yield moved
            yield replace(moved, session=_NO_TIME, options=OPTIONS if count == 3 else ())
            yield replace(moved, options=(SESSION.span, *OPTIONS[:2]) if count == 3 else ())
        yield replace(each, name="booked_over_warning")
        for also in range(3):
            yield replace(each, name="unplaceable", session=_NO_TIME, why=WHY_NONE, also=also)
        yield replace(each, name="short_session", session=replace(SESSION, end=_START + timedelta(minutes=50)))
