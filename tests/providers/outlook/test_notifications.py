"""Parsing notifications of Microsoft 365. Anybody may post to our URL."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.providers.base import Notification, NotificationKind
from worker.providers.outlook.notifications import MAX_ITEMS, read_notifications

#: One notification in the body of a request.
ITEM: dict[str, Any] = {
    "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
    "subscriptionExpirationDateTime": "2027-03-09T11:00:00.0000000Z",
    "clientState": "id.hmac",
    "changeType": "created",
    "resource": "Users/x/Events/y",
    "tenantId": "11111111-2222-4333-8444-555555555555",
}
#: An item that tells what happened to the subscription itself, when `lifecycleEvent` is added.
LIFECYCLE_ITEM = {name: value for name, value in ITEM.items() if name != "changeType"}
CHANGE_NOTIFICATION = Notification("id.hmac", NotificationKind.CHANGED, remote_id=ITEM["subscriptionId"])


def parse_items(*items: Any, **more: Any) -> list[Notification]:
    """Return the notifications in a body with these items; `more` adds fields to the body."""
    return read_notifications(json.dumps({"value": list(items), **more}).encode())


@pytest.mark.parametrize("change", ["created", "updated", "deleted", "Updated"])
def test_every_change_type_becomes_a_change_of_the_calendar(change: str) -> None:
    assert parse_items({**ITEM, "changeType": change}, validationTokens=["x"]) == [CHANGE_NOTIFICATION]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("reauthorizationRequired", NotificationKind.RENEW),
        ("subscriptionRemoved", NotificationKind.REMOVED),
        ("missed", NotificationKind.MISSED),
        ("Missed", NotificationKind.MISSED),
    ],
)
def test_each_lifecycle_event_has_its_kind_of_notification(event: str, kind: NotificationKind) -> None:
    expected = [Notification("id.hmac", kind, remote_id=ITEM["subscriptionId"])]
    assert parse_items({**LIFECYCLE_ITEM, "lifecycleEvent": event}) == expected
    assert parse_items({**ITEM, "lifecycleEvent": event}) == expected
    assert parse_items({**LIFECYCLE_ITEM, "lifecycleEvent": event, "changeType": None}) == expected


@pytest.mark.parametrize(
    "wrong_fields",
    [
        {"changeType": "moved"},
        {"changeType": None},
        {"changeType": ["created"]},
        {"lifecycleEvent": "somethingNew"},
        {"lifecycleEvent": 5},
        {"clientState": None},
        {"clientState": ""},
        {"clientState": 5},
        {"clientState": "x" * 129},  # at most 128
        {"clientState": "two\nlines"},
        {"clientState": "schlüssel"},
        {"clientState": "\ud800"},  # half a character
        {"subscriptionId": None},
        {"subscriptionId": {}},
        {"subscriptionId": "NA" * 100},
    ],
)
def test_invalid_item_does_not_hide_valid_items(wrong_fields: dict[str, Any]) -> None:
    assert parse_items(ITEM, {**ITEM, **wrong_fields}, None, 5, [], {}, "x", ITEM) == [CHANGE_NOTIFICATION] * 2


def test_at_most_a_thousand_items_are_read() -> None:
    assert len(parse_items(*[ITEM] * (MAX_ITEMS + 1))) == MAX_ITEMS == 1000


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
def test_body_without_valid_items_holds_no_notification(body: bytes) -> None:
    assert read_notifications(body) == []


@given(st.binary(max_size=200))
def test_random_bytes_hold_no_notification(body: bytes) -> None:
    assert read_notifications(body) == []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4) | st.sampled_from(sorted(ITEM)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ITEM)), inner, max_size=4),
    max_leaves=6,
)


_ITEMS = st.fixed_dictionaries({}, optional=dict.fromkeys((*ITEM, "lifecycleEvent"), _VALUES))
#: Valid notifications in which at most one value is any value.
_NEARLY_VALID_ITEMS = st.builds(
    lambda changed: {**ITEM, **changed}, st.dictionaries(st.sampled_from(sorted(ITEM)), _VALUES, max_size=1)
)


@given(st.lists(_ITEMS | _NEARLY_VALID_ITEMS, max_size=4))
@example([ITEM, {**ITEM, "clientState": "é"}, LIFECYCLE_ITEM])
def test_items_with_any_values_result_in_valid_notifications_or_none(items: list[Any]) -> None:
    """Token and id of each notification can be compared with the stored ones."""
    for notification in parse_items(*items):
        assert (
            notification.token.isascii()
            and notification.remote_id
            and len(notification.token) <= 128
            and notification.channel_id == ""
        )
