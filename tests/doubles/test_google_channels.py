"""The double of Google opens channels and sends notifications through them as the service does."""

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
import requests

from tests.doubles.google import Google, GoogleHands
from tests.doubles.google.channels import Channels
from tests.support.channel_contract import PUBLIC, Listener, listen
from tests.support.companies import DANA, SAM
from tests.support.drafts import span
from tests.support.loopback import Request, serve
from worker.clock import SteppedClock, utcnow
from worker.providers.google.auth import EVENTS_READ_SCOPE, FREE_BUSY_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE

NOW = utcnow()
WATCH = "/calendar/v3/calendars/primary/events/watch"
STOP = "/calendar/v3/channels/stop"
WEEK = timedelta(days=7)
CHANNEL = {"id": "c1", "type": "web_hook", "address": f"{PUBLIC}/hook?x=1", "token": "secret"}


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


@pytest.fixture
def double(clock: SteppedClock) -> Iterator[Google]:
    with Google(clock=clock) as running:
        for person in (DANA, SAM):
            running.calendars.add_person(person)
        yield running
    assert running.crashes == []


@pytest.fixture
def channels(double: Google) -> Channels:
    return double.calendars.channels


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars)


@pytest.fixture
def listener(channels: Channels) -> Iterator[Listener]:
    with listen() as running:
        channels.routes[PUBLIC] = running.url
        yield running


