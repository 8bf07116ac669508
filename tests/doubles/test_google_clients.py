"""Clients of Google Calendar by others work with the double of Google, unmodified: google-api-python-client with
google-auth, gcsa, and gcal_sync."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from time import time
from typing import Any

import aiohttp
import pytest
from gcal_sync.api import GoogleCalendarService, ListEventsRequest, LocalListEventsRequest, SyncEventsRequest
from gcal_sync.auth import AbstractAuth
from gcal_sync.exceptions import ApiForbiddenException, AuthException, InvalidSyncTokenException
from gcal_sync.model import DateOrDatetime
from gcal_sync.model import Event as SyncedEvent
from gcal_sync.sync import CalendarEventSyncManager
from gcsa.attendee import Attendee
from gcsa.conference import ConferenceSolutionCreateRequest, SolutionType
from gcsa.event import Event
from gcsa.free_busy import FreeBusyQueryError
from gcsa.google_calendar import GoogleCalendar, SendUpdatesMode
from gcsa.recurrence import DAILY, Recurrence
from gcsa.reminders import PopupReminder
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials as Granted
from google.oauth2.service_account import Credentials
from googleapiclient.channel import new_webhook_channel, notification_from_headers
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from tests.doubles.google import Google
from tests.doubles.google.hands import GoogleHands
from tests.support.channel_contract import PUBLIC, listen
from tests.support.companies import DANA, SAM

CALENDAR = "https://www.googleapis.com/auth/calendar"
SEND = "https://www.googleapis.com/auth/gmail.send"
NINE = datetime(2027, 3, 9, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOBODY = "nobody@corp.example"


def times(start: datetime = NINE) -> dict[str, Any]:
    """The fields `start` and `end` of an event of one hour."""
    return {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": (start + HOUR).isoformat()}}


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted_scopes = {CALENDAR, SEND}
        for person in (DANA, SAM):
            running.calendars.add_person(person, "Europe/Berlin")
        yield running
    assert running.crashes == []


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars)


def credentials(double: Google, scope: str = CALENDAR, who: str = DANA) -> Any:
    """The credentials of google-auth for a service account that acts for that person."""
    make: Any = Credentials
    return make.from_service_account_info(double.tokens.service_account(), scopes=[scope], subject=who)


def service(double: Google, api: str = "calendar", version: str = "v3", **options: Any) -> Any:
    """The client of google-api-python-client for that API."""
    endpoint = f"{double.url}/calendar/v3/" if api == "calendar" else f"{double.url}/"
    signed = options.pop("credentials", None) or credentials(double)
    return build(api, version, credentials=signed, client_options={"api_endpoint": endpoint})


def refusal(request: Any) -> tuple[int, str]:
    """The status and the reason with which a request is refused."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value.resp.status, str(json.loads(caught.value.content)["error"]["errors"][0]["reason"])


# --- google-api-python-client ---------------------------------------------------------------------------------------


def test_google_client_inserts_lists_changes_and_deletes(double: Google) -> None:
    events = service(double).events()
    created = events.insert(calendarId="primary", body={**times(), "summary": "Talk"}, sendUpdates="all").execute()
    assert created["summary"] == "Talk" and created["start"]["dateTime"] == "2027-03-09T10:00:00+01:00"
    [listed] = events.list(calendarId="primary", singleEvents=True, orderBy="startTime").execute()["items"]
    assert listed == created == events.get(calendarId=DANA, eventId=created["id"]).execute()
    change = events.patch(calendarId="primary", eventId=created["id"], body={"location": "Room 4"})
    change.headers["If-Match"] = created["etag"]
    changed = change.execute()
    assert (changed["summary"], changed["location"]) == ("Talk", "Room 4")
    stale = events.delete(calendarId="primary", eventId=created["id"])
    stale.headers["If-Match"] = created["etag"]
    assert refusal(stale) == (412, "conditionNotMet")
    written = events.update(calendarId="primary", eventId=created["id"], body={**changed, "summary": "Other"}).execute()
    assert written["summary"] == "Other"
    events.delete(calendarId="primary", eventId=created["id"]).execute()
    assert refusal(events.delete(calendarId="primary", eventId=created["id"])) == (410, "deleted")


def test_google_client_pages_and_synchronizes(double: Google, hands: GoogleHands) -> None:
    events = service(double).events()
    for number in range(5):
        hands.insert(DANA, **times(NINE + number * DAY))
    request, pages = events.list(calendarId="primary", maxResults=2), []
    while request is not None:
        pages.append(request.execute())
        request = events.list_next(request, pages[-1])
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    token = pages[-1]["nextSyncToken"]
    lost = pages[0]["items"][0]["id"]
    hands.remove(DANA, lost)
    since = events.list(calendarId="primary", syncToken=token).execute()
    assert [(one["id"], one["status"]) for one in since["items"]] == [(lost, "cancelled")]
    assert events.list(calendarId="primary", syncToken=since["nextSyncToken"]).execute()["items"] == []
    double.calendars.expire_sync_tokens(DANA)
    assert refusal(events.list(calendarId="primary", syncToken=token)) == (410, "fullSyncRequired")


