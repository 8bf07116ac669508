"""Reads the events of a parsed calendar object as the calendar's owner sees them: when they are, and which block time.

`parser` parses text to calendar objects, `times` reads the times of one event, `recurrence` expands series. A calendar
object is the content of one iCalendar file. A series consists of a master, which is the VEVENT with the rules, and of
changed occurrences: VEVENTs with a RECURRENCE-ID, each of which replaces one occurrence. Where the standard leaves a
choice, this module does the following:

- Dates, floating times and local times in an unknown time zone are in the time zone of the calendar's owner. All-day
  events of ours are in the time zone with which they were written.
- A time before 1900 or after 2200, which some programs write for "always", is replaced by that bound.
- Events with one UID are versions of one event. All versions with the highest SEQUENCE count, and no others. Events
  without a UID are independent of each other.
- METHOD:CANCEL cancels all events in the object. Busy periods of a VFREEBUSY count as events that are not ours.
- Time that can't be read is never free. When an event blocks time but its times can't be read, the range in which it
  may be is unknown. When a series can't be expanded, the range from its first start to its end is unknown; its first
  occurrence and its changed occurrences are returned. Both are logged with a fingerprint of the event, and the other
  events are read all the same.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from hashlib import sha256
from typing import Any

from icalendar import Calendar
from icalendar.prop import vBroken, vDDDTypes

from worker.domain.model import Event, EventRef, ShowAs, Span
from worker.errors import InvalidResponse
from worker.logs import Action
from worker.providers.ical import events as ical_events
from worker.providers.ical import recurrence
from worker.providers.ical.parser import CUT_OFF, LOST
from worker.providers.ical.recurrence import TimedEvent
from worker.providers.ical.times import EARLIEST, LATEST, NoStart, read_times, to_instant
from worker.providers.ical.values import PARSE_ERRORS, as_list, format_instant

log = logging.getLogger(__name__)

_ALL_TIME = Span(EARLIEST, LATEST)
#: How a period of a VFREEBUSY counts in free/busy, by its FBTYPE; every other type counts as busy.
_SHOW_AS_BY_FREE_BUSY_TYPE = {"FREE": None, "BUSY-TENTATIVE": ShowAs.TENTATIVE, "BUSY-UNAVAILABLE": ShowAs.AWAY}


@dataclass(slots=True)
class CalendarContents:
    """The events that were read from a calendar object, and the spans of events that can't be read."""

    events: list[Event] = field(default_factory=list)
    #: the spans in which unreadable events may be, each with the fingerprint of its event
    unknown_spans: list[tuple[Span, str]] = field(default_factory=list)

    def list_unreadable_events(self, window: Span) -> list[str]:
        """Return the unreadable events that may block time in the window, by their fingerprints."""
        return sorted({fingerprint for span, fingerprint in self.unknown_spans if span.overlaps(window)})


def read_calendar(calendar: Calendar, ref: EventRef, zone: tzinfo, window: Span | None) -> CalendarContents:
    """Return the contents of the calendar object as the owner of `ref.calendar`, whose time zone is `zone`, sees them.

    The contents are the single events and the occurrences of series inside `window`. With `window` None, single events
    at any time are returned, and InvalidResponse is raised for a series. Events get the id of `ref`, or their UID
    when the object has several UIDs; each occurrence gets an id of its own.
    """
    reader = _ContentsReader(zone, window, is_cancelled=str(calendar.get("METHOD", "")).strip().upper() == "CANCEL")
    for event_ref, events in _group_by_uid(calendar, ref):
        reader.read_group(events, event_ref)
    for component in calendar.walk("VFREEBUSY"):
        reader.read_free_busy(component, ref)
    if any(name == LOST for name, _ in calendar.errors):
        reader.record_unknown(_ALL_TIME, ref)
    return reader.contents


def read_single_event(calendar: Calendar, ref: EventRef, zone: tzinfo) -> Event:
    """Return the one event in the calendar object. Raises InvalidResponse when the object contains no event, several
    events or a series, or when the event's times can't be read."""
    contents = read_calendar(calendar, ref, zone, None)
    if contents.unknown_spans:
        raise InvalidResponse(f"{ref.calendar}: the event {fingerprint_ref(ref)} has times that can't be read.")
    if len(contents.events) != 1:
        raise InvalidResponse(f"{ref.calendar}: {ref.id} contains {len(contents.events)} events instead of one.")
    return contents.events[0]


