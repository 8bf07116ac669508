"""python-o365, a public client library for Microsoft Graph, works unmodified with the double."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from tests.doubles.graph import CLIENT, Double, Hands, make_section
from tests.doubles.graph.login import SECRET, TENANT
from worker.domain.model import ShowAs, Span
from worker.providers.outlook import auth

DANA, SAM = "dana@example.org", "sam@example.org"
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2027, 3, 9, 10, tzinfo=BERLIN)
HOUR = timedelta(hours=1)
MARCH = (datetime(2027, 3, 1, tzinfo=BERLIN), datetime(2027, 4, 1, tzinfo=BERLIN))


@pytest.fixture
def double(shared_double: Double) -> Iterator[Double]:
    shared_double.reset()
    for person in (DANA, SAM):
        shared_double.world.add_person(person, "Europe/Berlin")
    yield shared_double
    shared_double.reset()


@pytest.fixture
def account(double: Double) -> Account:
    """Dana's account in python-o365, logged in as an app."""
    protocol = type("Local", (MSGraphProtocol,), {"_protocol_url": double.endpoint.removesuffix("v1.0")})
    tokens = MemoryTokenBackend()
    tokens.add(
        {
            "client_id": CLIENT,
            "scope": ["https://graph.microsoft.com/.default"],
            "token_endpoint": f"{double.authority}/{TENANT}/oauth2/v2.0/token",
            "grant_type": "client_credentials",
            "response": {
                "access_token": auth.build_tokens(make_section(double)).get_token(),
                "expires_in": 3600,
                "token_type": "Bearer",
            },
        }
    )
    return Account(
        (CLIENT, SECRET),
        auth_flow_type="credentials",
        tenant_id=TENANT,
        protocol=protocol(timezone="Europe/Berlin"),
        main_resource=DANA,
        token_backend=tokens,
        request_retries=0,
    )


def list_march_events(calendar: Any, **options: Any) -> list[Any]:
    """Return the events of March 2027."""
    return list(
        calendar.get_events(start_recurring=MARCH[0], end_recurring=MARCH[1], include_recurring=True, **options)
    )


def book(calendar: Any, subject: str = "Talk", start: datetime = START) -> Any:
    """Create an event of one hour, and return it."""
    event = calendar.new_event(subject)
    event.start, event.end = start, start + HOUR
    assert event.save()
    return event


