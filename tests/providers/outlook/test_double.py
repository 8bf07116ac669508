"""The double of Microsoft 365 is as strict as the service."""

from datetime import date
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, section
from tests.doubles.graph.schema import Schema, SchemaError
from tests.support.drafts import WINDOW, at
from tests.support.outlook import request_with_token
from worker.domain.model import Span
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar

EVENT = {
    "subject": "x",
    "start": {"dateTime": "2027-03-09T10:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2027-03-09T11:00:00", "timeZone": "UTC"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"sendUpdates": "all"},
        {"subject": 5},
        {"showAs": "away"},
        {"attendees": {"emailAddress": {"address": "a@x"}}},
        {"attendees": [{"email": "a@x"}]},
        {"isOnlineMeeting": "yes"},
    ],
)
def test_what_the_metadata_does_not_know_is_refused(double: Double, hands: Hands, change: dict[str, Any]) -> None:
    answer = request_with_token(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert answer.status_code == 400, answer.text


def test_a_parameter_that_no_action_has_is_refused(double: Double, hands: Hands) -> None:
    dana = hands.person()
    made = request_with_token(double, "POST", f"users/{dana}/events", json=EVENT).json()
    answer = request_with_token(double, "POST", f"users/{dana}/events/{made['id']}/cancel", json={"message": "x"})
    assert answer.status_code == 400
    with pytest.raises(SchemaError):
        Schema().check_action("cancel", "message", {})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"start": {"dateTime": "2027-03-09T10:00:00+01:00", "timeZone": "UTC"}}, "ErrorInvalidRequest"),
        ({"start": {"dateTime": "2027-03-09T10:00:00", "timeZone": "Mars"}}, "TimeZoneNotSupportedException"),
        ({"isAllDay": True}, "ErrorInvalidRequest"),
        ({"id": "mine"}, "ErrorInvalidPropertySet"),
        ({"attendees": [{"emailAddress": {"address": "nobody"}}]}, "ErrorInvalidRecipients"),
        ({"singleValueExtendedProperties": [{"id": "Key", "value": "v"}]}, "ErrorInvalidProperty"),
    ],
)
def test_what_the_service_refuses_the_double_refuses(
    double: Double, hands: Hands, change: dict[str, Any], code: str
) -> None:
    answer = request_with_token(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_views_rounds_and_batches_have_their_bounds(double: Double, hands: Hands) -> None:
    dana = hands.person()
    bounds = "startDateTime=2027-03-01T00:00:00Z&endDateTime=2027-04-01T00:00:00Z"
    for path in (
        f"users/{dana}/calendarView",
        f"users/{dana}/calendarView/delta?{bounds}&$select=id",
        f"users/{dana}/events?$filter=transactionId eq 'x'",
        f"users/{dana}/events?$select=nothing",
        f"me/events?{bounds}",
    ):
        assert request_with_token(double, "GET", path).status_code == 400, path
    many = [{"id": str(n), "method": "GET", "url": f"/users/{dana}/events"} for n in range(21)]
    assert request_with_token(double, "POST", "$batch", json={"requests": many}).status_code == 400
    schedule = {"schedules": [dana] * 21, "startTime": EVENT["start"], "endTime": EVENT["end"]}
    assert request_with_token(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400
    schedule |= {"schedules": [dana], "endTime": {"dateTime": "2027-05-10T10:00:00", "timeZone": "UTC"}}
    assert request_with_token(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400


def test_a_batch_answers_each_by_itself(double: Double, hands: Hands) -> None:
    dana = hands.person()
    items = [
        {"id": "1", "method": "GET", "url": f"/users/{dana}/events/none"},
        {"id": "2", "method": "GET", "url": f"/users/{dana}/events"},
        {"id": "3", "method": "GET", "url": f"/users/{dana}/events", "dependsOn": ["1"]},
        {"id": "4", "method": "POST", "url": f"/users/{dana}/events", "body": EVENT},
    ]
    answers = request_with_token(double, "POST", "$batch", json={"requests": items}).json()["responses"]
    assert {one["id"]: one["status"] for one in answers} == {"1": 404, "2": 200, "3": 424, "4": 400}


def test_mail_headers_without_an_x_and_base64_for_urls_are_refused(double: Double) -> None:
    dana = double.world.add_person("dana@example.org").address
    message = {
        "subject": "x",
        "toRecipients": [{"emailAddress": {"address": "sam@example.org"}}],
        "internetMessageHeaders": [{"name": "Auto-Submitted", "value": "x"}],
    }
    answer = request_with_token(double, "POST", f"users/{dana}/sendMail", json={"message": message})
    assert answer.json()["error"]["code"] == "InvalidInternetMessageHeader"
    mime = {"headers": {"Content-Type": "text/plain"}, "data": b"RnJv_-=="}
    assert request_with_token(double, "POST", f"users/{dana}/sendMail", **mime).status_code == 400


def test_a_day_off_is_a_day_off_where_the_owner_lives(double: Double, hands: Hands, provider: OutlookCalendar) -> None:
    """The zone of the people file goes before the mailbox's own."""
    dana = hands.person("Asia/Tokyo")
    given = outlook.build_calendar(section(double, zones={dana: "Asia/Tokyo"}, organizers=lambda _: {dana}))
    hands.add_all_day(dana, date(2027, 3, 9), date(2027, 3, 9))
    double.counts.clear()
    [busy] = given.free_busy([dana], WINDOW)[dana].busy
    assert busy.span == Span(at(8, 15), at(9, 15))
    assert double.counts["GET mailboxSettings"] == 0
