"""The provider of calendars in Microsoft 365, through Microsoft Graph.

The key of our event is in an extended property of the organizer's event. A guest's copy does not have this property.
On such a copy, our event is recognized by its `iCalUId`, which all copies of an event share, or by its times in an
answer to `getSchedule`, Graph's query for free/busy. The keys of copies are searched only on the calendars of the
people who may have invited the guest: the function `organizers` returns these people.

Graph has no index on extended properties, so a search by key times out on a large mailbox. Therefore Longarc searches
by key only to find one event. A changed event is recognized as ours by the `transactionId` that we gave it, and our
future events are listed by their start.

Changes are read by delta rounds: sequences of requests, each of which returns the changes since the request before
(`worker.providers.outlook.delta`). All events are read when there is no round to continue.

Microsoft 365 may name a person by another address than the one that was invited, by an X500 string, or by a bare name.
`Identities` maps such aliases to the person's primary address, and learns the aliases on our own events.

Free/busy of organizers is read from their calendars. Free/busy of everybody else is read by `getSchedule` through an
organizer's mailbox. So an app needs access to the mailboxes of organizers only.

In this package, an item is an event in Graph's JSON, and an entry is an event with its `iCalUId`. A view is the list of
a calendar's entries inside a window, or the error that prevented reading them.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from worker.clock import utcnow
from worker.domain.model import Address, BusyTime, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Permanent,
    ProviderError,
    Transient,
    Unavailable,
)
from worker.logs import Action
from worker.providers.base import AlertFunction, Finding, Habits, OrganizersFunction, get_alert_function
from worker.providers.identities import InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.providers.outlook import auth, channels, checks, delta, mail, schedule
from worker.providers.outlook import events as graph_events
from worker.providers.outlook.client import DeltaTokenExpired, DuplicateTransaction, Graph, Json, TooSlow
from worker.providers.outlook.event_reader import CalendarView, EventReader, EventWithUid, make_list_query
from worker.providers.outlook.mailbox_settings import MailboxSettings

log = logging.getLogger(__name__)

#: The fields requested of a single event: also those that only our own events need, since it may be one of them.
_OWN_EVENT_FIELDS = f"{graph_events.EVENT_FIELDS},subject,body,isOnlineMeeting,isReminderOn,reminderMinutesBeforeStart"
#: The text of the operator alert about a person to whom Teams is not available.
_NO_TEAMS_ALERT = (
    "Microsoft 365 created an event of {person} without the requested Teams meeting: Teams is not available to this "
    "person. Give the person Teams, or write `teams = false` under [calendars.outlook]."
)
_CANCEL_COMMENT = "This time is free again."
#: The most changed events that are read one by one. When there are more, reading all events takes fewer requests.
_MAX_LOOKUPS = 20
#: In a mailbox that is too large for a search by key, our event is found among the events that began this long ago or
#: later.
_MAX_EVENT_AGE = timedelta(days=400)


def build_calendar(section: Mapping[str, Any]) -> "OutlookCalendar":
    """Return the provider that a section of the settings describes.

    The section has the keys of `auth.build_tokens`, and these:

    - `teams`: whether events with video get a Teams link.
    - `organizers`: an `OrganizersFunction`.
    - `local_people`: the people whose calendar is in Microsoft 365.
    - `zones`: time zones by address, used in place of the mailboxes' zones.
    - `limiter`: a `Limiter`. `identities`: an `Identities`. `alert_operator`: an `AlertFunction`.
    - `timeout`: seconds. `ca_file`: the certificates to trust.
    """
    return OutlookCalendar(
        build_graph(section),
        organizers=section.get("organizers") or (lambda _: ()),
        zones=dict(section.get("zones") or {}),
        teams=bool(section.get("teams", True)),
        alert_operator=get_alert_function(section),
        local_people=section.get("local_people") or (),
    )


def build_mailer(section: Mapping[str, Any]) -> "mail.GraphMailer":
    """Return the mailer that a section of the settings describes.

    The section has the keys of `build_calendar`, and these: `sender`, which is the mailbox that sends mail, and
    `exactly_once` and `as_author`, which `GraphMailer` explains.
    """
    return mail.GraphMailer(
        build_graph(section),
        str(section.get("sender") or ""),
        exactly_once=bool(section.get("exactly_once", False)),
        as_author=bool(section.get("as_author", False)),
    )


def build_graph(section: Mapping[str, Any]) -> Graph:
    """Return the client of Graph for a section of the settings. Raises AuthRevoked when it lacks credentials."""
    return Graph(
        str(section["endpoint"]),
        auth.build_tokens(section),
        section.get("limiter") or Limiter(),
        timeout=float(section.get("timeout") or 30),
        ca_file=str(section.get("ca_file") or ""),
        identities=section.get("identities") or InMemoryIdentities(),
    )


class OutlookCalendar(channels.OutlookChannels):
    """A CalendarProvider and NotifyingCalendar on Microsoft Graph."""

    def __init__(
        self,
        graph: Graph,
        *,
        organizers: OrganizersFunction = lambda _: (),
        zones: Mapping[Address, str] | None = None,
        teams: bool = True,
        alert_operator: AlertFunction = lambda _cause, _text: None,
        local_people: Collection[Address] = (),
    ) -> None:
        self._graph = graph
        self._identities = graph.identities
        self._alert_operator = alert_operator
        self._local_people = local_people
        #: The owners of mailboxes that are too large for a search by key.
        self._unsearchable_calendars: set[Address] = set()
        self._list_organizers = organizers
        self._teams = teams
        self._mailbox_settings = MailboxSettings(graph, zones or {})
        self._reader = EventReader(graph, self._mailbox_settings)

    def close(self) -> None:
        """Close the connections."""
        self._graph.close()

    # --- free/busy --------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return the free/busy of all `people`: of organizers from their calendars, of others by `getSchedule`."""
        unique_people = list(dict.fromkeys(people))
        organizers = {person: frozenset(self._list_organizers(person)) for person in unique_people}
        own_accounts = {self._graph.own_account} - {""}  # at most one; none when Longarc signs in as an app
        views = self._reader.read_views(sorted(own_accounts.union(*organizers.values())), window)
        our_entries = [
            entry for view in views.values() if isinstance(view, list) for entry in view if entry.event.is_ours
        ]
        free_busy = {
            person: _to_free_busy(views[person], our_entries, window) for person in unique_people if person in views
        }
        for person in unique_people:
            if temporarily_unknown := _make_temporarily_unknown_free_busy(person, organizers[person], views):
                free_busy[person] = temporarily_unknown
        readable_mailboxes = [person for person, view in views.items() if isinstance(view, list)]
        others = [person for person in unique_people if person not in free_busy]
        free_busy_of_others = schedule.read_free_busy(self._graph, others, window, readable_mailboxes)
        for person in others:
            our_events = [self._assign_guest(entry.event, person, organizers[person]) for entry in our_entries]
            free_busy[person] = schedule.mark_our_events(free_busy_of_others[person], person, our_events, window)
        return {person: free_busy[person] for person in unique_people}

    def _assign_guest(self, event: Event, person: Address, organizers: Collection[Address]) -> Event:
        """Return the event with `person` as its only guest, if its only guest is probably this person.

        This is probable when the guest's alias belongs to nobody in `local_people`, and the organizer may have invited
        the person. Otherwise the event is returned unchanged; also when `local_people` is empty, because then every
        alias would belong to nobody.
        """
        has_unknown_guest = len(event.answers) == 1 and not {person, *self._local_people} & event.answers.keys()
        if not (has_unknown_guest and self._local_people and event.organizer in organizers):
            return event
        return replace(event, answers=dict.fromkeys([person], *event.answers.values()))

    # --- changes ----------------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the changes since `cursor`.

        All events are returned when there is no cursor, when its delta round has expired or does not cover `window`,
        and when there are many changes.
        """
        delta_round = delta.parse_cursor(cursor)
        if delta_round is not None and delta_round.covers(window):
            try:
                delta_changes = delta.follow_round(self._graph, calendar, delta_round)
            except DeltaTokenExpired:
                log.info("a new delta round begins", extra={"action": Action.GRAPH_ROUND, "calendar": calendar})
            else:
                if (changes := self._read_changed_events(calendar, delta_changes, window)) is not None:
                    return changes
        return self._list_all_events(calendar, window)

    def _list_all_events(self, calendar: Address, window: Span) -> CalendarChanges:
        """Return all events inside the window, and our own events after it.

        The new delta round begins before the events are read, so that no change in between is lost.
        """
        try:
            cursor = delta.begin_round(self._graph, calendar, window).cursor
        except DeltaTokenExpired as error:
            raise Unavailable(f"{calendar}: the service refuses the delta token that it has just issued.") from error
        entries = [*self._reader.iter_window(calendar, window), *self._iter_our_events_after(calendar, window.end)]
        unique_entries = {entry.event.ref.id: entry for entry in entries}.values()
        events = self._add_keys(calendar, unique_entries)
        return CalendarChanges(events, deleted_ids=(), cursor=cursor, is_full=True)

    def _read_changed_events(
        self, calendar: Address, delta_changes: delta.DeltaChanges, window: Span
    ) -> CalendarChanges | None:
        """Return the changes that a delta round reported; None when reading all events takes fewer requests.

        A delta round reports no extended properties. So an event that may be ours is read by its id, to learn its key.
        """
        series_ids = {str(item.get("seriesMasterId") or "") for item in delta_changes.items} - {""}
        series_ids |= {str(item["id"]) for item in delta_changes.items if item.get("type") == "seriesMaster"}
        singles = [  # events outside of any series
            item for item in delta_changes.items if not item.get("seriesMasterId") and item["id"] not in series_ids
        ]
        ids_to_read = [str(item["id"]) for item in singles if _may_be_ours(item)] + sorted(delta_changes.removed_ids)
        if len(ids_to_read) > _MAX_LOOKUPS:
            return None
        entries_read = {event_id: self._read_entry(calendar, event_id) for event_id in ids_to_read}
        # An event that was moved out of the round's window is reported as removed. If it is ours, it is not gone.
        existing_entries = {
            event_id: entry
            for event_id, entry in entries_read.items()
            if entry and (entry.event.is_ours or event_id not in delta_changes.removed_ids)
        }
        deleted_ids = sorted(entries_read.keys() - existing_entries.keys())
        entries = [*existing_entries.values()]
        entries += [self._reader.parse_entry(calendar, item) for item in singles if item["id"] not in entries_read]
        for series_id in sorted(series_ids - delta_changes.removed_ids):
            occurrences = self._list_occurrences(calendar, series_id, window)
            entries += occurrences
            if not occurrences:
                deleted_ids.append(series_id)
        events = self._add_keys(calendar, entries)
        return CalendarChanges(events, deleted_ids=tuple(deleted_ids), cursor=delta_changes.round.cursor, is_full=False)

    def _read_entry(self, calendar: Address, event_id: str) -> EventWithUid | None:
        """Return the event with that id, including its key; None when the event is gone."""
        item = self._get_item(calendar, event_id)
        return self._reader.parse_entry(calendar, item) if item else None

    def _list_occurrences(self, calendar: Address, series_id: str, window: Span) -> list[EventWithUid]:
        """Return the occurrences of a series inside the window; an empty list when the series is gone."""
        query = graph_events.compose_bounds(window)
        try:
            return list(self._reader.iter_events(calendar, f"{_make_event_path(series_id)}/instances", **query))
        except NotFound:
            return []

    def _iter_our_events_after(self, calendar: Address, instant: datetime) -> Iterator[EventWithUid]:
        """Return an iterator of our events that begin at `instant` or later."""
        entries = self._reader.iter_events(calendar, "events", filter=graph_events.compose_start_filter(instant))
        return (entry for entry in entries if entry.event.is_ours)

    def _add_keys(self, calendar: Address, entries: Collection[EventWithUid]) -> tuple[Event, ...]:
        """Return the events on a person's calendar, with the key added to each copy of an event of ours.

        The key is that of the event with the same uid on an organizer's calendar. When a copy names its organizer by an
        unknown alias, its uid is searched on the calendars of all organizers who may have invited the person.
        """
        copies = [
            entry
            for entry in entries
            if not entry.event.is_ours and not entry.event.series and entry.event.organizer not in ("", calendar)
        ]
        keys: dict[str, str] = {}
        for organizer in sorted(set(self._list_organizers(calendar)) - {calendar}):
            spans = [copy.event.span for copy in copies if self._may_be_organized_by(organizer, copy.event)]
            if not spans:
                continue
            span_of_copies = Span(min(span.start for span in spans), max(span.end for span in spans))
            try:
                originals = list(self._reader.iter_window(organizer, span_of_copies))
            except (NotFound, Forbidden) as error:
                log.warning(
                    "an organizer's calendar can't be read: %s", error, extra={"action": Action.ORGANIZER_UNREADABLE}
                )
            else:
                keys |= {original.uid: original.event.key for original in originals if original.event.key}
        return tuple(replace(entry.event, key=entry.event.key or keys.get(entry.uid)) for entry in entries)

    def _may_be_organized_by(self, organizer: Address, event: Event) -> bool:
        """Return whether the event names this organizer, or names its organizer by an unknown alias."""
        return event.organizer == organizer or event.organizer not in self._local_people

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key; None when it does not exist or was cancelled."""
        events = self._find_all(calendar, key)
        return events[0] if events else None

    def _find_all(self, calendar: Address, key: str) -> list[Event]:
        """Return our events with that key, the oldest first.

        There are several when the service created the event in two attempts.
        """
        items = sorted(self._search_items(calendar, key), key=lambda item: str(item.get("createdDateTime")))
        events = [self._reader.parse_event(calendar, item) for item in items]
        return [event for event in events if event.key == key and not event.cancelled]

    def _search_items(self, calendar: Address, key: str) -> list[Json]:
        """Return events in Graph's JSON. All events with that key are among them, and possibly others.

        Once a search by key has timed out on a calendar, its events are listed by their start instead.
        """
        query = make_list_query()
        if calendar not in self._unsearchable_calendars:
            key_filter = graph_events.compose_key_filter(key)
            try:
                return list(self._graph.iter_all(calendar, "events", filter=key_filter, **query))
            except TooSlow:
                self._unsearchable_calendars.add(calendar)
        start_filter = graph_events.compose_start_filter(utcnow() - _MAX_EVENT_AGE)
        return list(self._graph.iter_all(calendar, "events", filter=start_filter, **query))

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event and invite the guests, or return the event that an earlier attempt has created."""
        if len(draft.guests) > graph_events.MAX_GUESTS:
            raise Permanent(f"{calendar}: an event can have at most {graph_events.MAX_GUESTS} guests.")
        try:
            item = self._graph.post(calendar, "events", graph_events.compose_event(draft, teams=self._teams))
        except DuplicateTransaction as duplicate:
            return self._find_existing(calendar, draft.key, duplicate.existing_id)
        except Unavailable as error:
            # When the error is uncertain, the event may have been created although its answer was lost.
            existing = self._find_after_failure(calendar, draft.key) if error.uncertain else None
            if existing is None:
                raise
            return existing
        self._learn_alias_of_guest(draft, item, is_new=True)
        if self._teams and draft.video and item.get("isOnlineMeeting") is False:
            self._alert_operator(f"teams:{calendar}", _NO_TEAMS_ALERT.format(person=calendar))
        return self._reader.parse_event(calendar, item, draft.key)

    def _learn_alias_of_guest(self, draft: EventDraft, item: Json, *, is_new: bool) -> None:
        """Learn the alias by which Microsoft 365 names the guest of our event, if the event has only one guest.

        On an event that is not new, people may have replaced the guest by another person. So there an alias that is an
        address is learned only when the name beside it is the guest's name.
        """
        only_guest = graph_events.find_only_guest(item)
        if len(draft.guests) != 1 or only_guest is None:
            return
        guest = draft.guests[0]
        alias, name = only_guest
        is_alias_certain = is_new or "@" not in alias or name.casefold() == guest.name.casefold()
        if is_alias_certain:
            self._reader.learn_alias(guest.email, alias)

    def _find_existing(self, calendar: Address, key: str, event_id: str) -> Event:
        """Return the event that has this key already. Raises Conflict when the event was cancelled.

        `event_id` is the id of the event; empty when the service does not report it.
        """
        event = self._find_after_failure(calendar, key)
        if event is None and event_id:  # a new event can be read by its id before a search finds it
            item = self._get_item(calendar, event_id)
            event = self._reader.parse_event(calendar, item) if item else None
        if event is None or event.key != key or event.cancelled:
            raise Conflict(f"{calendar}: the event {key} was cancelled.")
        return event

    def _find_after_failure(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key after an attempt to create it has failed; None when it is not found.

        When several attempts have created the event, all but the oldest are cancelled.
        """
        try:
            events = self._find_all(calendar, key)
        except ProviderError:
            return None
        for duplicate in events[1:]:
            self.cancel(replace(duplicate.ref, etag=""))  # in whatever version
        return events[0] if events else None

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft. Raises NotFound when it is gone, and Conflict when people changed it."""
        item = self._get_own_item(ref)
        if item is None:
            raise NotFound(f"{ref.calendar}: the event {draft.key} is gone.")
        self._learn_alias_of_guest(draft, item, is_new=False)
        current = self._reader.parse_event(ref.calendar, item)
        patch = graph_events.compose_patch(item, draft, current, find_primary=self._identities.find_primary)
        if not patch:  # an earlier attempt at this update succeeded
            return current
        if not graph_events.is_same_version(ref.etag, current):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        item = self._graph.patch(ref.calendar, _make_event_path(ref.id), patch, etag=graph_events.read_etag(item))
        return self._reader.parse_event(ref.calendar, item, current.key)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Cancel the event for all guests. Does nothing when the event is gone already.

        `quiet` has no effect, because Microsoft 365 always notifies the guests.
        """
        item = self._get_own_item(ref)
        if item is None:
            return
        if ref.etag and not graph_events.is_same_version(ref.etag, self._reader.parse_event(ref.calendar, item)):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        try:
            if item.get("attendees"):
                self._graph.post(ref.calendar, f"{_make_event_path(ref.id)}/cancel", {"comment": _CANCEL_COMMENT})
            else:
                etag = graph_events.read_etag(item) if ref.etag else ""
                self._graph.delete(ref.calendar, _make_event_path(ref.id), etag=etag)
        except NotFound:
            return

    def _get_own_item(self, ref: EventRef) -> Json | None:
        """Return our event at `ref` in Graph's JSON; None when it is gone. Raises Forbidden when it is not ours."""
        item = self._get_item(ref.calendar, ref.id)
        if item is None or item.get("isCancelled"):
            return None
        if graph_events.read_key(item) is None or item.get("isOrganizer") is False:
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc created.")
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
        """Return the person's time zone and working hours from the settings of the mailbox."""
        return self._mailbox_settings.habits(person)

    # --- checks -----------------------------------------------------------------------------------------------------

    def check(self, person: Address) -> list[Finding]:
        """Check everything that Longarc needs to book for this manager and the reports; return the findings."""
        reports = sorted(
            other for other in self._local_people if other != person and person in self._list_organizers(other)
        )
        return checks.check_calendar(self._graph, person, teams=self._teams, reports=reports)


