"""The double of Microsoft Graph sends notifications of changes, in time or with the faults that a test plans."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests

from tests.doubles.graph import Double, Hands, Mishap
from tests.doubles.graph.odata import DEFAULT_ID_PREFIX
from tests.doubles.graph_subscriptions.support import (
    CLIENT_STATE,
    DANA,
    DANAS_EVENTS,
    SAM,
    TEN_MINUTES,
    Endpoint,
    add_events,
    connect_app,
    slot,
    subscribe,
)
from tests.support.loopback import serve
from worker.clock import SteppedClock
from worker.domain.model import Answer

# --- notifications ----------------------------------------------------------------------------------------------------


def test_each_change_of_a_subscribed_calendar_is_notified(
    client: Any, double: Double, endpoint: Endpoint, hands: Hands
) -> None:
    subscribe(client)
    event = hands.add(DANA, slot(0))
    mailbox = double.world.mailboxes[DANA]
    mailbox.record_change(mailbox.items[event])
    hands.remove(DANA, event)
    series = hands.add_daily(DANA, slot(2), 3)
    hands.cancel_occurrence(DANA, series, 1)
    add_events(double, 4, who=SAM)  # on a calendar without a subscription
    double.subscriptions.settle()
    assert endpoint.changes[:3] == ["created", "updated", "deleted"]
    # all changes of a series name its master
    changed_ids = {item["resourceData"]["id"] for item in endpoint.items[3:]}
    assert changed_ids == {f"{DEFAULT_ID_PREFIX}{series}"} and endpoint.changes[-1] == "updated"


def test_changes_of_a_guests_copy_are_notified(client: Any, double: Double, endpoint: Endpoint, hands: Hands) -> None:
    subscribe(client, f"users/{SAM}/events")
    hands.invite(DANA, SAM, slot(0), Answer.ACCEPTED)
    double.subscriptions.settle()
    assert endpoint.changes == ["created", "updated"]


def test_only_the_subscribed_kinds_of_change_are_notified(
    client: Any, double: Double, endpoint: Endpoint, hands: Hands
) -> None:
    subscribe(client, DANAS_EVENTS, "deleted")
    hands.remove(DANA, hands.add(DANA, slot(0)))
    double.subscriptions.settle()
    assert endpoint.changes == ["deleted"]


def test_one_request_holds_several_notifications(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscribe(client)
    subscribe(client, f"users/{SAM}/events")
    double.subscriptions.rules.batch_size = 3
    with double.subscriptions.paused():
        add_events(double, 0, 1)
        add_events(double, 0, 1, who=SAM)
    double.subscriptions.settle()
    assert [len(body["value"]) for _, body in endpoint.bodies] == [3, 1]
    assert len({item["subscriptionId"] for item in endpoint.bodies[0][1]["value"]}) == 2


def test_faults_can_duplicate_lose_reorder_and_delay_notifications(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscribe(client)
    double.subscriptions.mishaps[:] = [
        Mishap(copies=2),  # of event 0
        Mishap(lost=True),  # event 1
        Mishap(overtaken=True),  # event 2
        Mishap(passing=1, delay=TEN_MINUTES),  # event 4, after 3 has passed
    ]
    ids = []
    for hour in range(5):
        ids.append(Hands(double).add(DANA, slot(hour)))
        double.subscriptions.settle()

    def list_received() -> list[int]:
        """Return the position of the event in `ids` for each notification."""
        return [ids.index(item["resourceData"]["id"].removeprefix(DEFAULT_ID_PREFIX)) for item in endpoint.items]

    assert list_received() == [0, 0, 3, 2]
    double.subscriptions.advance(TEN_MINUTES)
    double.subscriptions.settle()
    assert list_received() == [0, 0, 3, 2, 4]


def test_the_loss_of_notifications_is_reported_as_a_lifecycle_event(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscription = subscribe(client)
    double.subscriptions.mishaps.append(Mishap(lost=True, missed=True))
    add_events(double, 0)
    double.subscriptions.settle()
    [(path, body)] = endpoint.bodies
    [item] = body["value"]
    assert path == "/lifecycle" and "resourceData" not in item and "changeType" not in item
    assert (item["lifecycleEvent"], item["subscriptionId"], item["clientState"]) == (
        "missed",
        subscription["id"],
        CLIENT_STATE,
    )


def test_a_fault_can_send_a_wrong_client_state(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscribe(client)
    double.subscriptions.mishaps.append(Mishap(client_state="forged"))
    add_events(double, 0, 1)
    double.subscriptions.settle()
    assert [item["clientState"] for item in endpoint.items] == ["forged", CLIENT_STATE]


@pytest.mark.parametrize("is_trailing", [False, True])
def test_a_notification_may_come_after_its_subscription_was_deleted(
    client: Any, double: Double, endpoint: Endpoint, is_trailing: bool
) -> None:
    subscription = subscribe(client)
    double.subscriptions.mishaps.append(Mishap(trailing=is_trailing, times=1))  # the first of two notifications
    with double.subscriptions.paused():
        add_events(double, 0, 1)
        client.delete_subscription(subscription["id"])
    double.subscriptions.settle()
    assert endpoint.changes == (["created"] if is_trailing else [])


def test_the_clock_of_the_service_can_be_replaced(client: Any, double: Double, endpoint: Endpoint) -> None:
    clock = SteppedClock(datetime.now(UTC))
    double.subscriptions.clock = clock
    subscribe(client)
    double.subscriptions.mishaps.append(Mishap(delay=TEN_MINUTES))
    add_events(double, 0)
    double.subscriptions.settle()
    assert endpoint.bodies == []
    clock.advance(TEN_MINUTES)
    double.subscriptions.settle()
    assert endpoint.changes == ["created"]


def test_the_removal_of_a_subscription_is_a_lifecycle_event(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscription = subscribe(client)
    double.subscriptions.remove(subscription["id"])
    add_events(double, 0)
    double.subscriptions.settle()
    assert endpoint.changes == ["subscriptionRemoved"] and list(client.list_subscriptions()) == []


def test_a_request_for_a_new_authorization_is_a_lifecycle_event(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    """The app has to answer by POST …/reauthorize or by renewing. It can't do both within ten minutes."""
    subscription = subscribe(client)
    double.subscriptions.ask_to_reauthorize(subscription["id"])
    double.subscriptions.settle()
    assert endpoint.changes == ["reauthorizationRequired"]
    answer = client.con.post(f"{double.endpoint}/subscriptions/{subscription['id']}/reauthorize")
    assert answer.status_code == 204
    with pytest.raises(requests.HTTPError, match="400"):
        client.renew_subscription(subscription["id"], expiration_minutes=600)
    double.subscriptions.advance(TEN_MINUTES)
    assert client.renew_subscription(subscription["id"], expiration_minutes=600)


