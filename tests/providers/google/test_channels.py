"""Google tells of changes through channels."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.doubles.google.channels import Channels
from tests.support.channel_contract import PUBLIC, Listener, SecondChannelContract, channel_of, listen
from tests.support.drafts import span
from tests.support.google import calls, connect
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
    return double.calendars.channels


@pytest.fixture
def listener(service: Channels) -> Iterator[Listener]:
    with listen() as running:
        service.routes[PUBLIC] = running.url
        yield running


class GoogleContract(SecondChannelContract):
    """Whoever acts for the manager."""

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
    def hands(self, double: Google, alone: dict[str, Any]) -> GoogleHands:
        class Connecting(GoogleHands):
            def person(self, zone: str = "UTC") -> str:
                address = super().person(zone)
                connect(double, alone, address)
                return address

        return Connecting(double.calendars)

    @pytest.fixture
    def provider(self, alone: dict[str, Any]) -> Iterator[GoogleCalendar]:
        calendar = google.build_calendar({**alone, "timeout": 2.0})
        yield calendar
        calendar.close()


def open_channel(provider: GoogleCalendar, calendar: str) -> Channel:
    channel = channel_of(calendar, PATH)
    return replace(channel, remote_id=provider.open_channel(channel).remote_id)


def test_google_is_a_kind_with_channels() -> None:
    assert "google" in CALENDARS_WITH_CHANNELS


# --- what is asked --------------------------------------------------------------------------------------------------


def test_1_1_a_life_of_seven_days_is_asked_for(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """Without a life in the request it may be an hour. Nothing is asked that would narrow what is told."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    [call] = calls(double, WATCH)
    assert call.body == {
        "id": channel.id,
        "type": "web_hook",
        "address": PUBLIC + PATH,
        "token": channel.token,
        "params": {"ttl": "604800"},
    }
    assert call.path == {"calendarId": "primary"} and set(call.query) <= {"quotaUser", "alt"}
    assert [request.who for request in double.requests if request.method == WATCH] == [dana]


def test_1_1_the_end_is_what_google_says(provider: GoogleCalendar, hands: GoogleHands, service: Channels) -> None:
    """Not what was asked for: it can be shorter."""
    service.longest = timedelta(hours=1)
    opened = provider.open_channel(channel_of(hands.person(), PATH))
    assert timedelta(minutes=59) < opened.expires_at - utcnow() <= timedelta(hours=1)


