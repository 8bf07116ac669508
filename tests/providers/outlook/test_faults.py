"""Throttling, faults and mailboxes that cannot be reached in Microsoft 365: the error for each, and its remedy."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.doubles.graph import Double, Fault, Hands, make_section
from tests.support.drafts import UNUSED_KEY, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from worker.clock import SteppedClock
from worker.errors import AuthRevoked, Forbidden, InvalidResponse, NotFound, RateLimited, Unavailable
from worker.providers.limiter import Limiter
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar

# --- throttling and faults ------------------------------------------------------------------------------------------


def test_at_most_four_requests_run_at_a_time_for_one_mailbox(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    double.delay = 0.02
    threads = [threading.Thread(target=provider.find, args=(dana, f"s{number}.1")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert double.most_at_once[dana] == 4 and double.counts["throttled"] == 0


def test_double_throttles_more_than_four_requests_at_a_time(double: Double, hands: Hands) -> None:
    """Two providers together exceed the limit that each keeps. So the test above can fail."""
    dana = hands.person()
    double.delay = 0.05
    calendars = [outlook.build_calendar(make_section(double)) for _ in range(2)]
    errors: list[Exception] = []

    def send_request(calendar: OutlookCalendar) -> None:
        try:
            calendar.find(dana, UNUSED_KEY)
        except RateLimited as error:
            errors.append(error)

    for calendar in calendars:
        calendar.find(dana, UNUSED_KEY)
    threads = [threading.Thread(target=send_request, args=(calendars[number % 2],)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors


def test_no_request_is_sent_during_the_pause_of_a_retry_after(double: Double, hands: Hands) -> None:
    clock = SteppedClock(datetime(2027, 3, 1, tzinfo=UTC))
    provider = outlook.build_calendar(make_section(double, limiter=Limiter(clock)))
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, code="TooManyRequests", headers=(("Retry-After", "120"),)))
    for _ in range(2):
        with pytest.raises(RateLimited) as error_info:
            provider.find(dana, UNUSED_KEY)
        assert error_info.value.retry_after == timedelta(seconds=120)
    assert double.counts["GET events"] == 1
    clock.advance(timedelta(seconds=121))  # a second more than the pause
    assert provider.find(dana, UNUSED_KEY) is None


@pytest.mark.parametrize("retry_after", ["soon", "-5", "", "1e400", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_invalid_retry_after_means_a_pause_of_half_a_minute(
    provider: OutlookCalendar, double: Double, hands: Hands, retry_after: str
) -> None:
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, headers=(("Retry-After", retry_after),)))
    with pytest.raises(RateLimited) as error_info:
        provider.find(dana, UNUSED_KEY)
    assert error_info.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_is_unavailable_and_the_request_is_not_repeated(
    provider: OutlookCalendar, double: Double, hands: Hands, method: str, status: int
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    double.counts.clear()
    double.faults.append(Fault(method, "events", status))
    operations: dict[str, Callable[[], object]] = {
        "GET": lambda: provider.update(event.ref, replace(event_draft, span=span(11, 9))),
        "POST": lambda: provider.cancel(event.ref),
        "PATCH": lambda: provider.update(event.ref, replace(event_draft, span=span(11, 9))),
    }
    with pytest.raises(Unavailable) as error_info:
        operations[method]()
    assert error_info.value.uncertain is (method != "GET")
    assert sum(count for name, count in double.counts.items() if name.startswith(method)) == 1


def test_refused_token_is_renewed_once(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    provider.find(dana, UNUSED_KEY)
    double.login.grants.clear()
    assert provider.find(dana, UNUSED_KEY) is None
    double.faults.append(Fault("GET", "events", 401, code="InvalidAuthenticationToken", times=9))
    double.counts.clear()
    with pytest.raises(AuthRevoked):
        provider.find(dana, UNUSED_KEY)
    assert double.counts["GET events"] == 2


@pytest.mark.parametrize("defect", ["cut", "html", "list", "empty", "entries"])
def test_invalid_answer_raises_an_error_of_one_line(
    provider: OutlookCalendar, double: Double, hands: Hands, defect: str
) -> None:
    dana = hands.person()
    bodies = {"html": b"<html>", "list": b"[]", "empty": b"{}", "entries": b'{"value": [1]}'}
    double.faults.append(Fault("GET", "events", 200, cut=defect == "cut", body=bodies.get(defect)))
    with pytest.raises((Unavailable, InvalidResponse)) as error_info:
        provider.find(dana, UNUSED_KEY)
    assert "\n" not in str(error_info.value)
    assert provider.find(dana, UNUSED_KEY) is None


def test_refused_connection_is_unavailable_and_not_uncertain(double: Double) -> None:
    provider = outlook.build_calendar(
        {**make_section(double), "endpoint": "http://127.0.0.1:9/v1.0"}
    )  # nothing listens there
    with pytest.raises(Unavailable) as error_info:
        provider.create("dana@example.org", draft("dana@example.org"))
    assert not error_info.value.uncertain and "endpoint" in str(error_info.value)


# --- mailboxes that cannot be reached -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "error", "expected_text"),
    [
        ("on_premises", NotFound, "licence"),
        ("blocked", Forbidden, "group"),
        ("unknown", NotFound, "people file"),
        ("rights", Forbidden, "permissions"),
    ],
)
def test_unreachable_mailbox_raises_an_error_with_a_remedy(
    double: Double, hands: Hands, cause: str, error: type[Exception], expected_text: str
) -> None:
    dana = hands.person()
    settings = make_section(double)
    application = double.login.applications[settings["client_id"]]
    rights_before = application.rights
    if cause == "rights":
        application.rights = ()
    elif cause == "on_premises":
        double.on_premises.add(dana)
    elif cause == "blocked":
        double.blocked.add(dana)
    provider = outlook.build_calendar(settings)
    person = hands.unreadable_person() if cause == "unknown" else dana
    with pytest.raises(error, match=expected_text) as error_info:
        provider.create(person, draft(person))
    application.rights = rights_before
    assert "\n" not in str(error_info.value)
    failed_findings = [finding for finding in provider.check(person) if not finding.ok]
    assert failed_findings and all(finding.remedy for finding in failed_findings)
