"""Whether a mail that was decided is still true when it leaves (T-5, T-6, T-7; R-18, R-20, R-24)."""

from dataclasses import replace
from datetime import date, datetime

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    commitment_of,
    effect_of,
    pair_of,
    session_of,
    state_of,
    utc,
)
from worker.domain.model import (
    Commitment,
    CommitmentStanding,
    Effect,
    EffectProgress,
    EndReason,
    Owner,
    Pair,
    Reason,
    Session,
    SessionState,
)
from worker.domain.planning.mail_validity import make_due_instant
from worker.mail.kinds import KINDS

START = utc(2026, 9, 28, 8)
END = START + 75 * MINUTE
BOOKED = session_of(START)
HELD = replace(BOOKED, state=SessionState.HELD, held_at=END)
GONE = None
NOON = utc(2026, 9, 26, 12)
ACTIVE = pair_of()


def mail(name: str, start: datetime | None = START, number: int = 0, to: str = DANA.email) -> Effect:
    return effect_of(name, start=start, number=number, to=to, progress=EffectProgress.WAITING)


def holds(
    message: Effect,
    session: Session | None = BOOKED,
    commitments: tuple[Commitment, ...] = (),
    pair: Pair = ACTIVE,
    now: datetime = NOON,
) -> bool:
    """What the table of mails says of it."""
    sessions = () if session is None else (session,)
    state = state_of(*sessions, pair=pair, commitments=commitments)
    return KINDS[message.name].is_valid(message, state, now)


def changed(**fields: object) -> Session:
    return replace(BOOKED, **fields)  # type: ignore[arg-type]


def invitation() -> Effect:
    return replace(mail("invitation", to=SAM.email), event=BOOKED.key)


def later(days: int) -> Session:
    return changed(start=START + days * DAY, end=END + days * DAY)


OWED = changed(state=SessionState.OWED, start=None, end=None)
LOST = changed(state=SessionState.DEFERRED, start=None, end=None, count=1)

#: What these tell is gathered when they leave: without anything to tell they don't.
ABOUT_SEVERAL_PAIRS = {"weekly", "overflow"}

#: The mail, the session as it is when the mail would leave, and whether it does.
CASES = [
    (mail("reflection_prompt", to=SAM.email), BOOKED, True),
    (mail("reflection_prompt", to=SAM.email), later(14), True),  # the time is read anew
    (mail("reflection_prompt", to=SAM.email), later(15), False),
    (mail("reflection_prompt", to=SAM.email), later(-30), False),  # it has begun
    (mail("reflection_prompt", to=SAM.email), LOST, False),
    (mail("reflection_prompt", to=SAM.email), HELD, False),
    (mail("reflection_prompt", to=SAM.email), GONE, False),
    (mail("brief"), BOOKED, True),
    (mail("brief"), later(3), True),
    (mail("brief"), later(4), False),  # four of the manager's working days on: another one comes (T-6)
    (mail("brief"), changed(state=SessionState.CANCELLED), False),
    (mail("review_note"), BOOKED, True),
    (mail("review_note"), OWED, False),
    (mail("contract_request", END), HELD, True),
    (mail("contract_request", END), replace(HELD, held_at=END - HOUR), False),
    (mail("contract_request", END), replace(HELD, state=SessionState.CONTRACTED), False),
    (mail("contract_reminder", END, 2), HELD, True),
    (mail("contract_reminder", END, 2), replace(HELD, state=SessionState.UNFINISHED), False),
    (mail("contract_reminder", END, 2), LOST, False),
    (mail("unfinished", END), replace(HELD, state=SessionState.UNFINISHED), True),
    (mail("unfinished", END), replace(HELD, state=SessionState.CONTRACTED), False),
    (mail("contract_summary", END, 1), replace(HELD, state=SessionState.CONTRACTED), True),
    (mail("contract_summary", END, 1), GONE, True),
    (mail("unplaceable", None), replace(OWED, unplaceable=(Reason("window_over"),)), True),
    (mail("unplaceable", None), OWED, False),
    (mail("unplaceable", None), BOOKED, False),
    (mail("deferral_notice", START, 1), changed(count=1), True),
    (mail("deferral_notice", START, 1), changed(count=2), False),
    (mail("deferral_notice", START, 1), LOST, False),
    (mail("booked_over_warning"), changed(warned_at=NOW), True),
    (mail("booked_over_warning"), BOOKED, False),  # the time is free again
    (mail("booked_over_warning"), replace(later(1), warned_at=NOW), False),
    (mail("short_session"), BOOKED, True),
    (mail("short_session"), later(1), False),
    (mail("short_session"), HELD, False),
    (invitation(), BOOKED, True),
    (invitation(), later(1), False),  # the new time is told by another
    (invitation(), LOST, False),
    (mail("invitation_withdrawn"), LOST, True),
    (mail("introduction", None), GONE, True),
    (mail("pair_ended", None), GONE, False),  # the two are a pair again
    (mail("new_manager"), GONE, False),  # the report has the old manager again
    (mail("open_promises", None), GONE, False),  # the two are a pair again
    (mail("pulse", None, 202609), GONE, True),
    (mail("pulse", None, 202603), GONE, False),  # that round is over
    (mail("third_voice_request", None), GONE, True),  # what is open is looked up when it is sent
    (mail("third_voice_answered", None), GONE, True),
    (mail("fresh_link", None), GONE, True),
    (mail("content_accessed", None), GONE, True),
    (mail("operator_alert", None), GONE, True),
]


