"""What services post: notifications and handshakes. Whoever else posts there changes nothing, and learns nothing."""

import json
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support.companies import DANA, MINUTE, SAM, new_store
from tests.support.notifying import NotifyingOffice, notification_settings
from worker.domain.model import Answer
from worker.process_metrics import REGISTRY
from worker.providers.base import Channel
from worker.store import tables
from worker.web.app import make_app
from worker.web.notifications import MAX_BODY_BYTES
from worker.web.server import PageServer

ITEM_FIELDS = ("subscriptionId", "clientState", "changeType", "lifecycleEvent")
VALUES = (
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(["updated", "missed", "a"])
)
ITEMS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(ITEM_FIELDS, VALUES)) | VALUES, max_size=4)
GOOGLE, OUTLOOK = "/notify/google", "/notify/outlook"


@pytest.fixture
def office() -> Iterator[NotifyingOffice]:
    made = NotifyingOffice()
    made.tick_until_quiet()
    made.clock.advance(MINUTE)
    made.tick_until_quiet()
    made.sync_delays.clear()
    yield made
    made.close()


@pytest.fixture
def client(office: NotifyingOffice) -> FlaskClient:
    return make_app(office.worker).test_client()


def channel(office: NotifyingOffice, who: str = DANA) -> Channel:
    (found,) = office.calendar.channels_of(who)
    return found


def headers(told: Channel, state: str = "exists") -> dict[str, str]:
    """As Google sends them."""
    return {
        "X-Goog-Channel-ID": told.id,
        "X-Goog-Channel-Token": told.token,
        "X-Goog-Channel-Expiration": "Mon, 14 Sep 2026 07:00:00 GMT",
        "X-Goog-Message-Number": "10",
        "X-Goog-Resource-ID": told.remote_id,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json",
    }


def item(told: Channel, **changed: Any) -> dict[str, Any]:
    """As Microsoft sends one."""
    given = {
        "subscriptionId": told.remote_id,
        "subscriptionExpirationDateTime": "2026-09-14T07:00:00.0000000Z",
        "clientState": told.token,
        "changeType": "updated",
        "resource": "Users/1/Events/2",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "id": "2"},
        "tenantId": "t",
    }
    return given | changed


def post_items(client: FlaskClient, *items: dict[str, Any]) -> TestResponse:
    return client.post(OUTLOOK, json={"value": list(items)})


def state(office: NotifyingOffice) -> tuple[Any, ...]:
    """All that a notification could change."""
    return tuple(
        [tuple(row.items()) for row in office.rows(select(table))]
        for table in (tables.channel, tables.calendar, tables.pair, tables.outbox)
    )


def test_a_notification_of_google_makes_its_calendar_due_and_wakes_a_worker(
    office: NotifyingOffice, client: FlaskClient
) -> None:
    answer = client.post(GOOGLE, headers=headers(channel(office)))
    assert (answer.status_code, answer.data) == (204, b"")
    assert office.store.load_next_due().calendar == office.clock()
    assert office.sync_delays == [timedelta(0)]


def test_notifications_of_microsoft_come_in_one_body(office: NotifyingOffice, client: FlaskClient) -> None:
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.calendar.undelivered.clear()
    office.clock.advance(timedelta(seconds=10))
    answer = post_items(client, item(channel(office)), item(channel(office, SAM)), item(channel(office)))
    assert (answer.status_code, answer.data) == (202, b"")
    assert office.sync_delays == [timedelta(0), timedelta(seconds=5)], "one look now, and one for what came after it"
    office.tick_until_quiet()
    assert office.session().count == 1


def test_what_comes_again_within_seconds_wakes_nobody(office: NotifyingOffice, client: FlaskClient) -> None:
    """A replay is answered as any other, and costs one more look at most in five seconds."""
    for _ in range(50):
        assert client.post(GOOGLE, headers=headers(channel(office))).status_code == 204
    assert office.sync_delays == [timedelta(0), timedelta(seconds=5)]


def test_the_first_message_of_google_s_makes_nothing_due(office: NotifyingOffice, client: FlaskClient) -> None:
    before = office.store.load_next_due()
    assert client.post(GOOGLE, headers=headers(channel(office), "sync")).status_code == 204
    assert office.store.load_next_due() == before and office.sync_delays == []