def _to_free_busy(view: CalendarView, our_entries: Collection[EventWithUid], window: Span) -> FreeBusy:
    """Return the free/busy in the view of an organizer's calendar, clipped to the window.

    The keys of copies are those of the events with the same uid in `our_entries`.
    """
    if not isinstance(view, list):
        return FreeBusy(is_known=False, reason=str(view), is_temporary=isinstance(view, Transient))
    keys = {entry.uid: entry.event.key for entry in our_entries}
    busy_times = [
        BusyTime(entry.event.span.clip(window), entry.event.show_as, entry.event.key or keys.get(entry.uid))
        for entry in view
        if entry.event.show_as is not None and not entry.event.cancelled and entry.event.span.overlaps(window)
    ]
    return FreeBusy(tuple(sorted(busy_times, key=lambda busy: (busy.span, busy.show_as, busy.key or ""))))


def _make_temporarily_unknown_free_busy(
    person: Address, organizers: Collection[Address], views: Mapping[Address, CalendarView]
) -> FreeBusy | None:
    """Return a temporarily unknown free/busy when the calendar of the person or of an organizer can't be read now.

    Without these calendars, our events in the person's free/busy can't be recognized. Return None when there is no such
    error.
    """
    relevant_views = [views.get(owner) for owner in (person, *sorted(organizers))]
    errors = [view for view in relevant_views if isinstance(view, Transient)]
    return FreeBusy(is_known=False, reason=str(errors[0]), is_temporary=True) if errors else None


def _may_be_ours(item: Json) -> bool:
    """Return whether an event of a delta answer may be ours.

    It may be ours when its transaction id is ours, or when it has none and the calendar's owner organizes it.
    """
    if transaction_id := str(item.get("transactionId") or ""):
        return transaction_id.startswith(graph_events.TRANSACTION_PREFIX)
    return item.get("isOrganizer") is not False


def _make_event_path(event_id: str) -> str:
    return f"events/{quote(event_id, safe='')}"