def test_google_client_reads_and_changes_a_series(double: Google) -> None:
    events = service(double).events()
    zone = {"timeZone": "Europe/Berlin"}
    body = {side: {**at, **zone} for side, at in times().items()}
    series = events.insert(calendarId="primary", body={**body, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}).execute()
    listed = events.instances(calendarId="primary", eventId=series["id"]).execute()["items"]
    assert {one["recurringEventId"] for one in listed} == {series["id"]} and len(listed) == 3
    second = listed[1]
    moved = events.patch(calendarId="primary", eventId=second["id"], body=times(NINE + 6 * HOUR + DAY)).execute()
    assert moved["originalStartTime"] == second["start"]
    events.delete(calendarId="primary", eventId=listed[2]["id"]).execute()
    left = events.list(calendarId="primary", singleEvents=True).execute()["items"]
    assert [one["id"] for one in left] == [listed[0]["id"], second["id"]]
    bad = {**body, "recurrence": ["RRULE:FREQ=NEVER"]}
    assert refusal(events.insert(calendarId="primary", body=bad)) == (400, "invalid")


def test_google_client_asks_for_free_and_busy(double: Google, hands: GoogleHands) -> None:
    hands.insert(SAM, **times())
    body = {"timeMin": NINE.isoformat(), "timeMax": (NINE + DAY).isoformat(), "items": [{"id": SAM}, {"id": NOBODY}]}
    calendars = service(double).freebusy().query(body=body).execute()["calendars"]
    assert calendars[SAM]["busy"] == [{"start": "2027-03-09T09:00:00Z", "end": "2027-03-09T10:00:00Z"}]
    assert calendars[NOBODY]["errors"][0]["reason"] == "notFound"


def test_google_client_sends_a_batch(double: Google) -> None:
    """Each part has its own answer, also when another part is refused."""
    events = service(double).events()
    answers: dict[str, Any] = {}
    batch = BatchHttpRequest(
        callback=lambda name, answer, error: answers.update({name: error or answer}),
        batch_uri=f"{double.url}/batch/calendar/v3",
    )
    batch.add(events.insert(calendarId="primary", body={**times(), "id": "batched1"}), request_id="a")
    batch.add(events.get(calendarId="primary", eventId="nothing"), request_id="b")
    batch.add(events.list(calendarId="primary"), request_id="c")
    batch.execute()
    assert answers["a"]["id"] == "batched1" and answers["c"]["kind"] == "calendar#events"
    assert answers["b"].resp.status == 404


def test_google_client_watches_a_calendar(double: Google, hands: GoogleHands) -> None:
    """The library creates the channel and parses the notifications."""
    channels = double.calendars.channels
    with listen() as listener:
        channels.routes[PUBLIC] = listener.url
        expiration = datetime.now() + 30 * DAY  # noqa: DTZ005 -- the library takes no zone
        channel = new_webhook_channel(f"{PUBLIC}/google", token="secret", expiration=expiration.replace(microsecond=0))
        api = service(double)
        answer = api.events().watch(calendarId=DANA, body=channel.body()).execute()
        assert answer.keys() == {"kind", "id", "resourceId", "resourceUri", "token", "expiration"}
        channel.update(answer)
        assert 0 < datetime.fromtimestamp(int(channel.expiration) / 1000, UTC).timestamp() - time() <= 7 * 86400
        hands.insert(DANA, **times())
        hands.insert(SAM, **times())
        channels.settle()
        read: Any = notification_from_headers
        received = [read(channel, dict(request.headers)) for request in listener.requests]
        assert [one.state for one in received] == ["sync", "exists"]
        assert received[0].message_number == 1 < received[1].message_number
        assert {(one.resource_id, one.resource_uri) for one in received} == {
            (channel.resource_id, channel.resource_uri)
        }
        api.channels().stop(body=channel.body()).execute()
        hands.insert(DANA, **times())
        channels.settle()
        assert len(listener.requests) == 2
        assert refusal(api.channels().stop(body=channel.body())) == (404, "notFound")
        assert refusal(api.events().watch(calendarId=DANA, body=channel.body())) == (400, "channelIdNotUnique")


