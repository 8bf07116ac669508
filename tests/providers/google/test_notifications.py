"""Parsing notifications of Google. It is strict, because anybody may post to our URL."""

from typing import Any

import pytest

from worker.providers.base import Notification, NotificationKind
from worker.providers.google.notifications import read_notification

ID, TOKEN, RESOURCE = "0f" * 16, "0f.secret", "ret08u3rv24htgh289g"


def make_headers(**changed: str | None) -> dict[str, str]:
    """The headers of a notification; None leaves one out."""
    fields: dict[str, str | None] = {
        "Host": "longarc.example",
        "Content-Length": "0",
        "X-Goog-Channel-ID": ID,
        "X-Goog-Channel-Token": TOKEN,
        "X-Goog-Channel-Expiration": "Tue, 09 Mar 2027 01:13:52 GMT",
        "X-Goog-Resource-ID": RESOURCE,
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/dana%40example.org/events?alt=json",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "10",
    }
    fields |= {f"X-Goog-{name.replace('_', '-')}": value for name, value in changed.items()}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("sync", NotificationKind.OPENED),
        ("exists", NotificationKind.CHANGED),
        ("not_exists", NotificationKind.CHANGED),
    ],
)
@pytest.mark.parametrize("change_case", [str, str.lower, str.upper])
def test_each_state_has_its_kind_in_any_case_of_the_header_names(
    state: str, kind: NotificationKind, change_case: Any
) -> None:
    headers = {change_case(name): value for name, value in make_headers(Resource_State=state).items()}
    assert read_notification(headers) == Notification(TOKEN, kind, channel_id=ID, remote_id=RESOURCE)


@pytest.mark.parametrize(
    "changed_headers",
    [
        {"Resource_State": "update"},  # of another API
        {"Resource_State": "EXISTS"},
        {"Resource_State": ""},
        {"Resource_State": None},
        {"Channel_Token": None},
        {"Channel_Token": ""},
        {"Channel_Token": "t" * 129},
        {"Channel_Token": "t\u00f6ken"},
        {"Channel_Token": "to\nken"},
        {"Channel_ID": None},
        {"Channel_ID": "i" * 65},
        {"Resource_ID": None},
        {"Resource_ID": "r" * 257},
    ],
)
def test_headers_with_an_invalid_value_are_no_notification(changed_headers: dict[str, str | None]) -> None:
    assert read_notification(make_headers(**changed_headers)) is None


def test_request_without_googles_headers_is_no_notification() -> None:
    assert read_notification({}) is None
    assert read_notification({"Resource-State": "exists", "Channel-ID": ID, "Channel-Token": TOKEN}) is None


def test_values_of_the_greatest_length_are_read() -> None:
    headers = make_headers(Channel_Token="t" * 128, Channel_ID="i" * 64, Resource_ID="r" * 256)
    assert read_notification(headers) is not None
