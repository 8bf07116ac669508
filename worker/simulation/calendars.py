"""Loads the calendars that people already have, from iCalendar files, into the calendar service of a simulation."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Event, EventRef, Person, Span
from worker.errors import Problem, Problems, ProviderError
from worker.providers.memory import MemoryCalendar


def load_calendars(
    folder: Path,
    persons: Mapping[Address, Person],
    calendar: MemoryCalendar,
    window: Span,
    *,
    people_of_other_parts: Collection[Address] = (),
) -> int:
    """Add the events of each file `<email>.ics` to the calendar of that person, and return the number of meetings.

    All-day events and times without a zone are read in the zone of the person. A meeting that is in the files of
    several people is added once; it is busy time only for the people whose own file says so. Files of
    `people_of_other_parts`, whom other processes simulate, are skipped. Raises Problems for files that can't be read,
    and for files of unknown people.
    """
    problems: list[Problem] = []
    exports: dict[Address, _Export] = {}
    files = sorted(file for file in folder.iterdir() if file.suffix.casefold() == ".ics")
    if not files:
        remedy = "Name each calendar as its owner: `name@example.com.ics`."
        raise Problems([Problem(str(folder), "No file here ends in `.ics`.", remedy)])
    for file in files:
        owner = file.stem.casefold()
        if owner not in persons and owner in people_of_other_parts:
            continue
        if owner not in persons:
            problems.append(Problem(str(file), "Nobody of that address is in the people file.", "Rename or remove it."))
            continue
        try:
            _read_file(file, persons[owner], window, exports.setdefault(owner, _Export()))
        except (ValueError, LookupError, OSError, ProviderError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            text = f"It can't be read: {reason}"
            problems.append(Problem(str(file), text, "Export it again as iCalendar (RFC 5545)."))
    if problems:
        raise Problems(problems)
    meetings: dict[tuple[str, datetime], dict[Address, Event]] = {}
    for owner, export in exports.items():
        for event in export.events:
            meetings.setdefault((_get_uid(event), event.span.start), {}).setdefault(owner, event)
    for (uid, _), busy_copies in meetings.items():
        listed_people = {person for person, export in exports.items() if uid in export.uids}
        _add_meeting(busy_copies, listed_people, calendar)
    return len(meetings)


@dataclass(slots=True)
class _Export:
    """The content of one person's file."""

    events: list[Event] = field(default_factory=list)  #: the events that take time
    uids: set[str] = field(default_factory=set)  #: the UIDs of all events


def _read_file(file: Path, owner: Person, window: Span, export: _Export) -> None:
    """Add the events of a file to `export`. Where an event can't be read, its whole possible span becomes busy."""
    from worker.providers.ical import parser
    from worker.providers.ical.reader import read_calendar

    parsed = parser.parse_calendar(parser.decode_text(file.read_bytes()), file.name)
    uids = [str(event["UID"]).strip() for event in parsed.walk("VEVENT") if "UID" in event]
    export.uids.update(uids)
    first_uid = next(iter(uids), file.name)
    result = read_calendar(parsed, EventRef(owner.email, first_uid, etag=""), ZoneInfo(owner.zone), window)
    export.events += [event for event in result.events if event.show_as is not None and not event.cancelled]
    for span, fingerprint in result.unknown_spans:
        if span.overlaps(window):
            ref = EventRef(owner.email, f"{file.name} {fingerprint}", etag="")
            export.events.append(Event(ref=ref, span=span.clip(window)))


def _get_uid(event: Event) -> str:
    """Return the UID of a meeting, which is the same in the files of all its people."""
    return event.series or event.ref.id


def _add_meeting(
    busy_copies: Mapping[Address, Event], listed_people: Collection[Address], calendar: MemoryCalendar
) -> None:
    """Add a meeting to the calendars of all its people.

    `busy_copies` holds the copy in the file of each person whose time the meeting takes. `listed_people` are all people
    whose file contains the meeting; those without a busy copy have declined. The answers of people without a file are
    read from the organizer's copy. Without that copy, such people have declined if all copies say so.
    """
    organizing_owner = next((person for person, event in busy_copies.items() if event.organizer == person), "")
    copies_with_answers = [busy_copies[organizing_owner]] if organizing_owner else [*busy_copies.values()]
    owner = organizing_owner or next(iter(busy_copies))
    event = busy_copies[owner]
    answers: dict[Address, Answer] = {}
    for copy in copies_with_answers:
        for guest, answer in copy.answers.items():
            # an answer in one copy counts more than `declined` in another
            if answers.get(guest, Answer.DECLINED) is Answer.DECLINED:
                answers[guest] = answer
    answers |= {person: copy.answers.get(person, Answer.ACCEPTED) for person, copy in busy_copies.items()}
    organizer = event.organizer or owner
    people = {*answers, event.organizer}
    free_people = [person for person in listed_people if person in people and person not in busy_copies]
    answers |= dict.fromkeys(free_people, Answer.DECLINED)
    if answers.get(organizer) is Answer.DECLINED:  # only a guest can decline in the simulated service
        organizer = owner
    answers.pop(organizer, None)
    calendar.add(
        owner,
        event.span,
        show=event.show_as,
        all_day=event.all_day,
        series=event.series,
        organizer=organizer,
        attendees=answers,
    )
