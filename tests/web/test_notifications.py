"""Notifications and handshakes that calendar services post. Forged ones change nothing and get the usual answer."""

import json
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support.companies import DANA, SAM, new_store
from tests.support.notifying import NotifyingOffice, notification_settings
from worker.domain.model import Answer
from worker.process_metrics import REGISTRY
from worker.providers.base import Channel
from worker.store import tables
from worker.web.app import make_app
from worker.web.notifications import MAX_BODY_BYTES
from worker.web.security import MAX_FORM_BYTES
from worker.web.server import PageServer

#: The fields of an item of Microsoft Graph that we read.
ITEM_FIELDS = ("subscriptionId", "clientState", "changeType", "lifecycleEvent")
#: Right and wrong values of such a field.
VALUES = (
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(["updated", "missed", "a"])
)
#: The content of a body: items, and other values in their place.
ITEMS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(ITEM_FIELDS, VALUES)) | VALUES, max_size=4)
GOOGLE, OUTLOOK = "/notify/google", "/notify/outlook"
#: The size of the chunks in which a test sends a body.
CHUNK_BYTES = 64 * 1024
#: How long a worker is woken at most once: notifications that follow within this time share one wake-up, at its end.
WAKING_PERIOD = timedelta(seconds=5)
#: A flood of forged notifications: from so many connections at once, so many from each.
FLOOD_CONNECTIONS, FLOOD_NOTIFICATIONS = 4, 500


@pytest.fixture
def office() -> Iterator[NotifyingOffice]:
    """Dana and Sam with a booked session. The channels of both calendars are open, and no worker is to be woken."""
    notifying_office = NotifyingOffice()
    notifying_office.prove_channels()
    notifying_office.sync_delays.clear()
    yield notifying_office
    notifying_office.close()


@pytest.fixture
def client(office: NotifyingOffice) -> FlaskClient:
    return make_app(office.worker).test_client()


def make_serving_office(folder: Path) -> NotifyingOffice:
    """Return an office whose pages can be served at a free port: its database is a file, which threads can share."""
    url = f"sqlite:///{folder / 'longarc.db'}"
    store = new_store(url)
    store.create_tables()
    store.close()
    pages_settings = notification_settings(url).pages.model_copy(update={"listen": "127.0.0.1:0"})
    office = NotifyingOffice(
        url, office_settings=notification_settings(url).model_copy(update={"pages": pages_settings})
    )
    office.tick_until_quiet()
    return office


def find_channel(office: NotifyingOffice, address: str = DANA) -> Channel:
    """Return the channel that is open for the calendar."""
    (open_channel,) = office.calendar.channels_of(address)
    return open_channel


def make_google_headers(open_channel: Channel, resource_state: str = "exists") -> dict[str, str]:
    """Return the headers of a notification of Google."""
    return {
        "X-Goog-Channel-ID": open_channel.id,
        "X-Goog-Channel-Token": open_channel.token,
        "X-Goog-Channel-Expiration": "Mon, 14 Sep 2026 07:00:00 GMT",
        "X-Goog-Message-Number": "10",
        "X-Goog-Resource-ID": open_channel.remote_id,
        "X-Goog-Resource-State": resource_state,
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json",
    }


def make_graph_item(open_channel: Channel, **changes: Any) -> dict[str, Any]:
    """Return an item of a notification of Microsoft Graph."""
    fields = {
        "subscriptionId": open_channel.remote_id,
        "subscriptionExpirationDateTime": "2026-09-14T07:00:00.0000000Z",
        "clientState": open_channel.token,
        "changeType": "updated",
        "resource": "Users/1/Events/2",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "id": "2"},
        "tenantId": "t",
    }
    return fields | changes


def make_forged_token(channel_id: str) -> str:
    """Return a text of the form of a channel's token, with a wrong signature."""
    return f"{channel_id}.{'0' * 43}"


def post_items(client: FlaskClient, *items: dict[str, Any]) -> TestResponse:
    return client.post(OUTLOOK, json={"value": list(items)})


def read_state(office: NotifyingOffice) -> tuple[Any, ...]:
    """Return the rows of all tables that a notification can change."""
    return tuple(
        [tuple(row.items()) for row in office.rows(select(table))]
        for table in (tables.channel, tables.calendar, tables.pair, tables.outbox)
    )


def test_a_notification_of_google_makes_its_calendar_due_and_wakes_a_worker(
    office: NotifyingOffice, client: FlaskClient
) -> None:
    answer = client.post(GOOGLE, headers=make_google_headers(find_channel(office)))
    assert (answer.status_code, answer.data) == (204, b"")
    assert office.store.load_next_due().calendar == office.clock()
    assert office.sync_delays == [timedelta(0)]


