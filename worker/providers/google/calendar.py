"""Calendars at Google, over the Calendar API, each written to as the manager it belongs to.

What people do is read with a sync token: one request per calendar and look. A token is of no use for times, and
recurring events are told by it as rules; so a full pass asks twice (everything there is from the window's start on,
with the token; then the occurrences inside the window), and a changed series is read again by its occurrences.

Others' time is read in one of two ways. Where a service account may act as everybody, each person's own events are
read as that person, times only, fifty in a request: that tells out of office from busy, and our event from what is
booked over it. Where a manager connected just their own account, others are asked for by free/busy; what of it is our
own event follows from the manager's calendar, and what is booked over it shows only where it sticks out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
from worker.providers.base import Finding, Notify, notify_of
from worker.providers.google import events as translate
from worker.providers.google.auth import (
    EVENTS_READ_SCOPE,
    FREE_BUSY_SCOPE,
    OWNED_EVENTS_SCOPE,
    build_access,
    quota_key_of,
    timeout_of,
)
from worker.providers.google.client import (
    CALENDAR_ENDPOINT,
    NO_MEET_NOTICE,
    GoogleApi,
    ItemGone,
    NoConference,
    RequestQuota,
    SyncTokenExpired,
    require_etag,
)
from worker.providers.google.freebusy import mark_our_events, parse_free_busy
from worker.providers.identities import Identities, InMemoryIdentities

_PAGE_SIZE = 2500
_UTC = ZoneInfo("UTC")
#: For longer than this free/busy is not told in one answer.
_LONGEST_FREE_BUSY = timedelta(days=60)
#: Just after it was made an event is not found everywhere at once.
PROPAGATION_DELAY = timedelta(minutes=2)
_EVENT_LIST_FIELDS = f"nextPageToken,nextSyncToken,timeZone,items({translate.EVENT_FIELDS})"
_TIME_LIST_FIELDS = f"nextPageToken,timeZone,items({translate.TIME_FIELDS})"


def build_calendar(section: Mapping[str, Any]) -> "GoogleCalendar":
    """The provider as its section of the settings describes it. Reads no file and asks nobody yet.

    `service_account`: the key file of a service account with domain-wide delegation; without it `token_folder`,
    `client_id` and `password` (its secret), `keys` (what the tokens are sealed with). `endpoint`, `token_endpoint`:
    where to ask. `zones`: a zone by address, for whole days of a calendar that doesn't say its own. `timeout`:
    seconds. `per_person`, `per_project`: requests a minute. `identities`: who an address belongs to. `notices`: how
    to tell the operator something. `video`: whether events ask for a Meet link.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GoogleCalendar":
    """See `calendar`."""
    pace = RequestQuota(int(section.get("per_person") or 500), int(section.get("per_project") or 9000), clock)
    wires = GoogleApi(
        "calendar",
        "v3",
        str(section.get("endpoint") or CALENDAR_ENDPOINT),
        build_access(section, clock),
        pace=pace,
        timeout=timeout_of(section),
        clock=clock,
        quota_key=quota_key_of(section),
    )
    return GoogleCalendar(
        wires,
        zones=section.get("zones"),
        clock=clock,
        identities=section.get("identities"),
        notify=notify_of(section),
        video=bool(section.get("video", True)),
    )


