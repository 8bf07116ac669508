"""Calendars that people bring along to a simulation, as `<email>.ics`."""

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
    elsewhere: Collection[Address] = (),
) -> int:
    """Put each `<email>.ics` of the folder on that person's calendar; how many events that were. Whole days and times
    without a zone are taken in the person's own.

    A meeting that lies in the files of several people is put there once, and counts for each of them as their own file
    says. Raises Problems for files that can't be read
    and for files of people who aren't in the people file. Those of people who are `elsewhere` are passed over.
    """
    problems: list[Problem] = []
    exports: dict[Address, _Export] = {}
    files = sorted(file for file in folder.iterdir() if file.suffix.casefold() == ".ics")
    if not files:
        remedy = "Name each calendar as its owner: `name@example.com.ics`."
        raise Problems([Problem(str(folder), "No file here ends in `.ics`.", remedy)])
    for file in files:
        owner = file.stem.casefold()
        if owner not in persons and owner in elsewhere:
            continue
        if owner not in persons:
            problems.append(Problem(str(file), "Nobody of that address is in the people file.", "Rename or remove it."))
            continue
        try:
            _read_file(file, persons[owner], window, exports.setdefault(owner, _Export()))
        except (ValueError, LookupError, OSError, ProviderError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            problems.append(Problem(str(file), f"It can't be read: {what}", "Export it again as iCalendar (RFC 5545)."))
    if problems:
        raise Problems(problems)
    meetings: dict[tuple[str, datetime], dict[Address, Event]] = {}
    for owner, export in exports.items():
        for event in export.events:
            meetings.setdefault((_get_uid(event), event.span.start), {}).setdefault(owner, event)
    for (uid, _), held in meetings.items():
        _put_meeting(held, {who for who, export in exports.items() if uid in export.uids}, calendar)
    return len(meetings)


@dataclass(slots=True)
class _Export:
    """What somebody's own file tells: what takes time, and the UIDs of all that it holds."""

    events: list[Event] = field(default_factory=list)
    uids: set[str] = field(default_factory=set)


def _read_file(file: Path, owner: Person, window: Span, export: _Export) -> None:
    """Add what a file holds, as its owner sees it; what can't be read takes all the time that it may take."""
    from worker.providers.ical import parser
    from worker.providers.ical.reader import read_calendar

    parsed = parser.parse_calendar(parser.decode_text(file.read_bytes()), file.name)
    uids = [str(event["UID"]).strip() for event in parsed.walk("VEVENT") if "UID" in event]
    export.uids.update(uids)
    first = next(iter(uids), file.name)
    reading = read_calendar(parsed, EventRef(owner.email, first, ""), ZoneInfo(owner.zone), window)
    export.events += [event for event in reading.events if event.show is not None and not event.cancelled]
    for span, mark in reading.unknown:
        if span.overlaps(window):
            shown = span.clip(window)
            export.events.append(Event(ref=EventRef(owner.email, f"{file.name} {mark}", ""), span=shown))


def _get_uid(event: Event) -> str:
    """What a meeting is called in every file."""
    return event.series or event.ref.id


def _put_meeting(held: Mapping[Address, Event], knowing: Collection[Address], calendar: MemoryCalendar) -> None:
    """Put a meeting on the calendars of all whom it names.

    `held`: the meeting as those see it for whom it takes time, each by their own file; for the others who are `knowing`
    it takes none, since their own files hold it otherwise. Of anybody else the organizer's file is believed; without
    that, nobody counts as away whom one of them expects.
    """
    owner = next((who for who, event in held.items() if event.organizer == who), "")
    sources = [held[owner]] if owner else [*held.values()]
    owner = owner or next(iter(held))
    event = held[owner]
    answers: dict[Address, Answer] = {}
    for source in sources:
        for who, answer in source.answers.items():
            if answers.get(who, Answer.DECLINED) is Answer.DECLINED:
                answers[who] = answer
    answers |= {who: one.answers.get(who, Answer.ACCEPTED) for who, one in held.items()}
    named, organizer = {*answers, event.organizer}, event.organizer or owner
    answers |= {who: Answer.DECLINED for who in knowing if who in named and who not in held}
    if answers.get(organizer) is Answer.DECLINED:
        organizer = owner
    answers.pop(organizer, None)
    calendar.add(
        owner,
        event.span,
        show=event.show,
        all_day=event.all_day,
        series=event.series,
        organizer=organizer,
        attendees=answers,
    )
