"""A calendar object as its owner's time: parse, repair, expand, count.

`icalparser` makes components of the text, `icaltimes` says when an event is, `series` follows what repeats, and here
it is counted as the calendar's owner would. Where the standard leaves room, this is what we do:

- an all-day or floating time is taken in the zone of the calendar's owner, one of our own in the zone it was
  written with; so is a local time in a zone that nobody knows;
- a time before 1900 or after 2200, which some write for "always", counts as that bound;
- events of one UID are versions of one event: the highest SEQUENCE counts, of equal ones each; events without a UID
  have nothing to do with each other;
- METHOD:CANCEL cancels everything in the object; what VFREEBUSY says is busy counts, under no name;
- unread is never free: an event that takes time, of which nobody can tell when, makes the stretch in which it may lie
  unknown; a series that can't be followed does so from its first start to its end, and counts for the start and the
  end that it names itself. Both are logged by a fingerprint of the UID, and the rest of the calendar is read all the
  same.
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
from worker.providers.ical import events as icalendars
from worker.providers.ical import recurrence
from worker.providers.ical.parser import CUT_OFF, LOST, UNREADABLE, as_list
from worker.providers.ical.recurrence import TimedEvent
from worker.providers.ical.times import FIRST, LAST, NoStart, read_times, to_instant

log = logging.getLogger(__name__)

UNREADABLE_LOG = {"action": "event_unreadable"}  #: goes along with a line of the log
_ALWAYS = Span(FIRST, LAST)
_FREE_BUSY_TYPES = {"FREE": None, "BUSY-TENTATIVE": ShowAs.TENTATIVE, "BUSY-UNAVAILABLE": ShowAs.AWAY}


@dataclass(slots=True)
class CalendarContents:
    """What a calendar object tells: its events, and the stretches of which it leaves open whether they are free, each
    with a fingerprint of the event whose fault that is."""

    events: list[Event] = field(default_factory=list)
    unknown: list[tuple[Span, str]] = field(default_factory=list)

    def list_unread(self, window: Span) -> list[str]:
        """The fingerprints of what may take time in the window, nobody can tell when."""
        return sorted({mark for span, mark in self.unknown if span.overlaps(window)})


def read_calendar(calendar: Calendar, ref: EventRef, zone: tzinfo, window: Span | None) -> CalendarContents:
    """What the object holds, as the owner of `ref.calendar`, who lives in `zone`, sees it.

    A series gives its occurrences inside `window`, each under an id of its own; a single event is given wherever it
    lies when `window` is None, else only inside it. In an object of several UIDs, these are the ids. Raises
    InvalidResponse for a series without a window.
    """
    reader = _ContentsReader(zone, window, is_cancelled=str(calendar.get("METHOD", "")).strip().upper() == "CANCEL")
    groups = _group_by_uid(calendar, ref)
    for own_ref, events in groups:
        reader.read_group(events, own_ref)
    for component in calendar.walk("VFREEBUSY"):
        reader.read_free_busy(component, ref)
    if any(name == LOST for name, _ in calendar.errors):
        reader.note_unknown(_ALWAYS, ref)
    return reader.reading


def read_single_event(calendar: Calendar, ref: EventRef, zone: tzinfo) -> Event:
    """The one event that the object holds. Raises InvalidResponse when it holds anything else, or when its times can't
    be read."""
    reading = read_calendar(calendar, ref, zone, None)
    if reading.unknown:
        raise InvalidResponse(f"{ref.calendar}: the event {fingerprint_ref(ref)} has times that can't be read.")
    if len(reading.events) != 1:
        raise InvalidResponse(f"{ref.calendar}: {ref.id} holds no single event.")
    return reading.events[0]


def fingerprint_ref(ref: EventRef) -> str:
    """Tells events apart without a word that somebody may have written."""
    return sha256(ref.id.encode()).hexdigest()[:12]


def _group_by_uid(calendar: Calendar, ref: EventRef) -> list[tuple[EventRef, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        if not event and not event.errors:
            continue  # somebody began an event and wrote nothing in it
        uid = str(event.get("UID", "")).strip()
        groups.setdefault(uid or f"{ref.id} {number}", []).append(event)
    if len(groups) == 1:
        return [(ref, events) for events in groups.values()]
    return [(EventRef(ref.calendar, name, ref.etag), events) for name, events in groups.items()]


class _ContentsReader:
    """Reads the events of one object, one UID at a time."""

    def __init__(self, zone: tzinfo, window: Span | None, *, is_cancelled: bool) -> None:
        self.reading = CalendarContents()
        self._zone = zone
        self._window = window
        self._is_cancelled = is_cancelled

    def read_group(self, events: list[Any], ref: EventRef) -> None:
        """Read the versions and the changed occurrences of one event. Raises InvalidResponse."""
        window = self._window
        if window is None and any(recurrence.is_series(event) or "RECURRENCE-ID" in event for event in events):
            raise InvalidResponse(
                f"{ref.calendar}: the event {fingerprint_ref(ref)} is a series, which has no single time."
            )
        masters = [event for event in events if "RECURRENCE-ID" not in event]
        latest = max(map(recurrence.sequence_of, masters), default=0)
        parts = self._read_parts((event for event in masters if recurrence.sequence_of(event) == latest), ref)
        changes = self._read_parts((event for event in events if "RECURRENCE-ID" in event), ref)
        changed, rivals = recurrence.group_changes(part for part in changes if _has_original(part))
        single = [*rivals, *(part for part in changes if not _has_original(part))]
        if not parts:
            single += changed
        read: list[Event] = []
        for part in parts:
            if recurrence.is_series(part.event) or changed:
                read += self._expand_series(part, changed, window or _ALWAYS, ref)
                changed = []
            else:
                read.append(self._make_event(part.event, part.times.span, part.times.is_all_day, ref))
        for part in single:
            read.append(self._read_lone_change(part, ref))
        self.reading.events += sorted(filter(self._is_inside, read), key=lambda event: event.span)

    def read_free_busy(self, component: Any, ref: EventRef) -> None:
        """Read the periods that are not free."""
        for prop in as_list(component.get("FREEBUSY", [])):
            show = _FREE_BUSY_TYPES.get(str(prop.params.get("FBTYPE", "BUSY")).upper(), ShowAs.BUSY)
            if show is None or self._is_cancelled:
                continue
            if isinstance(prop, vBroken):
                self.note_unknown(_ALWAYS, ref)
                continue
            begin = to_instant(prop.start, self._zone)
            span = Span(begin, max(begin, to_instant(prop.end, self._zone)))
            own_ref = EventRef(ref.calendar, f"{ref.id}#{span.start:%Y%m%dT%H%M%SZ}", ref.etag)
            event = Event(ref=own_ref, span=span, show=show)
            self.reading.events += filter(self._is_inside, [event])

    def note_unknown(self, span: Span, ref: EventRef) -> None:
        """Note that nobody can tell what of that stretch is free."""
        mark = fingerprint_ref(ref)
        log.warning("%s: the event %s has times that can't be read", ref.calendar, mark, extra=UNREADABLE_LOG)
        self.reading.unknown.append((span, mark))

    def _read_parts(self, events: Iterable[Any], ref: EventRef) -> list[TimedEvent]:
        """The events with their times, without those that do not say when they start."""
        return [part for event in events if (part := self._read_part(event, ref)) is not None]

    def _read_part(self, event: Any, ref: EventRef) -> TimedEvent | None:
        try:
            part = TimedEvent(event, read_times(event, icalendars.own_zone_of(event) or self._zone))
        except NoStart as error:
            if self._is_blocking(event, ref):
                self.note_unknown(error.span, ref)
            return None
        if any(name == CUT_OFF for name, _ in event.errors) and self._is_blocking(event, ref):
            self.note_unknown(Span(part.times.span.start, LAST), ref)
        return part

    def _expand_series(self, master: TimedEvent, changed: list[TimedEvent], window: Span, ref: EventRef) -> list[Event]:
        try:
            occurrences = recurrence.expand_series(master, changed, window)
        except UNREADABLE:
            own = master.times.span
            if self._is_blocking(master.event, ref):
                self.note_unknown(Span(own.start, max(own.end, recurrence.find_series_end(master.event))), ref)
            return [
                self._make_event(part.event, part.times.span, part.times.is_all_day, ref, part.times.span.start)
                for part in (master, *changed)
            ]
        return [self._make_event(one.event, one.span, one.is_all_day, ref, one.original) for one in occurrences]

    def _read_lone_change(self, part: TimedEvent, ref: EventRef) -> Event:
        """A changed occurrence of a series that isn't there."""
        identifier = part.event["RECURRENCE-ID"]
        if "RANGE" in getattr(identifier, "params", {}) and self._is_blocking(part.event, ref):
            self.note_unknown(Span(part.times.span.end, LAST), ref)
        original: date | datetime = part.times.span.start
        if _has_original(part):
            original = (
                identifier.dt if not isinstance(identifier.dt, datetime) else to_instant(identifier.dt, self._zone)
            )
        return self._make_event(part.event, part.times.span, part.times.is_all_day, ref, original)

    def _is_blocking(self, event: Any, ref: EventRef) -> bool:
        return not self._is_cancelled and icalendars.show_of(event, ref.calendar) is not None

    def _make_event(
        self, event: Any, span: Span, is_all_day: bool, ref: EventRef, original: date | datetime | None = None
    ) -> Event:
        """The event as the owner sees it; an occurrence of a series when there is an `original` start."""
        series_id = None
        if original is not None:
            form = "%Y%m%dT%H%M%SZ" if isinstance(original, datetime) else "%Y%m%d"
            ref, series_id = EventRef(ref.calendar, f"{ref.id}#{original:{form}}", ref.etag), ref.id
        return Event(
            ref=ref,
            span=span,
            key=icalendars.key_of(event),
            series=series_id,
            all_day=is_all_day,
            organizer=icalendars.organizer_of(event),
            answers=icalendars.read_answers(event),
            cancelled=self._is_cancelled or icalendars.is_cancelled(event),
            show=None if self._is_cancelled else icalendars.show_of(event, ref.calendar),
        )

    def _is_inside(self, event: Event) -> bool:
        return self._window is None or event.span.is_seen_in(self._window)


def _has_original(part: TimedEvent) -> bool:
    """True when a changed occurrence says which one it is."""
    return isinstance(part.event["RECURRENCE-ID"], vDDDTypes)