def test_google_client_sends_mail(double: Google) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = DANA, SAM, "Grüße"
    message.set_content("Bis Dienstag")
    raw = base64.urlsafe_b64encode(message.as_bytes()).decode()
    messages = service(double, "gmail", "v1", credentials=credentials(double, SEND)).users().messages()
    assert messages.send(userId="me", body={"raw": raw}).execute()["id"]
    [(who, sent)] = double.gmail.sent
    assert (who, sent["Subject"], sent.get_content().strip()) == (DANA, "Grüße", "Bis Dienstag")
    assert refusal(messages.send(userId="me", body={"raw": "a+b/"})) == (400, "invalidArgument")


def test_google_client_reads_refusals(double: Google) -> None:
    events = service(double).events()
    created = events.insert(calendarId="primary", body={**times(), "id": "taken1"}).execute()
    assert refusal(events.insert(calendarId="primary", body={**times(), "id": created["id"]})) == (409, "duplicate")
    assert refusal(events.list(calendarId=SAM)) == (404, "notFound")
    assert refusal(events.insert(calendarId="primary", body={"summary": "Timeless"})) == (400, "required")
    narrow = service(double, credentials=credentials(double, SEND))
    assert refusal(narrow.events().list(calendarId="primary")) == (403, "insufficientPermissions")
    for ungranted in (credentials(double, f"{CALENDAR}.readonly"), credentials(double, who=NOBODY)):
        with pytest.raises(RefreshError):
            service(double, credentials=ungranted).events().list(calendarId="primary").execute()


# --- gcsa -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gcsa(double: Google) -> GoogleCalendar:
    """The client of gcsa. It knows only the address of Google, so its service is replaced by one for the double."""
    token = double.tokens.issue_token(DANA, {CALENDAR})["access_token"]
    make: Any = Granted
    signed = make(token)
    calendar = GoogleCalendar(credentials=signed)
    calendar.service = service(double, credentials=signed)
    return calendar


def gcsa_event(title: str, start: datetime = NINE, **more: Any) -> Event:
    return Event(title, start=start, end=start + HOUR, timezone="Europe/Berlin", **more)


def titles(calendar: GoogleCalendar, **query: Any) -> list[str]:
    query = {"time_min": NINE - DAY, "time_max": NINE + 30 * DAY, "timezone": "Europe/Berlin", **query}
    return [one.summary for one in calendar.get_events(**query)]


def test_gcsa_adds_finds_changes_and_deletes(double: Google, gcsa: GoogleCalendar) -> None:
    guest = Attendee(SAM, display_name="Sam", optional=True)
    event = gcsa.add_event(
        gcsa_event("Talk", attendees=guest, reminders=PopupReminder(minutes_before_start=7), location="Room 4"),
        send_updates=SendUpdatesMode.ALL,
    )
    assert [notice.to for notice in double.calendars.notices] == [SAM]
    found = gcsa.get_event(event.event_id)
    assert (found.summary, found.start, found.location) == ("Talk", NINE, "Room 4")
    assert [one.minutes_before_start for one in found.reminders] == [7] and found.attendees[0].email == SAM
    found.summary, found.start, found.end = "Other", NINE + DAY, NINE + DAY + HOUR
    assert gcsa.update_event(found).start == NINE + DAY
    assert titles(gcsa, query="other") == ["Other"] and titles(gcsa, query="nothing") == []
    gcsa.delete_event(found)
    assert titles(gcsa) == []


def test_gcsa_repeats_and_asks_for_a_link(gcsa: GoogleCalendar) -> None:
    series = gcsa.add_event(gcsa_event("Stand-up", recurrence=Recurrence.rule(freq=DAILY, count=3)))
    occurrences = list(gcsa.get_instances(series, timezone="Europe/Berlin"))
    assert [one.start for one in occurrences] == [NINE, NINE + DAY, NINE + 2 * DAY]
    gcsa.delete_event(occurrences[1])
    assert titles(gcsa, single_events=True, order_by="startTime") == ["Stand-up", "Stand-up"]
    wish = ConferenceSolutionCreateRequest(SolutionType.HANGOUTS_MEET)
    linked = gcsa.add_event(gcsa_event("Call", NINE + 5 * HOUR, conference_solution=wish))
    assert linked.conference_solution.entry_points[0].uri.startswith("https://meet.google.com/")


def test_gcsa_asks_for_free_and_busy_and_calendars(gcsa: GoogleCalendar, hands: GoogleHands) -> None:
    hands.insert(SAM, **times())
    window = {"time_min": NINE - DAY, "time_max": NINE + DAY, "timezone": "UTC"}
    [block] = gcsa.get_free_busy(SAM, **window).calendars[SAM]
    assert (block.start, block.end) == (NINE, NINE + HOUR)
    with pytest.raises(FreeBusyQueryError):
        gcsa.get_free_busy(NOBODY, **window)
    assert gcsa.get_calendar().timezone == "Europe/Berlin"
    assert [one.summary for one in gcsa.get_calendar_list()] == [DANA]
    assert gcsa.get_settings().timezone == "Europe/Berlin"
    with pytest.raises(HttpError):
        gcsa.get_event("nothing")