@pytest.mark.parametrize(("message", "session", "expected"), CASES)
def test_a_mail_leaves_only_when_it_is_still_true(message: Effect, session: Session | None, expected: bool) -> None:
    """T-5, T-6, T-7: what isn't true any more is dropped."""
    assert holds(message, session) is expected


def test_a_session_that_has_begun_needs_no_preparation() -> None:
    """T-5, T-6, R-10."""
    for message in (mail("reflection_prompt"), mail("brief"), mail("short_session"), mail("deferral_notice", number=0)):
        assert holds(message, now=START - MINUTE)
        assert not holds(message, now=START)


@pytest.mark.parametrize("name", KINDS)
def test_of_a_pair_that_rests_or_has_ended_little_is_said(name: str) -> None:
    """R-24: only that it ended, what was recorded, and what the operator must know."""
    message = mail(name, END if name.startswith("contract") else START)
    session = HELD if name.startswith("contract") else BOOKED
    always = {"operator_alert", "contract_summary", "fresh_link", "content_accessed", "invitation_withdrawn"}
    always |= {"third_voice_request", "third_voice_answered"}
    always |= ABOUT_SEVERAL_PAIRS
    due = (commitment_of(START.date()),)
    ended = {"pair_ended", "open_promises"}
    assert holds(message, session, due, pair_of(paused=True)) is (name in always)
    assert holds(message, session, due, pair_of(ended=EndReason.CHANGED)) is (name in always | ended)


@pytest.mark.parametrize(
    ("commitments", "expected"),
    [
        ((commitment_of(date(2026, 9, 28)),), True),
        ((), False),
        ((commitment_of(date(2026, 9, 28), standing=CommitmentStanding.DONE),), False),
        ((commitment_of(date(2026, 9, 29)),), False),
        ((commitment_of(date(2026, 9, 28), Owner.REPORT),), False),
        ((commitment_of(date(2026, 9, 29)), commitment_of(date(2026, 9, 28), id="p2")), True),
    ],
)
def test_what_is_due_is_said_only_while_it_is_owed(commitments: tuple[Commitment, ...], expected: bool) -> None:
    """R-20, R-18."""
    message = mail("commitment_due", make_due_instant(date(2026, 9, 28)))
    assert holds(message, None, commitments) is expected


def test_every_name_of_a_mail_is_covered_here() -> None:
    assert {m.name for m, *_ in CASES} | {"commitment_due"} | ABOUT_SEVERAL_PAIRS == set(KINDS)