def test_1_1_only_whoever_opened_a_channel_can_close_it(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, service: Channels
) -> None:
    """So the request is made as the same manager."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    provider.close_channel(replace(channel, calendar=hands.person()))
    assert [watch.id for watch in service.list_open()] == [channel.id]
    provider.close_channel(channel)
    assert service.list_open() == []
    assert [request.who for request in double.requests if request.method == STOP][-1] == dana


def test_1_12_requests_about_channels_count_against_the_manager(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """With `quotaUser`, and within our own limit."""
    provider.close_channel(open_channel(provider, hands.person()))
    users = {call.query["quotaUser"] for method in (WATCH, STOP) for call in calls(double, method)}
    assert len(users) == 1 and "@" not in users.pop()


def test_requests_about_channels_are_within_the_limit_of_a_person(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    provider = google.build_calendar({**section, "per_person": 1})
    channel = open_channel(provider, hands.person())
    with pytest.raises(RateLimited):
        provider.close_channel(channel)
    assert calls(double, STOP) == []


def test_a_channel_that_was_never_open_is_closed_without_a_request(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    provider.close_channel(channel_of(hands.person(), PATH))
    assert calls(double, STOP) == []


def test_renewing_sends_no_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    channel = open_channel(provider, hands.person())
    double.requests.clear()
    assert provider.renew_channel(channel) is None
    assert double.requests == []


def test_1_1_two_channels_of_one_calendar_have_one_remote_id(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """It names what is watched: only together with our own id does it name a channel."""
    dana = hands.person()
    assert open_channel(provider, dana).remote_id == open_channel(provider, dana).remote_id


# --- what comes back ------------------------------------------------------------------------------------------------


def test_1_2_sync_may_come_before_the_answer(
    provider: GoogleCalendar, hands: GoogleHands, service: Channels, listener: Listener
) -> None:
    service.answers_first = False
    opened = provider.open_channel(channel_of(hands.person(), PATH))
    [first] = [read_notification(dict(request.headers)) for request in listener.requests]
    assert first is not None and first.remote_id == opened.remote_id


@pytest.mark.parametrize(
    ("reason", "error", "words"),
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
def test_1_1_a_refusal_says_what_to_do(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, error: type[Exception], words: str
) -> None:
    """In one line, without the token. No refusal of the address counts as a grant that was revoked."""
    channel = channel_of(hands.person(), PATH)
    double.faults.add(WATCH, reason, times=2, status=401 if reason.startswith("webhook") else 0)
    with pytest.raises(error, match=words) as refusal:
        provider.open_channel(channel)
    assert type(refusal.value) is error
    assert str(refusal.value).startswith(f"{channel.calendar}: ")
    assert "\n" not in str(refusal.value) and channel.token not in str(refusal.value)


@pytest.mark.parametrize("status", [403, 429])
def test_1_12_a_throttled_channel_is_opened_later(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, service: Channels, status: int
) -> None:
    channel = channel_of(hands.person(), PATH)
    double.faults.add(WATCH, "rateLimitExceeded", status=status, headers={"Retry-After": "30"})
    with pytest.raises(RateLimited) as refusal:
        provider.open_channel(channel)
    assert refusal.value.retry_after == timedelta(seconds=30)
    provider.open_channel(channel)
    assert len(service.list_open()) == 1


def test_a_lost_answer_is_uncertain_and_the_next_try_a_conflict(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    channel = channel_of(hands.person(), PATH)
    double.faults.add(WATCH, "reset", after=True)
    with pytest.raises(Unavailable) as lost:
        provider.open_channel(channel)
    assert lost.value.uncertain
    with pytest.raises(Conflict):
        provider.open_channel(channel)


@pytest.mark.parametrize("reason", ["notFound", "deleted", "fullSyncRequired"])
def test_1_1_closing_what_google_does_not_know_succeeds(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.add(STOP, reason)
    provider.close_channel(channel)
    assert len(calls(double, STOP)) == 1, "it is asked once"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("backendError", Unavailable),
        ("html", Unavailable),
        ("forbidden", Forbidden),
        ("rateLimitExceeded", RateLimited),
    ],
)
def test_another_failure_to_close_is_told(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, error: type[Exception]
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.add(STOP, reason)
    with pytest.raises(error):
        provider.close_channel(channel)


@pytest.mark.parametrize(
    "changed",
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
        {"expiration": "253402300799000"},
        {"expiration": ["1"]},
    ],
)
def test_an_answer_that_makes_no_sense_is_an_invalid_response(
    provider: GoogleCalendar, hands: GoogleHands, service: Channels, changed: dict[str, Any]
) -> None:
    service.answers_with = changed
    with pytest.raises(InvalidResponse, match=r"Google opened a channel, but its answer names no") as error:
        provider.open_channel(channel_of(hands.person(), PATH))
    assert "\n" not in str(error.value)


def test_1_1_nothing_comes_after_the_end(tmp_path: Path) -> None:
    """And nobody says so; closing it then succeeds."""
    clock = SteppedClock(utcnow())
    with Google(clock=clock) as stepped, listen() as listener:
        stepped.tokens.granted_scopes = {OWNED_EVENTS_SCOPE}
        channels, hands = stepped.calendars.channels, GoogleHands(stepped.calendars)
        channels.routes[PUBLIC] = listener.url
        file = tmp_path / "key.json"
        file.write_text(json.dumps(stepped.tokens.service_account()))
        provider = google.build_with_clock({**stepped.section, "service_account": str(file)}, clock)
        dana = hands.person()
        channel = channel_of(dana, PATH)
        opened = provider.open_channel(channel)
        clock.move_to(opened.expires_at - timedelta(seconds=1))
        hands.add(dana, span(5, 14))
        channels.settle()
        assert len(listener.requests) == 2
        clock.move_to(opened.expires_at)
        hands.add(dana, span(6, 14))
        channels.settle()
        assert len(listener.requests) == 2
        provider.close_channel(replace(channel, remote_id=opened.remote_id))
        provider.close()
