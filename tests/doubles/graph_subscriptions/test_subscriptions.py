"""The subscriptions of the double of Microsoft Graph: who may create them, to what, and for how long."""

from datetime import UTC, datetime
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.doubles.graph import CLIENT, Double, Hands, Mishap, section
from tests.doubles.graph.login import TENANT, Application
from tests.doubles.graph_subscriptions.support import (
    DANA,
    EVENTS,
    MINUTE,
    SAM,
    STATE,
    Endpoint,
    add,
    connect,
    slot,
    subscribe,
)
from worker.providers.outlook import auth


def refusal(client: Any, *given: Any, **more: Any) -> tuple[int, str, str]:
    """Return status, code and message with which a subscription is refused."""
    with pytest.raises(requests.HTTPError) as caught:
        subscribe(client, *given, **more)
    answer = caught.value.response
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


# --- creating, renewing, deleting -------------------------------------------------------------------------------------


def test_both_addresses_are_validated_and_get_notifications(client: Any, double: Double, endpoint: Endpoint) -> None:
    opened = subscribe(client, expiration_minutes=10_079)
    assert [urlsplit(one).path for one in endpoint.validations] == ["/notify", "/lifecycle"]
    for one in endpoint.validations:
        token = one.rpartition("validationToken=")[2]
        assert "+" in token and "%25" in token and "%2B" in token
    assert endpoint.validations[0].startswith("/notify?place=1&validationToken=")
    assert opened["clientState"] == STATE and opened["applicationId"] == CLIENT
    event = Hands(double).add(DANA, slot(0))
    double.subscriptions.settle()
    [(path, body)] = endpoint.bodies
    assert path == "/notify"
    [item] = body["value"]
    assert (item["subscriptionId"], item["clientState"], item["changeType"]) == (opened["id"], STATE, "created")
    assert item["tenantId"] == TENANT and item["subscriptionExpirationDateTime"] == opened["expirationDateTime"]
    directory_id = double.world.mailboxes[DANA].directory_id
    assert item["resource"] == item["resourceData"]["@odata.id"]
    assert item["resource"] == f"Users/{directory_id}/Events/{item['resourceData']['id']}"
    assert item["resourceData"]["id"] == f"AAMkAGI2{event}"  # the prefix of ids that are not immutable


