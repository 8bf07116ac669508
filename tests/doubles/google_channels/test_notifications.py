"""The double of Google sends notifications as the service does, or with the faults that a test plans."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.doubles.google.channels import DEFAULT_LIFETIME, Channels
from tests.doubles.google_channels.support import (
    CHANNEL,
    NOW,
    WATCH,
    WEEK,
    WEEK_IN_SECONDS,
    PlainClient,
    list_numbers,
    list_states,
)
from tests.support.channel_contract import PUBLIC, Listener
from tests.support.companies import DANA, SAM
from tests.support.drafts import span
from tests.support.loopback import Request, serve
from worker.clock import SteppedClock

# --- notifications --------------------------------------------------------------------------------------------------


def test_a_notification_has_googles_headers_and_no_body(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    channel = client.open(params={"ttl": WEEK_IN_SECONDS})
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
    for day in range(5, 15):  # ten days
        hands.add(DANA, span(day, 14))
    message_numbers = list_numbers(channels, listener)
    assert len(message_numbers) == 11  # one of the state `sync`, and one for each event
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
    clock.advance(DEFAULT_LIFETIME)
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
    clock.advance(timedelta(seconds=1))  # the first interval
    assert list_states(channels, listener) == ["sync", "exists", "exists"]
    clock.advance(timedelta(seconds=1))  # half of the second interval
    assert list_states(channels, listener) == ["sync", "exists", "exists"]
    clock.advance(timedelta(seconds=1))
    assert list_states(channels, listener) == ["sync", "exists", "exists", "exists"]
    clock.advance(timedelta(minutes=30))
    message_numbers = list_numbers(channels, listener)
    # nothing more came, and the three attempts for one notification have the same number
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
    clock.advance(timedelta(minutes=30))  # longer than all attempts would take
    assert list_states(channels, listener) == ["sync", "exists"]


def test_a_redirect_is_not_followed(
    client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    def redirect(request: Request) -> None:
        request.reply(302, b"", Location=f"{listener.url}/hook")

    with serve(redirect) as server:
        channels.routes[PUBLIC] = server.url.rstrip("/")  # in place of the listener
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
    assert list_states(channels, listener) == ["sync"] + ["exists"] * 3  # of four, the third is lost


def test_a_fault_can_lose_a_share_of_the_notifications(
    double: Google, client: PlainClient, channels: Channels, hands: GoogleHands, listener: Listener
) -> None:
    double.faults.add("notification.exists", "lost", times=10_000, share=0.25)
    client.open()
    for _ in range(100):
        hands.add(DANA, span(5, 14))
    assert 60 < len(list_states(channels, listener)) < 90  # about 75 of the hundred, and one of the state `sync`


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
    clock.advance(timedelta(minutes=5) - timedelta(seconds=1))
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
    sync_number, number_received_first, number_received_last = list_numbers(channels, listener)
    assert sync_number < number_received_last < number_received_first


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
