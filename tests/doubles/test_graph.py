"""The double of Microsoft Graph refuses what Graph refuses, accepts what Graph accepts, and answers every request."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doubles.graph import Double, make_section
from worker.providers.outlook import auth

DANA, SAM = "dana@example.org", "sam@example.org"
EVENT: dict[str, Any] = {
    "subject": "x",
    "start": {"dateTime": "2027-03-09T10:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2027-03-09T11:00:00", "timeZone": "UTC"},
}
MARCH = "startDateTime=2027-03-01T00:00:00Z&endDateTime=2027-04-01T00:00:00Z"
BOX = f"users/{DANA}"  #: the path of Dana's mailbox
SCHEDULE_BODY: dict[str, Any] = {"schedules": [DANA], "startTime": EVENT["start"], "endTime": EVENT["end"]}


@pytest.fixture
def client(double: Double) -> Any:
    """A function that sends a request as the app. It returns the status and the JSON of the answer."""
    token = auth.build_tokens(make_section(double)).get_token()

    def send(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        all_headers = {"Authorization": f"Bearer {token}", **headers}
        answer = requests.request(method, f"{double.endpoint}/{path}", json=body, headers=all_headers, timeout=10)
        return answer.status_code, answer.json() if answer.content else {}

    return send


def get_refusal(answer: tuple[int, Any]) -> tuple[int, str]:
    """Return the status and the error code of a refusal."""
    return answer[0], answer[1]["error"]["code"]


# --- random requests --------------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        *(
            "users",
            "me",
            DANA,
            "events",
            "calendarView",
            "delta",
            "delta()",
            "calendar",
            "calendars",
            "$batch",
            "messages",
        ),
        *(
            "getSchedule",
            "mailboxSettings",
            "sendMail",
            "subscriptions",
            "instances",
            "cancel",
            "x",
            "",
            "%00",
            "..",
            "'",
        ),
    ]
)
_PATHS = st.sampled_from(
    [f"{BOX}/{path}" for path in ("events", "calendarView", "calendarView/delta", "calendar/getSchedule", "sendMail")]
    + [f"{BOX}/messages", "$batch", "subscriptions", "subscriptions/x", "subscriptions/x/reauthorize"]
)
_QUERIES = st.sampled_from(
    [
        *("", "$top=abc", "$top=-1", "$top=0", "$skip=x", "$filter=(", "$filter=subject eq", "$filter='", "$orderby=;"),
        *("$select=,", "$count=maybe", "$expand=instances", MARCH, "startDateTime=x&endDateTime=", "$deltatoken=1"),
        *("$skiptoken=", "$search=x", "$nothing=1", "a&b&=&"),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(EVENT["start"]) | st.just(DANA)
_NAMES = st.sampled_from(
    [
        *("subject", "start", "end", "dateTime", "timeZone", "attendees", "emailAddress", "address", "body", "message"),
        *("content", "recurrence", "pattern", "range", "schedules", "startTime", "endTime", "requests", "id", "method"),
        *("url", "headers", "toRecipients", "internetMessageHeaders", "isAllDay", "type", "proposedNewTime"),
    ]
)
_BODIES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=8
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    path=_PATHS | st.lists(_WORDS, max_size=5).map("/".join),
    query=_QUERIES,
    body=_BODIES | st.dictionaries(_NAMES, _BODIES, max_size=3).map(lambda given: {**EVENT, **given}),
    prefer=st.sampled_from(["", "odata.maxpagesize=x", 'outlook.timezone="', ",,=", "odata.maxpagesize"]),
)
def test_every_request_is_answered(client: Any, method: str, path: str, query: str, body: Any, prefer: str) -> None:
    """The double answers each request without a server error, and each refusal has a code and a message."""
    status, answer = client(method, f"{quote(path)}?{quote(query, safe='$=&')}", body, Prefer=prefer)
    assert 200 <= status < 500, answer
    if status >= 400:
        assert answer["error"]["code"] and answer["error"]["message"]


def test_unusual_requests_get_an_error_in_json(double: Double) -> None:
    address = urlsplit(double.endpoint)
    for method, target, headers, body in [
        ("GET", "/", {}, None),
        ("GET", "/beta/me", {}, None),
        ("POST", "/v1.0/$batch", {"Content-Length": "x"}, None),
        ("POST", "/v1.0/me/events", {"Content-Type": "application/json"}, iter([b"{", b"}"])),
        ("OPTIONS", "/v1.0/me", {}, None),
    ]:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
        connection.request(method, target, body=body, headers=headers, encode_chunked=body is not None)
        answer = connection.getresponse()
        assert answer.status in (400, 401) and json.loads(answer.read())["error"]["code"]
        connection.close()


@pytest.mark.parametrize("path", [BOX, "users/nobody@example.org", "subscriptions/none", "users", "users/"])
def test_unsupported_paths_are_refused(client: Any, path: str) -> None:
    assert 400 <= client("GET", path)[0] < 500


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"availabilityViewInterval": 1440}, "ErrorInvalidMergedFreeBusyInterval"),
        ({"availabilityViewInterval": 61}, "ErrorInvalidMergedFreeBusyInterval"),  # longer than the window, an hour
        ({"availabilityViewInterval": 4}, "ErrorInvalidMergedFreeBusyInterval"),
        ({"startTime": None}, "ErrorInvalidRequest"),
        ({"endTime": EVENT["start"]}, "ErrorInvalidTimeInterval"),
        ({"schedules": []}, "ErrorInvalidParameter"),
        ({"schedules": [DANA] * 21}, "ErrorInvalidParameter"),
        ({"interval": 5}, "RequestBodyRead"),
    ],
)
def test_free_busy_requests_beyond_the_limits_are_refused(client: Any, change: dict[str, Any], expected: str) -> None:
    assert get_refusal(client("POST", f"{BOX}/calendar/getSchedule", {**SCHEDULE_BODY, **change})) == (
        400,
        expected,
    )


def test_free_busy_without_a_start_is_refused(client: Any) -> None:
    body = {name: value for name, value in SCHEDULE_BODY.items() if name != "startTime"}
    assert get_refusal(client("POST", f"{BOX}/calendar/getSchedule", body)) == (400, "ErrorInvalidParameter")
    assert client("POST", f"{BOX}/calendar/getSchedule", {**SCHEDULE_BODY, "availabilityViewInterval": 60})[0] == 200


def test_a_view_that_ends_before_it_starts_is_refused(client: Any) -> None:
    backwards = "startDateTime=2027-04-01T00:00:00Z&endDateTime=2027-03-01T00:00:00Z"
    for path in ("calendarView", "calendarView/delta", "calendarView/delta()"):
        assert client("GET", f"{BOX}/{path}?{backwards}")[0] == 400


@pytest.mark.parametrize(
    "option",
    [
        *(
            "$top=abc",
            "$top=0",
            "$top=1001",
            "$skip=-1",
            "$select=colour",
            "$orderby=colour",
            "$orderby=start/dateTime up",
        ),
        *("$filter=colour eq 'x'", "$filter=subject eq", "$filter=subject is 'x'", "$count=maybe", "$search=x"),
        "$expand=attachments",
    ],
)
def test_an_unsupported_or_invalid_option_is_refused(client: Any, option: str) -> None:
    assert client("GET", f"{BOX}/events?{option}")[0] == 400


def test_a_message_has_at_most_five_custom_headers(client: Any, double: Double) -> None:
    def make_message(count: int) -> dict[str, Any]:
        """Return a request body with so many custom headers."""
        headers = [{"name": f"X-Own-{number}", "value": "y"} for number in range(count)]
        return {
            "message": {
                "subject": "x",
                "toRecipients": [{"emailAddress": {"address": SAM}}],
                "internetMessageHeaders": headers,
            }
        }

    assert client("POST", f"{BOX}/sendMail", make_message(5))[0] == 202
    assert client("POST", f"{BOX}/sendMail", make_message(6))[0] == 400
    assert len(double.mails.outbox) == 1


def test_a_mime_message_has_at_most_four_megabytes(client: Any, double: Double) -> None:
    token = auth.build_tokens(make_section(double)).get_token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
    message = base64.b64encode(f"From: {DANA}\r\nTo: {SAM}\r\n\r\n{'x' * 4_000_000}".encode())  # 5.3 megabytes
    answer = requests.post(f"{double.endpoint}/{BOX}/sendMail", data=message, headers=headers, timeout=30)
    assert answer.status_code == 413


def test_a_batch_refuses_nested_batches_and_steps_without_a_method(client: Any) -> None:
    steps = [
        {"id": "1", "url": f"/{BOX}/events"},
        {"id": "2", "method": "POST", "url": "/$batch", "headers": {"Content-Type": "application/json"}, "body": {}},
        {"id": "3", "method": "GET", "url": f"/{BOX}/events"},
        {"id": "4", "method": "GET"},
        {"id": "5", "method": "GET", "url": "https://elsewhere.example/x"},
    ]
    status, answer = client("POST", "$batch", {"requests": steps})
    assert status == 200
    outcomes = {item["id"]: item["status"] for item in answer["responses"]}
    assert outcomes == {"1": 400, "2": 400, "3": 200, "4": 400, "5": 400}
    for invalid_steps in ([{"method": "GET"}], ["x"], [], {"id": "1"}, None):
        assert client("POST", "$batch", {"requests": invalid_steps})[0] == 400


@pytest.mark.parametrize(
    "recurrence",
    [
        {"pattern": None},
        {"pattern": {"type": "daily", "interval": 0}, "range": {"type": "noEnd", "startDate": "2027-03-09"}},
        {"pattern": {"type": "weekly", "interval": 1}, "range": {"type": "noEnd", "startDate": "2027-03-09"}},
        {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "numbered", "startDate": "2027-03-09"}},
        {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2027-03-08"}},
    ],
)
def test_an_invalid_recurrence_is_refused_and_creates_no_event(client: Any, recurrence: Any) -> None:
    assert client("POST", f"{BOX}/events", {**EVENT, "recurrence": recurrence})[0] == 400
    assert client("GET", f"{BOX}/events")[1]["value"] == []


# --- accepted requests ------------------------------------------------------------------------------------------------


def test_iana_zones_and_enum_values_in_any_case_are_accepted(client: Any) -> None:
    times = {side: {**EVENT[side], "timeZone": "Europe/Berlin"} for side in ("start", "end")}
    words = {"showAs": "OOF", "sensitivity": "Private", "body": {"contentType": "HTML", "content": "x"}}
    status, answer = client(
        "POST", f"{BOX}/events", {**EVENT, **times, **words}, Prefer='outlook.timezone="Europe/Berlin"'
    )
    assert status == 201
    assert (answer["start"]["dateTime"], answer["start"]["timeZone"]) == (
        "2027-03-09T10:00:00.0000000",
        "Europe/Berlin",
    )
    assert (answer["showAs"], answer["sensitivity"], answer["body"]["contentType"]) == ("oof", "private", "html")
    [answer] = client("GET", f"{BOX}/calendarView?{MARCH}")[1]["value"]
    assert answer["start"]["dateTime"] == "2027-03-09T09:00:00.0000000"


HOURS_AFTER_START = (("start", 0), ("end", 1))  #: of an event of one hour


@pytest.fixture
def three_events(client: Any) -> list[str]:
    """The ids of three events, an hour after each other. The last event has the first title in the alphabet."""
    ids = []
    for number, name in enumerate(("b one", "c two", "a three")):
        times = {
            side: {"dateTime": f"2027-03-09T{10 + number + hours}:00:00", "timeZone": "UTC"}
            for side, hours in HOURS_AFTER_START
        }
        ids.append(client("POST", f"{BOX}/events", {**EVENT, **times, "subject": name})[1]["id"])
    return ids


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("$orderby=subject", ["a three", "b one", "c two"]),
        ("$orderby=start/dateTime desc", ["a three", "c two", "b one"]),
        ("$filter=startswith(subject,'b')", ["b one"]),
        ("$filter=contains(subject, 't') and not (subject eq 'c two')", ["a three"]),
        ("$filter=start/dateTime ge '2027-03-09T11:00:00'&$orderby=start/dateTime", ["c two", "a three"]),
        ("$filter=start/dateTime%20lt%20'2027-03-09T11:00:00Z' or subject eq 'a three'", ["b one", "a three"]),
        ("$filter=isAllDay+eq+false&$top=2", ["b one", "c two"]),
        ("$skip=2", ["a three"]),
    ],
)
def test_options_filter_order_and_limit_a_list(
    client: Any, three_events: list[str], options: str, expected: list[str]
) -> None:
    for path in ("events", "calendar/events", f"calendarView?{MARCH}&"):
        separator = "" if path.endswith("&") else "?"
        answer = client("GET", f"{BOX}/{path}{separator}{options}")[1]
        assert [item["subject"] for item in answer["value"]] == expected


def test_options_count_a_list_select_its_fields_and_page_it(
    client: Any, three_events: list[str], double: Double
) -> None:
    answer = client("GET", f"{BOX}/events?$count=true&$select=subject", Prefer="odata.maxpagesize=2")[1]
    assert answer["@odata.count"] == 3 and len(answer["value"]) == 2
    assert all(set(item) == {"@odata.etag", "id", "subject"} for item in answer["value"])
    second_page = client(
        "GET", answer["@odata.nextLink"].removeprefix(f"{double.endpoint}/"), Prefer="odata.maxpagesize=2"
    )[1]
    assert len(second_page["value"]) == 1 and "@odata.nextLink" not in second_page


def test_the_calendar_of_a_mailbox_has_several_paths(client: Any, three_events: list[str]) -> None:
    [calendar] = client("GET", f"{BOX}/calendars")[1]["value"]
    assert calendar["isDefaultCalendar"] and calendar["owner"]["address"] == DANA
    for path in ("calendar", f"calendars/{calendar['id']}"):
        assert client("GET", f"{BOX}/{path}")[1]["id"] == calendar["id"]
        assert client("GET", f"{BOX}/{path}/events/{three_events[0]}")[1]["subject"] == "b one"
        assert len(client("GET", f"{BOX}/{path}/calendarView?{MARCH}")[1]["value"]) == 3
        changed_items = client("GET", f"{BOX}/{path}/calendarView/delta()?{MARCH}")[1]["value"]
        assert len(changed_items) == 4  # the double sends one event twice
        status, created = client("POST", f"{BOX}/{path}/events", EVENT)
        assert status == 201 and client("DELETE", f"{BOX}/{path}/events/{created['id']}")[0] == 204
    assert get_refusal(client("GET", f"{BOX}/calendars/none/events")) == (404, "ErrorItemNotFound")


def test_free_busy_has_the_availability_view_and_working_hours(client: Any) -> None:
    for show_as in ("busy", "tentative", "free"):
        client("POST", f"{BOX}/events", {**EVENT, "showAs": show_as})
    body = {**SCHEDULE_BODY, "startTime": {"dateTime": "2027-03-09T09:00:00", "timeZone": "UTC"}}
    body["endTime"] = {"dateTime": "2027-03-09T12:15:00", "timeZone": "UTC"}
    [answer] = client("POST", f"{BOX}/calendar/getSchedule", {**body, "availabilityViewInterval": 30})[1]["value"]
    assert answer["availabilityView"] == "0022000"  # a digit for each half-hour from 9:00: 0 is free, 2 is busy
    assert answer["workingHours"]["daysOfWeek"][0] == "monday" and len(answer["scheduleItems"]) == 3


@pytest.mark.parametrize(
    ("pattern", "range_", "expected"),
    [
        ({"type": "daily", "interval": 2}, {"type": "numbered", "numberOfOccurrences": 3}, [9, 11, 13]),
        (
            {"type": "Weekly", "interval": 1, "daysOfWeek": ["Tuesday", "friday"]},
            {"type": "endDate", "endDate": "2027-03-19"},
            [9, 12, 16, 19],
        ),
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 9}, {"type": "noEnd"}, [9]),
        (
            {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "second"},
            {"type": "noEnd"},
            [9],
        ),
    ],
)
def test_a_view_lists_a_series_by_its_occurrences(
    client: Any, pattern: dict[str, Any], range_: dict[str, Any], expected: list[int]
) -> None:
    recurrence = {"pattern": pattern, "range": {"startDate": "2027-03-09", **range_}}
    guests = [{"emailAddress": {"address": SAM}}]
    created = client("POST", f"{BOX}/events", {**EVENT, "recurrence": recurrence, "attendees": guests})[1]
    assert created["type"] == "seriesMaster"
    assert created["recurrence"]["pattern"]["type"].casefold() == pattern["type"].casefold()
    for person in (DANA, SAM):
        answer = client("GET", f"users/{person}/calendarView?{MARCH}&$orderby=start/dateTime")[1]["value"]
        assert [int(item["start"]["dateTime"][8:10]) for item in answer] == expected
        assert {item["type"] for item in answer} == {"occurrence"}
    instances = client("GET", f"{BOX}/events/{created['id']}/instances?{MARCH}")[1]["value"]
    assert [item["seriesMasterId"] for item in instances] == [created["id"]] * len(expected)
    client("DELETE", f"{BOX}/events/{instances[0]['id']}")
    assert len(client("GET", f"{BOX}/events/{created['id']}/instances?{MARCH}")[1]["value"]) == len(expected) - 1
    client("DELETE", f"{BOX}/events/{created['id']}")
    for person in (DANA, SAM):
        assert client("GET", f"users/{person}/calendarView?{MARCH}")[1]["value"] == []


def test_reading_the_owner_of_a_mailbox_needs_a_permission(client: Any, double: Double) -> None:
    assert get_refusal(client("GET", BOX)) == (403, "Authorization_RequestDenied")
    application = double.login.applications[make_section(double)["client_id"]]
    application.rights = (*application.rights, "User.Read.All")
    token = auth.build_tokens(make_section(double)).get_token()
    box = double.world.mailboxes[DANA]
    box.sign_in = "d.example@corp.example.org"
    answer = client("GET", f"users/{box.directory_id}", Authorization=f"Bearer {token}")[1]
    assert (answer["mail"], answer["userPrincipalName"], answer["id"]) == (DANA, box.sign_in, box.directory_id)
    # by the address alone nobody is found whose sign-in name is another
    assert get_refusal(client("GET", BOX, Authorization=f"Bearer {token}")) == (404, "Request_ResourceNotFound")