class GoogleCalendar:
    """A CalendarProvider on the Google Calendar API."""

    people_per_request = 50

    def __init__(
        self,
        wires: GoogleApi,
        *,
        zones: Mapping[Address, str] | None = None,
        clock: Clock = utcnow,
        identities: Identities | None = None,
        notify: Notify = lambda cause, words: None,
        video: bool = True,
    ) -> None:
        self._wires = wires
        self._identities = identities or InMemoryIdentities()
        self._notify = notify
        self._video = video
        self._zones = {address: ZoneInfo(name) for address, name in (zones or {}).items()}
        self._clock = clock
        self._homes: dict[Address, ZoneInfo] = {}
        self._made: dict[str, datetime] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._wires.close()

    @property
    def _events(self) -> Any:
        return self._wires.service.events()

    def _parse_event(self, item: Mapping[str, Any], calendar: Address, zone: ZoneInfo) -> Event:
        return translate.parse_event(item, calendar, zone, self._identities)

    # --- what changed -----------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        token = translate.parse_cursor(cursor)
        if token:
            try:
                return self._list_changes_since(calendar, token, window)
            except SyncTokenExpired:
                pass
        return self._list_everything(calendar, window)

    def _list_changes_since(self, calendar: Address, token: str, window: Span) -> CalendarChanges:
        items, zone, following = self._list_items(
            calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, syncToken=token, singleEvents=False
        )
        series = dict.fromkeys(str(i.get("recurringEventId") or i["id"]) for i in items if translate.is_of_series(i))
        single = [item for item in items if not translate.is_of_series(item)]
        # A deleted event is told by its id alone: nobody can see then whether it was a single one.
        gone = [str(item["id"]) for item in single if translate.is_cancelled(item) and item["id"] not in series]
        events = [self._parse_event(item, calendar, zone) for item in single if not translate.is_cancelled(item)]
        for name, found in self._read_occurrences(calendar, list(series), window, zone):
            events += found
            gone += [] if found else [name]
        return CalendarChanges(tuple(events), tuple(gone), translate.format_cursor(following), full=False)

    def _list_everything(self, calendar: Address, window: Span) -> CalendarChanges:
        since = {"timeMin": translate.format_instant(window.start), "singleEvents": False}
        try:
            items, zone, following = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **since)
        except SyncTokenExpired as error:  # it was asked without a token: asking again would never end
            raise InvalidResponse(f"{calendar}: Google has no beginning for this calendar.") from error
        events = [
            self._parse_event(i, calendar, zone)
            for i in items
            if not translate.is_of_series(i) and not translate.is_cancelled(i)
        ]
        listed = [one for one in events if one.key or one.span.is_seen_in(window)]
        if any(item.get("recurrence") for item in items):
            within = {
                "timeMin": translate.format_instant(window.start),
                "timeMax": translate.format_instant(window.end),
                "singleEvents": True,
            }
            expanded, _, _ = self._list_items(calendar, OWNED_EVENTS_SCOPE, _EVENT_LIST_FIELDS, **within)
            found = [self._parse_event(i, calendar, zone) for i in expanded if i.get("recurringEventId")]
            listed += [one for one in found if not one.cancelled and one.span.is_seen_in(window)]
        return CalendarChanges(tuple(listed), (), translate.format_cursor(following), full=True)

    def _list_items(
        self, calendar: Address, scope: str, fields: str, **asked: Any
    ) -> tuple[list[dict[str, Any]], ZoneInfo, str]:
        """All pages: what they hold, the calendar's zone, and the sync token of the last one."""
        items: list[dict[str, Any]] = []
        page, answer = None, {}
        while True:
            request = self._events.list(
                calendarId="primary", maxResults=_PAGE_SIZE, fields=fields, pageToken=page, **asked
            )
            answer = self._wires.execute(calendar, scope, request)
            items += translate.read_items(answer, calendar)
            page = answer.get("nextPageToken")
            if not page:
                return items, self._remember_zone(answer, calendar), str(answer.get("nextSyncToken") or "")

    def _read_occurrences(
        self, calendar: Address, series: Sequence[str], window: Span, zone: ZoneInfo
    ) -> Iterable[tuple[str, list[Event]]]:
        """Each series, and where it takes place inside the window; nowhere when it is gone."""
        within = {
            "timeMin": translate.format_instant(window.start),
            "timeMax": translate.format_instant(window.end),
            "maxResults": _PAGE_SIZE,
        }
        wanted = [
            self._events.instances(
                calendarId="primary", eventId=name, fields=_EVENT_LIST_FIELDS.replace("nextSyncToken,", ""), **within
            )
            for name in series
        ]
        answers = self._wires.execute_batch([(calendar, OWNED_EVENTS_SCOPE, request) for request in wanted])
        for name, answer in zip(series, answers, strict=True):
            if isinstance(answer, ProviderError):
                if not isinstance(answer, NotFound | SyncTokenExpired):
                    raise answer
                yield name, []
            else:
                found = [
                    self._parse_event(item, calendar, zone)
                    for item in translate.read_items(answer, calendar)
                    if translate.has_times(item)
                ]
                yield name, [one for one in found if not one.cancelled and one.span.is_seen_in(window)]

    # --- whose time is taken ----------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        wanted = list(dict.fromkeys(people))
        connected = self._wires.access.list_connected() if wanted else []
        if connected is None:
            events, found = self._read_each(wanted, window, EVENTS_READ_SCOPE, translate.TIME_FIELDS)
        else:
            events, found = self._read_each(connected, window, OWNED_EVENTS_SCOPE, translate.EVENT_FIELDS)
            found |= self._read_others([who for who in wanted if who not in connected], wanted, events, found, window)
        for who in events:
            busy = [BusyTime(event.span, event.show, event.key) for event in events[who] if event.show]
            found[who] = FreeBusy(clip_busy(busy, window))
        return {who: found[who] for who in wanted}

    def _read_others(
        self,
        others: Sequence[Address],
        wanted: Sequence[Address],
        events: Mapping[Address, list[Event]],
        failed: Mapping[Address, FreeBusy],
        window: Span,
    ) -> dict[Address, FreeBusy]:
        """What the connected managers are shown of the others. Without a manager's own calendar our events can't be
        told apart in it, and nobody guesses."""
        if lacking := next((failed[who] for who in wanted if who in failed), None):
            reason = f"What is ours in others' time can't be told: {lacking.reason}"
            return dict.fromkeys(others, FreeBusy(known=False, reason=reason, temporary=True))
        ours = [event for who in events for event in events[who] if event.key and event.organizer == who]
        found: dict[Address, FreeBusy] = {}
        for n in range(0, len(others), self.people_per_request):
            found |= self._read_free_busy(others[n : n + self.people_per_request], list(events), ours, window)
        return found

    def _read_each(
        self, people: Sequence[Address], window: Span, scope: str, fields: str
    ) -> tuple[dict[Address, list[Event]], dict[Address, FreeBusy]]:
        """What stands on each calendar inside the window, read as its owner, and whose can't be read and why."""
        found: dict[Address, list[Event]] = {}
        failed: dict[Address, FreeBusy] = {}
        pages: dict[Address, str | None] = dict.fromkeys(people)
        while pages:
            wanted = [(who, scope, self._compose_list_request(window, page, fields)) for who, page in pages.items()]
            answers = dict(zip(pages, self._wires.execute_batch(wanted), strict=True))
            pages = {}
            for who, answer in answers.items():
                try:
                    events, page = self._parse_page(answer, who)
                except ProviderError as error:
                    failed[who] = FreeBusy(known=False, reason=str(error), temporary=isinstance(error, Transient))
                    continue
                found.setdefault(who, []).extend(events)
                if page:
                    pages[who] = page
        return {who: events for who, events in found.items() if who not in failed}, failed

    def _parse_page(self, answer: Any | ProviderError, calendar: Address) -> tuple[list[Event], str | None]:
        """What one page of a listing holds, and how the next one is called. Raises what was answered instead."""
        if isinstance(answer, ProviderError):
            raise answer
        items, zone = translate.read_items(answer, calendar), self._remember_zone(answer, calendar)
        return [self._parse_event(item, calendar, zone) for item in items if translate.has_times(item)], answer.get(
            "nextPageToken"
        )

    def _compose_list_request(self, window: Span, page: str | None, fields: str) -> Any:
        return self._events.list(
            calendarId="primary",
            singleEvents=True,
            timeMin=translate.format_instant(window.start),
            timeMax=translate.format_instant(window.end),
            maxResults=_PAGE_SIZE,
            fields=f"nextPageToken,timeZone,items({fields})",
            pageToken=page,
        )

    def _read_free_busy(
        self, others: Sequence[Address], askers: Sequence[Address], ours: Sequence[Event], window: Span
    ) -> dict[Address, FreeBusy]:
        """Free/busy of at most 50; who is hidden from one of the accounts may be shown to the next."""
        hidden = "No connected Google account may see when {} is busy: run `longarc connect google`."
        found = {who: FreeBusy(known=False, reason=hidden.format(who)) for who in others}
        left = list(others)
        for asker in askers:
            for who, busy in self._query_free_busy(asker, left, window).items():
                found[who] = mark_our_events(busy, who, ours, window)
            left = [who for who in left if not found[who].known]
            if not left:
                break
        return found

    def _query_free_busy(self, asker: Address, others: Sequence[Address], window: Span) -> dict[Address, FreeBusy]:
        """What `asker` is shown, in as many questions as such a long window takes."""
        found: dict[Address, FreeBusy] = {}
        start = window.start
        while start < window.end:
            end = min(start + _LONGEST_FREE_BUSY, window.end)
            body = {
                "timeMin": translate.format_instant(start),
                "timeMax": translate.format_instant(end),
                "items": [{"id": who} for who in others],
            }
            request = self._wires.service.freebusy().query(body=body, fields="calendars")
            answer = self._wires.execute(asker, FREE_BUSY_SCOPE, request)
            calendars = answer.get("calendars") or {}
            named = {self._identities.primary(name): one for name, one in calendars.items()}
            for who in others:
                told = parse_free_busy(who, named.get(who))
                known = found.get(who, FreeBusy())
                both = FreeBusy((*known.busy, *told.busy))
                found[who] = both if told.known and known.known else (known if not known.known else told)
            start = end
        return found

    def _remember_zone(self, answer: Mapping[str, Any], calendar: Address) -> ZoneInfo:
        try:
            zone = ZoneInfo(str(answer.get("timeZone") or ""))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = self._zones.get(calendar, _UTC)
        self._homes[calendar] = zone
        return zone

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        try:
            item, zone = self._get_item(calendar, translate.make_event_id(key))
        except NotFound:
            return None
        if translate.is_cancelled(item) or not translate.can_change(item):
            return None
        return self._parse_event(item, calendar, zone)

    def _get_item(self, calendar: Address, name: str) -> tuple[dict[str, Any], ZoneInfo]:
        """Raises NotFound, or Unavailable when it was made a moment ago."""
        try:
            request = self._events.get(calendarId="primary", eventId=name, fields=translate.OWN_EVENT_FIELDS)
            item = self._wires.execute(
                calendar, OWNED_EVENTS_SCOPE, request, what=f"{calendar}: {translate.decode_key(name) or name}"
            )
        except NotFound:
            if self._clock() - self._made.get(name, datetime.min.replace(tzinfo=_UTC)) < PROPAGATION_DELAY:
                raise Unavailable(f"{calendar}: Google does not find yet what it has just taken.") from None
            raise
        if not isinstance(item, dict):
            raise InvalidResponse(f"{calendar}: Google answered with something that is not an event.")
        return item, self._get_home_zone(calendar) if "date" in (item.get("start") or {}) else _UTC

    def _get_home_zone(self, calendar: Address) -> ZoneInfo:
        """The zone in which a calendar has its whole days: asked for once."""
        if calendar not in self._homes:
            request = self._events.list(calendarId="primary", maxResults=1, fields="timeZone")
            self._remember_zone(self._wires.execute(calendar, OWNED_EVENTS_SCOPE, request), calendar)
        return self._homes[calendar]

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        name = translate.make_event_id(draft.key)
        try:
            item = self._write_event(calendar, translate.compose_event(draft), self._events.insert)
        except Conflict:
            return self._resolve_taken_id(calendar, name, draft)
        self._made = {one: at for one, at in self._made.items() if self._clock() - at < PROPAGATION_DELAY}
        self._made[name] = self._clock()
        return self._parse_written_event(item, calendar, draft)

    def _write_event(
        self, calendar: Address, body: Mapping[str, Any], method: Callable[..., Any], etag: str = "", **path: str
    ) -> dict[str, Any]:
        """Write the event, and give it as it is then. Where Meet is not offered it is written without a link."""
        link = "conferenceData" in body
        request = method(
            calendarId="primary",
            body=body,
            sendUpdates="all",
            conferenceDataVersion=1 if link else 0,
            fields=translate.OWN_EVENT_FIELDS,
            **path,
        )
        try:
            item: dict[str, Any] = self._wires.execute(
                calendar, OWNED_EVENTS_SCOPE, require_etag(request, etag) if etag else request
            )
        except NoConference:
            if not link:
                raise
            self._notify("google-meet", NO_MEET_NOTICE.format(calendar))
            plain = {name: value for name, value in body.items() if name != "conferenceData"}
            return self._write_event(calendar, plain, method, etag, **path)
        return item

    def _parse_written_event(self, item: Mapping[str, Any], calendar: Address, draft: EventDraft) -> Event:
        """The answer to our own write. It names the only guest as Google knows them: that form is kept."""
        guests = translate.list_guests(item)
        if len(guests) == len(draft.guests) == 1:
            self._learn_form(draft.guests[0].email, guests[0])
        organizer = item.get("organizer") or {}
        if organizer.get("self") is True:
            self._learn_form(calendar, organizer)
        return self._parse_event(item, calendar, self._zone_of_draft(draft))

    def _learn_form(self, person: Address, part: Mapping[str, Any]) -> None:
        form = str(part.get("email") or "")
        if form and self._identities.primary(form) != person:
            self._identities.learn(person, form)

    def _resolve_taken_id(self, calendar: Address, name: str, draft: EventDraft) -> Event:
        """The id is in use: by our own event of an earlier attempt, by a cancelled one, or by somebody else's."""
        try:
            item, _ = self._get_item(calendar, name)
        except NotFound as error:
            raise Unavailable(f"{calendar}: Google knows this event already, and does not show it yet.") from error
        if translate.is_cancelled(item):
            raise Conflict(f"{calendar}: the event {draft.key} was cancelled, and its id is not used again.")
        if not translate.can_change(item):
            raise Conflict(f"{calendar}: the id of {draft.key} is taken by an event that Longarc did not put there.")
        if translate.is_untouched(item):
            return self._parse_written_event(item, calendar, draft)
        return self._parse_event(item, calendar, self._zone_of_draft(draft))

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        item = self._get_own_item(ref)
        place = self._zone_of_draft(draft)
        if translate.is_cancelled(item):
            raise Conflict(f"{ref.calendar}: the event was cancelled.")
        if str(item.get("etag")) != ref.etag:
            if not translate.is_written_from(item, draft, place, self._identities):
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            return self._parse_event(item, ref.calendar, place)  # an earlier attempt of this update got through
        body = translate.compose_patch(item, draft, place, self._identities)
        if draft.video and "hangoutLink" not in item:
            body["conferenceData"] = translate.compose_conference(draft)
        changed = self._write_event(ref.calendar, body, self._events.patch, ref.etag, eventId=ref.id)
        if "attendees" in body:
            return self._parse_written_event(changed, ref.calendar, draft)
        return self._parse_event(changed, ref.calendar, place)

    def cancel(self, ref: EventRef) -> None:
        try:
            item = self._get_own_item(ref)
        except NotFound:
            return
        if translate.is_cancelled(item):
            return
        if ref.etag and str(item.get("etag")) != ref.etag:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        request = self._events.delete(calendarId="primary", eventId=ref.id, sendUpdates="all")
        try:
            self._wires.execute(ref.calendar, OWNED_EVENTS_SCOPE, require_etag(request, str(item["etag"])))
        except (NotFound, ItemGone):
            return

    def _get_own_item(self, ref: EventRef) -> dict[str, Any]:
        """The event at `ref`, if it is ours to change. Raises Forbidden, NotFound."""
        foreign = Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        if translate.decode_key(ref.id) is None:
            raise foreign
        item, _ = self._get_item(ref.calendar, ref.id)
        if not translate.is_cancelled(item) and not translate.can_change(item):
            raise foreign
        return item

    @staticmethod
    def _zone_of_draft(draft: EventDraft) -> ZoneInfo:
        """Where our own whole days lie."""
        return ZoneInfo(draft.zone)

    # --- proving ----------------------------------------------------------------------------------------------------

    def check(self, person: Address) -> list[Finding]:
        from worker.providers.google.checks import check_calendar

        return check_calendar(self._wires, person, self._clock(), video=self._video)
