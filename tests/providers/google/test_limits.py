"""Google's quotas, throttling and faults (1.12)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.companies import KEY
from tests.support.drafts import WINDOW, draft, letter, span
from tests.support.google import DELETE, GET, INSERT, LIST, calls, methods
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, Forbidden, NotFound, ProviderError, RateLimited, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer

# --- whose quota (1.12) ---------------------------------------------------------------------------------------------


def test_1_12_every_request_says_whose_quota_is_used(
    double: Google, provider: GoogleCalendar, mailer: GmailMailer, hands: GoogleHands
) -> None:
    """Parts of a batch, too; by a hash of at most forty letters that tells nobody who it is."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.changes(dana, provider.changes(dana, None, WINDOW).cursor, WINDOW)
    provider.free_busy([dana, sam], WINDOW)
    provider.cancel(moved.ref)
    mailer.send(letter("kim@example.org"), "m1")
    users = {(request.who, request.call.query["quotaUser"]) for request in double.requests if request.call}
    assert len(users) == len({who for who, _ in users}) == 3, "one for each person"
    assert all(0 < len(user) <= 40 and "@" not in user for _, user in users)


def test_1_12_what_names_a_person_for_the_quota_cannot_be_guessed(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """It is hashed with the company's own key, and alike in all processes that have it."""
    dana = hands.person()
    for keys in ([KEY], [KEY], ["another"], []):
        google.build_calendar({**section, "keys": keys}).find(dana, "s1.1")
    first, same, other, bare = (call.query["quotaUser"] for call in calls(double, GET))
    assert first == same and len({first, other, bare}) == 3


def test_1_12_a_company_does_not_share_the_quota_of_one_user(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """As many people as one user may have requests: each is asked with a quota of their own."""
    double.quota.per_user = 20
    people = [hands.person() for _ in range(30)]
    found = provider.free_busy(people, WINDOW)
    assert all(one.is_known for one in found.values())
    assert {len(times) for user, times in double.quota.used.items() if user} == {1}


def test_1_12_what_google_counts_and_what_is_paced_is_the_same(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """Below the limit of one person nobody is refused, and above it Google is not even asked."""
    double.quota.per_user = 10
    provider = google.build_calendar({**section, "per_person": 10})
    dana, kim = hands.person(), hands.person()
    for person in [dana, kim] * 10:
        provider.find(person, "s1.1")
    with pytest.raises(RateLimited, match="limit of requests to Google"):
        provider.find(dana, "s1.1")


# --- throttling and faults (1.12) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["userRateLimitExceeded", "rateLimitExceeded"])
@pytest.mark.parametrize("status", [403, 429])
def test_1_12_a_rate_limit_is_one_whatever_its_status(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, status: int
) -> None:
    dana = hands.person()
    double.faults.add(INSERT, reason, status=status, headers={"Retry-After": "17"})
    with pytest.raises(RateLimited) as caught:
        provider.create(dana, draft(dana))
    assert caught.value.retry_after == timedelta(seconds=17)
    assert methods(double) == [INSERT], "nobody tries by itself again"


@pytest.mark.parametrize("reason", ["quotaExceeded", "dailyLimitExceeded"])
def test_1_12_a_limit_of_the_day_waits_for_hours(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    double.faults.add(INSERT, reason)
    with pytest.raises(RateLimited) as caught:
        provider.create(dana := hands.person(), draft(dana))
    assert caught.value.retry_after is not None and caught.value.retry_after >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("reason", "expected", "says"),
    [
        ("forbidden", Forbidden, "refuses"),
        ("forbiddenForNonOrganizer", Forbidden, "refuses"),
        ("forbiddenForServiceAccounts", Forbidden, "delegation"),
        ("insufficientPermissions", AuthRevoked, "scope"),
        ("accessNotConfigured", Forbidden, "not enabled"),
        ("authError", AuthRevoked, "grant"),
        ("notFound", NotFound, "does not find"),
    ],
)
def test_1_12_what_google_refuses_is_told_by_its_reason(
    double: Google,
    provider: GoogleCalendar,
    hands: GoogleHands,
    reason: str,
    expected: type[ProviderError],
    says: str,
) -> None:
    dana = hands.person()
    double.faults.add(INSERT, reason, times=2)
    with pytest.raises(expected, match=says) as caught:
        provider.create(dana, draft(dana))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("how", ["backendError", "reset", "cut", "html"])
def test_1_12_a_write_of_unknown_fate_is_looked_for_and_not_repeated(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, how: str, after: bool
) -> None:
    """500, a connection that broke, an answer cut off or of somebody else's: before it was done, or after."""
    dana = hands.person()
    wanted = draft(dana)
    double.faults.add(INSERT, how, after=after)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain and methods(double) == [INSERT]
    assert (provider.find(dana, wanted.key) is not None) is after
    assert provider.create(dana, wanted).key == wanted.key
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 1


@pytest.mark.parametrize("how", ["backendError", "reset", "cut", "html"])
def test_1_12_a_deletion_that_somebody_else_answers_is_not_taken_for_done(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, how: str
) -> None:
    """A proxy's page, with status 200: the event still stands, and the next attempt deletes it."""
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(DELETE, how)
    with pytest.raises(Unavailable) as caught:
        provider.cancel(event.ref)
    assert caught.value.uncertain
    provider.cancel(event.ref)
    assert provider.free_busy([dana], WINDOW)[dana].busy == ()


def test_a_write_that_is_not_answered_in_time_may_have_been_done(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    dana, wanted = hands.person(), draft("")
    wanted = replace(wanted, organizer=replace(wanted.organizer, email=dana))
    provider = google.build_calendar({**section, "timeout": 0.3})
    double.faults.add(INSERT, "hang", after=True)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain
    assert provider.find(dana, wanted.key) is not None


@pytest.mark.parametrize("how", ["cut", "html"])
def test_an_answer_that_is_not_json_is_told_in_one_line(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, how: str
) -> None:
    double.faults.add(LIST, how)
    with pytest.raises(ProviderError) as caught:
        provider.changes(hands.person(), None, WINDOW)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_was_just_made_and_is_not_found_yet_is_not_taken_for_gone(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """1.12: 404 briefly after insert. A cancel that took it for success would leave the event standing."""
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(GET, "notFound")
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    provider.cancel(event.ref)
    assert provider.free_busy([dana], WINDOW)[dana].busy == ()


def test_1_12_deleting_twice_is_success(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(DELETE, "deleted", after=True)
    provider.cancel(event.ref)
    assert provider.find(dana, event.key or "") is None


def test_pacing_refuses_before_google_does(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    """A rate for each person and for the project; nothing sleeps, the time to wait is told."""
    clock = SteppedClock(utcnow())
    provider = google.build_with_clock({**section, "per_person": 10, "per_project": 15}, clock)
    dana, kim = hands.person(), hands.person()
    for _ in range(10):
        provider.find(dana, "s1.1")
    clock.advance(timedelta(seconds=20))
    with pytest.raises(RateLimited) as caught:
        provider.find(dana, "s1.1")
    assert caught.value.retry_after == timedelta(seconds=40)
    for _ in range(5):
        provider.find(kim, "s1.1")
    with pytest.raises(RateLimited, match="project"):
        provider.find(kim, "s1.1")
    assert len(double.requests) == 15
    clock.advance(timedelta(seconds=40))
    provider.find(dana, "s1.1")
