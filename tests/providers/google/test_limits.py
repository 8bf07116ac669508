"""Google's quotas, throttling and faults."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.companies import KEY

# `span(5, 9)` is the hour from 9:00 UTC on 5 March 2027.
from tests.support.drafts import UNUSED_KEY, WINDOW, draft, letter, span
from tests.support.google import EVENTS_DELETE, EVENTS_GET, EVENTS_INSERT, EVENTS_LIST, calls_of, requested_methods
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, Forbidden, NotFound, ProviderError, RateLimited, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer

# --- quotas ---------------------------------------------------------------------------------------------------------


def test_every_request_names_the_person_whose_quota_it_uses(
    double: Google, provider: GoogleCalendar, mailer: GmailMailer, hands: GoogleHands
) -> None:
    """Also each request of a batch. The name is a hash of at most forty characters that does not reveal the person."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    provider.changes(dana, provider.changes(dana, None, WINDOW).cursor, WINDOW)
    provider.free_busy([dana, sam], WINDOW)
    provider.cancel(moved_event.ref)
    mailer.send(letter("kim@example.org"), "m1")
    users = {(request.who, request.call.query["quotaUser"]) for request in double.requests if request.call}
    assert len(users) == len({person for person, _ in users}) == 3, "a person has two names, or shares one"
    assert all(0 < len(user) <= 40 and "@" not in user for _, user in users)


