"""Calendars in Google Workspace, over the Calendar API. Each calendar is written to as the manager who owns it.

Changes are read with a sync token: one request per calendar and sync. A sync request cannot be limited to a window,
and its answer has one item for each series, with the recurrence rule in it, instead of one for each occurrence. So a
full pass sends two requests (all events from the window's start on, which yields the token; then the occurrences inside
the window), and the occurrences of a changed series are read again.

Free/busy is read in one of two ways. Where a service account may act as everybody, each person's events are read as
that person, times only, fifty people in a request: this distinguishes out of office from busy, and our event from an
event booked over it. Where managers connected only their own accounts, other people's time is read by the free/busy
query, which returns only spans. Our events in it are recognised by their times on the manager's calendar; another event
booked over one of ours shows only where it extends beyond ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from worker.clock import Clock, utcnow
from worker.domain.model import (
    Address,
    BusyTime,
    CalendarChanges,
    Cursor,
    Event,
    EventDraft,
    EventRef,
    FreeBusy,
    Span,
    clip_busy,
)
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound, ProviderError, Transient, Unavailable
from worker.providers.base import Finding, Habits, NoticeListener, get_notice_listener
from worker.providers.google import events as google_events
from worker.providers.google.auth import (
    EVENTS_READ_SCOPE,
    FREE_BUSY_SCOPE,
    OWNED_EVENTS_SCOPE,
)
from worker.providers.google.channels import GoogleChannels
from worker.providers.google.client import (
    CALENDAR_ENDPOINT,
    NO_MEET_NOTICE,
    GoogleApi,
    ItemGone,
    NoConference,
    RequestQuota,
    SyncTokenExpired,
    build_api,
    require_etag,
)
from worker.providers.google.freebusy import mark_our_events, parse_free_busy
from worker.providers.google.habits import parse_zone, read_habits
from worker.providers.identities import Identities, InMemoryIdentities

_PAGE_SIZE = 2500
_UTC = ZoneInfo("UTC")
#: The longest window of one free/busy query.
_LONGEST_FREE_BUSY = timedelta(days=60)
#: How long after its creation Google may fail to find an event.
PROPAGATION_DELAY = timedelta(minutes=2)
_EVENT_LIST_FIELDS = f"nextPageToken,nextSyncToken,timeZone,items({google_events.EVENT_FIELDS})"


def build_calendar(section: Mapping[str, Any]) -> "GoogleCalendar":
    """Return the provider that a section of the settings describes. Reads no file and sends no request yet.

    `service_account`: the key file of a service account with domain-wide delegation. Without it: `token_folder`,
    `client_id`, `password` (the client's secret) and `keys` (which seal the tokens). `endpoint`, `token_endpoint`:
    URLs. `zones`: time zone by address, for all-day events on a calendar that reports no zone. `timeout`: seconds.
    `per_person`, `per_project`: requests a minute. `identities`: maps addresses to people. `notices`: called with each
    notice for the operator. `video`: whether a Meet link is requested for each event.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GoogleCalendar":
    """Return the provider as `build_calendar` does, with another clock."""
    quota = RequestQuota(int(section.get("per_person") or 500), int(section.get("per_project") or 9000), clock)
    api = build_api("calendar", "v3", CALENDAR_ENDPOINT, section, quota, clock)
    return GoogleCalendar(
        api,
        zones=section.get("zones"),
        clock=clock,
        identities=section.get("identities"),
        notify=get_notice_listener(section),
        video=bool(section.get("video", True)),
    )


class GoogleCalendar(GoogleChannels):
    """A CalendarProvider and NotifyingCalendar on the Google Calendar API."""

    people_per_request = 50

    def __init__(
        self,
        api: GoogleApi,
        *,
        zones: Mapping[Address, str] | None = None,
        clock: Clock = utcnow,
        identities: Identities | None = None,
        notify: NoticeListener = lambda cause, text: None,
        video: bool = True,
    ) -> None:
        self._api = api
        self._identities = identities or InMemoryIdentities()
        self._notify = notify
        self._video = video
        self._fallback_zones = {address: ZoneInfo(name) for address, name in (zones or {}).items()}
        self._clock = clock
        self._cached_zones: dict[Address, ZoneInfo] = {}
        self._created_at: dict[str, datetime] = {}  #: by event id; only within PROPAGATION_DELAY

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @cached_property
    def _events_resource(self) -> Any:
        """The client library's composer of requests about events. Cached, because building it takes some 15 ms."""
        return self._api.service.events()

    def _parse_event(self, item: Mapping[str, Any], calendar: Address, zone: ZoneInfo) -> Event:
        return google_events.parse_event(item, calendar, zone, self._identities)

    def _parse_items(self, items: Iterable[Mapping[str, Any]], calendar: Address, zone: ZoneInfo) -> list[Event]:
        return [self._parse_event(item, calendar, zone) for item in items if google_events.has_times(item)]

    # --- changes ----------------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the changes since `cursor`; everything when the sync token in it has expired."""
        token = google_events.parse_cursor(cursor)
        if token:
            try:
                return self._list_changes_since(calendar, token, window)
            except SyncTokenExpired:
                pass
        return self._list_everything(calendar, window)

    def _list_changes_since(self, calendar: Address, token: str, window: Span) -> CalendarChanges:
        items, zone, sync_token = self._list_items(
            calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, syncToken=token, singleEvents=False
        )
        series_ids = dict.fromkeys(
            str(item.get("recurringEventId") or item["id"]) for item in items if google_events.is_of_series(item)
        )
        singles = [item for item in items if not google_events.is_of_series(item)]
        cancelled_ids = [str(item["id"]) for item in singles if google_events.is_cancelled(item)]
        # A deleted event comes with its id alone, so a deleted series looks like a deleted single event.
        gone_ids = [event_id for event_id in cancelled_ids if event_id not in series_ids]
        events = [self._parse_event(item, calendar, zone) for item in singles if not google_events.is_cancelled(item)]
        for series_id, occurrences in self._read_occurrences(calendar, list(series_ids), window, zone):
            events += occurrences
            gone_ids += [] if occurrences else [series_id]
        return CalendarChanges(tuple(events), tuple(gone_ids), google_events.format_cursor(sync_token), full=False)

    def _list_everything(self, calendar: Address, window: Span) -> CalendarChanges:
        query = {"timeMin": google_events.format_instant(window.start), "singleEvents": False}
        try:
            items, zone, sync_token = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **query)
        except SyncTokenExpired as error:  # a 410 to a request without a sync token: beginning anew cannot help
            raise InvalidResponse(f"{calendar}: Google refuses to start a sync of this calendar.") from error
        singles = [
            self._parse_event(item, calendar, zone)
            for item in items
            if not google_events.is_of_series(item) and not google_events.is_cancelled(item)
        ]
        events = [event for event in singles if event.is_ours or event.span.has_part_in(window)]
        if any(item.get("recurrence") for item in items):
            query = {**google_events.compose_bounds(window), "singleEvents": True}
            expanded, _, _ = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **query)
            occurrences = [self._parse_event(item, calendar, zone) for item in expanded if item.get("recurringEventId")]
            events += [event for event in occurrences if not event.cancelled and event.span.has_part_in(window)]
        return CalendarChanges(tuple(events), (), google_events.format_cursor(sync_token), full=True)

    def _list_items(
        self, calendar: Address, scope: str, fields: str, **query: Any
    ) -> tuple[list[dict[str, Any]], ZoneInfo, str]:
        """Return the events of all pages, the calendar's zone, and the sync token of the last page (or "")."""
        items: list[dict[str, Any]] = []
        page_token: str | None = None
        while True:
            request = self._events_resource.list(
                calendarId="primary", maxResults=_PAGE_SIZE, fields=fields, pageToken=page_token, **query
            )
            answer = self._api.execute(calendar, scope, request)
            items += google_events.read_items(answer, calendar)
            page_token = answer.get("nextPageToken")
            if not page_token:
                return items, self._remember_zone(answer, calendar), str(answer.get("nextSyncToken") or "")

    def _read_occurrences(
        self, calendar: Address, series_ids: Sequence[str], window: Span, zone: ZoneInfo
    ) -> Iterable[tuple[str, list[Event]]]:
        """Yield the id of each series and its occurrences inside the window: an empty list when it is gone."""
        fields = _EVENT_LIST_FIELDS.replace("nextSyncToken,", "")
        query = {**google_events.compose_bounds(window), "maxResults": _PAGE_SIZE, "fields": fields}
        requests = [
            self._events_resource.instances(calendarId="primary", eventId=series_id, **query)
            for series_id in series_ids
        ]
        answers = self._api.execute_batch([(calendar, OWNED_EVENTS_SCOPE, request) for request in requests])
        for series_id, answer in zip(series_ids, answers, strict=True):
            if isinstance(answer, ProviderError):
                if not isinstance(answer, NotFound | SyncTokenExpired):  # a 410 here means that the series is gone
                    raise answer
                yield series_id, []
            else:
                events = self._parse_items(google_events.read_items(answer, calendar), calendar, zone)
                yield series_id, [event for event in events if not event.cancelled and event.span.has_part_in(window)]

    # --- free/busy --------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return everybody's busy time inside `window`, read as each person or through the connected managers."""
        unique = list(dict.fromkeys(people))
        connected = self._api.access.list_connected() if unique else []
        if connected is None:  # a service account, which may act as everybody
            events, unreadable = self._read_each(unique, window, EVENTS_READ_SCOPE, google_events.TIME_FIELDS)
            free_busy = unreadable
        else:
            events, unreadable = self._read_each(connected, window, OWNED_EVENTS_SCOPE, google_events.EVENT_FIELDS)
            others = [who for who in unique if who not in connected]
            failure = next((unreadable[who] for who in unique if who in unreadable), None)
            free_busy = unreadable | self._read_others(others, events, failure, window)
        for who in events:
            busy = [BusyTime(event.span, event.show, event.key) for event in events[who] if event.show is not None]
            free_busy[who] = FreeBusy(clip_busy(busy, window))
        return {who: free_busy[who] for who in unique}

    def _read_others(
        self, others: Sequence[Address], events: Mapping[Address, list[Event]], failure: FreeBusy | None, window: Span
    ) -> dict[Address, FreeBusy]:
        """Return free/busy of `others`, as the connected managers may see it. `events`: the events on each manager's
        calendar. `failure`: of a manager whose calendar could not be read; all free/busy is unknown then, because our
        events cannot be recognised without that calendar."""
        if failure:
            reason = f"Our own events in this person's time can't be told apart: {failure.reason}"
            return dict.fromkeys(others, FreeBusy(known=False, reason=reason, temporary=True))
        ours = [event for who in events for event in events[who] if event.is_ours and event.organizer == who]
        free_busy: dict[Address, FreeBusy] = {}
        for first in range(0, len(others), self.people_per_request):
            chunk = others[first : first + self.people_per_request]
            free_busy |= self._read_free_busy(chunk, list(events), ours, window)
        return free_busy

    def _read_each(
        self, people: Sequence[Address], window: Span, scope: str, fields: str
    ) -> tuple[dict[Address, list[Event]], dict[Address, FreeBusy]]:
        """Return the events inside the window on each person's calendar, read as that person; and unknown free/busy,
        with the reason, for each person whose calendar cannot be read."""
        events: dict[Address, list[Event]] = {}
        unreadable: dict[Address, FreeBusy] = {}
        page_tokens: dict[Address, str | None] = dict.fromkeys(people)  # None: the first page
        while page_tokens:
            requests = [
                (who, scope, self._compose_list_request(window, token, fields)) for who, token in page_tokens.items()
            ]
            answers = dict(zip(page_tokens, self._api.execute_batch(requests), strict=True))
            page_tokens = {}
            for who, answer in answers.items():
                try:
                    page_events, next_token = self._parse_page(answer, who)
                except ProviderError as error:
                    unreadable[who] = FreeBusy(known=False, reason=str(error), temporary=isinstance(error, Transient))
                    continue
                events.setdefault(who, []).extend(page_events)
                if next_token:
                    page_tokens[who] = next_token
        return {who: listed for who, listed in events.items() if who not in unreadable}, unreadable

    def _parse_page(self, answer: Any | ProviderError, calendar: Address) -> tuple[list[Event], str | None]:
        """Return the events in an answer to a list request, and the token of the next page. Raises `answer` when it is
        an error."""
        if isinstance(answer, ProviderError):
            raise answer
        items, zone = google_events.read_items(answer, calendar), self._remember_zone(answer, calendar)
        return self._parse_items(items, calendar, zone), answer.get("nextPageToken")

    def _compose_list_request(self, window: Span, page_token: str | None, fields: str) -> Any:
        query = {**google_events.compose_bounds(window), "singleEvents": True, "pageToken": page_token}
        fields = f"nextPageToken,timeZone,items({fields})"
        return self._events_resource.list(calendarId="primary", maxResults=_PAGE_SIZE, fields=fields, **query)

    def _read_free_busy(
        self, others: Sequence[Address], managers: Sequence[Address], ours: Sequence[Event], window: Span
    ) -> dict[Address, FreeBusy]:
        """Return free/busy of at most 50 people. It is queried as the first manager; for people whose free/busy this
        manager may not see, as the next one, and so on."""
        hidden_reason = "No connected Google account may see when {} is busy: run `longarc connect google`."
        free_busy = {who: FreeBusy(known=False, reason=hidden_reason.format(who)) for who in others}
        unknown = list(others)
        for manager in managers:
            for who, answer in self._query_free_busy(manager, unknown, window).items():
                free_busy[who] = mark_our_events(answer, who, ours, window)
            unknown = [who for who in unknown if not free_busy[who].known]
            if not unknown:
                break
        return free_busy

    def _query_free_busy(self, manager: Address, others: Sequence[Address], window: Span) -> dict[Address, FreeBusy]:
        """Return free/busy of the others as `manager` may see it. A long window takes several requests."""
        free_busy: dict[Address, FreeBusy] = {}
        start = window.start
        while start < window.end:
            end = min(start + _LONGEST_FREE_BUSY, window.end)
            body = {**google_events.compose_bounds(Span(start, end)), "items": [{"id": who} for who in others]}
            request = self._api.service.freebusy().query(body=body, fields="calendars")
            answer = self._api.execute(manager, FREE_BUSY_SCOPE, request)
            calendars = answer.get("calendars") or {}
            by_person = {self._identities.find_primary(address): entry for address, entry in calendars.items()}
            for who in others:
                earlier, part = free_busy.get(who, FreeBusy()), parse_free_busy(who, by_person.get(who))
                joined = FreeBusy((*earlier.busy, *part.busy))
                free_busy[who] = next((unknown for unknown in (earlier, part) if not unknown.known), joined)
            start = end
        return free_busy

    def _remember_zone(self, answer: Mapping[str, Any], calendar: Address) -> ZoneInfo:
        """Return the calendar's zone in a list answer; else the one from the settings, else UTC."""
        zone = parse_zone(answer) or self._fallback_zones.get(calendar, _UTC)
        self._cached_zones[calendar] = zone
        return zone

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event of that key; None when it does not exist or was cancelled."""
        try:
            item, zone = self._get_item(calendar, google_events.make_event_id(key))
        except NotFound:
            return None
        if google_events.is_cancelled(item) or not google_events.can_change(item):
            return None
        return self._parse_event(item, calendar, zone)

    def _get_item(self, calendar: Address, event_id: str) -> tuple[dict[str, Any], ZoneInfo]:
        """Return the event as Google returns it, and the zone of its all-day times. Raises NotFound, or Unavailable
        when this process created the event a moment ago."""
        subject = f"{calendar}: {google_events.decode_key(event_id) or event_id}"
        try:
            fields = google_events.OWN_EVENT_FIELDS
            request = self._events_resource.get(calendarId="primary", eventId=event_id, fields=fields)
            item = self._api.execute(calendar, OWNED_EVENTS_SCOPE, request, subject=subject)
        except NotFound:
            if self._clock() - self._created_at.get(event_id, datetime.min.replace(tzinfo=_UTC)) < PROPAGATION_DELAY:
                raise Unavailable(f"{calendar}: Google does not find the event it has just created.") from None
            raise
        if not isinstance(item, dict):
            raise InvalidResponse(f"{calendar}: Google answered with something that is not an event.")
        return item, self._get_calendar_zone(calendar) if "date" in (item.get("start") or {}) else _UTC

    def _get_calendar_zone(self, calendar: Address) -> ZoneInfo:
        """Return the zone of all-day events on the calendar. It is requested once and remembered."""
        if calendar not in self._cached_zones:
            request = self._events_resource.list(calendarId="primary", maxResults=1, fields="timeZone")
            self._remember_zone(self._api.execute(calendar, OWNED_EVENTS_SCOPE, request), calendar)
        return self._cached_zones[calendar]

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event and invite the guests; return the existing event when the key is already in use."""
        event_id = google_events.make_event_id(draft.key)
        try:
            item = self._write_event(calendar, google_events.compose_event(draft), self._events_resource.insert)
        except Conflict:
            return self._resolve_taken_id(calendar, event_id, draft)
        now = self._clock()
        self._created_at = {recent_id: at for recent_id, at in self._created_at.items() if now - at < PROPAGATION_DELAY}
        self._created_at[event_id] = now
        return self._parse_written_event(item, calendar, draft)

    def _write_event(
        self, calendar: Address, body: Mapping[str, Any], method: Callable[..., Any], etag: str = "", **path_params: str
    ) -> dict[str, Any]:
        """Write the event and return what Google stored. Where Meet is not offered, write it without a link.
        `path_params`: parameters of `method` for the URL, beside `calendarId`."""
        with_link = "conferenceData" in body
        request = method(
            calendarId="primary",
            body=body,
            sendUpdates="all",
            conferenceDataVersion=1 if with_link else 0,
            fields=google_events.OWN_EVENT_FIELDS,
            **path_params,
        )
        try:
            item: dict[str, Any] = self._api.execute(
                calendar, OWNED_EVENTS_SCOPE, require_etag(request, etag) if etag else request
            )
        except NoConference:
            if not with_link:
                raise
            self._notify("google-meet", NO_MEET_NOTICE.format(calendar))
            body_without_link = {name: value for name, value in body.items() if name != "conferenceData"}
            return self._write_event(calendar, body_without_link, method, etag, **path_params)
        return item

    def _parse_written_event(self, item: Mapping[str, Any], calendar: Address, draft: EventDraft) -> Event:
        """Return the event in the answer to our own write. Learns the address by which Google names the organizer, and
        the guest when there is only one."""
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
        """Return our event of an earlier attempt, when that has the id. Raises Conflict when a cancelled event or
        somebody else's has it, Unavailable when Google does not show the event yet."""
        try:
            item, _ = self._get_item(calendar, event_id)
        except NotFound as error:
            raise Unavailable(f"{calendar}: Google has this event already, but does not show it yet.") from error
        if google_events.is_cancelled(item):
            raise Conflict(f"{calendar}: the event {draft.key} was cancelled, and its id is not used again.")
        if not google_events.can_change(item):
            raise Conflict(f"{calendar}: the id of {draft.key} is taken by an event that Longarc did not put there.")
        if google_events.is_untouched(item):  # so its guests are still those we wrote, and their aliases can be learned
            return self._parse_written_event(item, calendar, draft)
        return self._parse_event(item, calendar, ZoneInfo(draft.zone))

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Make the event what the draft says. Raises Conflict when it was cancelled or is no longer at `ref.etag`."""
        item = self._get_own_item(ref)
        zone = ZoneInfo(draft.zone)
        if google_events.is_cancelled(item):
            raise Conflict(f"{ref.calendar}: the event was cancelled.")
        if str(item.get("etag")) != ref.etag:
            if not google_events.is_written_from(item, draft, zone, self._identities):
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            return self._parse_event(item, ref.calendar, zone)  # an earlier attempt of this update succeeded
        body = google_events.compose_patch(item, draft, zone, self._identities)
        if draft.video and "hangoutLink" not in item:
            body["conferenceData"] = google_events.compose_conference(draft)
        changed = self._write_event(ref.calendar, body, self._events_resource.patch, ref.etag, eventId=ref.id)
        if "attendees" in body:
            return self._parse_written_event(changed, ref.calendar, draft)
        return self._parse_event(changed, ref.calendar, zone)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Delete the event for everybody invited. Does nothing when it is gone already."""
        try:
            item = self._get_own_item(ref)
        except NotFound:
            return
        if google_events.is_cancelled(item):
            return
        if ref.etag and str(item.get("etag")) != ref.etag:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        updates = "none" if quiet else "all"
        request = self._events_resource.delete(calendarId="primary", eventId=ref.id, sendUpdates=updates)
        try:
            self._api.execute(ref.calendar, OWNED_EVENTS_SCOPE, require_etag(request, str(item["etag"])))
        except (NotFound, ItemGone):
            return

    def _get_own_item(self, ref: EventRef) -> dict[str, Any]:
        """Return the event at `ref`, if it is ours to change. Raises Forbidden, NotFound."""
        foreign = Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        if google_events.decode_key(ref.id) is None:
            raise foreign
        item, _ = self._get_item(ref.calendar, ref.id)
        if not google_events.is_cancelled(item) and not google_events.can_change(item):
            raise foreign
        return item

    # --- the owner --------------------------------------------------------------------------------------------------

    def habits(self, who: Address) -> Habits:
        """Return the zone of the person's calendar. Raises ProviderErrors."""
        return read_habits(self._api, who)

    def check(self, person: Address) -> list[Finding]:
        """Try everything that booking for this person needs; return a finding for each part."""
        from worker.providers.google.checks import check_calendar

        return check_calendar(self._api, person, self._clock(), video=self._video)