@pytest.mark.parametrize("token", ["abc", "a+b% c", "<script>alert(1)</script>", "Validation: Testing ä"])
def test_a_handshake_is_answered_with_the_very_text_and_as_text(client: FlaskClient, token: str) -> None:
    answer = client.post(OUTLOOK, query_string={"validationToken": token})
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, token)
    assert answer.mimetype == "text/plain" and answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_handshake_that_is_no_handshake_is_refused(client: FlaskClient) -> None:
    assert client.post(OUTLOOK, query_string={"validationToken": "x" * 10_000}).status_code == 400
    assert client.get(OUTLOOK, query_string={"validationToken": "x"}).status_code in (404, 405)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Goog-Channel-Token", "0" * 32 + "." + "0" * 43),
        ("X-Goog-Channel-Token", ""),
        ("X-Goog-Channel-ID", "0" * 32),
        ("X-Goog-Resource-ID", "of somebody else"),
        ("X-Goog-Resource-State", "gone"),
    ],
)
def test_a_forged_notification_is_answered_as_any_other_and_changes_nothing(
    office: NotifyingOffice, client: FlaskClient, name: str, value: str
) -> None:
    before = state(office)
    answer = client.post(GOOGLE, headers={**headers(channel(office)), name: value})
    assert state(office) == before and office.sync_delays == []
    genuine = client.post(GOOGLE, headers=headers(channel(office), "sync"))
    assert (answer.status_code, answer.data) == (genuine.status_code, genuine.data) == (204, b"")


@pytest.mark.parametrize(
    "changed",
    [
        {"clientState": "wrong"},
        {"clientState": None},
        {"clientState": ["a"]},
        {"subscriptionId": "another"},
        {"changeType": "exploded"},
    ],
)
def test_a_forged_item_does_not_spoil_the_others(
    office: NotifyingOffice, client: FlaskClient, changed: dict[str, Any]
) -> None:
    before = state(office)
    assert post_items(client, item(channel(office), **changed)).status_code == 202
    assert state(office) == before
    post_items(client, item(channel(office), **changed), item(channel(office)))
    assert office.sync_delays == [timedelta(0)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | ITEMS.map(lambda items: json.dumps({"value": items})))
def test_no_body_breaks_it(office: NotifyingOffice, client: FlaskClient, body: bytes | str) -> None:
    assert client.post(OUTLOOK, data=body).status_code == 202
    assert client.post(GOOGLE, data=body).status_code == 204
    assert office.sync_delays == []


def test_a_body_that_is_too_long_is_not_read(office: NotifyingOffice, client: FlaskClient) -> None:
    padded = item(channel(office), resource="x" * MAX_BODY_BYTES)
    assert post_items(client, padded).status_code in (202, 413)
    assert office.sync_delays == []


def test_without_an_address_for_them_nothing_is_taken() -> None:
    office = NotifyingOffice(known=notification_settings(notify_url=""))
    client = make_app(office.worker).test_client()
    assert client.post(GOOGLE).status_code == client.post(OUTLOOK).status_code == 404
    office.close()


def test_nothing_of_a_notification_is_logged_and_each_is_counted(
    office: NotifyingOffice, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("longarc_notifications_total", {"outcome": outcome}) or 0.0

    accepted, refused = count("accepted"), count("refused")
    caplog.set_level("DEBUG")
    client.post(GOOGLE, headers=headers(channel(office)))
    client.post(GOOGLE, headers={**headers(channel(office)), "X-Goog-Channel-Token": "forged"})
    assert (count("accepted") - accepted, count("refused") - refused) == (1, 1)
    told = channel(office)
    assert not any(secret in caplog.text for secret in (told.token, told.id, told.remote_id, DANA, "forged"))


def test_a_queue_that_cannot_be_reached_loses_nothing(office: NotifyingOffice, client: FlaskClient) -> None:
    def fail(delay: timedelta) -> None:
        raise OSError("the queue is away")

    office.worker.schedule_sync = fail
    assert client.post(GOOGLE, headers=headers(channel(office))).status_code == 204
    assert office.store.load_next_due().calendar == office.clock(), "the next tick finds it"


def test_a_flood_of_forged_notifications_keeps_no_page_from_being_served(tmp_path: Any) -> None:
    """2,000 from four connections, on loopback; and a page in between is answered."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store = new_store(url)
    store.create_tables()
    store.close()
    pages_anywhere = notification_settings(url).pages.model_copy(update={"listen": "127.0.0.1:0"})
    office = NotifyingOffice(url, known=notification_settings(url).model_copy(update={"pages": pages_anywhere}))
    office.tick_until_quiet()
    before = state(office)
    statuses: list[int] = []
    is_flooded = Event()

    def flood(port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(500):
            forged = {"X-Goog-Channel-ID": f"{number:032x}", "X-Goog-Channel-Token": f"{number:032x}.{'0' * 43}"}
            rest = {"X-Goog-Resource-ID": "r", "X-Goog-Resource-State": "exists"}
            connection.request("POST", GOOGLE, headers={**forged, **rest})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            if len(statuses) >= 200:
                is_flooded.set()
        connection.close()

    with PageServer(office.worker) as pages:
        senders = [Thread(target=flood, args=(pages.port,)) for _ in range(4)]
        for sender in senders:
            sender.start()
        assert is_flooded.wait(30)
        page = HTTPConnection("127.0.0.1", pages.port, timeout=30)
        page.request("GET", "/healthy")
        assert page.getresponse().status == 200
        assert len(statuses) < 2000, "it waited for the flood to end"
        page.close()
        for sender in senders:
            sender.join()
    assert statuses == [204] * 2000
    assert state(office) == before and office.sync_delays == []
    office.close()
