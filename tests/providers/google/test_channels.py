"""Channels of Google: the tests of every service with channels, and what applies to this service only."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.doubles.google.channels import Channels
from tests.support.channel_contract import PUBLIC, Listener, SecondChannelContract, listen, make_channel
from tests.support.drafts import span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.google import calls_of, connect
from tests.support.loopback import ReceivedRequest
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, Conflict, Forbidden, InvalidResponse, NotFound, RateLimited, Unavailable
from worker.providers.base import CALENDARS_WITH_CHANNELS, Channel, Notification
from worker.providers.google import calendar as google
from worker.providers.google.auth import OWNED_EVENTS_SCOPE
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.notifications import read_notification

WATCH, STOP = "calendar.events.watch", "calendar.channels.stop"
PATH = "/notify/google"


@pytest.fixture
def service(double: Google) -> Channels:
    """The part of the double that sends notifications."""
    return double.calendars.channels


@pytest.fixture
def listener(service: Channels) -> Iterator[Listener]:
    """The server behind the public URL of Longarc (`PUBLIC`)."""
    with listen() as running_listener:
        service.routes[PUBLIC] = running_listener.url
        yield running_listener


class GoogleContract(SecondChannelContract):
    """The tests of a service that can't renew channels, with Google's notifications."""

    path = PATH

    def read(self, request: ReceivedRequest) -> Sequence[Notification]:
        notification = read_notification(dict(request.headers))
        assert notification is not None and request.body == b""
        return [notification]


class TestDelegated(GoogleContract):
    """A service account that acts as everybody."""


class TestConnected(GoogleContract):
    """Managers who connected their own accounts."""

    @pytest.fixture
    def hands(self, double: Google, account_section: dict[str, Any]) -> GoogleHands:
        class ConnectingHands(GoogleHands):
            def person(self, zone: str = "UTC") -> str:
                address = super().person(zone)
                connect(double, account_section, address)
                return address

        return ConnectingHands(double.calendars)

    @pytest.fixture
    def provider(self, account_section: dict[str, Any]) -> Iterator[GoogleCalendar]:
        calendar = google.build_calendar({**account_section, "timeout": 2.0})
        yield calendar
        calendar.close()


def open_channel(provider: GoogleCalendar, calendar: str) -> Channel:
    """Open a channel, and return it as the worker stores it."""
    channel = make_channel(calendar, PATH)
    return replace(channel, remote_id=provider.open_channel(channel).remote_id)


def test_google_is_among_the_calendars_with_channels() -> None:
    assert "google" in CALENDARS_WITH_CHANNELS


# --- requests -------------------------------------------------------------------------------------------------------


def test_channel_is_requested_for_seven_days_and_all_changes(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """Without a lifetime in the request (`ttl`, in seconds), it may be an hour. No field limits the changes that are
    notified."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    [call] = calls_of(double, WATCH)
    assert call.body == {
        "id": channel.id,
        "type": "web_hook",
        "address": PUBLIC + PATH,
        "token": channel.token,
        "params": {"ttl": "604800"},
    }
    assert call.path == {"calendarId": "primary"} and set(call.query) <= {"quotaUser", "alt"}
    assert [request.who for request in double.requests if request.method == WATCH] == [dana]


def test_channel_ends_when_google_says(provider: GoogleCalendar, hands: GoogleHands, service: Channels) -> None:
    """The lifetime may be shorter than the requested one."""
    service.longest = timedelta(hours=1)
    opened_channel = provider.open_channel(make_channel(hands.person(), PATH))
    assert timedelta(minutes=59) < opened_channel.expires_at - utcnow() <= timedelta(hours=1)


def test_channel_is_closed_as_the_manager_who_opened_it(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, service: Channels
) -> None:
    """Google lets nobody else close it."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    provider.close_channel(replace(channel, calendar=hands.person()))
    assert [watch.id for watch in service.list_open()] == [channel.id]
    provider.close_channel(channel)
    assert service.list_open() == []
    assert [request.who for request in double.requests if request.method == STOP][-1] == dana


def test_requests_about_channels_name_the_manager_as_quota_user(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    provider.close_channel(open_channel(provider, hands.person()))
    users = {call.query["quotaUser"] for method in (WATCH, STOP) for call in calls_of(double, method)}
    assert len(users) == 1 and "@" not in users.pop()


def test_requests_about_channels_count_towards_the_limit_of_a_person(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    provider = google.build_calendar({**section, "per_person": 1})
    channel = open_channel(provider, hands.person())
    with pytest.raises(RateLimited):
        provider.close_channel(channel)
    assert calls_of(double, STOP) == []


def test_channel_that_never_opened_is_closed_without_a_request(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    provider.close_channel(make_channel(hands.person(), PATH))
    assert calls_of(double, STOP) == []


def test_renewing_sends_no_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    channel = open_channel(provider, hands.person())
    double.requests.clear()
    assert provider.renew_channel(channel) is None
    assert double.requests == []


def test_two_channels_of_one_calendar_have_the_same_remote_id(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """Google's id names the calendar. Only together with our own id does it name a channel."""
    dana = hands.person()
    assert open_channel(provider, dana).remote_id == open_channel(provider, dana).remote_id


# --- answers --------------------------------------------------------------------------------------------------------


def test_sync_notification_may_arrive_before_the_answer_to_the_request(
    provider: GoogleCalendar, hands: GoogleHands, service: Channels, listener: Listener
) -> None:
    service.answers_first = False
    opened_channel = provider.open_channel(make_channel(hands.person(), PATH))
    [notification] = [read_notification(dict(request.headers)) for request in listener.requests]
    assert notification is not None and notification.remote_id == opened_channel.remote_id