def test_ids_are_immutable_on_request(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscribe(client, headers={"Prefer": 'IdType="ImmutableId"'})
    event = Hands(double).add(DANA, slot(0))
    double.subscriptions.settle()
    assert [item["resourceData"]["id"] for item in endpoint.items] == [event]


@pytest.mark.parametrize(
    ("reply", "change_token", "words"),
    [
        ({"status": 202}, str, "200 OK"),
        ({"status": 302, "Location": "https://longarc.example/other"}, str, "200 OK"),
        ({"Content_Type": "text/html"}, str, "text/plain"),
        ({}, lambda token: token.replace(" ", "+"), "match"),
        ({}, lambda token: f"{token}\n", "match"),
        ({}, lambda token: f'"{token}"', "match"),
    ],
)
def test_an_address_that_answers_wrongly_is_refused(
    client: Any, double: Double, endpoint: Endpoint, reply: dict[str, Any], change_token: Any, words: str
) -> None:
    endpoint.validation_reply, endpoint.change_token = reply, change_token
    status, code, message = refusal(client)
    assert (status, code) == (400, "ValidationError") and words in message
    assert len(endpoint.validations) == 1 and not double.subscriptions.live


@pytest.mark.parametrize(
    "given",
    [
        {"notification_url": "http://longarc.example/notify"},
        {"notification_url": "https://elsewhere.example/notify"},
        {"lifecycle_notification_url": "https://elsewhere.example/lifecycle"},
    ],
)
def test_an_address_that_cannot_be_reached_is_refused(client: Any, double: Double, given: dict[str, str]) -> None:
    assert refusal(client, **given)[:2] == (400, "ValidationError")
    assert not double.subscriptions.live


def test_an_address_has_to_answer_its_validation_in_time(client: Any, double: Double, endpoint: Endpoint) -> None:
    double.subscriptions.rules.validation_limit = 0.1
    released = Event()

    def wait() -> None:
        released.wait(10)

    endpoint.think = wait
    assert refusal(client) == (400, "ValidationError", "Subscription validation request timed out.")
    released.set()
    assert not double.subscriptions.live


def test_other_requests_are_answered_while_an_address_is_validated(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    """The company's server may call Graph before it answers the validation."""
    answers: list[int] = []
    token = auth.build_tokens(section(double)).get_token()

    def ask() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        answers.append(requests.get(f"{double.endpoint}/{EVENTS}", headers=headers, timeout=5).status_code)

    endpoint.think = ask
    subscribe(client)
    assert answers == [200, 200]


def test_a_subscription_lives_as_long_as_is_asked_within_bounds(client: Any, double: Double) -> None:
    words = "Subscription expiration can only be 10080 minutes in the future."
    assert refusal(client, expiration_minutes=10_081) == (400, "ExtensionError", words)
    started = datetime.now(UTC)
    opened = subscribe(client, expiration_minutes=1)
    ends = datetime.fromisoformat(opened["expirationDateTime"])
    assert started + 45 * MINUTE <= ends <= datetime.now(UTC) + 45 * MINUTE
    renewed = client.renew_subscription(opened["id"], expiration_minutes=600)
    assert datetime.fromisoformat(renewed["expirationDateTime"]) > started + 599 * MINUTE
    with pytest.raises(requests.HTTPError, match="400"):
        client.renew_subscription(opened["id"], expiration_minutes=10_081)


def test_an_expired_subscription_is_silent_and_gone(client: Any, double: Double, endpoint: Endpoint) -> None:
    opened = subscribe(client, expiration_minutes=60)
    double.subscriptions.advance(61 * MINUTE)
    add(double, 0)
    double.subscriptions.settle()
    assert endpoint.bodies == [] and list(client.list_subscriptions()) == []
    for ask in (client.get_subscription, client.delete_subscription, client.renew_subscription):
        with pytest.raises(requests.HTTPError, match="404"):
            ask(opened["id"])
    subscribe(client)


def test_a_notification_that_is_due_after_the_end_of_its_subscription_is_not_sent(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscribe(client, expiration_minutes=60)
    double.subscriptions.mishaps.append(Mishap(delay=90 * MINUTE))
    add(double, 0)
    double.subscriptions.advance(91 * MINUTE)
    double.subscriptions.settle()
    assert endpoint.bodies == []


def test_an_app_has_one_subscription_for_the_same_changes_of_a_mailbox(client: Any, double: Double) -> None:
    opened = subscribe(client)
    status, code, words = refusal(client, EVENTS.upper().replace("USERS", "Users"), "deleted,created,updated")
    assert (status, code) == (409, "ExtensionError") and "Status Code: Conflict" in words
    subscribe(client, EVENTS, "deleted")
    subscribe(client, f"users/{SAM}/events")
    subscribe(connect(double, "another app"))
    assert client.delete_subscription(opened["id"])
    assert subscribe(client)["id"] != opened["id"]


def test_a_mailbox_has_a_quota_over_all_apps(client: Any, double: Double) -> None:
    double.subscriptions.rules.mailbox_quota = 2
    subscribe(client)
    subscribe(connect(double, "another app"))
    status, code, words = refusal(connect(double, "a third app"))
    assert (status, code) == (403, "ExtensionError") and "quota" in words
    subscribe(client, f"users/{SAM}/events")


def test_an_app_sees_its_own_subscriptions_page_by_page(client: Any, double: Double) -> None:
    double.subscriptions.rules.page_size = 2
    people = [double.world.add_person(f"p{n}@example.org").address for n in range(5)]
    opened = [subscribe(client, f"users/{one}/events")["id"] for one in people]
    other = subscribe(connect(double, "another app"))
    listed = list(client.list_subscriptions())
    assert [one["id"] for one in listed] == opened
    assert {one["clientState"] for one in listed} == {None}
    assert client.get_subscription(opened[0])["resource"] == f"/users/{people[0]}/events"
    with pytest.raises(requests.HTTPError, match="404"):
        client.delete_subscription(other["id"])


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        (("Calendars.Read",), True),
        (("Calendars.ReadWrite",), True),
        (("Calendars.ReadBasic", "Mail.Send"), False),
        ((), False),
    ],
)
def test_only_an_app_that_may_read_events_can_subscribe(
    double: Double, endpoint: Endpoint, rights: Any, allowed: bool
) -> None:
    double.login.applications[CLIENT] = Application(CLIENT, rights)
    client = connect(double)
    if allowed:
        assert subscribe(client)["resource"] == f"/{EVENTS}"
    else:
        status, code, words = refusal(client)
        assert (status, code) == (403, "ExtensionError") and "Status Code: Forbidden" in words


def test_a_mailbox_that_cannot_be_read_cannot_be_subscribed_to(client: Any, double: Double) -> None:
    double.blocked.add(DANA)
    double.on_premises.add(SAM)
    assert refusal(client)[:2] == (403, "ExtensionError")
    assert "REST API is not yet supported" in refusal(client, f"users/{SAM}/events")[2]
    assert refusal(client, "users/nobody@example.org/events")[:2] == (404, "ExtensionError")
    assert refusal(client, "me/events")[0] == 400
    assert refusal(client, f"users/{SAM}/messages")[0] == 400


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"changes": "created,moved"}, "InvalidRequest"),
        ({"client_state": "x" * 129}, "InvalidRequest"),
        ({"latest_supported_tls_version": "v9"}, "InvalidRequest"),
        ({"include_resource_data": True}, "InvalidRequest"),
        ({"additional_data": {"id": "mine"}}, "InvalidRequest"),
        ({"additional_data": {"colour": "red"}}, "RequestBodyRead"),
        ({"additional_data": {"expirationDateTime": "tomorrow"}}, "RequestBodyRead"),
        ({"additional_data": {"expirationDateTime": "2020-01-01T00:00:00Z"}}, "InvalidRequest"),
        ({"additional_data": {"changeType": None}}, "InvalidRequest"),
    ],
)
def test_a_subscription_that_the_service_does_not_know_is_refused(client: Any, given: Any, code: str) -> None:
    assert refusal(client, **given)[:2] == (400, code)
