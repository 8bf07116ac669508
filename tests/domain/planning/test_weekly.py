"""Tests of which weeks have a weekly mail, and of its content.

The mail replaces single mails to a manager of several reports (T-16). T-12 is about offered times, R-20 about the
manager's commitments. In the kinds of its news, each session of the week is a talk, also a review.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.pairs import DAY, HOUR, commitment_of, pair_of, person, session_of, state_of, utc
from worker.domain.model import Offer, OfferPurpose, PairState, Session, SessionKind, SessionState, Span
from worker.domain.planning.weekly import list_all_news

MONDAY = utc(2026, 9, 28, 7)
CAREER_SESSION = session_of(MONDAY + DAY)
REVIEW = session_of(MONDAY + 2 * DAY, minutes=25, id="r1", kind=SessionKind.REVIEW)
HELD_SESSION = session_of(MONDAY - 3 * DAY, id="h1", state=SessionState.HELD, held_at=MONDAY - 3 * DAY + HOUR)
PROMISE = commitment_of((MONDAY + 3 * DAY).date())


def make_states(*sessions: Session) -> list[PairState]:
    """Return the states of pairs of one manager, each with one of these sessions.

    Three reports are enough for a weekly mail.
    """
    return [
        replace(state_of(session), pair=pair_of(report=person(f"Report{n}")), report_count=3)
        for n, session in enumerate(sessions)
    ]


def make_session_with_offer(count: int, purpose: OfferPurpose = OfferPurpose.DEFERRAL) -> Session:
    """Return a session far in the future with an offer of three times, and with so many deferrals."""
    times = tuple(Span(MONDAY + n * DAY, MONDAY + n * DAY + timedelta(minutes=75)) for n in (30, 31, 32))
    deferred = session_of(times[0].start, id="d1", count=count)
    return replace(deferred, offer=Offer(times, MONDAY + 2 * DAY, purpose))


def list_news_kinds(states: list[PairState]) -> list[str]:
    return [str(item.kind) for item in list_all_news(states, MONDAY)]


@pytest.mark.parametrize(
    "sessions",
    [
        (),
        (CAREER_SESSION,),
        (REVIEW,),
        (CAREER_SESSION, CAREER_SESSION),
        (CAREER_SESSION, CAREER_SESSION, REVIEW),
        (make_session_with_offer(1),),
        (CAREER_SESSION, make_session_with_offer(2)),
    ],
    ids=["nothing", "talk", "review", "talks", "talks and a review", "offered times", "talk and offered times"],
)
def test_sessions_and_optional_choices_need_no_weekly_mail(sessions: tuple[Session, ...]) -> None:
    """A career session has its own brief, and nobody has to choose before the third deferral (T-12, T-16)."""
    assert list_news_kinds(make_states(*sessions)) == []


@pytest.mark.parametrize(
    ("sessions", "kinds"),
    [
        ((HELD_SESSION,), ["contract"]),
        ((REVIEW, REVIEW), ["talk", "talk"]),
        ((CAREER_SESSION, HELD_SESSION, REVIEW), ["talk", "talk", "contract"]),
        ((make_session_with_offer(3),), ["choice"]),
        ((make_session_with_offer(1, OfferPurpose.QUESTION),), ["choice"]),
        ((HELD_SESSION, make_session_with_offer(1)), ["contract", "choice"]),
    ],
    ids=["contract", "reviews", "talks and a contract", "third deferral", "question", "contract and offered times"],
)
def test_weekly_mail_lists_the_whole_week_when_the_manager_has_to_act(
    sessions: tuple[Session, ...], kinds: list[str]
) -> None:
    """One contract, one choice or two reviews to prepare are enough (T-16, T-12)."""
    assert list_news_kinds(make_states(*sessions)) == kinds


def test_promise_due_this_week_needs_a_weekly_mail() -> None:
    """The weekly mail replaces the mail about the due promise (R-20)."""
    (state,) = make_states(CAREER_SESSION)
    assert list_news_kinds([replace(state, commitments=(PROMISE,))]) == ["talk", "promise"]
    assert list_news_kinds([replace(state, commitments=(replace(PROMISE, due=(MONDAY + 7 * DAY).date()),))]) == []
