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

DAY = {"start": {"date": "2027-03-09"}, "end": {"date": "2027-03-10"}}
EVENTS = "/calendar/v3/calendars/primary/events"
KIM = "kim@corp.example"


def at(hour: int, day: int = 9, zone: str = "UTC") -> dict[str, Any]:
    """Start and end of an event of one hour in March 2027."""
    hours = {"start": hour, "end": hour + 1}
    return {side: {"dateTime": f"2027-03-{day:02d}T{h:02d}:00:00", "timeZone": zone} for side, h in hours.items()}


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        for person in (DANA, SAM, KIM):
            running.calendars.add_person(person)
        yield running
    assert running.crashes == []


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars)


class PlainClient:
    """Sends requests by plain HTTP, as Dana unless `who` names somebody else."""

    def __init__(self, double: Google) -> None:
        self._double = double

    def __call__(
        self, verb: str, path: str, body: Any = None, scope: str = OWNED_EVENTS_SCOPE, who: str = DANA, **headers: str
    ) -> requests.Response:
        token = self._double.tokens.issue_token(who, {scope})["access_token"]
        sent = {"Authorization": f"Bearer {token}", **headers}
        return requests.request(verb, self._double.url + path, json=body, headers=sent, timeout=10)

    def listed(self, query: str = "") -> list[str]:
        """The titles of the events in a list with this query; of a deleted one its status."""
        answer = self("GET", EVENTS + query)
        assert answer.status_code == 200, answer.text
        return [str(one.get("summary", one["status"])) for one in answer.json()["items"]]


@pytest.fixture
def ask(double: Google) -> PlainClient:
    return PlainClient(double)


# --- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("?q=budget", ["Budget"]),
        ("?q=sam@corp", ["Talk"]),
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
    ask: PlainClient, hands: GoogleHands, query: str, titles: list[str]
) -> None:
    hands.insert(DANA, **at(9), summary="Talk", id="talk1", attendees=[{"email": SAM}])
    properties = {"shared": {"team": "red"}, "private": {"mine": "yes"}}
    hands.insert(DANA, **at(12), summary="Budget", extendedProperties=properties)
    hands.insert(DANA, **at(15), summary="Focus", eventType="focusTime")
    hands.remove(DANA, hands.insert(DANA, **at(18), summary="Gone"))
    hands.patch(DANA, "talk1", location="Room 4")
    assert ask.listed(query) == titles


def test_updated_min_lists_changed_and_deleted_events(ask: PlainClient, hands: GoogleHands, double: Google) -> None:
    clock = SteppedClock(utcnow())
    double.calendars._clock = clock
    hands.insert(DANA, **at(9), summary="Old")
    lost = hands.insert(DANA, **at(10), summary="Lost")
    clock.advance(timedelta(days=1))
    hands.insert(DANA, **at(11), summary="New")
    hands.remove(DANA, lost)
    since = f"{clock():%Y-%m-%dT%H:%M:%SZ}"
    assert sorted(ask.listed(f"?updatedMin={since}")) == ["New", "cancelled"]
    clock.advance(timedelta(days=40))
    answer = ask("GET", f"{EVENTS}?updatedMin={since}")
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (410, "updatedMinTooLongAgo")


def test_the_zone_of_an_answer_is_the_one_asked_for(ask: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **at(9, zone="Europe/Berlin"), id="talk1")
    [event] = ask("GET", f"{EVENTS}?timeZone=America/New_York").json()["items"]
    assert event["start"] == {"dateTime": "2027-03-09T03:00:00-05:00", "timeZone": "Europe/Berlin"}
    assert ask("GET", f"{EVENTS}/talk1").json()["start"]["dateTime"] == "2027-03-09T08:00:00Z"
    assert ask("GET", f"{EVENTS}?timeZone=Mars/Olympus").status_code == 400


def test_more_guests_than_asked_for_are_left_out(ask: PlainClient, hands: GoogleHands) -> None:
    guests = [{"email": DANA}, {"email": SAM}, {"email": KIM}]
    hands.insert(DANA, **at(9), id="talk1", attendees=guests)
    few = ask("GET", f"{EVENTS}/talk1?maxAttendees=2").json()
    assert [one["email"] for one in few["attendees"]] == [DANA] and few["attendeesOmitted"] is True
    assert len(ask("GET", f"{EVENTS}/talk1?maxAttendees=3").json()["attendees"]) == 3


