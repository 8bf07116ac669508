"""Public client libraries of Google Calendar work unmodified with the double of Google.

They are google-api-python-client with google-auth, gcsa, and gcal_sync.
"""

import asyncio
import base64
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
from google.oauth2.credentials import Credentials as UserCredentials
from google.oauth2.service_account import Credentials
from googleapiclient.channel import new_webhook_channel, notification_from_headers
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from tests.doubles.google import Google
from tests.doubles.google.hands import GoogleHands
from tests.support.channel_contract import PUBLIC, listen
from tests.support.companies import DANA, SAM
from tests.support.google import execute_refused

CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
SEND_SCOPE = "https://www.googleapis.com/auth/gmail.send"
START = datetime(2027, 3, 9, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOBODY = "nobody@corp.example"


def make_times(start: datetime = START) -> dict[str, Any]:
    """Return the fields `start` and `end` of an event of one hour."""
    return {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": (start + HOUR).isoformat()}}


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted_scopes = {CALENDAR_SCOPE, SEND_SCOPE}
        for person in (DANA, SAM):
            running.calendars.add_person(person, "Europe/Berlin")
        yield running
    assert running.crashes == []


def make_credentials(double: Google, scope: str = CALENDAR_SCOPE, who: str = DANA) -> Any:
    """Return the credentials of google-auth for a service account that acts for that person."""
    untyped_class: Any = Credentials
    return untyped_class.from_service_account_info(double.tokens.add_service_account(), scopes=[scope], subject=who)


def build_service(double: Google, api: str = "calendar", version: str = "v3", **options: Any) -> Any:
    """Return the client of google-api-python-client for that API."""
    endpoint = f"{double.url}/calendar/v3/" if api == "calendar" else f"{double.url}/"
    used_credentials = options.pop("credentials", None) or make_credentials(double)
    return build(api, version, credentials=used_credentials, client_options={"api_endpoint": endpoint})


# --- google-api-python-client ---------------------------------------------------------------------------------------


def test_google_client_inserts_lists_changes_and_deletes_events(double: Google) -> None:
    events = build_service(double).events()
    created = events.insert(calendarId="primary", body={**make_times(), "summary": "Talk"}, sendUpdates="all").execute()
    assert created["summary"] == "Talk" and created["start"]["dateTime"] == "2027-03-09T10:00:00+01:00"
    [item] = events.list(calendarId="primary", singleEvents=True, orderBy="startTime").execute()["items"]
    assert item == created == events.get(calendarId=DANA, eventId=created["id"]).execute()
    patch = events.patch(calendarId="primary", eventId=created["id"], body={"location": "Room 4"})
    patch.headers["If-Match"] = created["etag"]
    patched = patch.execute()
    assert (patched["summary"], patched["location"]) == ("Talk", "Room 4")
    stale_deletion = events.delete(calendarId="primary", eventId=created["id"])
    stale_deletion.headers["If-Match"] = created["etag"]
    assert execute_refused(stale_deletion) == (412, "conditionNotMet")
    updated = events.update(calendarId="primary", eventId=created["id"], body={**patched, "summary": "Other"}).execute()
    assert updated["summary"] == "Other"
    events.delete(calendarId="primary", eventId=created["id"]).execute()
    assert execute_refused(events.delete(calendarId="primary", eventId=created["id"])) == (410, "deleted")


def test_google_client_reads_pages_and_changes_by_sync_token(double: Google, hands: GoogleHands) -> None:
    events = build_service(double).events()
    for number in range(5):
        hands.insert(DANA, **make_times(START + number * DAY))
    request, pages = events.list(calendarId="primary", maxResults=2), []
    while request is not None:
        pages.append(request.execute())
        request = events.list_next(request, pages[-1])
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    token = pages[-1]["nextSyncToken"]
    deleted_id = pages[0]["items"][0]["id"]
    hands.remove(DANA, deleted_id)
    changes = events.list(calendarId="primary", syncToken=token).execute()
    assert [(item["id"], item["status"]) for item in changes["items"]] == [(deleted_id, "cancelled")]
    assert events.list(calendarId="primary", syncToken=changes["nextSyncToken"]).execute()["items"] == []
    double.calendars.expire_sync_tokens(DANA)
    assert execute_refused(events.list(calendarId="primary", syncToken=token)) == (410, "fullSyncRequired")


def test_google_client_reads_and_changes_a_series(double: Google) -> None:
    events = build_service(double).events()
    zone = {"timeZone": "Europe/Berlin"}
    body = {side: {**value, **zone} for side, value in make_times().items()}
    series = events.insert(calendarId="primary", body={**body, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}).execute()
    occurrences = events.instances(calendarId="primary", eventId=series["id"]).execute()["items"]
    assert {item["recurringEventId"] for item in occurrences} == {series["id"]} and len(occurrences) == 3
    second = occurrences[1]
    moved = events.patch(calendarId="primary", eventId=second["id"], body=make_times(START + 6 * HOUR + DAY)).execute()
    assert moved["originalStartTime"] == second["start"]
    events.delete(calendarId="primary", eventId=occurrences[2]["id"]).execute()
    items = events.list(calendarId="primary", singleEvents=True).execute()["items"]
    assert [item["id"] for item in items] == [occurrences[0]["id"], second["id"]]
    invalid_body = {**body, "recurrence": ["RRULE:FREQ=NEVER"]}
    assert execute_refused(events.insert(calendarId="primary", body=invalid_body)) == (400, "invalid")


def test_google_client_queries_free_busy(double: Google, hands: GoogleHands) -> None:
    hands.insert(SAM, **make_times())
    body = {"timeMin": START.isoformat(), "timeMax": (START + DAY).isoformat(), "items": [{"id": SAM}, {"id": NOBODY}]}
    calendars = build_service(double).freebusy().query(body=body).execute()["calendars"]
    assert calendars[SAM]["busy"] == [{"start": "2027-03-09T09:00:00Z", "end": "2027-03-09T10:00:00Z"}]
    assert calendars[NOBODY]["errors"][0]["reason"] == "notFound"


def test_google_client_sends_a_batch(double: Google) -> None:
    """Each part of the batch gets its own answer, although one of them is refused."""
    events = build_service(double).events()
    answers: dict[str, Any] = {}
    batch = BatchHttpRequest(
        callback=lambda name, answer, error: answers.update({name: error or answer}),
        batch_uri=f"{double.url}/batch/calendar/v3",
    )
    batch.add(events.insert(calendarId="primary", body={**make_times(), "id": "batched1"}), request_id="a")
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
        api = build_service(double)
        answer = api.events().watch(calendarId=DANA, body=channel.body()).execute()
        assert answer.keys() == {"kind", "id", "resourceId", "resourceUri", "token", "expiration"}
        channel.update(answer)
        assert 0 < datetime.fromtimestamp(int(channel.expiration) / 1000, UTC).timestamp() - time() <= 7 * 86400
        hands.insert(DANA, **make_times())
        hands.insert(SAM, **make_times())
        channels.settle()
        parse: Any = notification_from_headers
        notifications = [parse(channel, dict(request.headers)) for request in listener.requests]
        assert [notification.state for notification in notifications] == ["sync", "exists"]
        assert notifications[0].message_number == 1 < notifications[1].message_number
        assert {(notification.resource_id, notification.resource_uri) for notification in notifications} == {
            (channel.resource_id, channel.resource_uri)
        }
        api.channels().stop(body=channel.body()).execute()
        hands.insert(DANA, **make_times())
        channels.settle()
        assert len(listener.requests) == 2
        assert execute_refused(api.channels().stop(body=channel.body())) == (404, "notFound")
        assert execute_refused(api.events().watch(calendarId=DANA, body=channel.body())) == (400, "channelIdNotUnique")


def test_google_client_sends_mail(double: Google) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = DANA, SAM, "Grüße"
    message.set_content("Bis Dienstag")
    raw = base64.urlsafe_b64encode(message.as_bytes()).decode()
    messages = build_service(double, "gmail", "v1", credentials=make_credentials(double, SEND_SCOPE)).users().messages()
    assert messages.send(userId="me", body={"raw": raw}).execute()["id"]
    [(sender, mail)] = double.gmail.sent
    assert (sender, mail["Subject"], mail.get_content().strip()) == (DANA, "Grüße", "Bis Dienstag")
    assert execute_refused(messages.send(userId="me", body={"raw": "a+b/"})) == (400, "invalidArgument")


def test_google_client_raises_errors_for_refused_requests(double: Google) -> None:
    events = build_service(double).events()
    created = events.insert(calendarId="primary", body={**make_times(), "id": "taken1"}).execute()
    assert execute_refused(events.insert(calendarId="primary", body={**make_times(), "id": created["id"]})) == (
        409,
        "duplicate",
    )
    assert execute_refused(events.list(calendarId=SAM)) == (404, "notFound")
    assert execute_refused(events.insert(calendarId="primary", body={"summary": "Timeless"})) == (400, "required")
    mail_service = build_service(double, credentials=make_credentials(double, SEND_SCOPE))
    assert execute_refused(mail_service.events().list(calendarId="primary")) == (403, "insufficientPermissions")
    for refused_credentials in (
        make_credentials(double, f"{CALENDAR_SCOPE}.readonly"),
        make_credentials(double, who=NOBODY),
    ):
        with pytest.raises(RefreshError):
            build_service(double, credentials=refused_credentials).events().list(calendarId="primary").execute()


# --- gcsa -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gcsa(double: Google) -> GoogleCalendar:
    """The client of gcsa. It knows only the address of Google, so its service is replaced by one for the double."""
    token = double.tokens.issue_token(DANA, {CALENDAR_SCOPE})["access_token"]
    untyped_class: Any = UserCredentials
    user_credentials = untyped_class(token)
    calendar = GoogleCalendar(credentials=user_credentials)
    calendar.service = build_service(double, credentials=user_credentials)
    return calendar


def make_gcsa_event(title: str, start: datetime = START, **more: Any) -> Event:
    return Event(title, start=start, end=start + HOUR, timezone="Europe/Berlin", **more)


def list_titles(calendar: GoogleCalendar, **query: Any) -> list[str]:
    """Return the titles of the events in the 30 days from `START`, and on the day before."""
    query = {"time_min": START - DAY, "time_max": START + 30 * DAY, "timezone": "Europe/Berlin", **query}
    return [event.summary for event in calendar.get_events(**query)]


def test_gcsa_adds_finds_changes_and_deletes_events(double: Google, gcsa: GoogleCalendar) -> None:
    guest = Attendee(SAM, display_name="Sam", optional=True)
    event = gcsa.add_event(
        make_gcsa_event("Talk", attendees=guest, reminders=PopupReminder(minutes_before_start=7), location="Room 4"),
        send_updates=SendUpdatesMode.ALL,
    )
    assert [notice.to for notice in double.calendars.notices] == [SAM]
    event = gcsa.get_event(event.event_id)
    assert (event.summary, event.start, event.location) == ("Talk", START, "Room 4")
    assert [reminder.minutes_before_start for reminder in event.reminders] == [7]
    assert event.attendees[0].email == SAM
    event.summary, event.start, event.end = "Other", START + DAY, START + DAY + HOUR
    assert gcsa.update_event(event).start == START + DAY
    assert list_titles(gcsa, query="other") == ["Other"] and list_titles(gcsa, query="nothing") == []
    gcsa.delete_event(event)
    assert list_titles(gcsa) == []


def test_gcsa_adds_a_series_and_a_meet_link(gcsa: GoogleCalendar) -> None:
    series = gcsa.add_event(make_gcsa_event("Stand-up", recurrence=Recurrence.rule(freq=DAILY, count=3)))
    occurrences = list(gcsa.get_instances(series, timezone="Europe/Berlin"))
    assert [occurrence.start for occurrence in occurrences] == [START, START + DAY, START + 2 * DAY]
    gcsa.delete_event(occurrences[1])
    assert list_titles(gcsa, single_events=True, order_by="startTime") == ["Stand-up", "Stand-up"]
    conference = ConferenceSolutionCreateRequest(SolutionType.HANGOUTS_MEET)
    call = gcsa.add_event(make_gcsa_event("Call", START + 5 * HOUR, conference_solution=conference))
    assert call.conference_solution.entry_points[0].uri.startswith("https://meet.google.com/")


def test_gcsa_reads_free_busy_calendars_and_settings(gcsa: GoogleCalendar, hands: GoogleHands) -> None:
    hands.insert(SAM, **make_times())
    window = {"time_min": START - DAY, "time_max": START + DAY, "timezone": "UTC"}
    [block] = gcsa.get_free_busy(SAM, **window).calendars[SAM]
    assert (block.start, block.end) == (START, START + HOUR)
    with pytest.raises(FreeBusyQueryError):
        gcsa.get_free_busy(NOBODY, **window)
    assert gcsa.get_calendar().timezone == "Europe/Berlin"
    assert [calendar.summary for calendar in gcsa.get_calendar_list()] == [DANA]
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
    double: Google,
    work: Callable[[GoogleCalendarService], Awaitable[None]],
    scope: str = CALENDAR_SCOPE,
    token: str = "",
) -> None:
    """Run `work` with a client of gcal_sync."""

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            access_token = token or double.tokens.issue_token(DANA, {scope})["access_token"]
            await work(GoogleCalendarService(Auth(session, double, access_token)))

    asyncio.run(run())


def make_synced_event(title: str, start: datetime = START) -> SyncedEvent:
    times = {"start": DateOrDatetime(date_time=start), "end": DateOrDatetime(date_time=start + HOUR)}
    return SyncedEvent(summary=title, **times)


def test_gcal_sync_creates_lists_changes_and_deletes_events(double: Google) -> None:
    async def work(api: GoogleCalendarService) -> None:
        await api.async_create_event("primary", make_synced_event("Talk"))
        request = ListEventsRequest(calendar_id="primary", start_time=START - DAY, end_time=START + DAY)
        [event] = (await api.async_list_events(request)).items
        assert event.summary == "Talk" and event.start.value == START and event.id
        await api.async_patch_event("primary", event.id, {"summary": "Other"})
        assert (await api.async_get_event("primary", event.id)).summary == "Other"
        await api.async_delete_event("primary", event.id)
        assert (await api.async_list_events(request)).items == []
        [calendar] = (await api.async_list_calendars()).items
        assert (calendar.id, calendar.timezone) == (DANA, "Europe/Berlin")

    run_gcal_sync(double, work)


def test_gcal_sync_reads_all_pages_of_events(double: Google, hands: GoogleHands) -> None:
    double.calendars.page_size = 2
    for number in range(5):
        hands.insert(DANA, **make_times(START + number * DAY))

    async def work(api: GoogleCalendarService) -> None:
        request = ListEventsRequest(calendar_id="primary", start_time=START - DAY)
        page_lengths = [len(page.items) async for page in await api.async_list_events(request)]
        assert page_lengths == [2, 2, 1]

    run_gcal_sync(double, work)


def test_gcal_sync_keeps_a_copy_up_to_date(double: Google, hands: GoogleHands) -> None:
    """The client updates its copy by sync tokens, and expands series itself. After an invalid token it reads all."""
    zone = {"timeZone": "Europe/Berlin"}
    series = {side: {**value, **zone} for side, value in make_times().items()}
    hands.insert(DANA, **series, summary="Stand-up", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    deleted_id = hands.insert(DANA, **make_times(START + 10 * DAY), summary="Deleted")

    async def work(api: GoogleCalendarService) -> None:
        manager = CalendarEventSyncManager(api, "primary")

        async def update_copy() -> list[str]:
            """Update the copy, and return the titles of its events."""
            await manager.run()
            request = LocalListEventsRequest(start_time=START - DAY, end_time=START + 30 * DAY)
            return [event.summary for event in (await manager.store_service.async_list_events(request)).events]

        assert await update_copy() == ["Stand-up"] * 3 + ["Deleted"]
        hands.remove(DANA, deleted_id)
        hands.insert(DANA, **make_times(START + 20 * DAY), summary="New")
        assert await update_copy() == ["Stand-up"] * 3 + ["New"]
        double.calendars.expire_sync_tokens(DANA)
        with pytest.raises(InvalidSyncTokenException):
            await api.async_list_events_page(SyncEventsRequest(calendar_id="primary", sync_token="invalid"))
        request_count = len(double.requests)
        assert await update_copy() == ["Stand-up"] * 3 + ["New"]
        calls = [request.call for request in double.requests[request_count:]]
        has_sync_token = [call is not None and "syncToken" in call.query for call in calls]
        assert has_sync_token == [True, False]  # the expired token is refused, so that the client reads all

    run_gcal_sync(double, work)


@pytest.mark.parametrize(
    ("scope", "token", "error"), [(SEND_SCOPE, "", ApiForbiddenException), (CALENDAR_SCOPE, "forged", AuthException)]
)
def test_gcal_sync_raises_errors_for_refused_requests(
    double: Google, scope: str, token: str, error: type[Exception]
) -> None:
    async def work(api: GoogleCalendarService) -> None:
        with pytest.raises(error):
            await api.async_list_calendars()

    run_gcal_sync(double, work, scope, token)
