"""python-o365, a client of Microsoft Graph by others, works with the double, unmodified."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from tests.doubles.graph import CLIENT, Double, Hands, section
from tests.doubles.graph.login import TENANT
from worker.domain.model import ShowAs, Span
from worker.providers.outlook import auth

DANA, SAM = "dana@example.org", "sam@example.org"
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2027, 3, 9, 10, tzinfo=BERLIN)
HOUR = timedelta(hours=1)
MARCH = (datetime(2027, 3, 1, tzinfo=BERLIN), datetime(2027, 4, 1, tzinfo=BERLIN))


@pytest.fixture
def double(service: Double) -> Iterator[Double]:
    service.reset()
    for person in (DANA, SAM):
        service.world.add_person(person, "Europe/Berlin")
    yield service
    service.reset()


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
                "access_token": auth.build_tokens(section(double)).get_token(),
                "expires_in": 3600,
                "token_type": "Bearer",
            },
        }
    )
    return Account(
        (CLIENT, "a secret"),
        auth_flow_type="credentials",
        tenant_id=TENANT,
        protocol=protocol(timezone="Europe/Berlin"),
        main_resource=DANA,
        token_backend=tokens,
        request_retries=0,
    )


def view(calendar: Any, **options: Any) -> list[Any]:
    """The events of March."""
    return list(
        calendar.get_events(start_recurring=MARCH[0], end_recurring=MARCH[1], include_recurring=True, **options)
    )


def book(calendar: Any, subject: str = "Talk", start: datetime = START) -> Any:
    """Create an event of one hour, and return it."""
    event = calendar.new_event(subject)
    event.start, event.end = start, start + HOUR
    assert event.save()
    return event


def test_events_are_made_changed_listed_and_deleted(account: Account, double: Double) -> None:
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
    [listed] = view(calendar)
    assert (listed.subject, listed.start, listed.end) == ("Longer", START, START + 2 * HOUR)
    assert [one.address for one in listed.attendees] == [SAM]
    assert calendar.get_event(event.object_id).subject == "Longer"

    assert event.delete()
    assert view(calendar) == [] and not double.world.mailboxes[SAM].items


def test_lists_are_filtered_ordered_and_paged(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    for n, subject in enumerate(("b", "c", "a")):
        book(calendar, subject, START + n * HOUR)
    ordered = view(calendar, order_by="subject", limit=10)
    assert [one.subject for one in ordered] == ["a", "b", "c"]
    assert len(view(calendar, limit=3, batch=2)) == 3
    query = calendar.new_query().equals("subject", "c")
    assert [one.subject for one in view(calendar, query=query)] == ["c"]
    part = calendar.new_query().select("subject")
    assert sorted(one.subject for one in view(calendar, query=part)) == ["a", "b", "c"]


def test_whole_days_and_teams_meetings_work(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Away")
    event.start, event.is_all_day, event.show_as = date(2027, 3, 10), True, "oof"
    assert event.save()
    talk = calendar.new_event("Talk")
    talk.start, talk.end, talk.is_online_meeting = START, START + HOUR, True
    assert talk.save()
    found = {one.subject: one for one in view(calendar)}
    assert found["Away"].is_all_day and found["Away"].start.astimezone(BERLIN).date() == date(2027, 3, 10)
    assert found["Talk"].is_online_meeting


def test_series_and_their_instances_work(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Weekly")
    event.start, event.end = START, START + HOUR
    event.recurrence.set_weekly(
        1, days_of_week=["tuesday"], first_day_of_week="monday", start=START.date(), occurrences=3
    )
    assert event.save()
    instances = list(calendar.get_event(event.object_id).get_occurrences(*MARCH))
    assert [one.start.day for one in sorted(instances, key=lambda one: one.start)] == [9, 16, 23]
    assert {one.start.astimezone(BERLIN).hour for one in instances} == {10}
    assert instances[0].delete()
    assert len(view(calendar)) == 2


def test_invitations_are_answered_and_meetings_cancelled(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Talk")
    event.start, event.end = START, START + HOUR
    event.attendees.add([SAM])
    event.save()
    theirs = account.schedule(resource=SAM).get_default_calendar()
    [copy] = view(theirs)
    assert copy.accept_event("With pleasure", tentatively=False)
    [listed] = view(calendar)
    assert [one.response_status.status.value for one in listed.attendees] == ["accepted"]
    assert event.cancel_event("Another time")
    assert view(theirs) == view(calendar) == []


def test_free_busy_is_read(account: Account, double: Double) -> None:
    Hands(double).add(SAM, Span(START.astimezone(UTC), (START + HOUR).astimezone(UTC)), show=ShowAs.AWAY)
    schedules = account.schedule().get_availability([SAM, "nobody@example.org"], START - HOUR, START + 2 * HOUR, 60)
    by_person = {one["scheduleId"]: one for one in schedules}
    assert by_person[SAM]["availabilityView"] == ["free", "out of office", "free"]
    assert "error" in by_person["nobody@example.org"]


def test_calendars_are_listed(account: Account) -> None:
    [calendar] = account.schedule().list_calendars()
    assert calendar.calendar_id == account.schedule().get_default_calendar().calendar_id
    book(calendar)
    assert len(view(calendar)) == 1


def test_mail_is_sent(account: Account, double: Double) -> None:
    message = account.new_message()
    message.to.add(SAM)
    message.subject, message.body = "Hello", "Words"
    assert message.send()
    [(recipient, sent)] = double.mails.outbox
    assert recipient == SAM and sent["Subject"] == "Hello"


def test_errors_are_raised(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    event = book(calendar)
    event.delete()
    with pytest.raises(requests.HTTPError) as caught:
        calendar.get_event(event.object_id)
    assert caught.value.response.status_code == 404
    with pytest.raises(requests.HTTPError, match="nobody@example"):
        account.schedule(resource="nobody@example.org").get_default_calendar()
    double.blocked.add(DANA)
    with pytest.raises(requests.HTTPError, match="AppOnly AccessPolicy"):
        view(calendar)


# --- requests for which python-o365 has no method, through its connection -------------------------------------------


def test_delta_queries_and_batches_work(account: Account, double: Double) -> None:
    calendar = account.schedule().get_default_calendar()
    base = f"{double.endpoint}/users/{DANA}"
    bounds = {"startDateTime": MARCH[0].isoformat(), "endDateTime": MARCH[1].isoformat()}
    first = account.con.get(f"{base}/calendarView/delta()", params=bounds).json()
    event = book(calendar)
    changes = account.con.get(first["@odata.deltaLink"]).json()
    assert {one["id"] for one in changes["value"]} == {event.object_id}
    event.delete()
    changes = account.con.get(changes["@odata.deltaLink"]).json()
    assert [one["@removed"] for one in changes["value"]] == [{"reason": "deleted"}]
    steps = [
        {"id": str(n), "method": "GET", "url": f"/users/{who}/events"} for n, who in enumerate((DANA, SAM, "x@y.z"))
    ]
    answer = account.con.post(f"{double.endpoint}/$batch", data={"requests": steps}).json()
    assert {one["id"]: one["status"] for one in answer["responses"]} == {"0": 200, "1": 200, "2": 404}
