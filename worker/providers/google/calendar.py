"""The provider of calendars in Google Workspace, over the Calendar API.

Each calendar is read and written as the manager who owns it, so its id is always `primary`.

**Changes** are read with a sync token, by one request per calendar and sync. A request with a sync token cannot be
limited to a window, and its answer has one item (an event in Google's JSON) for a whole series, with the recurrence
rule, instead of one item for each occurrence. So a full list of events takes two requests: the first lists all events
from the window's start on and returns the sync token, the second lists the occurrences inside the window. Later, the
occurrences of each changed series are read again.

`FreeBusyReader` reads free/busy, and `GoogleChannels` opens and closes channels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from worker.clock import Clock, utcnow
from worker.domain.model import Address, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound, ProviderError, Unavailable
from worker.providers.base import AlertFunction, Finding, Habits, OrganizersFunction, get_alert_function
from worker.providers.google import events as google_events
from worker.providers.google.auth import OWNED_EVENTS_SCOPE
from worker.providers.google.channels import GoogleChannels
from worker.providers.google.client import CALENDAR_ENDPOINT, GoogleApi, RequestQuota, build_api, require_etag
from worker.providers.google.error_translation import ItemGone, NoConference, SyncTokenExpired
from worker.providers.google.freebusy_reader import PEOPLE_PER_QUERY, FreeBusyReader
from worker.providers.google.habits import ZoneCache, read_habits
from worker.providers.identities import Identities, InMemoryIdentities

_UTC = ZoneInfo("UTC")
#: Within this time after its creation, Google may fail to find an event.
PROPAGATION_DELAY = timedelta(minutes=2)
#: The text of the operator alert about a person to whom Google offers no Meet link; {0} is the person's address.
_NO_MEET_ALERT = (
    "Google offers no Meet link to {0}, so this person's conversations are booked without one. Switch Google Meet on "
    "for them in admin.google.com (Apps > Google Workspace > Google Meet), or set `video = false` under [event]; "
    "`longarc check` names the other people without Meet."
)
_EVENT_LIST_FIELDS = f"nextPageToken,nextSyncToken,timeZone,items({google_events.EVENT_FIELDS})"


def build_calendar(section: Mapping[str, Any]) -> "GoogleCalendar":
    """Return the provider that a section of the settings describes. No file is read and no request is sent yet.

    The section has these keys:

    - `service_account`: the key file of a service account with domain-wide delegation. Without a service account,
      `token_folder`, `client_id`, `password` (the client's secret) and `keys` (which seal the tokens) are needed.
    - `endpoint`, `token_endpoint`: URLs.
    - `zones`: time zones by address, for all-day events on a calendar that reports no zone.
    - `timeout`: seconds. `per_person`, `per_project`: the limits in requests a minute.
    - `identities`: an `Identities`. `alert_operator`: an `AlertFunction`. `organizers`: an `OrganizersFunction`.
    - `video`: whether a Meet link is requested for each event.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GoogleCalendar":
    """Return the provider as `build_calendar` does, but with the given clock."""
    quota = RequestQuota(
        per_person=int(section.get("per_person") or 500),
        per_project=int(section.get("per_project") or 9000),
        clock=clock,
    )
    api = build_api("calendar", "v3", CALENDAR_ENDPOINT, section, quota, clock)
    return GoogleCalendar(
        api,
        zones=section.get("zones"),
        clock=clock,
        identities=section.get("identities"),
        alert_operator=get_alert_function(section),
        video=bool(section.get("video", True)),
        organizers=section.get("organizers") or (lambda _: ()),
    )


class GoogleCalendar(GoogleChannels):
    """A CalendarProvider and NotifyingCalendar on the Google Calendar API."""

    people_per_request = PEOPLE_PER_QUERY

    def __init__(
        self,
        api: GoogleApi,
        *,
        zones: Mapping[Address, str] | None = None,
        clock: Clock = utcnow,
        identities: Identities | None = None,
        alert_operator: AlertFunction = lambda cause, text: None,
        video: bool = True,
        organizers: OrganizersFunction = lambda _: (),
    ) -> None:
        self._api = api
        self._identities = identities or InMemoryIdentities()
        self._alert_operator = alert_operator
        self._video = video
        self._zones = ZoneCache({address: ZoneInfo(name) for address, name in (zones or {}).items()})
        self._free_busy_reader = FreeBusyReader(api, self._identities, self._zones, organizers)
        self._clock = clock
        #: When this process created an event, by event id. Entries older than PROPAGATION_DELAY are dropped.
        self._created_at: dict[str, datetime] = {}

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @cached_property
    def _events_resource(self) -> Any:
        """The client library's object that composes requests about events. Cached: building it takes some 15 ms."""
        return self._api.service.events()

    def _parse_event(self, item: Mapping[str, Any], calendar: Address, zone: ZoneInfo) -> Event:
        return google_events.parse_event(item, calendar, zone, self._identities)

    # --- changes ----------------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the changes since `cursor`; all events when there is no cursor or its sync token has expired."""
        token = google_events.parse_cursor(cursor)
        if token:
            try:
                return self._list_changes_since(calendar, token, window)
            except SyncTokenExpired:
                pass
        return self._list_all_events(calendar, window)

    def _list_changes_since(self, calendar: Address, token: str, window: Span) -> CalendarChanges:
        """Return the changes since the sync token was issued. Raises SyncTokenExpired."""
        items, zone, sync_token = self._list_items(
            calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, syncToken=token, singleEvents=False
        )
        series_ids = dict.fromkeys(
            str(item.get("recurringEventId") or item["id"]) for item in items if google_events.is_of_series(item)
        )
        singles = [item for item in items if not google_events.is_of_series(item)]  # events outside of any series
        cancelled_ids = [str(item["id"]) for item in singles if google_events.is_cancelled(item)]
        # Of a deleted event Google sends only the id, so a deleted series looks like a single event. When one of its
        # occurrences shows that it is a series, it is left out here, because the loop below adds it.
        deleted_ids = [event_id for event_id in cancelled_ids if event_id not in series_ids]
        events = [self._parse_event(item, calendar, zone) for item in singles if not google_events.is_cancelled(item)]
        for series_id, occurrences in self._read_occurrences(calendar, list(series_ids), window, zone):
            events += occurrences
            if not occurrences:
                deleted_ids.append(series_id)
        new_cursor = google_events.format_cursor(sync_token)
        return CalendarChanges(tuple(events), deleted_ids=tuple(deleted_ids), cursor=new_cursor, is_full=False)

    def _list_all_events(self, calendar: Address, window: Span) -> CalendarChanges:
        """Return all events inside the window, and our own events after the window."""
        query = {"timeMin": google_events.format_instant(window.start), "singleEvents": False}
        try:
            items, zone, sync_token = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **query)
        except SyncTokenExpired as error:  # an answer 410 although the request has no sync token that could expire
            raise InvalidResponse(f"{calendar}: Google refuses to list the events of this calendar.") from error
        singles = [
            self._parse_event(item, calendar, zone)
            for item in items
            if not google_events.is_of_series(item) and not google_events.is_cancelled(item)
        ]
        events = [event for event in singles if event.is_ours or event.span.has_part_in(window)]
        # The items of the first list are series as a whole. A second list contains their occurrences.
        if any(item.get("recurrence") for item in items):
            query = {**google_events.compose_bounds(window), "singleEvents": True}
            expanded_items, _, _ = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **query)
            occurrence_items = [item for item in expanded_items if item.get("recurringEventId")]
            occurrences = [self._parse_event(item, calendar, zone) for item in occurrence_items]
            events += [event for event in occurrences if not event.cancelled and event.span.has_part_in(window)]
        new_cursor = google_events.format_cursor(sync_token)
        return CalendarChanges(tuple(events), deleted_ids=(), cursor=new_cursor, is_full=True)

    def _list_items(
        self, calendar: Address, scope: str, fields: str, **query: Any
    ) -> tuple[list[dict[str, Any]], ZoneInfo, str]:
        """Return the items of all pages, the calendar's zone, and the sync token of the last page (may be empty)."""
        items: list[dict[str, Any]] = []
        page_token: str | None = None
        while True:
            request = self._events_resource.list(
                calendarId="primary", maxResults=google_events.PAGE_SIZE, fields=fields, pageToken=page_token, **query
            )
            answer = self._api.execute(calendar, scope, request)
            items += google_events.read_items(answer, calendar)
            page_token = answer.get("nextPageToken")
            if not page_token:
                return items, self._zones.read_zone(answer, calendar), str(answer.get("nextSyncToken") or "")

    def _read_occurrences(
        self, calendar: Address, series_ids: Sequence[str], window: Span, zone: ZoneInfo
    ) -> Iterable[tuple[str, list[Event]]]:
        """Yield the id of each series and its occurrences inside the window; an empty list when the series is gone."""
        fields = _EVENT_LIST_FIELDS.replace("nextSyncToken,", "")
        query = {**google_events.compose_bounds(window), "maxResults": google_events.PAGE_SIZE, "fields": fields}
        requests = [
            self._events_resource.instances(calendarId="primary", eventId=series_id, **query)
            for series_id in series_ids
        ]
        answers = self._api.execute_batch([(calendar, OWNED_EVENTS_SCOPE, request) for request in requests])
        for series_id, answer in zip(series_ids, answers, strict=True):
            if isinstance(answer, ProviderError):
                is_gone = isinstance(answer, NotFound | SyncTokenExpired)  # SyncTokenExpired stands for any answer 410
                if not is_gone:
                    raise answer
                yield series_id, []
            else:
                items = self._read_all_pages(calendar, series_id, query, answer)
                events = google_events.parse_events(items, calendar, zone, self._identities)
                yield series_id, [event for event in events if not event.cancelled and event.span.has_part_in(window)]

    def _read_all_pages(
        self, calendar: Address, series_id: str, query: Mapping[str, Any], first_page: Any
    ) -> list[dict[str, Any]]:
        """Return the items of all pages of a series; none when it was deleted after its first page was read."""
        items = google_events.read_items(first_page, calendar)
        page_token = first_page.get("nextPageToken")
        while page_token:
            request = self._events_resource.instances(
                calendarId="primary", eventId=series_id, pageToken=page_token, **query
            )
            try:
                page = self._api.execute(calendar, OWNED_EVENTS_SCOPE, request)
            except (NotFound, SyncTokenExpired):
                return []
            items += google_events.read_items(page, calendar)
            page_token = page.get("nextPageToken")
        return items

    # --- free/busy --------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return the free/busy of all `people` inside `window`."""
        return self._free_busy_reader.read(people, window)

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key; None when it does not exist or was cancelled."""
        try:
            item, zone = self._get_item(calendar, google_events.make_event_id(key))
        except NotFound:
            return None
        if google_events.is_cancelled(item) or not google_events.is_own_item(item):
            return None
        return self._parse_event(item, calendar, zone)

    def _get_item(self, calendar: Address, event_id: str) -> tuple[dict[str, Any], ZoneInfo]:
        """Return the event as Google returns it, and the zone in which it begins and ends if it is all-day.

        Raises NotFound, or Unavailable when this process created the event less than PROPAGATION_DELAY ago.
        """
        subject = f"{calendar}: {google_events.decode_key(event_id) or event_id}"
        try:
            fields = google_events.OWN_EVENT_FIELDS
            request = self._events_resource.get(calendarId="primary", eventId=event_id, fields=fields)
            item = self._api.execute(calendar, OWNED_EVENTS_SCOPE, request, subject=subject)
        except NotFound:
            created_at = self._created_at.get(event_id)
            if created_at is not None and self._clock() - created_at < PROPAGATION_DELAY:
                raise Unavailable(f"{calendar}: Google does not find the event it has just created.") from None
            raise
        if not isinstance(item, dict):
            raise InvalidResponse(f"{calendar}: Google's answer is not an event.")
        zone = self._get_calendar_zone(calendar) if google_events.is_all_day(item) else _UTC
        return item, zone

    def _get_calendar_zone(self, calendar: Address) -> ZoneInfo:
        """Return the zone of all-day events on the calendar. The zone is requested once and remembered."""
        zone = self._zones.find(calendar)
        if zone is None:
            request = self._events_resource.list(calendarId="primary", maxResults=1, fields="timeZone")
            zone = self._zones.read_zone(self._api.execute(calendar, OWNED_EVENTS_SCOPE, request), calendar)
        return zone

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event and invite the guests, or return the event that an earlier attempt has created."""
        event_id = google_events.make_event_id(draft.key)
        try:
            item = self._write_event(calendar, google_events.compose_event(draft), self._events_resource.insert)
        except Conflict:
            return self._resolve_taken_id(calendar, event_id, draft)
        self._remember_creation(event_id)
        return self._parse_written_event(item, calendar, draft)

    def _remember_creation(self, event_id: str) -> None:
        now = self._clock()
        self._created_at = {
            recent_id: created_at
            for recent_id, created_at in self._created_at.items()
            if now - created_at < PROPAGATION_DELAY
        }
        self._created_at[event_id] = now

    def _write_event(
        self, calendar: Address, body: Mapping[str, Any], method: Callable[..., Any], etag: str = "", **path_params: str
    ) -> dict[str, Any]:
        """Write the event and return the item that Google stored.

        When Google offers no Meet link to the calendar's owner, the event is written without one.
        `method` composes the request. It takes `calendarId` and `path_params` for the URL. With an etag, Conflict is
        raised when the event no longer has this etag.
        """
        has_link_request = "conferenceData" in body
        request = method(
            calendarId="primary",
            body=body,
            sendUpdates="all",
            conferenceDataVersion=1 if has_link_request else 0,
            fields=google_events.OWN_EVENT_FIELDS,
            **path_params,
        )
        try:
            if etag:
                require_etag(request, etag)
            item: dict[str, Any] = self._api.execute(calendar, OWNED_EVENTS_SCOPE, request)
        except NoConference:
            if not has_link_request:
                raise
            self._alert_operator("google-meet", _NO_MEET_ALERT.format(calendar))
            body_without_link = {name: value for name, value in body.items() if name != "conferenceData"}
            return self._write_event(calendar, body_without_link, method, etag, **path_params)
        return item

    def _parse_written_event(self, item: Mapping[str, Any], calendar: Address, draft: EventDraft) -> Event:
        """Return the event in the answer to our own write.

        Learns the address by which Google names the organizer. When the event has only one guest, the guest's address
        is learned, too. Of several guests it is not known which of Google's addresses is whose.
        """
        guests = google_events.list_guests(item)
        if len(guests) == len(draft.guests) == 1:
            self._learn_alias(draft.guests[0].email, guests[0])
        organizer = item.get("organizer") or {}
        if organizer.get("self") is True:
            self._learn_alias(calendar, organizer)
        return self._parse_event(item, calendar, ZoneInfo(draft.zone))

    def _learn_alias(self, person: Address, participant: Mapping[str, Any]) -> None:
        alias = str(participant.get("email") or "")
        if alias and self._identities.find_primary(alias) != person:
            self._identities.learn(person, alias)

    def _resolve_taken_id(self, calendar: Address, event_id: str, draft: EventDraft) -> Event:
        """Return the event that has the id already, if an earlier attempt of ours created it.

        Raises Conflict when a cancelled event or somebody else's event has the id, and Unavailable when Google does not
        show the event yet.
        """
        try:
            item, _ = self._get_item(calendar, event_id)
        except NotFound as error:
            raise Unavailable(f"{calendar}: Google has this event already, but does not show it yet.") from error
        if google_events.is_cancelled(item):
            raise Conflict(f"{calendar}: the event {draft.key} was cancelled, and its id can't be used again.")
        if not google_events.is_own_item(item):
            raise Conflict(f"{calendar}: the id of {draft.key} is in use by an event that Longarc did not create.")
        if google_events.is_untouched(item):  # its guests are still the ones we wrote, so their aliases can be learned
            return self._parse_written_event(item, calendar, draft)
        return self._parse_event(item, calendar, ZoneInfo(draft.zone))

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft. Raises Conflict when it was cancelled or its etag is not `ref.etag`."""
        item = self._get_own_item(ref)
        zone = ZoneInfo(draft.zone)
        if google_events.is_cancelled(item):
            raise Conflict(f"{ref.calendar}: the event was cancelled.")
        if str(item.get("etag")) != ref.etag:
            if not google_events.is_written_from(item, draft, zone, self._identities):
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            return self._parse_event(item, ref.calendar, zone)  # an earlier attempt at this update succeeded
        body = google_events.compose_patch(item, draft, zone, self._identities)
        if draft.video and "hangoutLink" not in item:
            body["conferenceData"] = google_events.compose_conference(draft)
        written_item = self._write_event(ref.calendar, body, self._events_resource.patch, ref.etag, eventId=ref.id)
        if "attendees" in body:
            return self._parse_written_event(written_item, ref.calendar, draft)
        return self._parse_event(written_item, ref.calendar, zone)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Delete the event for all participants. Does nothing when the event is gone already."""
        try:
            item = self._get_own_item(ref)
        except NotFound:
            return
        if google_events.is_cancelled(item):
            return
        if ref.etag and str(item.get("etag")) != ref.etag:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        send_updates = "none" if quiet else "all"
        request = self._events_resource.delete(calendarId="primary", eventId=ref.id, sendUpdates=send_updates)
        try:
            self._api.execute(ref.calendar, OWNED_EVENTS_SCOPE, require_etag(request, str(item["etag"])))
        except (NotFound, ItemGone):
            return

    def _get_own_item(self, ref: EventRef) -> dict[str, Any]:
        """Return the item at `ref`. Raises Forbidden when Longarc did not create the event, and NotFound."""
        foreign_event_error = Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc created.")
        if google_events.decode_key(ref.id) is None:
            raise foreign_event_error
        item, _ = self._get_item(ref.calendar, ref.id)
        if not google_events.is_cancelled(item) and not google_events.is_own_item(item):
            raise foreign_event_error
        return item

    # --- the owner --------------------------------------------------------------------------------------------------

    def habits(self, person: Address) -> Habits:
        """Return the zone of the person's calendar. Raises ProviderErrors."""
        return read_habits(self._api, person)

    def check(self, person: Address) -> list[Finding]:
        """Check everything that Longarc needs to book for this person; return a finding for each part."""
        from worker.providers.google.checks import check_calendar

        return check_calendar(self._api, person, self._clock(), video=self._video)
