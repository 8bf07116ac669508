"""Sample mails about an invented pair. The table in `kinds.py` has the function for each kind of mail.

Each `iter_` function takes the basic sample of a mail to one reader. It yields variants with and without the optional
fields of that mail. `longarc check` renders the samples, and the documentation shows them.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from worker.domain.model import (
    AccessRecord,
    Commitment,
    CommitmentStanding,
    ContentAccess,
    Contract,
    Deferral,
    DeferralCause,
    EndReason,
    HandoverLine,
    HandoverLineKind,
    MailName,
    Offer,
    OfferPurpose,
    Opening,
    OpeningKind,
    Owner,
    Pair,
    Person,
    Reason,
    ReviewPoint,
    Session,
    SessionKind,
    SessionState,
    SharedNote,
    Span,
    Topic,
    Trigger,
    WorkingHours,
    WrittenCommitment,
)
from worker.domain.planning.preparations import PROMPT_VARIANTS
from worker.mail.context import MailContext, ReadableCommitment, Reader

NOW = datetime(2026, 11, 3, 16, 20, tzinfo=UTC)
START = datetime(2026, 11, 5, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)

#: 9:00 to 17:00 from Monday to Friday, in minutes since midnight.
_HOURS = WorkingHours((((540, 1020),),) * 5 + ((),) * 2)
DANA = Person(email="dana@example.com", name="Dana Whitfield", zone="America/New_York", country="US", hours=_HOURS)
SAM = Person(email="sam@example.com", name="Sam Okafor", zone="Europe/Berlin", country="DE", hours=_HOURS)
LEE = Person(email="lee@example.com", name="Lee Haddad", zone="Europe/Berlin", country="DE", hours=_HOURS)
PRIYA = Person(email="priya@example.com", name="Priya Nair", zone="Europe/Berlin", country="DE", hours=_HOURS)
OPERATOR = Person(email="ops@example.com", name="Operator", zone="UTC", country="US", hours=_HOURS)
PAIR = Pair(manager=DANA.email, report=SAM.email, first_seen=date(2026, 5, 4))
SESSION = Session(
    id="k3f9-2",
    pair=PAIR.id,
    kind=SessionKind.CAREER,
    cycle=2,
    state=SessionState.BOOKED,
    minutes=75,
    earliest=START - 14 * DAY,
    target=START,
    latest=START + 21 * DAY,
    start=START,
    end=START + timedelta(minutes=75),
)

_INTRODUCE_PROMISE = WrittenCommitment(
    text="introduce Sam to Priya, who leads the data platform group",
    due=date(2026, 11, 9),
    success="the two have a coffee without Dana in the room",
)
_PROPOSE_PROMISE = WrittenCommitment(
    text="propose Sam as lead of the billing migration to the steering group", due=date(2026, 12, 4)
)
_SPEAK_PROMISE = WrittenCommitment(
    text="speak with Jordan about what the step to staff engineer takes here", due=date(2026, 10, 23)
)
_SHADOW_PROMISE = WrittenCommitment(
    text="shadow two architecture reviews and write down what was decided and why",
    due=date(2027, 1, 29),
    support="Priya",
)
_PLAN_PROMISE = WrittenCommitment(text="sketch the migration plan on two pages", due=date(2026, 11, 27))
PREVIOUS_CONTRACT = Contract(
    report=(_PLAN_PROMISE,),
    manager=(_INTRODUCE_PROMISE, _SPEAK_PROMISE),
    reviews=(ReviewPoint(month=date(2026, 12, 1), text="whether leading the migration is as good as it sounded"),),
    question="Is it the people or the systems that Sam wants more of?",
)
CONTRACT = Contract(
    report=(replace(_PLAN_PROMISE, due=date(2026, 12, 11)), _SHADOW_PROMISE),
    manager=(_INTRODUCE_PROMISE, _PROPOSE_PROMISE),
    reviews=(
        ReviewPoint(month=date(2026, 11, 1), text="how the first architecture review went"),
        ReviewPoint(month=date(2027, 1, 1), text="whether leading the migration is as good as it sounded"),
    ),
    question="What would have to be true for Sam to want to lead people, not only systems?",
    progress=("Sam ran the incident review in September, alone, and people still quote it.",),
)


def _build_commitment(
    number: int,
    owner: Owner,
    promise: WrittenCommitment,
    standing: CommitmentStanding,
    closed_at: datetime | None = None,
) -> ReadableCommitment:
    commitment = Commitment(
        id=f"c{number}",
        pair=PAIR.id,
        session="k3f9-1",
        owner=owner,
        due=promise.due or NOW.date(),
        recorded_at=NOW - 90 * DAY,
        standing=standing,
        closed_at=closed_at,
    )
    return ReadableCommitment(commitment=commitment, promise=promise)


OPENINGS = (
    Opening(
        title="Lead of the billing migration",
        kind=OpeningKind.PROJECT,
        until=date(2027, 3, 31),
        group="Engineering",
        link="https://wiki.example.com/billing",
        contact="people@example.com",
        note="Six months for half the week.",
    ),
    Opening(title="From engineer to engineering manager", kind=OpeningKind.PATH, until=date(2026, 12, 31)),
)
COMMITMENTS = (
    _build_commitment(1, Owner.MANAGER, _SPEAK_PROMISE, CommitmentStanding.OPEN),
    _build_commitment(
        2, Owner.MANAGER, replace(_INTRODUCE_PROMISE, due=date(2026, 9, 18)), CommitmentStanding.DONE, NOW - 40 * DAY
    ),
    _build_commitment(3, Owner.MANAGER, _PROPOSE_PROMISE, CommitmentStanding.OPEN),
    _build_commitment(4, Owner.REPORT, _PLAN_PROMISE, CommitmentStanding.DONE, NOW - 8 * DAY),
    _build_commitment(5, Owner.REPORT, _SHADOW_PROMISE, CommitmentStanding.OPEN),
)
_KEPT_BY_MANAGER, _KEPT_BY_REPORT = COMMITMENTS[1:2], COMMITMENTS[3:4]
PASSED_LINES = (
    HandoverLine(kind=HandoverLineKind.SUGGESTION, text=_PROPOSE_PROMISE.text, due=_PROPOSE_PROMISE.due),
    HandoverLine(kind=HandoverLineKind.MANAGER, text=_SPEAK_PROMISE.text, due=_SPEAK_PROMISE.due),
    HandoverLine(kind=HandoverLineKind.REPORT, text=_SHADOW_PROMISE.text, due=_SHADOW_PROMISE.due),
    HandoverLine(kind=HandoverLineKind.REVIEW, text="how the first architecture review went", due=date(2026, 12, 1)),
    HandoverLine(
        kind=HandoverLineKind.REPORT_NOTE, text="teaching newcomers gives more than it takes", due=date(2026, 8, 20)
    ),
    HandoverLine(kind=HandoverLineKind.MANAGER_NOTE, text="come back to the year abroad", due=date(2026, 8, 20)),
    HandoverLine(kind=HandoverLineKind.QUESTION, text="Is it the people or the systems that Sam wants more of?"),
)
#: One record of each kind of access, alternately for the manager and the report.
ACCESSES = tuple(
    AccessRecord(
        pair=PAIR.id,
        at=NOW - timedelta(minutes=3 * (len(ContentAccess) - number)),
        access=access,
        on_behalf_of=(DANA, SAM)[number % 2].email,
        reason="Sam is travelling, can't open the page, and asked for it by telephone.",
    )
    for number, access in enumerate(ContentAccess)
)
_CAUSES = (DeferralCause.DECLINED, DeferralCause.OUT_OF_OFFICE, DeferralCause.BOOKED_OVER)
#: Deferrals of SESSION, whose earlier times were three weeks, two weeks and one week before its present time.
DEFERRALS = tuple(
    Deferral(
        session=SESSION.id,
        number=number,
        at=NOW,
        cause=cause,
        who=SAM.email,
        was=Span(START - (28 - 7 * number) * DAY, START - (28 - 7 * number) * DAY + timedelta(minutes=75)),
    )
    for number, cause in enumerate(_CAUSES, start=1)
)
OPTIONS = tuple(Span(START + days * DAY, START + days * DAY + timedelta(minutes=75)) for days in (5, 6, 8))
#: An offer of the session's present time and two others.
OFFER = Offer((SESSION.span, *OPTIONS[:2]), until=NOW + 2 * DAY)
#: An offer of times at which somebody's calendar has something else, with the owners of these calendars for each time.
DISPLACING_OFFER = Offer(
    OPTIONS,
    until=NOW + 2 * DAY,
    purpose=OfferPurpose.SOON,
    displaces=((Owner.MANAGER,), (Owner.REPORT,), (Owner.MANAGER, Owner.REPORT)),
)
#: The reasons why no time exists, with a blocker that could be moved.
NO_TIME_REASONS = (
    Reason(
        "room_by_calendar",
        {
            "days": 12,
            "minutes": 75,
            "name": DANA.name,
            "left": 1,  # days on which Dana's calendar leaves room
            "other": SAM.name,
            "other_left": 7,
            "both": 0,  # days on which both calendars leave room
        },
    ),
    Reason(
        "moving",
        {
            "what": "busy",
            "name": DANA.name,
            "other": SAM.name,
            "start": START + 5 * DAY,
            "end": START + 5 * DAY + timedelta(minutes=60),
            "zone": DANA.zone,
            "count": 3,  # starting times that moving it would free
        },
    ),
)
NO_SHARED_HOURS_REASONS = (
    Reason("ended_later", {"name": DANA.name, "count": 2, "days": 15}),  # `count` is in hours
    Reason("never_together", {"name": DANA.name, "other": SAM.name, "days": 15, "other_days": 15}),
)
SESSION_WITHOUT_TIME = replace(SESSION, state=SessionState.DEFERRED, start=None, end=None)
HELD_SESSION = replace(SESSION, state=SessionState.HELD, held_at=SESSION.end)
_HELD_PART_OF_SERIES = replace(
    HELD_SESSION, topic=Topic.DIRECTION, start=NOW - 9 * DAY, end=NOW - 9 * DAY, held_at=NOW - 9 * DAY
)
NOTES = (
    SharedNote(
        pair=PAIR.id,
        session="k3f9-1",
        author=Owner.MANAGER,
        held_at=NOW - 9 * DAY,
        lines=("Sam lights up when a design has to be explained to people outside the team.",),
    ),
    SharedNote(
        pair=PAIR.id,
        session="k3f9-1",
        author=Owner.REPORT,
        held_at=NOW - 9 * DAY,
        lines=("Less on-call, more teaching.", "Talk about the move to Berlin before the spring."),
    ),
)
_AFTER_SESSION: dict[str, Any] = {"session": HELD_SESSION, "deadline": START + 2 * DAY}


def make_sample(name: MailName, reader: Reader, locale: str = "en") -> MailContext:
    """Return the basic sample of that mail to a reader in that language. A mail to the pair has a booked session."""
    if reader is Reader.OPERATOR:
        return MailContext(name=name, key="", to=replace(OPERATOR, locale=locale), now=NOW)
    if reader is Reader.THIRD:
        third, report = (replace(person, locale=locale) for person in (PRIYA, SAM))
        return MailContext(name=name, key="", to=third, now=NOW, report=report, expires_at=NOW + 30 * DAY)
    dana, sam = (replace(person, locale=locale) for person in (DANA, SAM))
    return MailContext(
        name=name,
        key="",
        to=dana if reader is Reader.MANAGER else sam,
        now=NOW,
        manager=dana,
        report=sam,
        pair=PAIR,
        session=SESSION,
        contract=CONTRACT,
    )


# --- about a pair, and to the operator ---


def iter_basic_sample(context: MailContext) -> Iterator[MailContext]:
    """Yield the basic sample alone."""
    yield context


def iter_endings(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample for each reason why a pair ends while one of the two stays, and one without a reason."""
    for ended in (EndReason.REPORT_LEFT, EndReason.MANAGER_LEFT, EndReason.CHANGED):
        yield replace(context, session=None, pair=replace(PAIR, ended=ended))
    yield replace(context, session=None)