def test_a_changed_address_is_validated_again(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscription = subscribe(client)
    with pytest.raises(requests.HTTPError, match="400"):
        client.update_subscription(subscription["id"], notification_url="https://elsewhere.example/")
    client.update_subscription(subscription["id"], notification_url="https://longarc.example/new")
    add_events(double, 0)
    double.subscriptions.settle()
    assert [path for path, _ in endpoint.bodies] == ["/new"]
    assert len(endpoint.validations) == 3  # of the first two addresses, and of the new one


# --- endpoints that fail or are slow ----------------------------------------------------------------------------------


def test_a_refused_notification_is_sent_again_for_four_hours(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscribe(client)
    endpoint.status = 503
    add_events(double, 0)
    delays = []
    for _ in range(20):  # more attempts than four hours can hold
        double.subscriptions.settle()
        if not double.subscriptions.next_due:
            break
        delays.append(double.subscriptions.next_due - double.subscriptions.now())
        double.subscriptions.advance(delays[-1] + timedelta(milliseconds=1))  # until it is due for sure
    assert len(endpoint.bodies) == len(delays) + 1
    assert delays[0] <= timedelta(seconds=10) and all(later > earlier for earlier, later in pairwise(delays))
    # the next delay, twice as long as the last, would end after four hours
    assert timedelta(hours=2) < sum(delays, timedelta()) <= timedelta(hours=4)
    endpoint.status = 202
    add_events(double, 1)
    double.subscriptions.settle()
    assert len(endpoint.bodies) == len(delays) + 2


def slow_down(double: Double, endpoint: Endpoint, seconds: float) -> None:
    """Make the double measure that each answer from now on takes so many seconds."""
    elapsed_seconds = [0.0]
    double.subscriptions.stopwatch = lambda: elapsed_seconds[0]

    def add_seconds() -> None:
        elapsed_seconds[0] += seconds

    endpoint.think = add_seconds


@pytest.mark.parametrize(("slow_count", "is_delayed"), [(1, False), (2, True)])  # of ten answers
def test_notifications_wait_when_more_than_a_tenth_of_the_answers_are_slow(
    client: Any, double: Double, endpoint: Endpoint, slow_count: int, is_delayed: bool
) -> None:
    subscribe(client)
    double.subscriptions.rules.batch_size = 1
    slow_down(double, endpoint, 3.5)  # an answer is slow from three seconds on
    add_events(double, *range(slow_count))
    double.subscriptions.settle()
    slow_down(double, endpoint, 2.5)
    add_events(double, *range(slow_count, 10))
    double.subscriptions.settle()
    add_events(double, 10)
    double.subscriptions.settle()
    assert len(endpoint.bodies) == (10 if is_delayed else 11)
    double.subscriptions.advance(TEN_MINUTES)
    double.subscriptions.settle()
    assert len(endpoint.bodies) == 11


def test_an_endpoint_with_answers_over_ten_seconds_loses_notifications(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscribe(client)
    double.subscriptions.rules.batch_size = 1
    slow_down(double, endpoint, 10.5)
    add_events(double, *range(10))
    double.subscriptions.settle()
    add_events(double, 10)
    double.subscriptions.settle()
    double.subscriptions.advance(TEN_MINUTES)
    double.subscriptions.settle()
    assert len(endpoint.bodies) == 10
    add_events(double, 11)
    double.subscriptions.settle()
    assert len(endpoint.bodies) == 11


def test_nothing_is_sent_when_the_service_is_closed(double: Double) -> None:
    """The threads of the service end with it, without waiting for notifications that are due later."""
    endpoint = Endpoint()
    with serve(endpoint.answer) as server:
        with Double() as running:
            running.world.add_person(DANA)
            running.subscriptions.routes["https://longarc.example"] = server.url.rstrip("/")
            subscribe(connect_app(running))
            running.subscriptions.mishaps.append(Mishap(delay=TEN_MINUTES))
            add_events(running, 0)
            running.subscriptions.settle()
        assert endpoint.bodies == [] and not running.subscriptions.is_running
