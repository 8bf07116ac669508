"""The double of Microsoft Graph accepts and refuses subscriptions to the changes of a calendar as Graph does."""

from datetime import UTC, datetime
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.doubles.graph import CLIENT, Double, Hands, Mishap, make_section
from tests.doubles.graph.login import TENANT, Application
from tests.doubles.graph.odata import DEFAULT_ID_PREFIX
from tests.doubles.graph_subscriptions.support import (
    CLIENT_STATE,
    DANA,
    DANAS_EVENTS,
    MINUTE,
    SAM,
    Endpoint,
    add_events,
    connect_app,
    slot,
    subscribe,
)
from worker.providers.outlook import auth


def get_refusal(client: Any, *arguments: Any, **options: Any) -> tuple[int, str, str]:
    """Call `subscribe`, which is refused, and return the status, code and message of the refusal."""
    with pytest.raises(requests.HTTPError) as error_info:
        subscribe(client, *arguments, **options)
    answer = error_info.value.response
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


# --- creating, renewing, deleting -------------------------------------------------------------------------------------


def test_both_addresses_are_validated_and_get_notifications(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscription = subscribe(client, expiration_minutes=10_079)  # a minute less than seven days
    assert [urlsplit(url).path for url in endpoint.validations] == ["/notify", "/lifecycle"]
    for url in endpoint.validations:
        token = url.rpartition("validationToken=")[2]
        assert "+" in token and "%25" in token and "%2B" in token  # so an endpoint has to decode the token
    assert endpoint.validations[0].startswith("/notify?place=1&validationToken=")
    assert subscription["clientState"] == CLIENT_STATE and subscription["applicationId"] == CLIENT
    event = Hands(double).add(DANA, slot(0))
    double.subscriptions.settle()
    [(path, body)] = endpoint.bodies
    assert path == "/notify"
    [item] = body["value"]
    assert (item["subscriptionId"], item["clientState"], item["changeType"]) == (
        subscription["id"],
        CLIENT_STATE,
        "created",
    )
    assert item["tenantId"] == TENANT and item["subscriptionExpirationDateTime"] == subscription["expirationDateTime"]
    directory_id = double.world.mailboxes[DANA].directory_id
    assert item["resource"] == item["resourceData"]["@odata.id"]
    assert item["resource"] == f"Users/{directory_id}/Events/{item['resourceData']['id']}"
    assert item["resourceData"]["id"] == f"{DEFAULT_ID_PREFIX}{event}"  # no immutable id


def test_ids_are_immutable_on_request(client: Any, double: Double, endpoint: Endpoint) -> None:
    subscribe(client, headers={"Prefer": 'IdType="ImmutableId"'})
    event = Hands(double).add(DANA, slot(0))
    double.subscriptions.settle()
    assert [item["resourceData"]["id"] for item in endpoint.items] == [event]


@pytest.mark.parametrize(
    ("reply", "change_token", "message_part"),
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
    client: Any, double: Double, endpoint: Endpoint, reply: dict[str, Any], change_token: Any, message_part: str
) -> None:
    endpoint.validation_reply, endpoint.change_token = reply, change_token
    status, code, message = get_refusal(client)
    assert (status, code) == (400, "ValidationError") and message_part in message
    assert len(endpoint.validations) == 1 and not double.subscriptions.live


@pytest.mark.parametrize(
    "options",
    [
        {"notification_url": "http://longarc.example/notify"},
        {"notification_url": "https://elsewhere.example/notify"},
        {"lifecycle_notification_url": "https://elsewhere.example/lifecycle"},
    ],
)
def test_an_address_that_cannot_be_reached_is_refused(client: Any, double: Double, options: dict[str, str]) -> None:
    assert get_refusal(client, **options)[:2] == (400, "ValidationError")
    assert not double.subscriptions.live


def test_an_address_that_answers_its_validation_too_late_is_refused(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    double.subscriptions.rules.validation_limit = 0.1
    may_answer = Event()

    def wait() -> None:
        may_answer.wait(10)

    endpoint.think = wait
    assert get_refusal(client) == (400, "ValidationError", "Subscription validation request timed out.")
    may_answer.set()
    assert not double.subscriptions.live


def test_other_requests_are_answered_while_an_address_is_validated(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    """The company's server may call Graph before it answers the validation."""
    statuses: list[int] = []
    token = auth.build_tokens(make_section(double)).get_token()

    def send_request() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        statuses.append(requests.get(f"{double.endpoint}/{DANAS_EVENTS}", headers=headers, timeout=5).status_code)

    endpoint.think = send_request
    subscribe(client)
    assert statuses == [200, 200]  # one request for each of the two addresses that are validated


def test_a_subscription_lives_from_45_minutes_to_seven_days(client: Any, double: Double) -> None:
    message = "Subscription expiration can only be 10080 minutes in the future."  # seven days
    assert get_refusal(client, expiration_minutes=10_081) == (400, "ExtensionError", message)
    time_before = datetime.now(UTC)
    subscription = subscribe(client, expiration_minutes=1)
    expiration = datetime.fromisoformat(subscription["expirationDateTime"])
    assert time_before + 45 * MINUTE <= expiration <= datetime.now(UTC) + 45 * MINUTE
    renewed = client.renew_subscription(subscription["id"], expiration_minutes=600)
    assert datetime.fromisoformat(renewed["expirationDateTime"]) > time_before + 599 * MINUTE
    with pytest.raises(requests.HTTPError, match="400"):
        client.renew_subscription(subscription["id"], expiration_minutes=10_081)


def test_an_expired_subscription_sends_nothing_and_is_not_found(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscription = subscribe(client, expiration_minutes=60)
    double.subscriptions.advance(61 * MINUTE)
    add_events(double, 0)
    double.subscriptions.settle()
    assert endpoint.bodies == [] and list(client.list_subscriptions()) == []
    for method in (client.get_subscription, client.delete_subscription, client.renew_subscription):
        with pytest.raises(requests.HTTPError, match="404"):
            method(subscription["id"])
    subscribe(client)


def test_a_notification_that_is_due_after_the_end_of_its_subscription_is_not_sent(
    client: Any, double: Double, endpoint: Endpoint
) -> None:
    subscribe(client, expiration_minutes=60)
    double.subscriptions.mishaps.append(Mishap(delay=90 * MINUTE))
    add_events(double, 0)
    double.subscriptions.advance(91 * MINUTE)
    double.subscriptions.settle()
    assert endpoint.bodies == []


def test_an_app_has_one_subscription_for_the_same_changes_of_a_mailbox(client: Any, double: Double) -> None:
    subscription = subscribe(client)
    status, code, message = get_refusal(client, f"Users/{DANA.upper()}/EVENTS", "deleted,created,updated")
    assert (status, code) == (409, "ExtensionError") and "Status Code: Conflict" in message
    subscribe(client, DANAS_EVENTS, "deleted")
    subscribe(client, f"users/{SAM}/events")
    subscribe(connect_app(double, "another app"))
    assert client.delete_subscription(subscription["id"])
    assert subscribe(client)["id"] != subscription["id"]


def test_a_mailbox_has_a_quota_over_all_apps(client: Any, double: Double) -> None:
    double.subscriptions.rules.mailbox_quota = 2
    subscribe(client)
    subscribe(connect_app(double, "another app"))
    status, code, message = get_refusal(connect_app(double, "a third app"))
    assert (status, code) == (403, "ExtensionError") and "quota" in message
    subscribe(client, f"users/{SAM}/events")


def test_an_app_lists_only_its_own_subscriptions_over_pages(client: Any, double: Double) -> None:
    double.subscriptions.rules.page_size = 2
    people = [double.world.add_person(f"p{n}@example.org").address for n in range(5)]
    subscription_ids = [subscribe(client, f"users/{person}/events")["id"] for person in people]
    subscription_of_another_app = subscribe(connect_app(double, "another app"))
    subscriptions = list(client.list_subscriptions())
    assert [subscription["id"] for subscription in subscriptions] == subscription_ids
    assert {subscription["clientState"] for subscription in subscriptions} == {None}
    assert client.get_subscription(subscription_ids[0])["resource"] == f"/users/{people[0]}/events"
    with pytest.raises(requests.HTTPError, match="404"):
        client.delete_subscription(subscription_of_another_app["id"])


@pytest.mark.parametrize(
    ("rights", "is_allowed"),
    [
        (("Calendars.Read",), True),
        (("Calendars.ReadWrite",), True),
        (("Calendars.ReadBasic", "Mail.Send"), False),
        ((), False),
    ],
)
def test_only_an_app_that_may_read_events_can_subscribe(
    double: Double, endpoint: Endpoint, rights: Any, is_allowed: bool
) -> None:
    double.login.applications[CLIENT] = Application(CLIENT, rights)
    client = connect_app(double)
    if is_allowed:
        assert subscribe(client)["resource"] == f"/{DANAS_EVENTS}"
    else:
        status, code, message = get_refusal(client)
        assert (status, code) == (403, "ExtensionError") and "Status Code: Forbidden" in message


def test_a_mailbox_that_cannot_be_read_cannot_be_subscribed_to(client: Any, double: Double) -> None:
    double.blocked.add(DANA)
    double.on_premises.add(SAM)
    assert get_refusal(client)[:2] == (403, "ExtensionError")
    assert "REST API is not yet supported" in get_refusal(client, f"users/{SAM}/events")[2]
    assert get_refusal(client, "users/nobody@example.org/events")[:2] == (404, "ExtensionError")
    assert get_refusal(client, "me/events")[0] == 400
    assert get_refusal(client, f"users/{SAM}/messages")[0] == 400


@pytest.mark.parametrize(
    ("options", "code"),
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
def test_a_subscription_with_invalid_fields_is_refused(client: Any, options: Any, code: str) -> None:
    assert get_refusal(client, **options)[:2] == (400, code)
