"""Reads the events of a parsed calendar object as the calendar's owner sees them: their times, and what blocks time.

`parser` turns text into components, `times` reads when an event takes place, `recurrence` expands series. Where the
standard leaves a choice, this module does the following:

- An all-day or floating time is in the zone of the calendar's owner, also a local time in an unknown zone. An all-day
  event of ours is in the zone it was written with.
- A time before 1900 or after 2200, which some programs write for "always", counts as that bound.
- Events with one UID are versions of one event: the highest SEQUENCE counts; versions with the same SEQUENCE all count.
  Events without a UID are independent of each other.
- METHOD:CANCEL cancels everything in the object. Busy periods of a VFREEBUSY count as events that are not ours.
- Unread time is never free. An event that takes time but has no readable times makes the range in which it may lie
  unknown. A series that can't be expanded makes the range from its first start to its end unknown, and its first
  occurrence and its changed ones count. Both are logged with a fingerprint of the event, and the rest is still read.
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
from worker.providers.ical import events as icalendars
from worker.providers.ical import recurrence
from worker.providers.ical.parser import CUT_OFF, LOST
from worker.providers.ical.recurrence import TimedEvent
from worker.providers.ical.times import FIRST, LAST, NoStart, read_times, to_instant
from worker.providers.ical.values import UNREADABLE, as_list, format_instant

log = logging.getLogger(__name__)

_ALL_TIME = Span(FIRST, LAST)
_FREE_BUSY_TYPES = {"FREE": None, "BUSY-TENTATIVE": ShowAs.TENTATIVE, "BUSY-UNAVAILABLE": ShowAs.AWAY}


@dataclass(slots=True)
class CalendarContents:
    """What was read from a calendar object: its events, and the spans that are unknown because an event can't be read,
    each with that event's fingerprint."""

    events: list[Event] = field(default_factory=list)
    unknown: list[tuple[Span, str]] = field(default_factory=list)

    def list_unread(self, window: Span) -> list[str]:
        """Return the fingerprints of the unreadable events that may take time in the window."""
        return sorted({fingerprint for span, fingerprint in self.unknown if span.overlaps(window)})


def read_calendar(calendar: Calendar, ref: EventRef, zone: tzinfo, window: Span | None) -> CalendarContents:
    """Return the contents of the object, as the owner of `ref.calendar`, who lives in `zone`, sees them.

    Of a series, the contents have the occurrences inside `window`, each with its own id; a single event only if it is
    inside `window`, or wherever it lies when `window` is None. Events get the id of `ref`, or their UIDs when the
    object has several. Raises InvalidResponse for a series without a window.
    """
    reader = _ContentsReader(zone, window, is_cancelled=str(calendar.get("METHOD", "")).strip().upper() == "CANCEL")
    for own_ref, events in _group_by_uid(calendar, ref):
        reader.read_group(events, own_ref)
    for component in calendar.walk("VFREEBUSY"):
        reader.read_free_busy(component, ref)
    if any(name == LOST for name, _ in calendar.errors):
        reader.note_unknown(_ALL_TIME, ref)
    return reader.contents


def read_single_event(calendar: Calendar, ref: EventRef, zone: tzinfo) -> Event:
    """Return the one event that the object holds. Raises InvalidResponse when it holds none, several, or a series, or
    when its times can't be read."""
    contents = read_calendar(calendar, ref, zone, None)
    if contents.unknown:
        raise InvalidResponse(f"{ref.calendar}: the event {fingerprint_ref(ref)} has times that can't be read.")
    if len(contents.events) != 1:
        raise InvalidResponse(f"{ref.calendar}: {ref.id} holds {len(contents.events)} events instead of one.")
    return contents.events[0]


def fingerprint_ref(ref: EventRef) -> str:
    """Return a short hash of the event's id: identifies it in logs without any text that a person wrote."""
    return sha256(ref.id.encode()).hexdigest()[:12]


