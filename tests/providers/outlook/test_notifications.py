"""What is posted to our address is read, whoever sent it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.providers.base import Notification, NotificationKind
from worker.providers.outlook.notifications import MAX_ITEMS, read_notifications

ITEM: dict[str, Any] = {
    "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
    "subscriptionExpirationDateTime": "2027-03-09T11:00:00.0000000Z",
    "clientState": "id.hmac",
    "changeType": "created",
    "resource": "Users/x/Events/y",
    "tenantId": "11111111-2222-4333-8444-555555555555",
}
LIFECYCLE = {name: value for name, value in ITEM.items() if name != "changeType"}
CHANGED = Notification("id.hmac", NotificationKind.CHANGED, remote_id=ITEM["subscriptionId"])


def read(*items: Any, **more: Any) -> list[Notification]:
    return read_notifications(json.dumps({"value": list(items), **more}).encode())


@pytest.mark.parametrize("change", ["created", "updated", "deleted", "Updated"])
def test_2_2_every_change_of_an_event_is_a_change_of_the_calendar(change: str) -> None:
    assert read({**ITEM, "changeType": change}, validationTokens=["x"]) == [CHANGED]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("reauthorizationRequired", NotificationKind.RENEW),
        ("subscriptionRemoved", NotificationKind.REMOVED),
        ("missed", NotificationKind.MISSED),
        ("Missed", NotificationKind.MISSED),
    ],
)
def test_2_3_what_becomes_of_a_subscription_is_read(event: str, kind: NotificationKind) -> None:
    wanted = [Notification("id.hmac", kind, remote_id=ITEM["subscriptionId"])]
    assert read({**LIFECYCLE, "lifecycleEvent": event}) == wanted
    assert read({**ITEM, "lifecycleEvent": event}) == wanted
    assert read({**LIFECYCLE, "lifecycleEvent": event, "changeType": None}) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        {"changeType": "moved"},
        {"changeType": None},
        {"changeType": ["created"]},
        {"lifecycleEvent": "somethingNew"},
        {"lifecycleEvent": 5},
        {"clientState": None},
        {"clientState": ""},
        {"clientState": 5},
        {"clientState": "x" * 129},
        {"clientState": "two\nlines"},
        {"clientState": "schlüssel"},
        {"clientState": "\ud800"},
        {"subscriptionId": None},
        {"subscriptionId": {}},
        {"subscriptionId": "NA" * 100},
    ],
)
def test_an_item_that_is_no_notification_does_not_hide_others(wrong: dict[str, Any]) -> None:
    assert read(ITEM, {**ITEM, **wrong}, None, 5, [], {}, "x", ITEM) == [CHANGED, CHANGED]


def test_no_more_than_a_thousand_items_are_read() -> None:
    assert len(read(*[ITEM] * (MAX_ITEMS + 1))) == MAX_ITEMS == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"value"',
        b"{}",
        b'{"value": null}',
        b'{"value": {}}',
        b'{"value": "x"}',
        b'{"value": [',
        b"\xff\xfe\x00",
        b"\x00",
        b"[" * 100_000,
        b'{"value": ' * 100_000,
        b"9" * 10_000,
        b'{"value": [NaN, Infinity]}',
    ],
)
def test_a_body_that_holds_none_is_read_as_none(body: bytes) -> None:
    assert read_notifications(body) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_none(body: bytes) -> None:
    assert read_notifications(body) == []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4) | st.sampled_from(sorted(ITEM)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ITEM)), inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys((*ITEM, "lifecycleEvent"), _VALUES)), max_size=4))
def test_whatever_the_items_hold_they_are_read(items: list[Any]) -> None:
    """What comes out can be compared with what is stored."""
    for one in read(*items):
        assert one.token.isascii() and one.remote_id and len(one.token) <= 128 and one.channel_id == ""