def test_several_items_of_microsoft_in_one_body_wake_a_worker_once_at_once(
    office: NotifyingOffice, client: FlaskClient
) -> None:
    """The worker then reads the change: Sam has declined, so that the session is deferred."""
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.calendar.undelivered.clear()  # the notifications that the calendar itself sends
    office.clock.advance(timedelta(seconds=10))
    answer = post_items(
        client,
        make_graph_item(find_channel(office)),
        make_graph_item(find_channel(office, SAM)),
        make_graph_item(find_channel(office)),
    )
    assert (answer.status_code, answer.data) == (202, b"")
    # one wake-up at once, and one for the notifications that follow
    assert office.sync_delays == [timedelta(0), WAKING_PERIOD]
    office.tick_until_quiet()
    assert office.session().count == 1


def test_repeated_notifications_wake_a_worker_at_most_once_in_five_seconds(
    office: NotifyingOffice, client: FlaskClient
) -> None:
    """Each is answered as the first one."""
    for _ in range(50):
        assert client.post(GOOGLE, headers=make_google_headers(find_channel(office))).status_code == 204
    assert office.sync_delays == [timedelta(0), WAKING_PERIOD]


def test_the_sync_message_of_google_makes_nothing_due(office: NotifyingOffice, client: FlaskClient) -> None:
    """Google sends it when a channel is opened; it reports no change."""
    before = office.store.load_next_due()
    assert client.post(GOOGLE, headers=make_google_headers(find_channel(office), "sync")).status_code == 204
    assert office.store.load_next_due() == before and office.sync_delays == []


@pytest.mark.parametrize("token", ["abc", "a+b% c", "<script>alert(1)</script>", "Validation: Testing ä"])
def test_a_handshake_of_microsoft_is_answered_with_its_token_as_plain_text(client: FlaskClient, token: str) -> None:
    answer = client.post(OUTLOOK, query_string={"validationToken": token})
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, token)
    assert answer.mimetype == "text/plain" and answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_handshake_that_is_too_long_or_comes_by_get_is_refused(client: FlaskClient) -> None:
    assert client.post(OUTLOOK, query_string={"validationToken": "x" * 10_000}).status_code == 400
    assert client.get(OUTLOOK, query_string={"validationToken": "x"}).status_code in (404, 405)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Goog-Channel-Token", make_forged_token("0" * 32)),
        ("X-Goog-Channel-Token", ""),
        ("X-Goog-Channel-ID", "0" * 32),
        ("X-Goog-Resource-ID", "another resource"),
        ("X-Goog-Resource-State", "no-such-state"),
    ],
)
def test_a_forged_notification_changes_nothing_and_gets_the_usual_answer(
    office: NotifyingOffice, client: FlaskClient, name: str, value: str
) -> None:
    before = read_state(office)
    answer = client.post(GOOGLE, headers={**make_google_headers(find_channel(office)), name: value})
    assert read_state(office) == before and office.sync_delays == []
    genuine_answer = client.post(GOOGLE, headers=make_google_headers(find_channel(office), "sync"))
    assert (answer.status_code, answer.data) == (genuine_answer.status_code, genuine_answer.data) == (204, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"clientState": "wrong"},
        {"clientState": None},
        {"clientState": ["a"]},
        {"subscriptionId": "another"},
        {"changeType": "no-such-type"},
    ],
)
def test_a_forged_item_changes_nothing_and_other_items_count(
    office: NotifyingOffice, client: FlaskClient, changes: dict[str, Any]
) -> None:
    before = read_state(office)
    assert post_items(client, make_graph_item(find_channel(office), **changes)).status_code == 202
    assert read_state(office) == before
    post_items(client, make_graph_item(find_channel(office), **changes), make_graph_item(find_channel(office)))
    assert office.sync_delays == [timedelta(0)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | ITEMS.map(lambda items: json.dumps({"value": items})))
def test_no_body_of_a_request_causes_an_error(office: NotifyingOffice, client: FlaskClient, body: bytes | str) -> None:
    assert client.post(OUTLOOK, data=body).status_code == 202
    assert client.post(GOOGLE, data=body).status_code == 204
    assert office.sync_delays == []


def test_a_body_that_is_too_long_is_ignored(office: NotifyingOffice, client: FlaskClient) -> None:
    long_item = make_graph_item(find_channel(office), resource="x" * MAX_BODY_BYTES)
    assert post_items(client, long_item).status_code == 202
    assert office.sync_delays == []
    assert post_items(client, {**long_item, "resource": "x"}).status_code == 202
    assert office.sync_delays == [timedelta(0)]


