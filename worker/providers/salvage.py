"""What can be read of a calendar object that can't be read as a whole: one broken line hides nobody's other events."""

import logging
from collections.abc import Iterator

from icalendar import Calendar

from worker.errors import InvalidResponse
from worker.providers.icalendars import UNREAD, parse

log = logging.getLogger(__name__)


def salvage(text: str, where: str) -> Calendar:
    """The calendar object in `text`, to be looked at only: when something in it can't be read, all of its events that
    can, without what else it holds. Raises InvalidResponse when none can."""
    try:
        return parse(text, where)
    except InvalidResponse:
        calendar, lost = Calendar(), 0
        for block in _blocks(text):
            try:
                part = parse(f"BEGIN:VCALENDAR\r\n{block}END:VCALENDAR\r\n", where)
            except InvalidResponse:
                lost += 1
            else:
                calendar.subcomponents += part.walk("VEVENT")
        if not calendar.subcomponents:
            raise
        log.warning("%s can't be read as a whole; events left out: %s", where, lost, extra=UNREAD)
        return calendar


def _blocks(text: str) -> Iterator[str]:
    """The text of each event, without what lies in it (alarms)."""
    block: list[str] = []
    within = ""
    for line in text.splitlines():
        mark, _, name = line.strip().upper().partition(":")
        if mark == "BEGIN" and name == "VEVENT":
            block, within = [], ""
        elif mark == "BEGIN":
            within = within or name
        if not within:
            block.append(f"{line}\r\n")
        if mark == "END" and name == "VEVENT" and block and block[0].upper().startswith("BEGIN:VEVENT"):
            yield "".join(block)
            block = []
        elif mark == "END" and name == within:
            within = ""