def test_quota_name_of_a_person_depends_on_the_companys_key(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """So the name cannot be guessed. It is the same in all processes that have the key."""
    dana = hands.person()
    for keys in ([KEY], [KEY], ["another"], []):
        google.build_calendar({**section, "keys": keys}).find(dana, UNUSED_KEY)
    first_name, second_name, name_of_other_key, name_without_key = (
        call.query["quotaUser"] for call in calls_of(double, EVENTS_GET)
    )
    assert first_name == second_name and len({first_name, name_of_other_key, name_without_key}) == 3


def test_each_person_uses_only_the_own_quota(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """Reading thirty people takes more requests than the double allows to one user."""
    double.quota.per_user = 20
    people = [hands.person() for _ in range(30)]
    free_busy_by_person = provider.free_busy(people, WINDOW)
    assert all(free_busy.is_known for free_busy in free_busy_by_person.values())
    # each user has used the quota once; the empty name stands for the whole project
    assert {len(times) for user, times in double.quota.used.items() if user} == {1}


def test_our_limit_counts_the_same_requests_as_googles_quota(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """Google refuses nobody below the limit of one person. Above it no request is sent."""
    double.quota.per_user = 10
    provider = google.build_calendar({**section, "per_person": 10})
    dana, kim = hands.person(), hands.person()
    for person in [dana, kim] * 10:
        provider.find(person, UNUSED_KEY)
    with pytest.raises(RateLimited, match="limit of requests to Google"):
        provider.find(dana, UNUSED_KEY)


# --- throttling and faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["userRateLimitExceeded", "rateLimitExceeded"])
@pytest.mark.parametrize("status", [403, 429])
def test_rate_limit_is_recognized_with_either_status(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, status: int
) -> None:
    dana = hands.person()
    double.faults.add(EVENTS_INSERT, reason, status=status, headers={"Retry-After": "17"})
    with pytest.raises(RateLimited) as error_info:
        provider.create(dana, draft(dana))
    assert error_info.value.retry_after == timedelta(seconds=17)
    assert requested_methods(double) == [EVENTS_INSERT], "the request was repeated"


@pytest.mark.parametrize("reason", ["quotaExceeded", "dailyLimitExceeded"])
def test_daily_limit_means_a_pause_of_six_hours(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    double.faults.add(EVENTS_INSERT, reason)
    with pytest.raises(RateLimited) as error_info:
        provider.create(dana := hands.person(), draft(dana))
    assert error_info.value.retry_after == timedelta(hours=6)


@pytest.mark.parametrize(
    ("reason", "error", "expected_text"),
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
def test_error_of_a_refusal_depends_on_googles_reason(
    double: Google,
    provider: GoogleCalendar,
    hands: GoogleHands,
    reason: str,
    error: type[ProviderError],
    expected_text: str,
) -> None:
    dana = hands.person()
    double.faults.add(EVENTS_INSERT, reason, times=2)  # because a refused token is renewed once
    with pytest.raises(error, match=expected_text) as error_info:
        provider.create(dana, draft(dana))
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("failure", ["backendError", "reset", "cut", "html"])
def test_uncertain_create_is_not_repeated_and_results_in_one_event(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, failure: str, after: bool
) -> None:
    """The failure comes before the creation or after it: status 500, a broken connection, or an invalid answer."""
    dana = hands.person()
    event_draft = draft(dana)
    double.faults.add(EVENTS_INSERT, failure, after=after)
    with pytest.raises(Unavailable) as error_info:
        provider.create(dana, event_draft)
    assert error_info.value.uncertain and requested_methods(double) == [EVENTS_INSERT]
    assert (provider.find(dana, event_draft.key) is not None) is after
    assert provider.create(dana, event_draft).key == event_draft.key
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 1


@pytest.mark.parametrize("failure", ["backendError", "reset", "cut", "html"])
def test_failed_cancel_is_uncertain_and_the_next_attempt_deletes_the_event(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, failure: str
) -> None:
    """Also when a proxy answers with a page and status 200."""
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(EVENTS_DELETE, failure)
    with pytest.raises(Unavailable) as error_info:
        provider.cancel(event.ref)
    assert error_info.value.uncertain
    provider.cancel(event.ref)
    assert provider.free_busy([dana], WINDOW)[dana].busy == ()


def test_write_without_an_answer_in_time_is_uncertain(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    event_draft = draft(dana)
    provider = google.build_calendar({**section, "timeout": 0.3})
    double.faults.add(EVENTS_INSERT, "hang", after=True)
    with pytest.raises(Unavailable) as error_info:
        provider.create(dana, event_draft)
    assert error_info.value.uncertain
    assert provider.find(dana, event_draft.key) is not None


@pytest.mark.parametrize("failure", ["cut", "html"])
def test_answer_that_is_not_json_raises_an_error_of_one_line(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, failure: str
) -> None:
    double.faults.add(EVENTS_LIST, failure)
    with pytest.raises(ProviderError) as error_info:
        provider.changes(hands.person(), None, WINDOW)
    assert "\n" not in str(error_info.value) and len(str(error_info.value)) < 300


def test_event_that_google_does_not_find_yet_does_not_count_as_cancelled(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """Google may answer 404 shortly after an insert. If that counted as success, the event would stay."""
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(EVENTS_GET, "notFound")
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    provider.cancel(event.ref)
    assert provider.free_busy([dana], WINDOW)[dana].busy == ()


def test_cancel_of_a_deleted_event_succeeds(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.faults.add(EVENTS_DELETE, "deleted", after=True)
    provider.cancel(event.ref)
    assert provider.find(dana, event.key or "") is None


def test_requests_above_our_limits_are_refused_without_a_request_to_google(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """There is a limit for each person and one for the project, both for a minute. The error says how long to wait;
    nothing sleeps."""
    clock = SteppedClock(utcnow())
    provider = google.build_with_clock({**section, "per_person": 10, "per_project": 15}, clock)
    dana, kim = hands.person(), hands.person()
    for _ in range(10):
        provider.find(dana, UNUSED_KEY)
    clock.advance(timedelta(seconds=20))
    with pytest.raises(RateLimited) as error_info:
        provider.find(dana, UNUSED_KEY)
    assert error_info.value.retry_after == timedelta(seconds=40)  # the rest of the minute
    for _ in range(5):
        provider.find(kim, UNUSED_KEY)
    with pytest.raises(RateLimited, match="project"):
        provider.find(kim, UNUSED_KEY)
    assert len(double.requests) == 15
    clock.advance(timedelta(seconds=40))
    provider.find(dana, UNUSED_KEY)
