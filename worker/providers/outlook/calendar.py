"""Calendars in Microsoft 365, through Microsoft Graph.

Our key is in an extended property of the organizer's event. A guest's copy does not carry it: there our event is
recognised by its `iCalUId`, which all copies share, or, in free/busy answers, by its times. `organizers` returns the
people who may have invited a person: only their calendars are read to find the keys of copies.

The property is not indexed, and a search by it times out on a large mailbox. So it is used only to find an event by its
key: changes of our events are recognised by the `transactionId` that we gave them, and future events are listed by
their start.

Microsoft 365 may name a person by another address than the one invited, by an X500 string or by a bare name.
`identities` maps each of these aliases to the person's address, and learns the aliases that our events show.

The time of organizers is read from their calendars, everybody else's by `getSchedule` through an organizer's mailbox.
So an app needs access to the organizers' mailboxes only.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from worker.clock import utcnow
from worker.domain.model import Address, BusyTime, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.errors import (
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    ProviderError,
    Transient,
    Unavailable,
)
from worker.logs import Action
from worker.providers.base import Finding, Habits, NoticeListener, get_notice_listener
from worker.providers.identities import InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.providers.outlook import auth, channels, checks, delta, mail, schedule
from worker.providers.outlook import events as graph_events
from worker.providers.outlook.client import DeltaTokenExpired, DuplicateTransaction, Graph, Json, TooSlow
from worker.providers.outlook.mailbox_settings import MailboxSettings

log = logging.getLogger(__name__)

#: A function that returns the people who may have invited a person to one of our events.
OrganizersFunction = Callable[[Address], Collection[Address]]

_PAGE_SIZE = 500
_OWN_EVENT_FIELDS = f"{graph_events.EVENT_FIELDS},subject,body,isOnlineMeeting,isReminderOn,reminderMinutesBeforeStart"
_NO_TEAMS = (
    "Microsoft 365 made an event of {who} without the Teams meeting that was asked for: Teams is not available to this "
    "person. Give the person Teams, or write `teams = false` under [calendars.outlook]."
)
_CANCEL_COMMENT = "This time is free again."
#: The most changed events that are read one by one. With more of them, a full pass costs less.
_MAX_LOOKUPS = 20
#: How far back events are listed to find ours in a mailbox that is too large for a search.
_SEARCH_BACK = timedelta(days=400)


def build_calendar(section: Mapping[str, Any]) -> "OutlookCalendar":
    """Return the provider that a section of the settings describes.

    `endpoint`, `authority`, `tenant`, `client_id` and the credentials: see `auth.build_tokens`. `teams`: whether events
    with video get a Teams link. `organizers`: returns who may have invited a person. `limiter`: limits requests to each
    mailbox. `identities`: maps aliases to people. `notices`: called with each notice for the operator. `local`: the
    people whose calendar is in Microsoft 365. `zones`: time zone by address, used in place of the mailbox's.
    `timeout`: seconds. `ca_file`: certificates to trust.
    """
    return OutlookCalendar(
        build_graph(section),
        organizers=section.get("organizers") or (lambda _: ()),
        zones=dict(section.get("zones") or {}),
        teams=bool(section.get("teams", True)),
        notify=get_notice_listener(section),
        local=section.get("local") or (),
    )


def build_mailer(section: Mapping[str, Any]) -> "mail.GraphMailer":
    """Return the mailer that a section of the settings describes. `sender`: the mailbox that sends. `exactly_once`,
    `as_author`: see `GraphMailer`. The other keys are those of `build_calendar`."""
    return mail.GraphMailer(
        build_graph(section),
        str(section.get("sender") or ""),
        exactly_once=bool(section.get("exactly_once", False)),
        as_author=bool(section.get("as_author", False)),
    )


def build_graph(section: Mapping[str, Any]) -> Graph:
    """Return the Graph client. Raises AuthRevoked when the section lacks credentials."""
    return Graph(
        str(section["endpoint"]),
        auth.build_tokens(section),
        section.get("limiter") or Limiter(),
        timeout=float(section.get("timeout") or 30),
        ca_file=str(section.get("ca_file") or ""),
        identities=section.get("identities") or InMemoryIdentities(),
    )


@dataclass(frozen=True, slots=True)
class _EventWithUid:
    """An event on one calendar, and the `iCalUId` it shares with its copies."""

    event: Event
    uid: str


#: The events on a calendar, or the error why it can't be read.
_CalendarView = list[_EventWithUid] | Permanent | Transient


class OutlookCalendar(channels.ChannelOperations):
    """A CalendarProvider and NotifyingCalendar on Microsoft Graph."""

    def __init__(
        self,
        graph: Graph,
        *,
        organizers: OrganizersFunction = lambda _: (),
        zones: Mapping[Address, str] | None = None,
        teams: bool = True,
        notify: NoticeListener = lambda _cause, _text: None,
        local: Collection[Address] = (),
    ) -> None:
        self._graph = graph
        self._identities = graph.identities
        self._notify = notify
        self._local = local
        self._unsearchable: set[Address] = set()  #: the owners of mailboxes too large for a search by our property
        self._organizers = organizers
        self._teams = teams
        self.mailboxes = MailboxSettings(graph, zones or {})

    def close(self) -> None:
        """Close the connections."""
        self._graph.close()

    # --- free/busy --------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return everybody's busy time inside `window`: organizers' from their calendars, others' by `getSchedule`."""
        unique = list(dict.fromkeys(people))
        organizers = {who: frozenset(self._organizers(who)) for who in unique}
        views = self._read_views(sorted(({self._graph.own_account} - {""}).union(*organizers.values())), window)
        ours = [entry for view in views.values() if isinstance(view, list) for entry in view if entry.event.is_ours]
        free_busy = {who: _to_free_busy(views[who], ours, window) for who in unique if who in views}
        free_busy |= {
            who: unknown for who in unique if (unknown := _make_temporary_unknown(who, organizers[who], views))
        }
        readable = [who for who, view in views.items() if isinstance(view, list)]
        others = [who for who in unique if who not in free_busy]
        for who, answer in schedule.read_free_busy(self._graph, others, window, readable).items():
            events = [self._assign_guest(entry.event, who, organizers[who]) for entry in ours]
            free_busy[who] = schedule.mark_our_events(answer, who, events, window)
        return {who: free_busy[who] for who in unique}

    def _assign_guest(self, event: Event, who: Address, organizers: Collection[Address]) -> Event:
        """Return the event with `who` as its only guest, when it is by one of `who`'s organizers and its only guest has
        an alias that belongs to nobody in `local`. Otherwise return the event as it is."""
        is_guest_unknown = len(event.answers) == 1 and not {who, *self._local} & event.answers.keys()
        if not (is_guest_unknown and self._local and event.organizer in organizers):
            return event
        return replace(event, answers=dict.fromkeys([who], *event.answers.values()))

    def _read_views(self, people: Sequence[Address], window: Span) -> dict[Address, _CalendarView]:
        """Return the events on each calendar in the window. The first pages of several calendars are read in one
        request."""
        query: dict[str, Any] = {**_make_list_query(), **graph_events.compose_bounds(window)}
        if len(people) == 1:
            return {who: self._parse_view(who, self._graph.iter_all(who, "calendarView", **query)) for who in people}
        pages = self._graph.get_each(people, "calendarView", **query)
        return {who: self._complete_view(who, pages[who]) for who in people}

    def _complete_view(self, who: Address, page: Json | ProviderError) -> _CalendarView:
        """Return the events of one calendar, of which `page` is the first page or the error that came instead."""
        try:
            return self._parse_view(who, self._iter_rest(who, page))
        except Transient as error:
            return error

    def _iter_rest(self, who: Address, page: Json | ProviderError) -> Iterator[Json]:
        """Yield every entry of the page and of those after it. Raises `page` when it is an error."""
        if isinstance(page, ProviderError):
            raise page
        yield from self._graph.iter_rest(who, page)

    def _parse_view(self, who: Address, items: Iterable[Json]) -> _CalendarView:
        try:
            return [self._parse_item(who, item) for item in items]
        except (NotFound, Forbidden, InvalidResponse) as error:
            return error

    def _iter_window(self, who: Address, window: Span) -> Iterator[_EventWithUid]:
        """Yield the events on the calendar in the window, with each occurrence of a series."""
        yield from self._iter_events(who, "calendarView", **graph_events.compose_bounds(window))

    def _iter_events(self, who: Address, path: str, **query: object) -> Iterator[_EventWithUid]:
        for item in self._graph.iter_all(who, path, **{**_make_list_query(), **query}):
            yield self._parse_item(who, item)

    def _parse_item(self, who: Address, item: Json) -> _EventWithUid:
        return _EventWithUid(self._parse_event(item, who), str(item.get("iCalUId") or item["id"]))

    def _parse_event(self, item: Json, who: Address, key: str | None = None) -> Event:
        """Return the event, with everybody on it named by their primary address."""
        if item.get("isOrganizer"):
            self._learn_alias(who, graph_events.alias_of(item.get("organizer")))
        zone = self.mailboxes.get_zone(who)
        return graph_events.parse_event(item, who, zone, key, primary=self._identities.find_primary)

    def _learn_alias(self, person: Address, alias: str) -> None:
        """Add an alias by which Microsoft 365 names the person."""
        if alias and self._identities.find_primary(alias) != person:
            self._identities.learn(person, alias)

    # --- changes ----------------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the changes since `cursor`; everything when the cursor has expired or its round does not cover
        `window`."""
        last_round = delta.parse_cursor(cursor)
        if last_round is not None and last_round.covers(window):
            try:
                answer = delta.follow_round(self._graph, calendar, last_round)
            except DeltaTokenExpired:
                log.info("a new round begins", extra={"action": Action.GRAPH_ROUND, "calendar": calendar})
            else:
                if (changes := self._list_changes_since(calendar, answer, window)) is not None:
                    return changes
        return self._list_everything(calendar, window)

    def _list_everything(self, calendar: Address, window: Span) -> CalendarChanges:
        """Return everything in the window, and our events after it. The new delta round begins before the events are
        read, so that no change in between is lost."""
        try:
            cursor = delta.begin_round(self._graph, calendar, window).cursor
        except DeltaTokenExpired as error:
            raise Unavailable(f"{calendar}: the service refuses the sync token that it has just given.") from error
        by_id = {entry.event.ref.id: entry for entry in self._iter_window(calendar, window)}
        by_id |= {entry.event.ref.id: entry for entry in self._iter_ours_after(calendar, window.end)}
        return CalendarChanges(self._add_keys(calendar, by_id.values()), (), cursor, is_full=True)

    def _list_changes_since(
        self, calendar: Address, answer: delta.DeltaChanges, window: Span
    ) -> CalendarChanges | None:
        """Return the changes in the answer to a delta round; None when there are so many that a full pass costs
        less."""
        series = {str(item.get("seriesMasterId") or "") for item in answer.items} - {""}
        series |= {str(item["id"]) for item in answer.items if item.get("type") == "seriesMaster"}
        singles = [item for item in answer.items if not item.get("seriesMasterId") and item["id"] not in series]
        candidates = [str(item["id"]) for item in singles if _can_be_ours(item)] + sorted(answer.removed)
        if len(candidates) > _MAX_LOOKUPS:
            return None
        looked_up = {event_id: self._look_up(calendar, event_id) for event_id in candidates}
        # The round reports an event that moved out of its window as removed; ours still exist then.
        existing = {
            event_id: entry
            for event_id, entry in looked_up.items()
            if entry and (entry.event.is_ours or event_id not in answer.removed)
        }
        gone_ids = sorted(looked_up.keys() - existing.keys())
        entries = [*existing.values()]
        entries += [self._parse_item(calendar, item) for item in singles if item["id"] not in looked_up]
        for master in sorted(series - answer.removed):
            occurrences = self._list_occurrences(calendar, master, window)
            entries += occurrences
            gone_ids += [] if occurrences else [master]
        return CalendarChanges(self._add_keys(calendar, entries), tuple(gone_ids), answer.round.cursor, is_full=False)

    def _look_up(self, calendar: Address, event_id: str) -> _EventWithUid | None:
        """Return the event of that id with its key; None when it is gone."""
        item = self._get_item(calendar, event_id)
        return self._parse_item(calendar, item) if item else None

    def _list_occurrences(self, calendar: Address, master: str, window: Span) -> list[_EventWithUid]:
        """Return the occurrences of a series inside the window; an empty list when the series is gone."""
        query = graph_events.compose_bounds(window)
        try:
            return list(self._iter_events(calendar, f"{_make_event_path(master)}/instances", **query))
        except NotFound:
            return []

    def _iter_ours_after(self, calendar: Address, instant: datetime) -> Iterator[_EventWithUid]:
        """Return our events that begin at `instant` or later."""
        listed = self._iter_events(calendar, "events", filter=graph_events.filter_starting_from(instant))
        return (entry for entry in listed if entry.event.is_ours)

    def _add_keys(self, calendar: Address, listed: Collection[_EventWithUid]) -> tuple[Event, ...]:
        """Return the events, with the key added to each guest's copy of an event of ours.

        The key comes from the event with the same uid on the organizer's calendar. The organizer's name on the copy
        may be an unknown alias, so such a copy is compared with every organizer's events.
        """
        copies = [entry for entry in listed if not (entry.event.is_ours or entry.event.series)]
        copies = [entry for entry in copies if entry.event.organizer not in ("", calendar)]
        keys: dict[str, str] = {}
        for organizer in sorted(set(self._organizers(calendar)) - {calendar}):
            spans = [
                copy.event.span
                for copy in copies
                if copy.event.organizer in (organizer, *self._list_unknown_organizer(copy.event))
            ]
            if not spans:
                continue
            around = Span(min(span.start for span in spans), max(span.end for span in spans))
            try:
                originals = list(self._iter_window(organizer, around))
            except (NotFound, Forbidden) as error:
                log.warning("an organizer can't be read: %s", error, extra={"action": Action.ORGANIZER_UNREADABLE})
            else:
                keys |= {original.uid: original.event.key for original in originals if original.event.key}
        return tuple(replace(entry.event, key=entry.event.key or keys.get(entry.uid)) for entry in listed)

    def _list_unknown_organizer(self, event: Event) -> set[str]:
        """Return a set of the organizer's alias when it belongs to nobody in `local`, else an empty set."""
        return {event.organizer} - set(self._local)

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event of that key; None when it does not exist or was cancelled."""
        events = self._find_all(calendar, key)
        return events[0] if events else None

    def _find_all(self, calendar: Address, key: str) -> list[Event]:
        """Return the events of that key, the oldest first. There are several when the service created one twice."""
        items = sorted(self._search_items(calendar, key), key=lambda item: str(item.get("createdDateTime")))
        events = [self._parse_event(item, calendar) for item in items]
        return [event for event in events if event.key == key and not event.cancelled]

    def _search_items(self, calendar: Address, key: str) -> list[Json]:
        """Return events that include those of that key. After a search in a mailbox has timed out once, its events are
        listed by start instead."""
        query = _make_list_query()
        if calendar not in self._unsearchable:
            by_key = graph_events.filter_by_key(key)
            try:
                return list(self._graph.iter_all(calendar, "events", filter=by_key, **query))
            except TooSlow:
                self._unsearchable.add(calendar)
        by_start = graph_events.filter_starting_from(utcnow() - _SEARCH_BACK)
        return list(self._graph.iter_all(calendar, "events", filter=by_start, **query))

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event and invite the guests; return the existing event when the key is already in use."""
        if len(draft.guests) > graph_events.GUEST_LIMIT:
            raise Permanent(f"{calendar}: an event may have {graph_events.GUEST_LIMIT} guests at most.")
        try:
            item = self._graph.post(calendar, "events", graph_events.compose_event(draft, teams=self._teams))
        except DuplicateTransaction as duplicate:
            return self._find_existing(calendar, draft.key, duplicate.existing)
        except Unavailable as error:
            existing = self._find_after_failure(calendar, draft.key) if error.uncertain else None
            if existing is None:
                raise
            return existing
        self._learn_guest(draft, item, is_new=True)
        if self._teams and draft.video and item.get("isOnlineMeeting") is False:
            self._notify(f"teams:{calendar}", _NO_TEAMS.format(who=calendar))
        return self._parse_event(item, calendar, draft.key)

    def _learn_guest(self, draft: EventDraft, item: Json, *, is_new: bool) -> None:
        """Learn the alias by which Microsoft 365 names the only guest of our event. On an event that is not new, people
        may have replaced the guest: there an alias counts only when it is no address, or has the guest's name."""
        only_guest = graph_events.find_only_guest(item)
        if len(draft.guests) != 1 or only_guest is None:
            return
        guest = draft.guests[0]
        alias, name = only_guest
        if is_new or "@" not in alias or name.casefold() == guest.name.casefold():
            self._learn_alias(guest.email, alias)

    def _find_existing(self, calendar: Address, key: str, event_id: str) -> Event:
        """Return the event that has this key already. `event_id`: its id where the service reports it, else empty.
        Raises Conflict when the event was cancelled."""
        event = self._find_after_failure(calendar, key)
        if event is None and event_id:  # a search may not find a new event yet, but it can be read by its id
            item = self._get_item(calendar, event_id)
            event = self._parse_event(item, calendar) if item else None
        if event is None or event.key != key or event.cancelled:
            raise Conflict(f"{calendar}: the event {key} was cancelled.")
        return event

    def _find_after_failure(self, calendar: Address, key: str) -> Event | None:
        """Return the event of that key after an attempt to create it whose outcome is unknown; None when it is not
        found. Cancels duplicates that several attempts left."""
        try:
            events = self._find_all(calendar, key)
        except ProviderError:
            return None
        for duplicate in events[1:]:
            self.cancel(replace(duplicate.ref, etag=""))
        return events[0] if events else None

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Make the event what the draft says. Raises NotFound when it is gone, Conflict when people changed it."""
        item = self._get_own_item(ref)
        if item is None:
            raise NotFound(f"{ref.calendar}: the event {draft.key} is gone.")
        self._learn_guest(draft, item, is_new=False)
        current = self._parse_event(item, ref.calendar)
        patch = graph_events.compose_patch(item, draft, current, primary=self._identities.find_primary)
        if not patch:  # an earlier attempt of this update succeeded
            return current
        if not graph_events.is_same_version(ref.etag, current):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        item = self._graph.patch(ref.calendar, _make_event_path(ref.id), patch, etag=graph_events.etag_of(item))
        return self._parse_event(item, ref.calendar, current.key)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Cancel the event for everybody invited, who always get a notice. Does nothing when it is gone already."""
        item = self._get_own_item(ref)
        if item is None:
            return
        if ref.etag and not graph_events.is_same_version(ref.etag, self._parse_event(item, ref.calendar)):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        try:
            if item.get("attendees"):
                self._graph.post(ref.calendar, f"{_make_event_path(ref.id)}/cancel", {"comment": _CANCEL_COMMENT})
            else:
                etag = graph_events.etag_of(item) if ref.etag else ""
                self._graph.delete(ref.calendar, _make_event_path(ref.id), etag=etag)
        except NotFound:
            return

    def _get_own_item(self, ref: EventRef) -> Json | None:
        """Return our event at `ref`; None when it is gone or cancelled. Raises Forbidden when it is not ours."""
        item = self._get_item(ref.calendar, ref.id)
        if item is None or item.get("isCancelled"):
            return None
        if graph_events.key_of(item) is None or item.get("isOrganizer") is False:
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        return item

    def _get_item(self, calendar: Address, event_id: str) -> Json | None:
        try:
            return self._graph.get(
                calendar, _make_event_path(event_id), select=_OWN_EVENT_FIELDS, expand=graph_events.EXPAND_KEY
            )
        except NotFound:
            return None

    # --- the owner's settings ---------------------------------------------------------------------------------------

    def habits(self, person: Address) -> Habits:
        """Return the person's time zone and working hours, from the mailbox settings."""
        return self.mailboxes.habits(person)

    # --- checks -----------------------------------------------------------------------------------------------------

    def check(self, person: Address) -> list[Finding]:
        """Try everything that booking for this person and their reports needs; return a finding for each part."""
        reports = sorted(who for who in self._local if who != person and person in self._organizers(who))
        return checks.check_calendar(self._graph, person, teams=self._teams, reports=reports)