def test_o365_creates_changes_lists_and_deletes_events(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Talk")
    event.start, event.end = START, START + HOUR
    event.body = "Words"
    event.show_as, event.sensitivity = "tentative", "private"
    event.attendees.add([SAM])
    assert event.save() and event.object_id
    [copy] = double.world.mailboxes[SAM].items.values()
    assert copy.start == START.astimezone(UTC)

    event.subject, event.end = "Longer", START + 2 * HOUR
    assert event.save()
    [event_in_list] = list_march_events(calendar)
    assert (event_in_list.subject, event_in_list.start, event_in_list.end) == ("Longer", START, START + 2 * HOUR)
    assert [attendee.address for attendee in event_in_list.attendees] == [SAM]
    assert calendar.get_event(event.object_id).subject == "Longer"

    assert event.delete()
    assert list_march_events(calendar) == [] and not double.world.mailboxes[SAM].items


def test_o365_filters_orders_and_pages_lists(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    for number, subject in enumerate(("b", "c", "a")):
        book(calendar, subject, START + number * HOUR)
    events = list_march_events(calendar, order_by="subject", limit=10)
    assert [event.subject for event in events] == ["a", "b", "c"]
    assert len(list_march_events(calendar, limit=3, batch=2)) == 3  # from two pages
    query = calendar.new_query().equals("subject", "c")
    assert [event.subject for event in list_march_events(calendar, query=query)] == ["c"]
    query_of_subjects = calendar.new_query().select("subject")
    assert sorted(event.subject for event in list_march_events(calendar, query=query_of_subjects)) == ["a", "b", "c"]


def test_o365_creates_all_day_events_and_teams_meetings(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Away")
    event.start, event.is_all_day, event.show_as = date(2027, 3, 10), True, "oof"
    assert event.save()
    talk = calendar.new_event("Talk")
    talk.start, talk.end, talk.is_online_meeting = START, START + HOUR, True
    assert talk.save()
    events = {event.subject: event for event in list_march_events(calendar)}
    assert events["Away"].is_all_day and events["Away"].start.astimezone(BERLIN).date() == date(2027, 3, 10)
    assert events["Talk"].is_online_meeting


def test_o365_creates_a_series_and_deletes_an_instance(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Weekly")
    event.start, event.end = START, START + HOUR
    event.recurrence.set_weekly(
        interval=1, days_of_week=["tuesday"], first_day_of_week="monday", start=START.date(), occurrences=3
    )
    assert event.save()
    instances = list(calendar.get_event(event.object_id).get_occurrences(*MARCH))
    assert [instance.start.day for instance in sorted(instances, key=lambda instance: instance.start)] == [9, 16, 23]
    assert {instance.start.astimezone(BERLIN).hour for instance in instances} == {10}
    assert instances[0].delete()
    assert len(list_march_events(calendar)) == 2


def test_o365_answers_an_invitation_and_cancels_a_meeting(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Talk")
    event.start, event.end = START, START + HOUR
    event.attendees.add([SAM])
    event.save()
    sams_calendar = account.schedule(resource=SAM).get_default_calendar()
    [copy] = list_march_events(sams_calendar)
    assert copy.accept_event("With pleasure", tentatively=False)
    [event_in_list] = list_march_events(calendar)
    assert [attendee.response_status.status.value for attendee in event_in_list.attendees] == ["accepted"]
    assert event.cancel_event("Another time")
    assert list_march_events(sams_calendar) == list_march_events(calendar) == []


def test_o365_reads_free_busy(account: Account, double: Double) -> None:
    Hands(double).add(SAM, Span(START.astimezone(UTC), (START + HOUR).astimezone(UTC)), show=ShowAs.AWAY)
    schedules = account.schedule().get_availability(
        [SAM, "nobody@example.org"], START - HOUR, START + 2 * HOUR, interval=60
    )
    by_person = {schedule["scheduleId"]: schedule for schedule in schedules}
    assert by_person[SAM]["availabilityView"] == ["free", "out of office", "free"]
    assert "error" in by_person["nobody@example.org"]


def test_o365_lists_the_calendars(account: Account) -> None:
    [calendar] = account.schedule().list_calendars()
    assert calendar.calendar_id == account.schedule().get_default_calendar().calendar_id
    book(calendar)
    assert len(list_march_events(calendar)) == 1


def test_o365_sends_mail(account: Account, double: Double) -> None:
    message = account.new_message()
    message.to.add(SAM)
    message.subject, message.body = "Hello", "Words"
    assert message.send()
    [(recipient, mail)] = double.mails.outbox
    assert recipient == SAM and mail["Subject"] == "Hello"


def test_o365_raises_errors_for_refused_requests(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    event = book(calendar)
    event.delete()
    with pytest.raises(requests.HTTPError) as error_info:
        calendar.get_event(event.object_id)
    assert error_info.value.response.status_code == 404
    with pytest.raises(requests.HTTPError, match="nobody@example"):
        account.schedule(resource="nobody@example.org").get_default_calendar()
    double.blocked.add(DANA)
    with pytest.raises(requests.HTTPError, match="AppOnly AccessPolicy"):
        list_march_events(calendar)


# --- requests for which python-o365 has no method, through its connection -------------------------------------------


def test_o365_connection_runs_delta_queries_and_batches(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    base = f"{double.endpoint}/users/{DANA}"
    bounds = {"startDateTime": MARCH[0].isoformat(), "endDateTime": MARCH[1].isoformat()}
    first = account.con.get(f"{base}/calendarView/delta()", params=bounds).json()
    event = book(calendar)
    changes = account.con.get(first["@odata.deltaLink"]).json()
    assert {item["id"] for item in changes["value"]} == {event.object_id}
    event.delete()
    changes = account.con.get(changes["@odata.deltaLink"]).json()
    assert [item["@removed"] for item in changes["value"]] == [{"reason": "deleted"}]
    steps = [
        {"id": str(number), "method": "GET", "url": f"/users/{who}/events"}
        for number, who in enumerate((DANA, SAM, "nobody@example.org"))
    ]
    answer = account.con.post(f"{double.endpoint}/$batch", data={"requests": steps}).json()
    assert {response["id"]: response["status"] for response in answer["responses"]} == {"0": 200, "1": 200, "2": 404}
