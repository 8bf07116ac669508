"""The double of Microsoft 365 refuses what the service refuses."""

from datetime import date
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, make_section
from tests.doubles.graph.schema import Schema, SchemaError
from tests.support.drafts import WINDOW, at  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027, `at(5, 9)` its start
from tests.support.outlook import request_with_token
from worker.domain.model import Span
from worker.providers.outlook import calendar as outlook

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
def test_property_that_is_not_in_the_metadata_is_refused(double: Double, hands: Hands, change: dict[str, Any]) -> None:
    answer = request_with_token(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert answer.status_code == 400, answer.text


def test_unknown_parameter_of_an_action_is_refused(double: Double, hands: Hands) -> None:
    dana = hands.person()
    event = request_with_token(double, "POST", f"users/{dana}/events", json=EVENT).json()
    answer = request_with_token(double, "POST", f"users/{dana}/events/{event['id']}/cancel", json={"message": "x"})
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
def test_invalid_event_is_refused_with_the_services_error_code(
    double: Double, hands: Hands, change: dict[str, Any], code: str
) -> None:
    answer = request_with_token(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_request_beyond_the_services_limits_is_refused(double: Double, hands: Hands) -> None:
    """A batch has at most twenty requests. getSchedule is for at most twenty people and less than 62 days."""
    dana = hands.person()
    bounds = "startDateTime=2027-03-01T00:00:00Z&endDateTime=2027-04-01T00:00:00Z"
    for path in (
        f"users/{dana}/calendarView",  # without bounds
        f"users/{dana}/calendarView/delta?{bounds}&$select=id",  # delta queries select no properties
        f"users/{dana}/events?$filter=transactionId eq 'x'",  # this property can't be searched
        f"users/{dana}/events?$select=nothing",  # no property
        f"me/events?{bounds}",  # an app is nobody
    ):
        assert request_with_token(double, "GET", path).status_code == 400, path
    requests = [{"id": str(number), "method": "GET", "url": f"/users/{dana}/events"} for number in range(21)]
    assert request_with_token(double, "POST", "$batch", json={"requests": requests}).status_code == 400
    schedule = {"schedules": [dana] * 21, "startTime": EVENT["start"], "endTime": EVENT["end"]}
    assert request_with_token(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400
    schedule |= {"schedules": [dana], "endTime": {"dateTime": "2027-05-10T10:00:00", "timeZone": "UTC"}}
    assert request_with_token(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400


def test_each_request_of_a_batch_has_its_own_answer(double: Double, hands: Hands) -> None:
    dana = hands.person()
    items = [
        {"id": "1", "method": "GET", "url": f"/users/{dana}/events/none"},
        {"id": "2", "method": "GET", "url": f"/users/{dana}/events"},
        {"id": "3", "method": "GET", "url": f"/users/{dana}/events", "dependsOn": ["1"]},
        {"id": "4", "method": "POST", "url": f"/users/{dana}/events", "body": EVENT},
    ]
    answers = request_with_token(double, "POST", "$batch", json={"requests": items}).json()["responses"]
    assert {answer["id"]: answer["status"] for answer in answers} == {"1": 404, "2": 200, "3": 424, "4": 400}
    # 424: the request that it depends on has failed; 400: a body without a content type


def test_mail_with_a_standard_header_in_json_or_url_safe_base64_is_refused(double: Double) -> None:
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


@pytest.mark.parametrize(
    ("zones", "expected_span", "expected_requests"),
    [
        ({"dana@example.org": "Asia/Tokyo"}, Span(at(8, 15), at(9, 15)), 0),
        ({}, Span(at(9, 5), at(10, 5)), 1),
    ],
)
def test_all_day_event_spans_the_day_in_the_owners_zone(
    double: Double, zones: dict[str, str], expected_span: Span, expected_requests: int
) -> None:
    """The zone is that of the people file (`zones`). When that names none, the zone of the mailbox is requested."""
    dana = double.world.add_person("dana@example.org", "America/New_York").address
    provider = outlook.build_calendar(make_section(double, zones=zones, organizers=lambda _: {dana}))
    Hands(double).add_all_day(dana, date(2027, 3, 9), date(2027, 3, 9))
    [busy] = provider.free_busy([dana], WINDOW)[dana].busy
    assert (busy.span, double.counts["GET mailboxSettings"]) == (expected_span, expected_requests)
    provider.close()