def test_a_body_sent_in_chunks_has_the_same_limit(tmp_path: Path) -> None:
    """A body without a content length is buffered by the server, which refuses it before its end when it is too long.

    The server accepts up to twice the limit of a form, and a notification is ignored above `MAX_BODY_BYTES`. Spaces
    after the JSON make each body as long as the test needs it.
    """
    office = make_serving_office(tmp_path)
    office.prove_channels()
    office.sync_delays.clear()
    item = json.dumps({"value": [make_graph_item(find_channel(office))]}).encode()
    with PageServer(office.worker) as pages:
        assert post_chunks(pages.port, item.ljust(MAX_BODY_BYTES + 1), is_complete=True) == 202
        assert office.sync_delays == []
        # The limit of the server includes the lines around the chunks, which take less than 1 KiB here.
        assert post_chunks(pages.port, item.ljust(2 * MAX_FORM_BYTES - 1024), is_complete=True) == 202
        assert post_chunks(pages.port, item.ljust(2 * MAX_FORM_BYTES), is_complete=False) == 413
        assert office.sync_delays == []
        assert post_chunks(pages.port, item.ljust(MAX_BODY_BYTES), is_complete=True) == 202
        assert office.sync_delays == [timedelta(0)]
    office.close()


def post_chunks(port: int, body: bytes, *, is_complete: bool) -> int:
    """Send a notification in chunks, with or without the last one, which ends the body. Return the status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", OUTLOOK)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for start in range(0, len(body), CHUNK_BYTES):
        chunk = body[start : start + CHUNK_BYTES]
        connection.send(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    if is_complete:
        connection.send(b"0\r\n\r\n")
    status = connection.getresponse().status
    connection.close()
    return status


def test_no_notifications_are_accepted_without_a_notify_url() -> None:
    office = NotifyingOffice(office_settings=notification_settings(notify_url=""))
    client = make_app(office.worker).test_client()
    assert client.post(GOOGLE).status_code == client.post(OUTLOOK).status_code == 404
    office.close()


def test_notifications_are_counted_and_their_secrets_are_not_logged(
    office: NotifyingOffice, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("longarc_notifications_total", {"outcome": outcome}) or 0.0

    accepted_before, refused_before = count("accepted"), count("refused")
    caplog.set_level("DEBUG")
    client.post(GOOGLE, headers=make_google_headers(find_channel(office)))
    client.post(GOOGLE, headers={**make_google_headers(find_channel(office)), "X-Goog-Channel-Token": "forged"})
    assert (count("accepted") - accepted_before, count("refused") - refused_before) == (1, 1)
    open_channel = find_channel(office)
    assert not any(
        secret in caplog.text
        for secret in (open_channel.token, open_channel.id, open_channel.remote_id, DANA, "forged")
    )


def test_a_notification_makes_the_calendar_due_also_without_a_queue(
    office: NotifyingOffice, client: FlaskClient
) -> None:
    def fail(delay: timedelta) -> None:
        raise OSError("the queue can't be reached")

    office.worker.schedule_sync = fail
    assert client.post(GOOGLE, headers=make_google_headers(find_channel(office))).status_code == 204
    assert office.store.load_next_due().calendar == office.clock(), "the next tick does not poll it"


def test_pages_are_served_during_a_flood_of_forged_notifications(tmp_path: Path) -> None:
    """A page that is requested meanwhile is answered before the flood ends."""
    office = make_serving_office(tmp_path)
    before = read_state(office)
    statuses: list[int] = []
    is_flooded, flood_size = Event(), FLOOD_CONNECTIONS * FLOOD_NOTIFICATIONS

    def flood(port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(FLOOD_NOTIFICATIONS):
            channel_id = f"{number:032x}"
            forged_headers = {
                "X-Goog-Channel-ID": channel_id,
                "X-Goog-Channel-Token": make_forged_token(channel_id),
            }
            other_headers = {"X-Goog-Resource-ID": "r", "X-Goog-Resource-State": "exists"}
            connection.request("POST", GOOGLE, headers={**forged_headers, **other_headers})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            if len(statuses) >= FLOOD_NOTIFICATIONS // 2:
                is_flooded.set()
        connection.close()

    with PageServer(office.worker) as pages:
        senders = [Thread(target=flood, args=(pages.port,)) for _ in range(FLOOD_CONNECTIONS)]
        for sender in senders:
            sender.start()
        assert is_flooded.wait(30)
        page = HTTPConnection("127.0.0.1", pages.port, timeout=30)
        page.request("GET", "/healthy")
        assert page.getresponse().status == 200
        assert len(statuses) < flood_size, "the page was answered only after the flood"
        page.close()
        for sender in senders:
            sender.join()
    assert statuses == [204] * flood_size
    assert read_state(office) == before and office.sync_delays == []
    office.close()
