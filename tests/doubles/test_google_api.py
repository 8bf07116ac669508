"""The double of Google answers as the service does: parameters, forms of answers, and invalid requests."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.doubles.google import Google
from tests.doubles.google.hands import GoogleHands
from tests.support.companies import DANA, SAM
from worker.clock import SteppedClock, utcnow
from worker.providers.google.auth import EVENTS_READ_SCOPE, FREE_BUSY_SCOPE, OWNED_EVENTS_SCOPE

ALL_DAY = {"start": {"date": "2027-03-09"}, "end": {"date": "2027-03-10"}}
EVENTS = "/calendar/v3/calendars/primary/events"
KIM = "kim@corp.example"


def make_times(hour: int, day: int = 9, zone: str = "UTC") -> dict[str, Any]:
    """Return start and end of an event of one hour in March 2027."""
    return {
        side: {"dateTime": f"2027-03-{day:02d}T{hour_of_side:02d}:00:00", "timeZone": zone}
        for side, hour_of_side in (("start", hour), ("end", hour + 1))
    }


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        for person in (DANA, SAM, KIM):
            running.calendars.add_person(person)
        yield running
    assert running.crashes == []


class PlainClient:
    """Sends requests by plain HTTP, as Dana unless `who` is another person."""

    def __init__(self, double: Google) -> None:
        self._double = double

    def __call__(
        self, verb: str, path: str, body: Any = None, scope: str = OWNED_EVENTS_SCOPE, who: str = DANA, **headers: str
    ) -> requests.Response:
        token = self._double.tokens.issue_token(who, {scope})["access_token"]
        all_headers = {"Authorization": f"Bearer {token}", **headers}
        return requests.request(verb, self._double.url + path, json=body, headers=all_headers, timeout=10)

    def list_titles(self, query: str = "") -> list[str]:
        """Return the titles of the events in a list with this query; the status of an event that was deleted."""
        answer = self("GET", EVENTS + query)
        assert answer.status_code == 200, answer.text
        return [str(item.get("summary", item["status"])) for item in answer.json()["items"]]


@pytest.fixture
def client(double: Google) -> PlainClient:
    return PlainClient(double)


# --- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("?q=budget", ["Budget"]),
        ("?q=sam@corp", ["Talk"]),  # a guest's address
        ("?q=budget talk", []),
        ("?eventTypes=focusTime", ["Focus"]),
        ("?eventTypes=focusTime&eventTypes=default", ["Talk", "Budget", "Focus"]),
        ("?sharedExtendedProperty=team=red", ["Budget"]),
        ("?privateExtendedProperty=mine=yes", ["Budget"]),
        ("?privateExtendedProperty=mine=no", []),
        ("?iCalUID=talk1@google.com", ["Talk"]),
        ("?orderBy=updated", ["Budget", "Focus", "Talk"]),
        ("?showDeleted=true", ["Talk", "Budget", "Focus", "cancelled"]),
        ("?timeMin=2027-03-09T13:00:00%2B01:00", ["Budget", "Focus"]),
        ("?timeMax=2027-03-09T10:00:00Z", ["Talk"]),
        ("?showHiddenInvitations=true&alwaysIncludeEmail=true", ["Talk", "Budget", "Focus"]),
    ],
)
def test_each_parameter_of_a_list_selects_events(
    client: PlainClient, hands: GoogleHands, query: str, titles: list[str]
) -> None:
    hands.insert(DANA, **make_times(9), summary="Talk", id="talk1", attendees=[{"email": SAM}])
    properties = {"shared": {"team": "red"}, "private": {"mine": "yes"}}
    hands.insert(DANA, **make_times(12), summary="Budget", extendedProperties=properties)
    hands.insert(DANA, **make_times(15), summary="Focus", eventType="focusTime")
    hands.remove(DANA, hands.insert(DANA, **make_times(18), summary="Gone"))
    hands.patch(DANA, "talk1", location="Room 4")
    assert client.list_titles(query) == titles


def test_updated_min_lists_changed_and_deleted_events(client: PlainClient, hands: GoogleHands, double: Google) -> None:
    clock = SteppedClock(utcnow())
    double.calendars._clock = clock
    hands.insert(DANA, **make_times(9), summary="Old")
    deleted_later = hands.insert(DANA, **make_times(10), summary="Deleted")
    clock.advance(timedelta(days=1))
    hands.insert(DANA, **make_times(11), summary="New")
    hands.remove(DANA, deleted_later)
    since = f"{clock():%Y-%m-%dT%H:%M:%SZ}"
    assert sorted(client.list_titles(f"?updatedMin={since}")) == ["New", "cancelled"]
    clock.advance(timedelta(days=40))  # farther back than 28 days, Google lists no changes
    answer = client("GET", f"{EVENTS}?updatedMin={since}")
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (410, "updatedMinTooLongAgo")


def test_times_of_an_answer_are_in_the_requested_zone(client: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **make_times(9, zone="Europe/Berlin"), id="talk1")
    [event] = client("GET", f"{EVENTS}?timeZone=America/New_York").json()["items"]
    assert event["start"] == {"dateTime": "2027-03-09T03:00:00-05:00", "timeZone": "Europe/Berlin"}
    assert client("GET", f"{EVENTS}/talk1").json()["start"]["dateTime"] == "2027-03-09T08:00:00Z"
    assert client("GET", f"{EVENTS}?timeZone=Mars/Olympus").status_code == 400


def test_guests_beyond_max_attendees_are_left_out(client: PlainClient, hands: GoogleHands) -> None:
    guests = [{"email": DANA}, {"email": SAM}, {"email": KIM}]
    hands.insert(DANA, **make_times(9), id="talk1", attendees=guests)
    event = client("GET", f"{EVENTS}/talk1?maxAttendees=2").json()
    assert [guest["email"] for guest in event["attendees"]] == [DANA] and event["attendeesOmitted"] is True
    assert len(client("GET", f"{EVENTS}/talk1?maxAttendees=3").json()["attendees"]) == 3


def test_instances_are_selected_by_start_status_and_page(client: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **make_times(9), id="series1", recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    hands.patch(DANA, "series1_20270311T090000Z", **make_times(16, day=20))
    hands.patch(DANA, "series1_20270312T090000Z", status="cancelled")
    path = f"{EVENTS}/series1/instances"
    [moved] = client("GET", f"{path}?originalStart=2027-03-11T09:00:00Z").json()["items"]
    assert moved["start"]["dateTime"] == "2027-03-20T16:00:00Z"
    assert moved["originalStartTime"]["dateTime"] == "2027-03-11T09:00:00Z"
    assert len(client("GET", path).json()["items"]) == 4
    assert len(client("GET", f"{path}?showDeleted=true").json()["items"]) == 5
    assert len(client("GET", f"{path}?timeMin=2027-03-13T00:00:00Z").json()["items"]) == 2
    page = client("GET", f"{path}?maxResults=3").json()
    assert len(client("GET", f"{path}?maxResults=3&pageToken={page['nextPageToken']}").json()["items"]) == 1


def test_a_guest_leaves_one_occurrence_and_keeps_the_others(client: PlainClient, hands: GoogleHands) -> None:
    rule = ["RRULE:FREQ=DAILY;COUNT=3"]
    hands.insert(DANA, **make_times(9), id="series1", recurrence=rule, attendees=[{"email": SAM}])
    client("DELETE", f"{EVENTS}/series1_20270310T090000Z", who=SAM)
    sams_items = client("GET", f"{EVENTS}?singleEvents=true", who=SAM).json()["items"]
    assert [item["id"] for item in sams_items] == ["series1_20270309T090000Z", "series1_20270311T090000Z"]
    items = client("GET", f"{EVENTS}?singleEvents=true").json()["items"]
    answers = [item["attendees"][0]["responseStatus"] for item in items]
    assert answers == ["needsAction", "declined", "needsAction"]


def test_if_none_match_returns_304_for_an_unchanged_event(client: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **make_times(9), id="talk1")
    etag = client("GET", f"{EVENTS}/talk1").headers["ETag"]
    answer = client("GET", f"{EVENTS}/talk1", **{"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    hands.patch(DANA, "talk1", location="Room 4")
    assert client("GET", f"{EVENTS}/talk1", **{"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    "moment",
    [
        "2027-03-09T10:00:00",
        "2027-03-09 10:00:00Z",
        "20270309T100000Z",
        "2027-W10-2T10:00:00Z",
        "2027-03-09T10:00Z",
        "2027-03-09T10Z",
        "2027-03-09",
        "2027-13-09T10:00:00Z",
        "1799575200",  # seconds since 1970
    ],
)
def test_only_times_of_rfc_3339_are_accepted(client: PlainClient, moment: str) -> None:
    assert client("GET", f"{EVENTS}?timeMin={moment}").status_code == 400
    body = {"timeMin": moment, "timeMax": "2027-03-10T10:00:00Z", "items": [{"id": DANA}]}
    assert client("POST", "/calendar/v3/freeBusy", body, FREE_BUSY_SCOPE).status_code == 400
    if moment != "2027-03-09T10:00:00":  # in an event this time is valid, since the field `timeZone` gives its zone
        event = {**make_times(11), "start": {"dateTime": moment, "timeZone": "UTC"}}
        assert client("POST", EVENTS, event).status_code == 400


def test_free_busy_is_in_the_requested_zone(client: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **make_times(9))
    body = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2027-03-10T00:00:00Z", "timeZone": "Europe/Berlin"}
    answer = client("POST", "/calendar/v3/freeBusy", {**body, "items": [{"id": "primary"}]}, FREE_BUSY_SCOPE).json()
    assert answer["calendars"]["primary"]["busy"][0]["start"] == "2027-03-09T10:00:00+01:00"


# --- forms of answers -----------------------------------------------------------------------------------------------


def test_an_event_has_the_fields_that_google_adds(client: PlainClient) -> None:
    event = client("POST", EVENTS, {**make_times(9), "id": "talk1", "attendees": [{"email": SAM}]}).json()
    assert event["iCalUID"] == "talk1@google.com" and event["eventType"] == "default" and event["sequence"] == 0
    assert event["creator"] == event["organizer"] == {"email": DANA, "self": True}
    assert event["created"].endswith("Z") and event["htmlLink"].startswith("https://www.google.com/calendar/event")
    moved = client("PATCH", f"{EVENTS}/talk1", make_times(10)).json()
    assert moved["sequence"] == 1 and moved["updated"] >= event["updated"]
    assert moved["created"] == event["created"] and moved["etag"] != event["etag"]


def test_read_only_fields_in_a_body_are_ignored(client: PlainClient) -> None:
    """Some clients read an event, change it and write it back with all its fields."""
    event = client("POST", EVENTS, {**make_times(9), "id": "talk1", "attendees": [{"email": SAM}]}).json()
    read_only_fields = {
        "htmlLink": "https://elsewhere.example",
        "created": "2001-01-01T00:00:00Z",
        "organizer": {"email": SAM},
    }
    answer = client("PUT", f"{EVENTS}/talk1", {**event, **read_only_fields, "summary": "Talk"}).json()
    assert answer["summary"] == "Talk"
    assert {name: answer[name] for name in read_only_fields} == {name: event[name] for name in read_only_fields}


def test_a_guests_copy_does_not_show_the_organizers_own_fields(client: PlainClient, hands: GoogleHands) -> None:
    organizer_fields = {
        "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 7}]},
        "extendedProperties": {"private": {"secret": "x"}, "shared": {"team": "red"}},
        "colorId": "3",
    }
    hands.insert(DANA, **make_times(9), id="talk1", attendees=[{"email": SAM}], **organizer_fields)
    original, copy = (client("GET", f"{EVENTS}/talk1", who=who).json() for who in (DANA, SAM))
    assert original.items() >= organizer_fields.items()
    assert copy["reminders"] == {"useDefault": True} and "colorId" not in copy
    assert copy["extendedProperties"] == {"shared": {"team": "red"}}
    assert copy["attendees"][0]["self"] is True and "self" not in copy["organizer"]
    client("PATCH", f"{EVENTS}/talk1", {"transparency": "transparent"}, who=SAM)
    assert "transparency" not in client("GET", f"{EVENTS}/talk1").json()
    assert client("GET", f"{EVENTS}/talk1", who=SAM).json()["transparency"] == "transparent"


def test_guests_are_shown_by_the_primary_address_of_the_account(double: Google, client: PlainClient) -> None:
    double.calendars.add_person(KIM, shown_as="Kimberly@corp.example")
    event = client(
        "POST", EVENTS, {**make_times(9), "id": "talk1", "attendees": [{"email": KIM}, {"email": SAM}]}
    ).json()
    assert [guest["email"] for guest in event["attendees"]] == ["Kimberly@corp.example", SAM]
    both_addresses = [{"email": KIM}, {"email": "kimberly@corp.example"}]
    assert len(client("PATCH", f"{EVENTS}/talk1", {"attendees": both_addresses}).json()["attendees"]) == 1


def test_a_meet_link_is_created_at_once_or_later_or_refused(double: Google, client: PlainClient) -> None:
    request = {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    path = f"{EVENTS}?conferenceDataVersion=1"
    event = client("POST", path, {**make_times(9), "conferenceData": request}).json()
    assert event["hangoutLink"] == event["conferenceData"]["entryPoints"][0]["uri"]
    # the default version, 0, ignores the request
    assert "conferenceData" not in client("POST", EVENTS, {**make_times(9), "conferenceData": request}).json()
    double.calendars.meet_takes_time = True
    pending = client("POST", path, {**make_times(9), "id": "later1", "conferenceData": request}).json()
    assert (
        pending["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"}
        and "hangoutLink" not in pending
    )
    double.calendars.finish_meet()
    finished = client("GET", f"{EVENTS}/later1").json()
    assert finished["hangoutLink"] and finished["etag"] != pending["etag"]
    double.calendars.without_meet.add(DANA)
    refusal = client("POST", path, {**make_times(9), "conferenceData": request})
    error = refusal.json()["error"]
    assert (refusal.status_code, error["errors"][0]["reason"]) == (400, "invalid")
    assert error["message"] == "Invalid conference type value."


@pytest.mark.parametrize(
    "lines",
    [
        ["RRULE:FREQ=SOMETIMES"],
        ["RRULE:COUNT=3"],
        ["RRULE:FREQ=DAILY;COUNT=3;UNTIL=20270401T000000Z"],
        ["RRULE:FREQ=DAILY;INTERVAL=0"],
        ["RRULE:FREQ=MINUTELY;COUNT=5"],
        ["RRULE:FREQ=WEEKLY;BYDAY=XX"],
        ["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"],
        ["RRULE:FREQ=DAILY;UNTIL=tomorrow"],
        ["RRULE:FREQ=DAILY;COUNT=2", "EXDATE:20270309"],
        ["RRULE:FREQ=DAILY;COUNT=2", "EXDATE;TZID=Mars/Olympus:20270309T090000"],
        ["DTSTART:20270309T090000Z", "RRULE:FREQ=DAILY"],
        ["FREQ=DAILY"],
        ["RRULE"],
        [""],
    ],
)
def test_an_invalid_recurrence_rule_is_refused_and_breaks_no_later_list(client: PlainClient, lines: list[str]) -> None:
    assert client("POST", EVENTS, {**make_times(9), "id": "talk1", "summary": "Good"}).status_code == 200
    for verb, path in (("POST", EVENTS), ("PATCH", f"{EVENTS}/talk1")):
        refusal = client(verb, path, {**make_times(9), "recurrence": lines})
        assert (refusal.status_code, refusal.json()["error"]["message"]) == (400, "Invalid recurrence rule.")
    assert client.list_titles() == client.list_titles("?singleEvents=true&orderBy=startTime") == ["Good"]


@pytest.mark.parametrize(
    ("event", "lines", "count"),
    [
        (make_times(9, zone="Europe/Berlin"), ["RRULE:FREQ=DAILY;UNTIL=20270311"], 3),
        (make_times(9, zone="Europe/Berlin"), ["RRULE:FREQ=DAILY;UNTIL=20270311T090000"], 3),
        (make_times(9), ["RRULE:FREQ=WEEKLY;BYDAY=TU,TH;COUNT=4", "EXDATE:20270311T090000Z"], 3),
        (
            make_times(9, zone="Europe/Berlin"),
            ["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Berlin:20270310T090000"],
            2,
        ),
        (make_times(9), ["RDATE:20270401T090000Z,20270402T090000Z"], 3),
        (ALL_DAY, ["RRULE:FREQ=DAILY;UNTIL=20270311", "EXDATE;VALUE=DATE:20270310"], 2),
    ],
)
def test_a_recurrence_rule_gives_its_occurrences(
    client: PlainClient, event: dict[str, Any], lines: list[str], count: int
) -> None:
    assert client("POST", EVENTS, {**event, "recurrence": lines}).status_code == 200
    assert len(client.list_titles("?singleEvents=true")) == count


def test_equal_rules_with_equal_starts_repeat_in_their_own_zones(client: PlainClient) -> None:
    """Both series start at 09:00 UTC. From 28 March on, summer time puts the series of Berlin an hour earlier."""
    rule = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"]}
    for zone, hour in (("Europe/Berlin", 10), ("UTC", 9)):
        assert client("POST", EVENTS, {**make_times(hour, zone=zone), **rule, "summary": zone}).status_code == 200
    items = client("GET", f"{EVENTS}?singleEvents=true&orderBy=startTime").json()["items"]
    last_starts = {item["summary"]: item["start"]["dateTime"] for item in items}
    assert last_starts == {"Europe/Berlin": "2027-03-30T08:00:00Z", "UTC": "2027-03-30T09:00:00Z"}


# --- refusals -------------------------------------------------------------------------------------------------------


def test_the_refusal_of_a_missing_scope_has_googles_fields(client: PlainClient) -> None:
    answer = client("POST", EVENTS, make_times(9), EVENTS_READ_SCOPE)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (403, 403, "PERMISSION_DENIED")
    assert error["message"] == "Request had insufficient authentication scopes."
    [reason] = error["errors"]
    assert reason == {"message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions"}
    [detail] = error["details"]
    assert detail["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert detail["metadata"] == {"service": "calendar-json.googleapis.com", "method": "calendar.events.insert"}
    assert (
        'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
        and OWNED_EVENTS_SCOPE in answer.headers["WWW-Authenticate"]
    )


def test_requests_about_an_account_without_a_calendar_are_refused(double: Google, client: PlainClient) -> None:
    double.calendars.without_calendar.add(DANA)
    answer = client("GET", EVENTS)
    assert answer.status_code == 403 and answer.json()["error"]["errors"][0]["reason"] == "notACalendarUser"
    body = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2027-03-10T00:00:00Z", "items": [{"id": DANA}]}
    answer = client("POST", "/calendar/v3/freeBusy", body, FREE_BUSY_SCOPE, who=SAM).json()["calendars"][DANA]
    assert answer["errors"][0]["reason"] == "notFound"


def test_requests_of_a_service_account_without_quota_user_share_one_limit(double: Google) -> None:
    """It does not matter for whom the account acts. With `quotaUser`, or its header, each user has a separate limit."""
    double.quota.per_user = 4

    def get_status(who: str, query: str = "", **headers: str) -> int:
        token = double.tokens.issue_token(who, {OWNED_EVENTS_SCOPE}, account="robot@iam.example")["access_token"]
        all_headers = {"Authorization": f"Bearer {token}", **headers}
        return requests.get(f"{double.url}{EVENTS}{query}", headers=all_headers, timeout=10).status_code

    assert [get_status(who) for who in (DANA, SAM, KIM, DANA, SAM)] == [200, 200, 200, 200, 403]
    assert [get_status(who, f"?quotaUser={who[:3]}") for who in (DANA, SAM) * 2] == [200] * 4
    assert get_status(KIM, **{"X-Goog-Quota-User": "kim"}) == 200
    assert get_status(KIM, f"?quotaUser={'x' * 41}") == 400
    double.quota.per_project = 5  # fewer than were answered in this minute
    assert get_status(DANA, "?quotaUser=another") == 403


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "/calendar/v3/", 404),
        ("GET", "/calendar/v3/calendars/primary/events/", 404),
        ("DELETE", EVENTS, 405),
        ("PUT", EVENTS, 405),
        ("HEAD", EVENTS, 405),
        ("OPTIONS", EVENTS, 405),
        ("TRACE", EVENTS, 405),
        ("PATCH", "/calendar/v3/freeBusy", 405),
        ("GET", "/token", 404),
        ("POST", "/token", 400),
        ("POST", "/o/oauth2/v2/auth", 404),
        ("GET", "/o/oauth2/v2/auth", 400),
        ("POST", "/batch/calendar/v3", 400),
        ("POST", "/batch/other/v1", 404),
        ("GET", "/batch/calendar/v3", 404),
        ("GET", f"{EVENTS}?q=%ff", 400),
        ("GET", f"{EVENTS}?maxResults=99999999999999999999", 400),
        ("GET", f"{EVENTS}/%00", 404),
        ("GET", f"{EVENTS}/series_99999999", 404),
        ("GET", "/calendar/v3/colors", 501),  # the double does not know it
        ("GET", "/calendar/v3/users/me/settings/nothing", 403),  # the scope of events is not enough
        ("POST", EVENTS, 400),
        ("POST", f"{EVENTS}/watch", 400),
    ],
)
def test_every_request_is_answered_in_json(client: PlainClient, verb: str, path: str, status: int) -> None:
    # the scope for everything of a calendar, without which colours are refused
    calendar_scope = "https://www.googleapis.com/auth/calendar"
    answer = client(verb, path, scope=calendar_scope if "colors" in path else OWNED_EVENTS_SCOPE)
    assert answer.status_code == status, answer.text
    if verb != "HEAD":
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"start": 7}', b'{"start": {}}'])
def test_an_invalid_body_is_refused(double: Google, body: bytes) -> None:
    token = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE})["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = requests.post(f"{double.url}{EVENTS}", data=body, headers=headers, timeout=10)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == 400


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 411),
        ("POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        ("nonsense\r\n\r\n", 400),
    ],
)
def test_malformed_http_is_answered_in_json(double: Google, text: str, status: int) -> None:
    host, _, port = double.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(text.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = received.partition(b"\r\n\r\n")
    # without a version of HTTP in the request, the answer is the body alone
    assert json.loads(content or received)["error"]["code"] == status
    assert not head or b"application/json" in head or status == 400


def test_an_invalid_part_of_a_batch_does_not_affect_the_others(double: Google) -> None:
    token = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE})["access_token"]
    valid_part = f"GET {EVENTS} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    parts = [valid_part, "", "GET\r\n\r\n", "GET http://[ HTTP/1.1\r\n\r\n", valid_part]
    part_head = "--b\r\nContent-Type: application/http\r\nContent-ID: <{}>\r\n\r\n"
    body = "\r\n".join([*(part_head.format(n) + part for n, part in enumerate(parts)), "--b--\r\n"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/mixed; boundary=b"}
    answer = requests.post(f"{double.url}/batch/calendar/v3", data=body, headers=headers, timeout=10)
    assert answer.status_code == 200
    assert [line.split()[1] for line in answer.text.splitlines() if line.startswith("HTTP/1.1")] == [
        "200",
        "400",
        "400",
        "400",
        "200",
    ]
