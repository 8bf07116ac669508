"""The double of Google opens and closes channels as the service does."""

from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.doubles.google.channels import Channels
from tests.doubles.google_channels.support import (
    CHANNEL,
    NOW,
    STOP,
    WATCH,
    WEEK,
    WEEK_IN_SECONDS,
    PlainClient,
    list_states,
    read_refusal,
)
from tests.support.channel_contract import Listener
from tests.support.companies import DANA, SAM
from tests.support.drafts import span
from worker.providers.google.auth import EVENTS_READ_SCOPE, FREE_BUSY_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE

# --- opening --------------------------------------------------------------------------------------------------------


def test_the_answer_to_watch_has_googles_fields(client: PlainClient) -> None:
    answer = client.open(params={"ttl": WEEK_IN_SECONDS})
    assert answer == {
        "kind": "api#channel",
        "id": "c1",
        "resourceId": answer["resourceId"],
        "resourceUri": "https://www.googleapis.com/calendar/v3/calendars/dana%40corp.example/events?alt=json",
        "token": "secret",
        "expiration": str(int((NOW + WEEK).timestamp()) * 1000),
    }


def test_the_resource_id_depends_only_on_what_is_watched(client: PlainClient) -> None:
    """It depends neither on the channel nor on `quotaUser`. A list with a filter is another resource."""
    first = client.open()
    for number, (query, is_same_resource) in enumerate(
        [("", True), ("?alt=json&quotaUser=q&prettyPrint=false", True), ("?eventTypes=default", False)]
    ):
        second = client(WATCH + query, {**CHANNEL, "id": f"second{number}"}).json()
        for name in ("resourceId", "resourceUri"):
            assert (second[name] == first[name]) is is_same_resource
    assert client(WATCH, {**CHANNEL, "id": "of-sam"}, who=SAM).json()["resourceId"] != first["resourceId"]


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({}, timedelta(hours=1)),
        ({"params": {"ttl": WEEK_IN_SECONDS}}, WEEK),
        ({"params": {"ttl": "604801"}}, WEEK),  # a second more than a week
        ({"params": {"ttl": "60"}}, timedelta(minutes=1)),
        ({"expiration": str(int((NOW + timedelta(days=2)).timestamp()) * 1000)}, timedelta(days=2)),
        ({"expiration": int((NOW + timedelta(days=2)).timestamp()) * 1000}, timedelta(days=2)),
        ({"expiration": "9" * 18}, WEEK),  # in the distant future
    ],
)
def test_a_channel_lives_for_the_requested_time_but_a_week_at_most(
    client: PlainClient, fields: dict[str, Any], life: timedelta
) -> None:
    assert int(client.open(**fields)["expiration"]) == int((NOW + life).timestamp()) * 1000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"address": "http://longarc.example/hook"}, (400, "push.webhookUrlNotHttps")),
        ({"address": "longarc.example"}, (400, "push.webhookUrlNotHttps")),
        ({"address": "https://[longarc"}, (400, "invalid")),
        ({"address": None}, (400, "required")),
        ({"id": None}, (400, "required")),
        ({"id": "i" * 65}, (400, "invalid")),
        ({"id": "with space"}, (400, "invalid")),
        ({"type": None}, (400, "required")),
        ({"type": "pubsub"}, (400, "invalid")),
        ({"token": "t" * 257}, (400, "invalid")),
        ({"token": "to\nken"}, (400, "invalid")),
        ({"token": "t\u00f6ken"}, (400, "invalid")),
        ({"token": 7}, (400, "badRequest")),
        ({"params": {"ttl": "week"}}, (400, "invalid")),
        ({"params": {"ttl": int(WEEK_IN_SECONDS)}}, (400, "badRequest")),
        ({"expiration": "tomorrow"}, (400, "badRequest")),
        ({"expiration": "1"}, (400, "invalid")),  # in the year 1970
        ({"url": "https://longarc.example"}, (400, "badRequest")),
    ],
)
def test_an_invalid_channel_is_refused(
    client: PlainClient, channels: Channels, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert read_refusal(client(WATCH, {**CHANNEL, **fields})) == expected
    assert channels.list_open() == []


def test_the_longest_values_are_accepted(client: PlainClient) -> None:
    assert client.open(id="i" * 64, token="t" * 256)["id"] == "i" * 64


def test_a_channel_id_can_never_be_used_again(client: PlainClient) -> None:
    channel = client.open()
    for who in (DANA, SAM):
        assert read_refusal(client(WATCH, CHANNEL, who=who)) == (400, "channelIdNotUnique")
    assert client.stop(channel) == 204
    assert read_refusal(client(WATCH, CHANNEL)) == (400, "channelIdNotUnique")


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        (WATCH, EVENTS_READ_SCOPE, 200),
        (WATCH, FREE_BUSY_SCOPE, 200),
        (WATCH, GMAIL_SEND_SCOPE, 403),
        (WATCH.replace("primary", "sam@corp.example"), OWNED_EVENTS_SCOPE, 404),
        (WATCH.replace("primary", "nobody@corp.example"), OWNED_EVENTS_SCOPE, 404),
        (f"{WATCH}?maxResults=many", OWNED_EVENTS_SCOPE, 400),
        (f"{WATCH}?colour=red", OWNED_EVENTS_SCOPE, 400),
        (f"{WATCH}?eventTypes=default", OWNED_EVENTS_SCOPE, 200),
    ],
)
def test_watching_a_calendar_needs_the_right_to_list_its_events(
    client: PlainClient, path: str, scope: str, status: int
) -> None:
    assert client(path, CHANNEL, scope).status_code == status


@pytest.mark.parametrize("status", [403, 429])
def test_a_fault_can_refuse_to_open_a_channel(double: Google, client: PlainClient, status: int) -> None:
    double.faults.add("calendar.events.watch", "rateLimitExceeded", status=status)
    assert read_refusal(client(WATCH, CHANNEL)) == (status, "rateLimitExceeded")
    client.open()


# --- closing --------------------------------------------------------------------------------------------------------


def test_a_channel_is_stopped_by_its_opener_with_both_ids(client: PlainClient, channels: Channels) -> None:
    channel = client.open()
    assert client.stop(channel, who=SAM) == 404
    assert client.stop({**channel, "resourceId": "other"}) == 404
    assert client.stop({**channel, "id": "other"}) == 404
    assert read_refusal(client(STOP, {"id": "c1"})) == (400, "required")
    assert [watch.id for watch in channels.list_open()] == ["c1"]
    assert client.stop(channel, scope=GMAIL_SEND_SCOPE) == 403
    assert client.stop(channel, scope=EVENTS_READ_SCOPE) == 204
    assert channels.list_open() == []
    assert client.stop(channel) == 404


def test_a_fault_can_send_one_notification_after_stop(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.stopped", "trailing")
    assert client.stop(client.open()) == 204
    for day in (5, 6):
        hands.add(DANA, span(day, 14))
    assert list_states(channels, listener)[-1] == "exists"
    assert list_states(channels, listener).count("exists") == 1