def _to_free_busy(view: _CalendarView, ours: Collection[_EventWithUid], window: Span) -> FreeBusy:
    """Return an organizer's busy time inside the window. Our events in it have their key, on copies by the uid."""
    if not isinstance(view, list):
        return FreeBusy(is_known=False, reason=str(view), is_temporary=isinstance(view, Transient))
    keys = {entry.uid: entry.event.key for entry in ours}
    busy_times = [
        BusyTime(entry.event.span.clip(window), entry.event.show_as, entry.event.key or keys.get(entry.uid))
        for entry in view
        if entry.event.show_as is not None and not entry.event.cancelled and entry.event.span.overlaps(window)
    ]
    return FreeBusy(tuple(sorted(busy_times, key=lambda busy: (busy.span, busy.show_as, busy.key or ""))))


def _make_temporary_unknown(
    who: Address, organizers: Collection[Address], views: Mapping[Address, _CalendarView]
) -> FreeBusy | None:
    """Return temporarily unknown free/busy, when the calendar of the person or of one of their organizers can't be read
    now: without it our events in this person's time can't be recognised. None when all can be read."""
    errors = (views.get(owner) for owner in (who, *sorted(organizers)))
    error = next((error for error in errors if isinstance(error, Transient)), None)
    return FreeBusy(is_known=False, reason=str(error), is_temporary=True) if error else None


def _can_be_ours(item: Json) -> bool:
    """Whether an entry of a delta round may be our event: its transaction id is ours, or it has none and the calendar's
    owner organizes it."""
    if transaction_id := str(item.get("transactionId") or ""):
        return transaction_id.startswith(graph_events.TRANSACTION_PREFIX)
    return item.get("isOrganizer") is not False


def _make_list_query() -> dict[str, Any]:
    """Return the query parameters of a list of events."""
    return {"top": _PAGE_SIZE, "select": graph_events.EVENT_FIELDS, "expand": graph_events.EXPAND_KEY}


def _make_event_path(event_id: str) -> str:
    return f"events/{quote(event_id, safe='')}"