# --- gcal_sync ------------------------------------------------------------------------------------------------------


class Auth(AbstractAuth):
    """Authorizes every request with the same token."""

    def __init__(self, session: aiohttp.ClientSession, double: Google, token: str) -> None:
        super().__init__(session, f"{double.url}/calendar/v3")
        self._token = token

    async def async_get_access_token(self) -> str:
        return self._token


def run_gcal_sync(
    double: Google, work: Callable[[GoogleCalendarService], Awaitable[None]], scope: str = CALENDAR, token: str = ""
) -> None:
    """Run `work` with a client of gcal_sync."""

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            signed = token or double.tokens.issue_token(DANA, {scope})["access_token"]
            await work(GoogleCalendarService(Auth(session, double, signed)))

    asyncio.run(run())


def make_synced_event(title: str, start: datetime = NINE) -> SyncedEvent:
    ends = {"start": DateOrDatetime(date_time=start), "end": DateOrDatetime(date_time=start + HOUR)}
    return SyncedEvent(summary=title, **ends)


def test_gcal_sync_creates_lists_changes_and_deletes(double: Google) -> None:
    async def work(api: GoogleCalendarService) -> None:
        await api.async_create_event("primary", make_synced_event("Talk"))
        request = ListEventsRequest(calendar_id="primary", start_time=NINE - DAY, end_time=NINE + DAY)
        [event] = (await api.async_list_events(request)).items
        assert event.summary == "Talk" and event.start.value == NINE and event.id
        await api.async_patch_event("primary", event.id, {"summary": "Other"})
        assert (await api.async_get_event("primary", event.id)).summary == "Other"
        await api.async_delete_event("primary", event.id)
        assert (await api.async_list_events(request)).items == []
        [calendar] = (await api.async_list_calendars()).items
        assert (calendar.id, calendar.timezone) == (DANA, "Europe/Berlin")

    run_gcal_sync(double, work)


def test_gcal_sync_pages(double: Google, hands: GoogleHands) -> None:
    double.calendars.page_size = 2
    for number in range(5):
        hands.insert(DANA, **times(NINE + number * DAY))

    async def work(api: GoogleCalendarService) -> None:
        request = ListEventsRequest(calendar_id="primary", start_time=NINE - DAY)
        pages = [len(page.items) async for page in await api.async_list_events(request)]
        assert pages == [2, 2, 1]

    run_gcal_sync(double, work)


def test_gcal_sync_keeps_a_copy_up_to_date(double: Google, hands: GoogleHands) -> None:
    """The copy follows by sync tokens, with series as rules. After an invalid token it is read anew."""
    zone = {"timeZone": "Europe/Berlin"}
    series = {side: {**at, **zone} for side, at in times().items()}
    hands.insert(DANA, **series, summary="Stand-up", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    lost = hands.insert(DANA, **times(NINE + 10 * DAY), summary="Lost")

    async def work(api: GoogleCalendarService) -> None:
        manager = CalendarEventSyncManager(api, "primary")

        async def copy() -> list[str]:
            await manager.run()
            request = LocalListEventsRequest(start_time=NINE - DAY, end_time=NINE + 30 * DAY)
            return [event.summary for event in (await manager.store_service.async_list_events(request)).events]

        assert await copy() == ["Stand-up"] * 3 + ["Lost"]
        hands.remove(DANA, lost)
        hands.insert(DANA, **times(NINE + 20 * DAY), summary="New")
        assert await copy() == ["Stand-up"] * 3 + ["New"]
        double.calendars.expire_sync_tokens(DANA)
        with pytest.raises(InvalidSyncTokenException):
            await api.async_list_events_page(SyncEventsRequest(calendar_id="primary", sync_token="dead"))
        assert await copy() == ["Stand-up"] * 3 + ["New"]

    run_gcal_sync(double, work)


@pytest.mark.parametrize(
    ("scope", "token", "error"), [(SEND, "", ApiForbiddenException), (CALENDAR, "forged", AuthException)]
)
def test_gcal_sync_reads_refusals(double: Google, scope: str, token: str, error: type[Exception]) -> None:
    async def work(api: GoogleCalendarService) -> None:
        with pytest.raises(error):
            await api.async_list_calendars()

    run_gcal_sync(double, work, scope, token)