@pytest.mark.parametrize(
    ("reason", "error", "expected_text"),
    [
        ("push.webhookUrlNotHttps", Forbidden, "https addresses: set `notify_url` under \\[sync\\]"),
        ("push.webhookUrlUnauthorized", Forbidden, "verify its domain"),
        ("webhookUrlUnauthorized", Forbidden, "verify its domain"),
        ("pushNotSupportedForRequestedResource", Forbidden, "only be polled"),
        ("channelIdNotUnique", Conflict, "open a channel with another id"),
        ("insufficientPermissions", AuthRevoked, "lacks a scope"),
        ("forbidden", Forbidden, "refuses this"),
        ("notFound", NotFound, "does not find"),
        ("rateLimitExceeded", RateLimited, "limits the rate"),
        ("backendError", Unavailable, "failed with HTTP status"),
    ],
)
def test_each_refusal_of_a_channel_has_its_error_and_text(
    double: Google,
    provider: GoogleCalendar,
    hands: GoogleHands,
    reason: str,
    error: type[Exception],
    expected_text: str,
) -> None:
    """The text has one line, without the token. A refusal of the URL does not count as a revoked grant."""
    channel = make_channel(hands.person(), PATH)
    # Twice, because a refused token is renewed once; with the usual status, except for a form of one reason.
    status = 401 if reason.startswith("webhook") else 0
    double.faults.add(WATCH, reason, times=2, status=status)
    with pytest.raises(error, match=expected_text) as error_info:
        provider.open_channel(channel)
    assert type(error_info.value) is error
    assert str(error_info.value).startswith(f"{channel.calendar}: ")
    assert "\n" not in str(error_info.value) and channel.token not in str(error_info.value)


@pytest.mark.parametrize("status", [403, 429])
def test_throttled_channel_is_opened_with_the_next_attempt(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, service: Channels, status: int
) -> None:
    channel = make_channel(hands.person(), PATH)
    double.faults.add(WATCH, "rateLimitExceeded", status=status, headers={"Retry-After": "30"})
    with pytest.raises(RateLimited) as error_info:
        provider.open_channel(channel)
    assert error_info.value.retry_after == timedelta(seconds=30)
    provider.open_channel(channel)
    assert len(service.list_open()) == 1


def test_next_attempt_after_a_lost_answer_is_a_conflict(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    channel = make_channel(hands.person(), PATH)
    double.faults.add(WATCH, "reset", after=True)
    with pytest.raises(Unavailable) as error_info:
        provider.open_channel(channel)
    assert error_info.value.uncertain
    with pytest.raises(Conflict):
        provider.open_channel(channel)


@pytest.mark.parametrize("reason", ["notFound", "deleted", "fullSyncRequired"])
def test_closing_a_channel_that_google_does_not_know_succeeds(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.add(STOP, reason)
    provider.close_channel(channel)
    assert len(calls_of(double, STOP)) == 1, "the request was repeated"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("backendError", Unavailable),
        ("html", Unavailable),
        ("forbidden", Forbidden),
        ("rateLimitExceeded", RateLimited),
    ],
)
def test_other_failure_to_close_raises_an_error(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, error: type[Exception]
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.add(STOP, reason)
    with pytest.raises(error):
        provider.close_channel(channel)


@pytest.mark.parametrize(
    "wrong_fields",
    [
        {"resourceId": None},
        {"resourceId": ""},
        {"resourceId": 7},
        {"resourceId": "r" * 257},
        {"expiration": None},
        {"expiration": "soon"},
        {"expiration": "0"},
        {"expiration": "-1"},
        {"expiration": "9" * 40},
        {"expiration": "253402300799000"},  # milliseconds: the last second of the year 9999
        {"expiration": ["1"]},
    ],
)
def test_answer_without_a_valid_id_and_end_is_an_invalid_response(
    provider: GoogleCalendar, hands: GoogleHands, service: Channels, wrong_fields: dict[str, Any]
) -> None:
    service.answers_with = wrong_fields
    with pytest.raises(InvalidResponse, match=r"Google opened a channel, but its answer names no") as error_info:
        provider.open_channel(make_channel(hands.person(), PATH))
    assert "\n" not in str(error_info.value)


def test_no_notification_comes_after_the_end_of_a_channel(tmp_path: Path) -> None:
    """Google does not notify of the end itself. Closing the channel afterwards succeeds."""
    clock = SteppedClock(utcnow())
    with Google(clock=clock) as double, listen() as listener:
        double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE}
        channels, hands = double.calendars.channels, GoogleHands(double.calendars)
        channels.routes[PUBLIC] = listener.url
        file = tmp_path / "key.json"
        file.write_text(json.dumps(double.tokens.add_service_account()))
        provider = google.build_with_clock({**double.calendar_section, "service_account": str(file)}, clock)
        dana = hands.person()
        channel = make_channel(dana, PATH)
        opened_channel = provider.open_channel(channel)
        clock.move_to(opened_channel.expires_at - timedelta(seconds=1))
        hands.add(dana, span(5, 14))
        channels.settle()
        assert len(listener.requests) == 2  # that the channel was opened, and the change
        clock.move_to(opened_channel.expires_at)
        hands.add(dana, span(6, 14))
        channels.settle()
        assert len(listener.requests) == 2
        provider.close_channel(replace(channel, remote_id=opened_channel.remote_id))
        provider.close()
