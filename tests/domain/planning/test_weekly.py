"""Which weeks have a weekly mail, and what stands in it (R-20; T-12, T-16)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.pairs import DAY, HOUR, commitment_of, pair_of, person, session_of, state_of, utc
from worker.domain.model import Offer, OfferPurpose, PairState, Session, SessionKind, SessionState, Span
from worker.domain.planning.weekly import list_all_news

MONDAY = utc(2026, 9, 28, 7)
TALK = session_of(MONDAY + DAY)
REVIEW = session_of(MONDAY + 2 * DAY, minutes=25, id="r1", kind=SessionKind.REVIEW)
HELD = session_of(MONDAY - 3 * DAY, id="h1", state=SessionState.HELD, held_at=MONDAY - 3 * DAY + HOUR)
PROMISE = commitment_of((MONDAY + 3 * DAY).date())


def team_of(*sessions: Session) -> list[PairState]:
    """Pairs of one manager, each with one of these sessions."""
    return [
        replace(state_of(session), pair=pair_of(report=person(f"Report{n}")), report_count=3)
        for n, session in enumerate(sessions)
    ]


def offered(count: int, purpose: OfferPurpose = OfferPurpose.DEFERRAL) -> Session:
    """A session far ahead for which three times are held, after so many deferrals."""
    times = tuple(Span(MONDAY + n * DAY, MONDAY + n * DAY + timedelta(minutes=75)) for n in (30, 31, 32))
    deferred = session_of(times[0].start, id="d1", count=count)
    return replace(deferred, offer=Offer(times, MONDAY + 2 * DAY, purpose))


def list_kinds(states: list[PairState]) -> list[str]:
    return [str(one.kind) for one in list_all_news(states, MONDAY)]


@pytest.mark.parametrize(
    "sessions",
    [(), (TALK,), (REVIEW,), (TALK, TALK), (TALK, TALK, REVIEW), (offered(1),), (TALK, offered(2))],
    ids=["nothing", "talk", "review", "talks", "talks and a review", "held times", "talk and held times"],
)
def test_what_is_on_the_calendar_or_told_by_another_mail_needs_no_weekly_mail(sessions: tuple[Session, ...]) -> None:
    """T-16: a talk has a brief of its own, and times held beside the one that stands are a matter of choice (T-12)."""
    assert list_kinds(team_of(*sessions)) == []


@pytest.mark.parametrize(
    ("sessions", "kinds"),
    [
        ((HELD,), ["contract"]),
        ((REVIEW, REVIEW), ["talk", "talk"]),
        ((TALK, HELD, REVIEW), ["talk", "talk", "contract"]),
        ((offered(3),), ["choice"]),
        ((offered(1, OfferPurpose.QUESTION),), ["choice"]),
        ((HELD, offered(1)), ["contract", "choice"]),
    ],
    ids=["contract", "reviews", "talks and a contract", "third deferral", "question", "contract and held times"],
)
def test_what_waits_for_the_manager_is_told_with_all_of_the_week(
    sessions: tuple[Session, ...], kinds: list[str]
) -> None:
    """T-16, T-12: once there is a reason for the mail, it tells everything."""
    assert list_kinds(team_of(*sessions)) == kinds


def test_a_promise_of_the_week_is_a_reason_for_the_mail() -> None:
    """R-20: it takes the place of a mail of its own."""
    (state,) = team_of(TALK)
    assert list_kinds([replace(state, commitments=(PROMISE,))]) == ["talk", "promise"]
    assert list_kinds([replace(state, commitments=(replace(PROMISE, due=(MONDAY + 7 * DAY).date()),))]) == []