def fingerprint_ref(ref: EventRef) -> str:
    """Return a short hash of the event's id, which identifies the event in logs without any text that a person
    wrote."""
    return sha256(ref.id.encode()).hexdigest()[:12]


def _group_by_uid(calendar: Calendar, ref: EventRef) -> list[tuple[EventRef, list[Any]]]:
    """Return the VEVENTs of each UID, together with the ref that the event with this UID gets."""
    groups: dict[str, list[Any]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        if not event and not event.errors:
            continue  # an event without any properties
        uid = str(event.get("UID", "")).strip()
        groups.setdefault(uid or f"{ref.id} {number}", []).append(event)
    if len(groups) == 1:
        return [(ref, events) for events in groups.values()]
    return [(EventRef(ref.calendar, uid, ref.etag), events) for uid, events in groups.items()]


class _ContentsReader:
    """Reads the events of one calendar object into `contents`, one UID at a time."""

    def __init__(self, zone: tzinfo, window: Span | None, *, is_cancelled: bool) -> None:
        self.contents = CalendarContents()
        self._zone = zone
        self._window = window
        self._is_cancelled = is_cancelled

    def read_group(self, events: list[Any], ref: EventRef) -> None:
        """Read the versions and the changed occurrences of one event, which have one UID. Raises InvalidResponse for a
        series when there is no window."""
        window = self._window
        if window is None and any(recurrence.is_series(event) or "RECURRENCE-ID" in event for event in events):
            raise InvalidResponse(
                f"{ref.calendar}: the event {fingerprint_ref(ref)} is a series instead of a single event."
            )
        main_events = [event for event in events if "RECURRENCE-ID" not in event]  # single events and masters
        latest_sequence = max(map(recurrence.read_sequence, main_events), default=0)
        versions = self._read_timed_events(
            (event for event in main_events if recurrence.read_sequence(event) == latest_sequence), ref
        )
        changes = self._read_timed_events((event for event in events if "RECURRENCE-ID" in event), ref)
        changed_occurrences, rival_changes = recurrence.select_newest_changes(
            change for change in changes if _has_original_start(change)
        )
        # Changed occurrences that can't be assigned to a series are read like single events. So are rival changes: all
        # but one of the changes of the same occurrence.
        lone_changes = [*rival_changes, *(change for change in changes if not _has_original_start(change))]
        if not versions:
            lone_changes += changed_occurrences
        results: list[Event] = []
        for version in versions:
            if recurrence.is_series(version.event) or changed_occurrences:
                # A series has a window here, see above; mypy can't know that.
                results += self._expand_series(version, changed_occurrences, window or _ALL_TIME, ref)
                changed_occurrences = []  # each is returned once, with the first version
            else:
                results.append(self._make_event(version.event, version.times.span, version.times.is_all_day, ref))
        for change in lone_changes:
            results.append(self._read_lone_change(change, ref))
        self.contents.events += sorted(filter(self._is_inside, results), key=lambda event: event.span)

    def read_free_busy(self, component: Any, ref: EventRef) -> None:
        """Read the periods of a VFREEBUSY that are not free."""
        for prop in as_list(component.get("FREEBUSY", [])):
            show_as = _SHOW_AS_BY_FREE_BUSY_TYPE.get(str(prop.params.get("FBTYPE", "BUSY")).upper(), ShowAs.BUSY)
            if show_as is None or self._is_cancelled:
                continue
            if isinstance(prop, vBroken):
                self.record_unknown(_ALL_TIME, ref)
                continue
            begin = to_instant(prop.start, self._zone)
            span = Span(begin, max(begin, to_instant(prop.end, self._zone)))
            period_ref = EventRef(ref.calendar, f"{ref.id}#{format_instant(span.start)}", ref.etag)
            event = Event(ref=period_ref, span=span, show_as=show_as)
            self.contents.events += filter(self._is_inside, [event])

    def record_unknown(self, span: Span, ref: EventRef) -> None:
        """Log and record that `span` is unknown because of the event at `ref`."""
        fingerprint = fingerprint_ref(ref)
        log.warning(
            "%s: the event %s has times that can't be read",
            ref.calendar,
            fingerprint,
            extra={"action": Action.EVENT_UNREADABLE},
        )
        self.contents.unknown_spans.append((span, fingerprint))

    def _read_timed_events(self, events: Iterable[Any], ref: EventRef) -> list[TimedEvent]:
        """Return the events with their times. Events without a readable start are left out."""
        return [timed for event in events if (timed := self._read_timed_event(event, ref)) is not None]

    def _read_timed_event(self, event: Any, ref: EventRef) -> TimedEvent | None:
        """Return the event with its times; None when it has no readable start. The range in which an unreadable part of
        the event may be is recorded as unknown."""
        try:
            timed = TimedEvent(event, read_times(event, ical_events.read_draft_zone(event) or self._zone))
        except NoStart as error:
            if self._blocks_time(event, ref):
                self.record_unknown(error.span, ref)
            return None
        if any(name == CUT_OFF for name, _ in event.errors) and self._blocks_time(event, ref):
            self.record_unknown(Span(timed.times.span.start, LATEST), ref)
        return timed

    def _expand_series(
        self, master: TimedEvent, changed_occurrences: list[TimedEvent], window: Span, ref: EventRef
    ) -> list[Event]:
        """Return the occurrences inside the window. Of a series that can't be expanded, return the first and the
        changed occurrences, and record the rest as unknown."""
        try:
            occurrences = recurrence.expand_series(master, changed_occurrences, window)
        except PARSE_ERRORS:
            first = master.times.span
            if self._blocks_time(master.event, ref):
                end = recurrence.find_series_end(master, changed_occurrences)
                self.record_unknown(Span(first.start, max(first.end, end)), ref)
            return [
                self._make_event(timed.event, timed.times.span, timed.times.is_all_day, ref, timed.times.span.start)
                for timed in (master, *changed_occurrences)
            ]
        return [
            self._make_event(item.event, item.span, item.is_all_day, ref, item.original_start) for item in occurrences
        ]

    def _read_lone_change(self, change: TimedEvent, ref: EventRef) -> Event:
        """Return a changed occurrence whose series is not in the calendar object, or that can't be assigned to it."""
        identifier = change.event["RECURRENCE-ID"]
        applies_to_later = "RANGE" in getattr(identifier, "params", {})
        if applies_to_later and self._blocks_time(change.event, ref):
            # Without the series, the times of the later occurrences are not known.
            self.record_unknown(Span(change.times.span.end, LATEST), ref)
        original_start: date | datetime = change.times.span.start
        if _has_original_start(change):
            is_date = not isinstance(identifier.dt, datetime)
            original_start = identifier.dt if is_date else to_instant(identifier.dt, self._zone)
        return self._make_event(change.event, change.times.span, change.times.is_all_day, ref, original_start)

    def _blocks_time(self, event: Any, ref: EventRef) -> bool:
        """Return whether the event blocks time of the owner of `ref.calendar`."""
        return not self._is_cancelled and ical_events.find_show_as(event, ref.calendar) is not None

    def _make_event(
        self, event: Any, span: Span, is_all_day: bool, ref: EventRef, original_start: date | datetime | None = None
    ) -> Event:
        """Return the event as the owner sees it. With an `original_start`, it is an occurrence of the series at `ref`;
        the original start identifies the occurrence, even when it was moved."""
        series_id = None
        if original_start is not None:
            series_id = ref.id
            suffix = f"{original_start:%Y%m%d}"
            if isinstance(original_start, datetime):
                suffix = format_instant(original_start)
            ref = EventRef(ref.calendar, f"{series_id}#{suffix}", ref.etag)
        return Event(
            ref=ref,
            span=span,
            key=ical_events.read_key(event),
            series=series_id,
            all_day=is_all_day,
            organizer=ical_events.read_organizer(event),
            answers=ical_events.read_answers(event),
            cancelled=self._is_cancelled or ical_events.is_cancelled(event),
            show_as=None if self._is_cancelled else ical_events.find_show_as(event, ref.calendar),
        )

    def _is_inside(self, event: Event) -> bool:
        """Return whether the event has a part in the window. Without a window, every event is inside."""
        return self._window is None or event.span.has_part_in(self._window)


def _has_original_start(change: TimedEvent) -> bool:
    """Return whether a changed occurrence has a readable RECURRENCE-ID, the start that it had before the change."""
    return isinstance(change.event["RECURRENCE-ID"], vDDDTypes)