class PlainClient:
    """Sends POST requests by plain HTTP, as Dana unless `who` is another person."""

    def __init__(self, double: Google) -> None:
        self._double = double

    def __call__(
        self, path: str, body: dict[str, Any], scope: str = OWNED_EVENTS_SCOPE, who: str = DANA
    ) -> requests.Response:
        token = self._double.tokens.issue_token(who, {scope})["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(self._double.url + path, json=body, headers=headers, timeout=10)

    def open(self, **fields: Any) -> dict[str, Any]:
        """Open a channel, and return the answer. `fields` replace those of `CHANNEL`."""
        answer = self(WATCH, {**CHANNEL, **fields})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def stop(self, channel: dict[str, Any], **options: Any) -> int:
        """Stop a channel, and return the status of the answer. `options` are arguments of `__call__`."""
        return self(STOP, {"id": channel["id"], "resourceId": channel["resourceId"]}, **options).status_code


@pytest.fixture
def client(double: Google) -> PlainClient:
    return PlainClient(double)


def list_states(channels: Channels, listener: Listener) -> list[str]:
    """Wait until no notification is due, and return the states of those received."""
    channels.settle()
    return [request.headers["X-Goog-Resource-State"] for request in listener.requests]


def list_numbers(channels: Channels, listener: Listener) -> list[int]:
    """Wait until no notification is due, and return the numbers of those received."""
    channels.settle()
    return [int(request.headers["X-Goog-Message-Number"]) for request in listener.requests]


def read_refusal(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the reason of a refusal."""
    return answer.status_code, str(answer.json()["error"]["errors"][0]["reason"])


# --- opening --------------------------------------------------------------------------------------------------------


def test_the_answer_to_watch_has_googles_fields(client: PlainClient) -> None:
    answer = client.open(params={"ttl": "604800"})
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
        ({"params": {"ttl": "604800"}}, WEEK),
        ({"params": {"ttl": "604801"}}, WEEK),
        ({"params": {"ttl": "60"}}, timedelta(minutes=1)),
        ({"expiration": str(int((NOW + timedelta(days=2)).timestamp()) * 1000)}, timedelta(days=2)),
        ({"expiration": int((NOW + timedelta(days=2)).timestamp()) * 1000}, timedelta(days=2)),
        ({"expiration": "9" * 18}, WEEK),
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
        ({"params": {"ttl": 604800}}, (400, "badRequest")),
        ({"expiration": "tomorrow"}, (400, "badRequest")),
        ({"expiration": "1"}, (400, "invalid")),
        ({"url": "https://longarc.example"}, (400, "badRequest")),
    ],
)
def test_an_invalid_channel_is_refused(
    client: PlainClient, channels: Channels, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert read_refusal(client(WATCH, {**CHANNEL, **fields})) == expected
    assert channels.list_open() == []


def test_the_longest_values_are_accepted(client: PlainClient) -> None:
    client.open(id="i" * 64, token="t" * 256)


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


# --- notifications --------------------------------------------------------------------------------------------------


def test_a_notification_has_googles_headers_and_no_body(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    channel = client.open(params={"ttl": "604800"})
    hands.add(DANA, span(5, 14))
    first, second = listener.wait_for(2)
    for request, state in ((first, "sync"), (second, "exists")):
        assert (request.command, request.path, request.body) == ("POST", "/hook?x=1", b"")
        assert request.headers["Content-Length"] == "0"
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: value for name, value in headers.items() if name.startswith("x-goog-")}
        number, expiration = headers.pop("x-goog-message-number"), headers.pop("x-goog-channel-expiration")
        assert int(number) == 1 if state == "sync" else int(number) > 1
        assert parsedate_to_datetime(expiration) == NOW + WEEK
        assert headers == {
            "x-goog-channel-id": "c1",
            "x-goog-channel-token": "secret",
            "x-goog-resource-id": channel["resourceId"],
            "x-goog-resource-uri": channel["resourceUri"],
            "x-goog-resource-state": state,
        }


def test_a_channel_without_a_token_sends_no_token(client: PlainClient, listener: Listener) -> None:
    assert "token" not in client.open(token=None)
    [first] = listener.wait_for(1)
    assert "X-Goog-Channel-Token" not in first.headers


def test_each_write_is_notified_for_every_calendar_that_shows_the_event(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    """Each open channel of such a calendar sends one notification. Dana has two channels, and her guest Sam has one."""
    client.open(id="dana-1")
    client.open(id="dana-2")
    client(WATCH, {**CHANNEL, "id": "sam"}, who=SAM)

    def pop_channels() -> list[str]:
        """Return the ids of the channels through which notifications came since the last call."""
        channels.settle()
        channel_ids = sorted(request.headers["X-Goog-Channel-ID"] for request in listener.requests)
        listener.requests.clear()
        return channel_ids

    assert pop_channels() == ["dana-1", "dana-2", "sam"]  # each channel begins with a notification of the state `sync`
    event = hands.insert(DANA, **make_whole_day(), attendees=[{"email": SAM}])
    assert pop_channels() == ["dana-1", "dana-2", "sam"]
    hands.patch(SAM, event, attendees=[{"email": SAM, "responseStatus": "accepted"}], attendeesOmitted=True)
    assert pop_channels() == ["dana-1", "dana-2", "sam"]
    hands.patch(DANA, event, attendees=[])
    assert pop_channels() == ["dana-1", "dana-2", "sam"]
    hands.patch(DANA, event, summary="Without Sam")
    assert pop_channels() == ["dana-1", "dana-2"]
    hands.remove(DANA, event)
    assert pop_channels() == ["dana-1", "dana-2"]
    hands.add(SAM, span(5, 14))
    assert pop_channels() == ["sam"]
    hands.get(DANA, event)
    assert pop_channels() == []


def make_whole_day() -> dict[str, Any]:
    """Return the start and end of an all-day event."""
    return {"start": {"date": "2027-03-09"}, "end": {"date": "2027-03-10"}}


def test_message_numbers_rise_and_are_not_consecutive(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    client.open()
    for day in range(5, 15):
        hands.add(DANA, span(day, 14))
    message_numbers = list_numbers(channels, listener)
    assert len(message_numbers) == 11, "one of the state `sync`, and one for each event"
    assert message_numbers == sorted(set(message_numbers)) and message_numbers[0] == 1
    assert message_numbers[-1] > 11


@pytest.mark.parametrize("is_lost", [False, True])
def test_the_sync_notification_can_arrive_before_the_answer_to_watch(
    double: Google, client: PlainClient, channels: Channels, listener: Listener, is_lost: bool
) -> None:
    channels.answers_first = False
    if is_lost:
        double.faults.add("notification.sync", "lost")
    client.open()
    assert [request.headers["X-Goog-Resource-State"] for request in listener.requests] == ([] if is_lost else ["sync"])


def test_an_expired_channel_sends_no_notifications(
    client: PlainClient, clock: SteppedClock, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    """The end itself causes no notification, and notifications that wait for another attempt are dropped."""
    channel = client.open()
    channels.settle()
    listener.statuses = [503]
    hands.add(DANA, span(5, 14))
    channels.settle()
    clock.advance(timedelta(hours=1))
    hands.add(DANA, span(6, 14))
    assert list_states(channels, listener) == ["sync", "exists"]
    assert channels.list_open() == [] and client.stop(channel) == 404


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_after_a_server_error_a_notification_is_sent_again_at_growing_intervals(
    client: PlainClient, clock: SteppedClock, channels: Channels, hands: GoogleHands, listener: Listener, status: int
) -> None:
    client.open()
    channels.settle()
    listener.statuses = [status, status]
    hands.add(DANA, span(5, 14))
    assert list_states(channels, listener) == ["sync", "exists"]
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync", "exists", "exists"]
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync", "exists", "exists"]
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync", "exists", "exists", "exists"]
    clock.advance(timedelta(minutes=30))
    message_numbers = list_numbers(channels, listener)
    assert len(message_numbers) == 4 and len(set(message_numbers)) == 2


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 401, 404, 410, 429, 302])
def test_after_any_other_status_a_notification_is_not_sent_again(
    client: PlainClient, clock: SteppedClock, channels: Channels, hands: GoogleHands, listener: Listener, status: int
) -> None:
    client.open()
    channels.settle()
    listener.statuses = [status]
    hands.add(DANA, span(5, 14))
    channels.settle()
    clock.advance(timedelta(minutes=30))
    assert list_states(channels, listener) == ["sync", "exists"]


def test_a_redirect_is_not_followed(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    def redirect(request: Request) -> None:
        request.reply(302, b"", Location=f"{listener.url}/hook")

    with serve(redirect) as server:
        channels.routes[PUBLIC] = server.url.rstrip("/")
        client.open()
        assert list_states(channels, listener) == []
        assert len(server.requests) == 1


def test_an_address_that_does_not_answer_in_time_is_tried_again(
    client: PlainClient, clock: SteppedClock, channels: Channels, listener: Listener
) -> None:
    def hang(request: Request) -> None:
        request.server.stopped.wait()

    channels.timeout = 0.2
    with serve(hang) as server:
        channels.routes[PUBLIC] = server.url.rstrip("/")
        client.open()
        assert list_states(channels, listener) == [] and len(server.requests) == 1
    channels.timeout = 5.0
    channels.routes[PUBLIC] = listener.url
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync"]


def test_an_unreachable_address_is_tried_again(
    client: PlainClient, clock: SteppedClock, channels: Channels, listener: Listener
) -> None:
    del channels.routes[PUBLIC]
    client.open()
    assert list_states(channels, listener) == []
    channels.routes[PUBLIC] = listener.url
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync"]


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_fault_can_let_the_first_notifications_pass(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "lost", passing=2)
    client.open()
    for day in range(5, 9):
        hands.add(DANA, span(day, 14))
    assert list_states(channels, listener) == ["sync"] + ["exists"] * 3


def test_a_fault_can_lose_a_share_of_the_notifications(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "lost", times=10_000, share=0.25)
    client.open()
    for _ in range(100):
        hands.add(DANA, span(5, 14))
    assert 60 < len(list_states(channels, listener)) < 90


def test_a_fault_can_duplicate_a_notification(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "duplicated", who=DANA)
    client.open()
    hands.add(DANA, span(5, 14))
    assert list_states(channels, listener) == ["sync", "exists", "exists"]


def test_a_fault_can_delay_a_notification(
    double: Google, client: PlainClient, clock: SteppedClock, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "delayed", delay=timedelta(minutes=5))
    client.open()
    hands.add(DANA, span(5, 14))
    clock.advance(timedelta(seconds=299))
    assert list_states(channels, listener) == ["sync"]
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync", "exists"]


def test_a_fault_can_send_a_notification_after_the_next_one(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "overtaken")
    client.open()
    hands.add(DANA, span(5, 14))
    assert list_states(channels, listener) == ["sync"]
    hands.add(DANA, span(6, 14))
    first, second, third = list_numbers(channels, listener)
    assert first < third < second


def test_a_lost_channel_sends_nothing_and_can_not_be_stopped(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    channel = client.open()
    channels.settle()
    channels.lose(channels.list_open()[0])
    hands.add(DANA, span(5, 14))
    assert list_states(channels, listener) == ["sync"] and client.stop(channel) == 404


def test_nothing_is_sent_after_the_double_has_ended(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    """The thread of the double ends with it, even while a notification waits for another attempt."""
    listener.statuses = [503]
    client.open()
    channels.settle()
    assert "google-notifications" in [thread.name for thread in enumerate_threads()]
    channels.close()
    assert "google-notifications" not in [thread.name for thread in enumerate_threads()]
    hands.add(DANA, span(5, 14))
    assert list_states(channels, listener) == ["sync"]
