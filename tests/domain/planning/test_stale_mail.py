"""Tests of whether a planned mail is still valid when it leaves.

T-5 is about the prompt, T-6 about the brief, T-7 about mails that ask for the contract, R-10 about notices of
deferrals, R-18 and R-20 about commitments. R-24: nobody gets a needless mail.
"""

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
BOOKED_SESSION = session_of(START)
HELD_SESSION = replace(BOOKED_SESSION, state=SessionState.HELD, held_at=END)
NO_SESSION = None
#: Two days before the session.
NOW_AT_SENDING = utc(2026, 9, 26, 12)
ACTIVE_PAIR = pair_of()


def make_mail(name: str, start: datetime | None = START, number: int = 0, to: str = DANA.email) -> Effect:
    return effect_of(name, start=start, number=number, to=to, progress=EffectProgress.WAITING)


def is_mail_valid(
    mail: Effect,
    session: Session | None = BOOKED_SESSION,
    commitments: tuple[Commitment, ...] = (),
    pair: Pair = ACTIVE_PAIR,
    now: datetime = NOW_AT_SENDING,
) -> bool:
    """Return whether the mail may leave in this state."""
    sessions = () if session is None else (session,)
    state = state_of(*sessions, pair=pair, commitments=commitments)
    return KINDS[mail.name].is_valid(mail, state, now)


def change_booked(**fields: object) -> Session:
    return replace(BOOKED_SESSION, **fields)  # type: ignore[arg-type]


def make_invitation() -> Effect:
    return replace(make_mail("invitation", to=SAM.email), event=BOOKED_SESSION.key)


def move_booked(days: int) -> Session:
    """Return the booked session so many days later."""
    return change_booked(start=START + days * DAY, end=END + days * DAY)


OWED_SESSION = change_booked(state=SessionState.OWED, start=None, end=None)
DEFERRED_SESSION = change_booked(state=SessionState.DEFERRED, start=None, end=None, count=1)

#: The content of these mails is collected when they leave; without content, they do not leave.
ABOUT_SEVERAL_PAIRS = {"weekly", "overflow"}

#: The mail, the session at the time when the mail would leave, and whether it does leave.
CASES = [
    (make_mail("reflection_prompt", to=SAM.email), BOOKED_SESSION, True),
    (make_mail("reflection_prompt", to=SAM.email), move_booked(14), True),  # the mail names the new time
    (make_mail("reflection_prompt", to=SAM.email), move_booked(15), False),
    (make_mail("reflection_prompt", to=SAM.email), move_booked(-30), False),  # the session has begun
    (make_mail("reflection_prompt", to=SAM.email), DEFERRED_SESSION, False),
    (make_mail("reflection_prompt", to=SAM.email), HELD_SESSION, False),
    (make_mail("reflection_prompt", to=SAM.email), NO_SESSION, False),
    (make_mail("brief"), BOOKED_SESSION, True),
    (make_mail("brief"), move_booked(3), True),
    # four working days later: another brief is sent (T-6)
    (make_mail("brief"), move_booked(4), False),
    (make_mail("brief"), change_booked(state=SessionState.CANCELLED), False),
    (make_mail("review_note"), BOOKED_SESSION, True),
    (make_mail("review_note"), OWED_SESSION, False),
    (make_mail("contract_request", END), HELD_SESSION, True),
    (make_mail("contract_request", END), replace(HELD_SESSION, held_at=END - HOUR), False),
    (make_mail("contract_request", END), replace(HELD_SESSION, state=SessionState.CONTRACTED), False),
    (make_mail("contract_reminder", END, number=2), HELD_SESSION, True),
    (make_mail("contract_reminder", END, number=2), replace(HELD_SESSION, state=SessionState.UNFINISHED), False),
    (make_mail("contract_reminder", END, number=2), DEFERRED_SESSION, False),
    (make_mail("unfinished", END), replace(HELD_SESSION, state=SessionState.UNFINISHED), True),
    (make_mail("unfinished", END), replace(HELD_SESSION, state=SessionState.CONTRACTED), False),
    (make_mail("contract_summary", END, number=1), replace(HELD_SESSION, state=SessionState.CONTRACTED), True),
    (make_mail("contract_summary", END, number=1), NO_SESSION, True),
    (make_mail("unplaceable", None), replace(OWED_SESSION, unplaceable=(Reason("window_over"),)), True),
    (make_mail("unplaceable", None), OWED_SESSION, False),
    (make_mail("unplaceable", None), BOOKED_SESSION, False),
    (make_mail("deferral_notice", START, number=1), change_booked(count=1), True),
    (make_mail("deferral_notice", START, number=1), change_booked(count=2), False),
    (make_mail("deferral_notice", START, number=1), DEFERRED_SESSION, False),
    (make_mail("booked_over_warning"), change_booked(warned_at=NOW), True),
    (make_mail("booked_over_warning"), BOOKED_SESSION, False),  # the time is free again
    (make_mail("booked_over_warning"), replace(move_booked(1), warned_at=NOW), False),
    (make_mail("short_session"), BOOKED_SESSION, True),
    (make_mail("short_session"), move_booked(1), False),
    (make_mail("short_session"), HELD_SESSION, False),
    (make_invitation(), BOOKED_SESSION, True),
    (make_invitation(), move_booked(1), False),  # another mail names the new time
    (make_invitation(), DEFERRED_SESSION, False),
    (make_mail("invitation_withdrawn"), DEFERRED_SESSION, True),
    (make_mail("introduction", None), NO_SESSION, True),
    (make_mail("pair_ended", None), NO_SESSION, False),  # the pair has not ended
    (make_mail("new_manager"), NO_SESSION, False),  # the report has no new manager any more
    (make_mail("open_promises", None), NO_SESSION, False),  # the pair has not ended
    (make_mail("pulse", None, number=202609), NO_SESSION, True),
    (make_mail("pulse", None, number=202603), NO_SESSION, False),  # the round of March is over
    (make_mail("third_voice_request", None), NO_SESSION, True),  # the open questions are read when it is sent
    (make_mail("third_voice_answered", None), NO_SESSION, True),
    (make_mail("fresh_link", None), NO_SESSION, True),
    (make_mail("content_accessed", None), NO_SESSION, True),
    (make_mail("operator_alert", None), NO_SESSION, True),
]