def _group_by_uid(calendar: Calendar, ref: EventRef) -> list[tuple[EventRef, list[Any]]]:
    """Return the VEVENTs of each UID, with the ref that their event gets."""
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
    """Reads the events of one object, one UID at a time."""

    def __init__(self, zone: tzinfo, window: Span | None, *, is_cancelled: bool) -> None:
        self.contents = CalendarContents()
        self._zone = zone
        self._window = window
        self._is_cancelled = is_cancelled

    def read_group(self, events: list[Any], ref: EventRef) -> None:
        """Read the versions and the changed occurrences of one event. Raises InvalidResponse for a series when there
        is no window."""
        window = self._window
        if window is None and any(recurrence.is_series(event) or "RECURRENCE-ID" in event for event in events):
            raise InvalidResponse(
                f"{ref.calendar}: the event {fingerprint_ref(ref)} is a series, which has no single time."
            )
        masters = [event for event in events if "RECURRENCE-ID" not in event]
        latest_sequence = max(map(recurrence.sequence_of, masters), default=0)
        versions = self._read_times_of(
            (event for event in masters if recurrence.sequence_of(event) == latest_sequence), ref
        )
        changes = self._read_times_of((event for event in events if "RECURRENCE-ID" in event), ref)
        changed_occurrences, rivals = recurrence.group_changes(change for change in changes if _has_original(change))
        lone_changes = [*rivals, *(change for change in changes if not _has_original(change))]
        if not versions:
            lone_changes += changed_occurrences
        results: list[Event] = []
        for version in versions:
            if recurrence.is_series(version.event) or changed_occurrences:
                results += self._expand_series(version, changed_occurrences, window or _ALL_TIME, ref)
                changed_occurrences = []  # of several versions, only the first gets the changed occurrences
            else:
                results.append(self._make_event(version.event, version.times.span, version.times.is_all_day, ref))
        for change in lone_changes:
            results.append(self._read_lone_change(change, ref))
        self.contents.events += sorted(filter(self._is_inside, results), key=lambda event: event.span)

    def read_free_busy(self, component: Any, ref: EventRef) -> None:
        """Read the periods of a VFREEBUSY that are not free."""
        for prop in as_list(component.get("FREEBUSY", [])):
            show = _FREE_BUSY_TYPES.get(str(prop.params.get("FBTYPE", "BUSY")).upper(), ShowAs.BUSY)
            if show is None or self._is_cancelled:
                continue
            if isinstance(prop, vBroken):
                self.note_unknown(_ALL_TIME, ref)
                continue
            begin = to_instant(prop.start, self._zone)
            span = Span(begin, max(begin, to_instant(prop.end, self._zone)))
            own_ref = EventRef(ref.calendar, f"{ref.id}#{format_instant(span.start)}", ref.etag)
            event = Event(ref=own_ref, span=span, show_as=show)
            self.contents.events += filter(self._is_inside, [event])

    def note_unknown(self, span: Span, ref: EventRef) -> None:
        """Note that `span` is unknown because of the event at `ref`."""
        fingerprint = fingerprint_ref(ref)
        log.warning(
            "%s: the event %s has times that can't be read",
            ref.calendar,
            fingerprint,
            extra={"action": Action.EVENT_UNREADABLE},
        )
        self.contents.unknown.append((span, fingerprint))

    def _read_times_of(self, events: Iterable[Any], ref: EventRef) -> list[TimedEvent]:
        """Return the events with their times, without those that have no readable start."""
        return [timed for event in events if (timed := self._read_timed_event(event, ref)) is not None]

    def _read_timed_event(self, event: Any, ref: EventRef) -> TimedEvent | None:
        """Return the event with its times; None without a readable start. What can't be read is noted as unknown."""
        try:
            timed = TimedEvent(event, read_times(event, icalendars.own_zone_of(event) or self._zone))
        except NoStart as error:
            if self._is_blocking(event, ref):
                self.note_unknown(error.span, ref)
            return None
        if any(name == CUT_OFF for name, _ in event.errors) and self._is_blocking(event, ref):
            self.note_unknown(Span(timed.times.span.start, LAST), ref)
        return timed

    def _expand_series(
        self, master: TimedEvent, changed_occurrences: list[TimedEvent], window: Span, ref: EventRef
    ) -> list[Event]:
        """Return the occurrences inside the window; of a series that can't be expanded, the first and the changed
        ones."""
        try:
            occurrences = recurrence.expand_series(master, changed_occurrences, window)
        except UNREADABLE:
            first = master.times.span
            if self._is_blocking(master.event, ref):
                self.note_unknown(Span(first.start, max(first.end, recurrence.find_series_end(master.event))), ref)
            return [
                self._make_event(timed.event, timed.times.span, timed.times.is_all_day, ref, timed.times.span.start)
                for timed in (master, *changed_occurrences)
            ]
        return [self._make_event(item.event, item.span, item.is_all_day, ref, item.original) for item in occurrences]

    def _read_lone_change(self, change: TimedEvent, ref: EventRef) -> Event:
        """Return a changed occurrence whose series is not in the object, or that can't be assigned to it."""
        identifier = change.event["RECURRENCE-ID"]
        if "RANGE" in getattr(identifier, "params", {}) and self._is_blocking(change.event, ref):
            self.note_unknown(Span(change.times.span.end, LAST), ref)
        original: date | datetime = change.times.span.start
        if _has_original(change):
            original = (
                identifier.dt if not isinstance(identifier.dt, datetime) else to_instant(identifier.dt, self._zone)
            )
        return self._make_event(change.event, change.times.span, change.times.is_all_day, ref, original)

    def _is_blocking(self, event: Any, ref: EventRef) -> bool:
        """True when the event blocks the owner's time."""
        return not self._is_cancelled and icalendars.show_of(event, ref.calendar) is not None

    def _make_event(
        self, event: Any, span: Span, is_all_day: bool, ref: EventRef, original: date | datetime | None = None
    ) -> Event:
        """Return the event as the owner sees it; an occurrence of the series at `ref` when there is an `original`
        start."""
        series_id = None
        if original is not None:
            series_id = ref.id
            name = format_instant(original) if isinstance(original, datetime) else f"{original:%Y%m%d}"
            ref = EventRef(ref.calendar, f"{series_id}#{name}", ref.etag)
        return Event(
            ref=ref,
            span=span,
            key=icalendars.key_of(event),
            series=series_id,
            all_day=is_all_day,
            organizer=icalendars.organizer_of(event),
            answers=icalendars.read_answers(event),
            cancelled=self._is_cancelled or icalendars.is_cancelled(event),
            show_as=None if self._is_cancelled else icalendars.show_of(event, ref.calendar),
        )

    def _is_inside(self, event: Event) -> bool:
        return self._window is None or event.span.has_part_in(self._window)


def _has_original(change: TimedEvent) -> bool:
    """True when a changed occurrence has a readable RECURRENCE-ID."""
    return isinstance(change.event["RECURRENCE-ID"], vDDDTypes)