def iter_new_managers(context: MailContext) -> Iterator[MailContext]:
    """Yield samples with and without open promises, after a change of managers and after the manager has left."""
    basic = replace(context, contract=None, former=replace(LEE, locale=context.to.locale))
    yield basic
    yield replace(basic, former_promises=2)
    yield replace(basic, session=None, former_left=True, former_promises=2)
    yield replace(basic, former_left=True)


def iter_open_promises(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample with a single promise, and one with several."""
    after_end = replace(context, session=None, contract=None, pair=replace(PAIR, ended=EndReason.CHANGED))
    promises = tuple(readable for readable in COMMITMENTS if readable.commitment.is_open_promise_of_manager)
    yield replace(after_end, commitments=promises[:1])
    yield replace(after_end, commitments=promises)


def iter_pulses(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample without session and contract."""
    yield replace(context, session=None, contract=None)


def iter_fresh_links(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample without session and contract."""
    yield replace(context, session=None, contract=None)


def iter_accesses(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample with every kind of access, and one with a single access and no links."""
    yield replace(context, session=None, contract=None, accesses=ACCESSES)
    yield replace(context, session=None, contract=None, accesses=ACCESSES[:1], links={})


def iter_voice_requests(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample to a person of the roster, and one to a person whose name is unknown."""
    yield context
    yield replace(context, to=replace(context.to, name=""))


def iter_alerts(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample with one problem."""
    yield replace(context, reason="Calendar of dana@example.com is refused.")


# --- before a session ---


def iter_prompts(context: MailContext) -> Iterator[MailContext]:
    """Yield samples for each topic: with a contract, with a sentence about the manager's own learning, in each wording.

    Also yield a sample for each reason why the report can ask for a conversation, and a sample with all mentions: it
    lists what the manager has done, and invites the report to leave a note.
    """
    for topic in Topic:
        session = replace(SESSION, topic=topic)
        yield replace(context, session=session)
        yield replace(context, session=session, contract=None, learning="I talk too early.")
        for variant in range(1, PROMPT_VARIANTS):
            yield replace(context, session=session, variant=variant)
    for trigger in Trigger:
        yield replace(context, trigger=trigger.value, asked_by_report=True)
    kept: dict[str, Any] = {"kept_commitments": _KEPT_BY_MANAGER, "has_kept_commitments": True}
    yield replace(context, noted_session=_HELD_PART_OF_SERIES, **kept)


def iter_briefs(context: MailContext) -> Iterator[MailContext]:
    """Yield samples for each topic: with all sections, with few, after a handover, for each trigger, and with notes."""
    for topic in Topic:
        brief = replace(
            context, session=replace(SESSION, topic=topic), now=START - DAY, commitments=COMMITMENTS, count=2
        )
        yield replace(
            brief,
            openings=OPENINGS,
            deferrals=DEFERRALS[:2],
            unfinished=(NOW - 95 * DAY,),
            pair=replace(PAIR, trust=True),
        )
        yield replace(brief, contract=None, commitments=(), count=0)
        former = replace(LEE, locale=context.to.locale)
        yield replace(brief, contract=None, commitments=(), count=0, former=former, passed=PASSED_LINES)
        for trigger in Trigger:
            yield replace(brief, trigger=f"{trigger}: It came up on Monday.")
        yield replace(brief, trigger=f"{Trigger.DOUBT}: I am not sure.", asked_by_report=True)
        kept: dict[str, Any] = {"kept_commitments": _KEPT_BY_REPORT, "has_kept_commitments": True}
        yield replace(brief, notes=NOTES, has_notes=True, noted_session=_HELD_PART_OF_SERIES, **kept)


def iter_review_notes(context: MailContext) -> Iterator[MailContext]:
    """Yield samples with a review and commitments, with a commitment that the report has done, and without a review."""
    review = replace(SESSION, kind=SessionKind.REVIEW, end=START + timedelta(minutes=25))
    review_note = replace(context, commitments=COMMITMENTS, session=review)
    yield review_note
    yield replace(review_note, kept_commitments=_KEPT_BY_REPORT, has_kept_commitments=True)
    yield replace(context, session=None, contract=None)


# --- contracts and commitments ---


def iter_contract_requests(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample that is sent shortly after the session."""
    yield replace(context, **_AFTER_SESSION, now=START + timedelta(minutes=80), contract=None)


def iter_contract_reminders(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample of each of the five reminders."""
    for reminder in range(1, 6):
        yield replace(context, **_AFTER_SESSION, reminder=reminder, now=START + reminder * DAY)


def iter_unfinished(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample that is sent a week after the session."""
    unfinished = replace(HELD_SESSION, state=SessionState.UNFINISHED)
    yield replace(context, session=unfinished, now=START + 7 * DAY, contract=None)


def iter_contract_summaries(context: MailContext) -> Iterator[MailContext]:
    """Yield samples with a first contract, with revisions, and with an empty contract."""
    yield replace(context, session=HELD_SESSION)
    revised = replace(context, session=HELD_SESSION, revision=2, previous=PREVIOUS_CONTRACT)
    yield revised
    yield replace(revised, changed_by=Owner.REPORT)
    yield replace(revised, changed_by=Owner.REPORT, change_reason="The team has new work for me.")
    yield replace(context, contract=Contract(), session=None)


def iter_due_commitments(context: MailContext) -> Iterator[MailContext]:
    """Yield samples for each open commitment of the reader, without and with a commitment that the other has done."""
    owner = Owner.MANAGER if context.to == context.manager else Owner.REPORT
    for readable in COMMITMENTS:
        if readable.commitment.is_open and readable.commitment.owner is owner:
            due = replace(context, commitments=(readable,), due=readable.commitment.due)
            yield due
            others = [entry for entry in COMMITMENTS if entry.commitment.owner is not owner]
            kept = next(entry for entry in others if not entry.commitment.is_open)
            yield replace(due, kept_commitments=(kept,), has_kept_commitments=True)


# --- a session's time ---


def iter_invitations(context: MailContext) -> Iterator[MailContext]:
    """Yield a first invitation, and an invitation to a new time."""
    for number in (0, 1):
        yield replace(context, number=number)


def iter_withdrawn_invitations(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample for a session that has lost its time."""
    yield replace(context, session=SESSION_WITHOUT_TIME, number=2, was=START)


def iter_deferral_notices(context: MailContext) -> Iterator[MailContext]:
    """Yield samples for one, two and three deferrals: with a new time, without one, and with times to choose from.

    Also yield a sample that asks the two to choose a time after several moves. For the manager, yield three more
    samples with what the report said, of which the last is about a move by hand.
    """
    for count in (1, 2, 3):
        with_deferrals = replace(context, count=count, deferrals=DEFERRALS[:count])
        yield with_deferrals
        yield replace(with_deferrals, session=SESSION_WITHOUT_TIME)
        yield replace(with_deferrals, options=OFFER.times, offer=OFFER)
    question = replace(OFFER, purpose=OfferPurpose.QUESTION)
    yield replace(with_deferrals, options=OFFER.times, offer=question, may_leave=True)
    if context.to == context.manager:
        reasons = {1: "My daughter starts school that week.", 3: "Mornings are quieter here until the release is out."}
        with_reasons = replace(context, deferral_reasons=reasons, has_deferral_reason=True)
        yield replace(with_reasons, count=1, deferrals=DEFERRALS[:1])
        yield replace(with_reasons, count=3, deferrals=DEFERRALS[:3], options=OFFER.times, offer=OFFER)
        yield replace(with_reasons, deferrals=(replace(DEFERRALS[0], cause=DeferralCause.MOVED),))


def iter_unplaceable(context: MailContext) -> Iterator[MailContext]:
    """Yield samples for one, two and three sessions without a time, and for working hours that don't overlap.

    Also yield a sample with an offer of times at which a calendar has something else.
    """
    for also in range(3):
        yield replace(context, session=SESSION_WITHOUT_TIME, why=NO_TIME_REASONS, also=also)
    yield replace(context, session=SESSION_WITHOUT_TIME, why=NO_SHARED_HOURS_REASONS)
    yield replace(context, session=SESSION_WITHOUT_TIME, why=NO_TIME_REASONS, options=OPTIONS, offer=DISPLACING_OFFER)


def iter_short_sessions(context: MailContext) -> Iterator[MailContext]:
    """Yield a sample for a session of 50 minutes."""
    yield replace(context, session=replace(SESSION, end=START + timedelta(minutes=50)))
