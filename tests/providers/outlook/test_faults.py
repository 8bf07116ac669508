"""Throttling, faults and mailboxes out of reach in Microsoft 365: what they mean, and the remedy."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.doubles.graph import Double, Fault, Hands, section
from tests.support.drafts import draft, span
from worker.clock import SteppedClock
from worker.errors import AuthRevoked, Forbidden, InvalidResponse, NotFound, RateLimited, Unavailable
from worker.providers.limiter import Limiter
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar

# --- throttling and faults ------------------------------------------------------------------------------------------


def test_four_requests_at_a_time_for_one_mailbox(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    double.delay = 0.02
    workers = [threading.Thread(target=provider.find, args=(dana, f"s{n}.1")) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert double.peak[dana] == 4 and double.counts["throttled"] == 0


def test_the_double_does_throttle_whoever_asks_too_much(double: Double, hands: Hands) -> None:
    """So that the test above can fail."""
    dana = hands.person()
    double.delay = 0.05
    calendars = [outlook.build_calendar(section(double)) for _ in range(2)]
    problems: list[Exception] = []

    def ask(calendar: OutlookCalendar) -> None:
        try:
            calendar.find(dana, "s1.1")
        except RateLimited as error:
            problems.append(error)

    for calendar in calendars:
        calendar.find(dana, "s0.1")
    workers = [threading.Thread(target=ask, args=(calendars[n % 2],)) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems


def test_a_pause_that_was_asked_for_is_kept(double: Double, hands: Hands) -> None:
    """And what is put off meanwhile costs no request."""
    clock = SteppedClock(datetime(2027, 3, 1, tzinfo=UTC))
    provider = outlook.build_calendar(section(double, limiter=Limiter(clock)))
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, code="TooManyRequests", headers=(("Retry-After", "120"),)))
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            provider.find(dana, "s1.1")
        assert caught.value.retry_after == timedelta(seconds=120)
    assert double.counts["GET events"] == 1
    clock.move_to(clock() + timedelta(seconds=121))
    assert provider.find(dana, "s1.1") is None


@pytest.mark.parametrize("given", ["soon", "-5", "", "1e400", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_makes_no_sense_is_half_a_minute(
    provider: OutlookCalendar, double: Double, hands: Hands, given: str
) -> None:
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, headers=(("Retry-After", given),)))
    with pytest.raises(RateLimited) as caught:
        provider.find(dana, "s1.1")
    assert caught.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_out_of_order_is_transient_and_never_repeated_by_itself(
    provider: OutlookCalendar, double: Double, hands: Hands, method: str, status: int
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    double.counts.clear()
    double.faults.append(Fault(method, "events", status))
    attempts: dict[str, Callable[[], object]] = {
        "GET": lambda: provider.update(event.ref, replace(wanted, span=span(11, 9))),
        "POST": lambda: provider.cancel(event.ref),
        "PATCH": lambda: provider.update(event.ref, replace(wanted, span=span(11, 9))),
    }
    with pytest.raises(Unavailable) as caught:
        attempts[method]()
    assert caught.value.uncertain is (method != "GET")
    assert sum(count for name, count in double.counts.items() if name.startswith(method)) == 1


def test_an_old_token_is_renewed_once(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    provider.find(dana, "s1.1")
    double.login.grants.clear()
    assert provider.find(dana, "s1.1") is None
    double.faults.append(Fault("GET", "events", 401, code="InvalidAuthenticationToken", times=9))
    double.counts.clear()
    with pytest.raises(AuthRevoked):
        provider.find(dana, "s1.1")
    assert double.counts["GET events"] == 2


@pytest.mark.parametrize("where", ["cut", "html", "list", "empty", "entries"])
def test_an_answer_that_is_none_is_one_clear_line(
    provider: OutlookCalendar, double: Double, hands: Hands, where: str
) -> None:
    dana = hands.person()
    bodies = {"html": b"<html>", "list": b"[]", "empty": b"{}", "entries": b'{"value": [1]}'}
    double.faults.append(Fault("GET", "events", 200, cut=where == "cut", body=bodies.get(where)))
    with pytest.raises((Unavailable, InvalidResponse)) as caught:
        provider.find(dana, "s1.1")
    assert "\n" not in str(caught.value)
    assert provider.find(dana, "s1.1") is None


def test_nothing_listens(double: Double) -> None:
    provider = outlook.build_calendar({**section(double), "endpoint": "http://127.0.0.1:9/v1.0"})
    with pytest.raises(Unavailable) as caught:
        provider.create("dana@example.org", draft("dana@example.org"))
    assert not caught.value.uncertain and "endpoint" in str(caught.value)


# --- mailboxes out of reach -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("on_premises", NotFound, "licence"),
        ("blocked", Forbidden, "group"),
        ("unknown", NotFound, "people file"),
        ("rights", Forbidden, "permissions"),
    ],
)
def test_a_mailbox_out_of_reach_is_refused_with_the_remedy(
    double: Double, hands: Hands, how: str, kind: type[Exception], words: str
) -> None:
    dana = hands.person()
    given = section(double)
    known = double.login.applications[given["client_id"]]
    rights, known.rights = known.rights, () if how == "rights" else known.rights
    {"on_premises": double.on_premises, "blocked": double.blocked}.get(how, set()).add(dana)
    provider = outlook.build_calendar(given)
    who = hands.stranger() if how == "unknown" else dana
    with pytest.raises(kind, match=words) as caught:
        provider.create(who, draft(who))
    known.rights = rights
    assert "\n" not in str(caught.value)
    failed = [finding for finding in provider.check(who) if not finding.ok]
    assert failed and all(finding.remedy for finding in failed)