def test_an_occurrence_is_found_by_its_original_start(ask: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **at(9), id="series1", recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    hands.patch(DANA, "series1_20270311T090000Z", **at(16, day=20))
    hands.patch(DANA, "series1_20270312T090000Z", status="cancelled")
    path = f"{EVENTS}/series1/instances"
    [moved] = ask("GET", f"{path}?originalStart=2027-03-11T09:00:00Z").json()["items"]
    assert moved["start"]["dateTime"] == "2027-03-20T16:00:00Z"
    assert moved["originalStartTime"]["dateTime"] == "2027-03-11T09:00:00Z"
    assert len(ask("GET", path).json()["items"]) == 4
    assert len(ask("GET", f"{path}?showDeleted=true").json()["items"]) == 5
    assert len(ask("GET", f"{path}?timeMin=2027-03-13T00:00:00Z").json()["items"]) == 2
    page = ask("GET", f"{path}?maxResults=3").json()
    assert len(ask("GET", f"{path}?maxResults=3&pageToken={page['nextPageToken']}").json()["items"]) == 1


def test_a_guest_leaves_one_occurrence_and_keeps_the_others(ask: PlainClient, hands: GoogleHands) -> None:
    rule = ["RRULE:FREQ=DAILY;COUNT=3"]
    hands.insert(DANA, **at(9), id="series1", recurrence=rule, attendees=[{"email": SAM}])
    ask("DELETE", f"{EVENTS}/series1_20270310T090000Z", who=SAM)
    starts = [one["id"][-16:-8] for one in ask("GET", f"{EVENTS}?singleEvents=true", who=SAM).json()["items"]]
    assert starts == ["20270309", "20270311"]
    seen = ask("GET", f"{EVENTS}?singleEvents=true").json()["items"]
    answers = [one["attendees"][0]["responseStatus"] for one in seen]
    assert answers == ["needsAction", "declined", "needsAction"]


def test_an_unchanged_event_is_not_sent_again(ask: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **at(9), id="talk1")
    etag = ask("GET", f"{EVENTS}/talk1").headers["ETag"]
    same = ask("GET", f"{EVENTS}/talk1", **{"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    hands.patch(DANA, "talk1", location="Room 4")
    assert ask("GET", f"{EVENTS}/talk1", **{"If-None-Match": etag}).status_code == 200


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
        "1799575200",
    ],
)
def test_only_times_of_rfc_3339_are_accepted(ask: PlainClient, moment: str) -> None:
    assert ask("GET", f"{EVENTS}?timeMin={moment}").status_code == 400
    body = {"timeMin": moment, "timeMax": "2027-03-10T10:00:00Z", "items": [{"id": DANA}]}
    assert ask("POST", "/calendar/v3/freeBusy", body, FREE_BUSY_SCOPE).status_code == 400
    if moment != "2027-03-09T10:00:00":  # with a zone beside it, this is valid
        event = {**at(11), "start": {"dateTime": moment, "timeZone": "UTC"}}
        assert ask("POST", EVENTS, event).status_code == 400


def test_free_busy_is_in_the_requested_zone(ask: PlainClient, hands: GoogleHands) -> None:
    hands.insert(DANA, **at(9))
    body = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2027-03-10T00:00:00Z", "timeZone": "Europe/Berlin"}
    answer = ask("POST", "/calendar/v3/freeBusy", {**body, "items": [{"id": "primary"}]}, FREE_BUSY_SCOPE).json()
    assert answer["calendars"]["primary"]["busy"][0]["start"] == "2027-03-09T10:00:00+01:00"


# --- forms of answers -----------------------------------------------------------------------------------------------


def test_an_event_has_the_fields_that_google_adds(ask: PlainClient) -> None:
    event = ask("POST", EVENTS, {**at(9), "id": "talk1", "attendees": [{"email": SAM}]}).json()
    assert event["iCalUID"] == "talk1@google.com" and event["eventType"] == "default" and event["sequence"] == 0
    assert event["creator"] == event["organizer"] == {"email": DANA, "self": True}
    assert event["created"].endswith("Z") and event["htmlLink"].startswith("https://www.google.com/calendar/event")
    moved = ask("PATCH", f"{EVENTS}/talk1", at(10)).json()
    assert moved["sequence"] == 1 and moved["updated"] >= event["updated"]
    assert moved["created"] == event["created"] and moved["etag"] != event["etag"]


def test_read_only_fields_in_a_body_are_ignored(ask: PlainClient) -> None:
    """Some clients read an event, change it and write it back with all its fields."""
    event = ask("POST", EVENTS, {**at(9), "id": "talk1", "attendees": [{"email": SAM}]}).json()
    forged = {"htmlLink": "https://elsewhere.example", "created": "2001-01-01T00:00:00Z", "organizer": {"email": SAM}}
    again = ask("PUT", f"{EVENTS}/talk1", {**event, **forged, "summary": "Talk"}).json()
    assert again["summary"] == "Talk"
    assert {name: again[name] for name in forged} == {name: event[name] for name in forged}


def test_a_guests_copy_does_not_show_the_organizers_own_fields(ask: PlainClient, hands: GoogleHands) -> None:
    own = {
        "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 7}]},
        "extendedProperties": {"private": {"secret": "x"}, "shared": {"team": "red"}},
        "colorId": "3",
    }
    hands.insert(DANA, **at(9), id="talk1", attendees=[{"email": SAM}], **own)
    mine, theirs = (ask("GET", f"{EVENTS}/talk1", who=who).json() for who in (DANA, SAM))
    assert mine.items() >= own.items()
    assert theirs["reminders"] == {"useDefault": True} and "colorId" not in theirs
    assert theirs["extendedProperties"] == {"shared": {"team": "red"}}
    assert theirs["attendees"][0]["self"] is True and "self" not in theirs["organizer"]
    ask("PATCH", f"{EVENTS}/talk1", {"transparency": "transparent"}, who=SAM)
    assert "transparency" not in ask("GET", f"{EVENTS}/talk1").json()
    assert ask("GET", f"{EVENTS}/talk1", who=SAM).json()["transparency"] == "transparent"


def test_guests_are_shown_by_the_primary_address_of_the_account(double: Google, ask: PlainClient) -> None:
    double.calendars.add_person(KIM, shown_as="Kimberly@corp.example")
    event = ask("POST", EVENTS, {**at(9), "id": "talk1", "attendees": [{"email": KIM}, {"email": SAM}]}).json()
    assert [one["email"] for one in event["attendees"]] == ["Kimberly@corp.example", SAM]
    both = [{"email": KIM}, {"email": "kimberly@corp.example"}]
    assert len(ask("PATCH", f"{EVENTS}/talk1", {"attendees": both}).json()["attendees"]) == 1


def test_a_meet_link_is_created_at_once_or_later_or_refused(double: Google, ask: PlainClient) -> None:
    wish = {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    path = f"{EVENTS}?conferenceDataVersion=1"
    ready = ask("POST", path, {**at(9), "conferenceData": wish}).json()
    assert ready["hangoutLink"] == ready["conferenceData"]["entryPoints"][0]["uri"]
    assert "conferenceData" not in ask("POST", EVENTS, {**at(9), "conferenceData": wish}).json(), "version 0 drops it"
    double.calendars.meet_takes_time = True
    later = ask("POST", path, {**at(9), "id": "later1", "conferenceData": wish}).json()
    assert (
        later["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"} and "hangoutLink" not in later
    )
    double.calendars.finish_meet()
    done = ask("GET", f"{EVENTS}/later1").json()
    assert done["hangoutLink"] and done["etag"] != later["etag"]
    double.calendars.without_meet.add(DANA)
    refused = ask("POST", path, {**at(9), "conferenceData": wish})
    error = refused.json()["error"]
    assert (refused.status_code, error["errors"][0]["reason"]) == (400, "invalid")
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
def test_an_invalid_recurrence_rule_is_refused_and_breaks_no_later_list(ask: PlainClient, lines: list[str]) -> None:
    assert ask("POST", EVENTS, {**at(9), "id": "talk1", "summary": "Good"}).status_code == 200
    for verb, path in (("POST", EVENTS), ("PATCH", f"{EVENTS}/talk1")):
        refused = ask(verb, path, {**at(9), "recurrence": lines})
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Invalid recurrence rule.")
    assert ask.listed() == ask.listed("?singleEvents=true&orderBy=startTime") == ["Good"]


@pytest.mark.parametrize(
    ("event", "lines", "count"),
    [
        (at(9, zone="Europe/Berlin"), ["RRULE:FREQ=DAILY;UNTIL=20270311"], 3),
        (at(9, zone="Europe/Berlin"), ["RRULE:FREQ=DAILY;UNTIL=20270311T090000"], 3),
        (at(9), ["RRULE:FREQ=WEEKLY;BYDAY=TU,TH;COUNT=4", "EXDATE:20270311T090000Z"], 3),
        (at(9, zone="Europe/Berlin"), ["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Berlin:20270310T090000"], 2),
        (at(9), ["RDATE:20270401T090000Z,20270402T090000Z"], 3),
        (DAY, ["RRULE:FREQ=DAILY;UNTIL=20270311", "EXDATE;VALUE=DATE:20270310"], 2),
    ],
)
def test_a_recurrence_rule_gives_its_occurrences(
    ask: PlainClient, event: dict[str, Any], lines: list[str], count: int
) -> None:
    assert ask("POST", EVENTS, {**event, "recurrence": lines}).status_code == 200
    assert len(ask.listed("?singleEvents=true")) == count


def test_equal_rules_with_equal_starts_repeat_in_their_own_zones(ask: PlainClient) -> None:
    """Daylight saving time begins in one of the zones at the end of March."""
    rule = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"]}
    for zone, hour in (("Europe/Berlin", 10), ("UTC", 9)):
        assert ask("POST", EVENTS, {**at(hour, zone=zone), **rule, "summary": zone}).status_code == 200
    items = ask("GET", f"{EVENTS}?singleEvents=true&orderBy=startTime").json()["items"]
    last = {one["summary"]: one["start"]["dateTime"] for one in items}
    assert last == {"Europe/Berlin": "2027-03-30T08:00:00Z", "UTC": "2027-03-30T09:00:00Z"}


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_missing_scope_is_reported_as_google_reports_it(ask: PlainClient) -> None:
    answer = ask("POST", EVENTS, at(9), EVENTS_READ_SCOPE)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (403, 403, "PERMISSION_DENIED")
    assert error["message"] == "Request had insufficient authentication scopes."
    [inner] = error["errors"]
    assert inner == {"message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions"}
    [detail] = error["details"]
    assert detail["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert detail["metadata"] == {"service": "calendar-json.googleapis.com", "method": "calendar.events.insert"}
    assert (
        'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
        and OWNED_EVENTS_SCOPE in answer.headers["WWW-Authenticate"]
    )


def test_requests_about_an_account_without_a_calendar_are_refused(double: Google, ask: PlainClient) -> None:
    double.calendars.without_calendar.add(DANA)
    answer = ask("GET", EVENTS)
    assert answer.status_code == 403 and answer.json()["error"]["errors"][0]["reason"] == "notACalendarUser"
    body = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2027-03-10T00:00:00Z", "items": [{"id": DANA}]}
    answer = ask("POST", "/calendar/v3/freeBusy", body, FREE_BUSY_SCOPE, who=SAM).json()["calendars"][DANA]
    assert answer["errors"][0]["reason"] == "notFound"


def test_requests_of_a_service_account_without_quota_user_share_one_limit(double: Google) -> None:
    """Whomever it acts for. With `quotaUser`, or the header for it, each user has a limit of their own."""
    double.quota.per_user = 4

    def status(who: str, query: str = "", **headers: str) -> int:
        token = double.tokens.issue_token(who, {OWNED_EVENTS_SCOPE}, account="robot@iam.example")["access_token"]
        sent = {"Authorization": f"Bearer {token}", **headers}
        return requests.get(f"{double.url}{EVENTS}{query}", headers=sent, timeout=10).status_code

    assert [status(who) for who in (DANA, SAM, KIM, DANA, SAM)] == [200, 200, 200, 200, 403]
    assert [status(who, f"?quotaUser={who[:3]}") for who in (DANA, SAM) * 2] == [200] * 4
    assert status(KIM, **{"X-Goog-Quota-User": "kim"}) == 200
    assert status(KIM, f"?quotaUser={'x' * 41}") == 400
    double.quota.per_project = 5
    assert status(DANA, "?quotaUser=another") == 403


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
        ("GET", "/calendar/v3/colors", 501),
        ("GET", "/calendar/v3/users/me/settings/nothing", 403),
        ("POST", EVENTS, 400),
        ("POST", f"{EVENTS}/watch", 400),
    ],
)
def test_every_request_is_answered_in_json(ask: PlainClient, verb: str, path: str, status: int) -> None:
    answer = ask(
        verb, path, scope=OWNED_EVENTS_SCOPE if "colors" not in path else "https://www.googleapis.com/auth/calendar"
    )
    assert answer.status_code == status, answer.text
    if verb != "HEAD":
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"start": 7}', b'{"start": {}}'])
def test_an_invalid_body_is_refused(double: Google, body: bytes) -> None:
    token = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE})["access_token"]
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = requests.post(f"{double.url}{EVENTS}", data=body, headers=sent, timeout=10)
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
    assert json.loads(content or received)["error"]["code"] == status
    assert not head or b"application/json" in head or status == 400


def test_an_invalid_part_of_a_batch_does_not_affect_the_others(double: Google) -> None:
    token = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE})["access_token"]
    good = f"GET {EVENTS} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    parts = [good, "", "GET\r\n\r\n", "GET http://[ HTTP/1.1\r\n\r\n", good]
    heads = [f"--b\r\nContent-Type: application/http\r\nContent-ID: <{n}>\r\n\r\n{one}" for n, one in enumerate(parts)]
    body = "\r\n".join([*heads, "--b--\r\n"])
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/mixed; boundary=b"}
    answer = requests.post(f"{double.url}/batch/calendar/v3", data=body, headers=sent, timeout=10)
    assert answer.status_code == 200
    assert [line.split()[1] for line in answer.text.splitlines() if line.startswith("HTTP/1.1")] == [
        "200",
        "400",
        "400",
        "400",
        "200",
    ]