@pytest.mark.parametrize(("mail", "session", "expected"), CASES)
def test_mail_leaves_only_while_it_is_valid(mail: Effect, session: Session | None, expected: bool) -> None:
    """A mail that is no longer valid is dropped (T-5, T-6, T-7)."""
    assert is_mail_valid(mail, session) is expected


def test_mails_before_a_session_do_not_leave_after_its_start() -> None:
    """They prepare the session or are about its time (T-5, T-6, R-10)."""
    for mail in (
        make_mail("reflection_prompt"),
        make_mail("brief"),
        make_mail("short_session"),
        make_mail("deferral_notice", number=0),
    ):
        assert is_mail_valid(mail, now=START - MINUTE)
        assert not is_mail_valid(mail, now=START)


@pytest.mark.parametrize("name", KINDS)
def test_few_mails_leave_for_a_paused_or_ended_pair(name: str) -> None:
    """Most mails are dropped; the sets name those that still leave (R-24)."""
    mail = make_mail(name, END if name.startswith("contract") else START)
    session = HELD_SESSION if name.startswith("contract") else BOOKED_SESSION
    valid_when_paused = {"operator_alert", "contract_summary", "fresh_link", "content_accessed", "invitation_withdrawn"}
    valid_when_paused |= {"third_voice_request", "third_voice_answered"}
    valid_when_paused |= ABOUT_SEVERAL_PAIRS
    commitments = (commitment_of(START.date()),)
    valid_when_ended = {"pair_ended", "open_promises"}
    assert is_mail_valid(mail, session, commitments, pair_of(paused=True)) is (name in valid_when_paused)
    assert is_mail_valid(mail, session, commitments, pair_of(ended=EndReason.CHANGED)) is (
        name in valid_when_paused | valid_when_ended
    )


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
def test_due_mail_leaves_only_while_a_commitment_of_that_day_is_open(
    commitments: tuple[Commitment, ...], expected: bool
) -> None:
    """The commitment is of the reader, who is the manager (R-20, R-18)."""
    mail = make_mail("commitment_due", make_due_instant(date(2026, 9, 28)))
    assert is_mail_valid(mail, None, commitments) is expected


def test_cases_cover_every_mail() -> None:
    """Each kind of mail is in `CASES`, has a test of its own, or is about several pairs."""
    assert {m.name for m, *_ in CASES} | {"commitment_due"} | ABOUT_SEVERAL_PAIRS == set(KINDS)
