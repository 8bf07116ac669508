"""Calendar files for a simulation: each person's own file decides about the time of that person."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.companies import people
from worker.domain.model import Address, ShowAs, Span
from worker.providers.memory import MemoryCalendar
from worker.simulation.calendars import load_calendars

#: In the order in which their files are read.
ANN, BO, CY = "ann@corp.example", "bo@corp.example", "cy@corp.example"
WINDOW = Span(datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 3, 8, tzinfo=UTC))


def make_meeting_file(organizer: Address, answers: Mapping[Address, str], hour: int = 9) -> str:
    """Return a calendar file with a meeting of one hour on 2 March, and the answers of its guests."""
    lines = [f"ATTENDEE;PARTSTAT={answer}:mailto:{email}" for email, answer in answers.items()]
    times = [f"DTSTART:20270302T{hour:02}0000Z", f"DTEND:20270302T{hour + 1:02}0000Z"]
    body = ["BEGIN:VEVENT", "UID:one-meeting", *times, f"ORGANIZER:mailto:{organizer}", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//", *body, "END:VCALENDAR", ""])


def load_busy_hours(folder: Path, files: Mapping[Address, str]) -> dict[Address, list[tuple[int, ShowAs]]]:
    """Load the files. Return the hours at which each person is busy, and how the time is shown."""
    for owner, content in files.items():
        (folder / f"{owner}.ics").write_text(content)
    calendar = MemoryCalendar()
    load_calendars(folder, people(ANN, BO, CY), calendar, WINDOW)
    free_busy = calendar.free_busy([ANN, BO, CY], WINDOW)
    return {
        email: [(busy.span.start.hour, busy.show_as) for busy in person_free_busy.busy]
        for email, person_free_busy in free_busy.items()
    }


@pytest.mark.parametrize(("organizer", "guest", "other"), list(permutations((ANN, BO, CY))))
def test_outdated_answer_in_the_file_of_another_guest_is_ignored(
    tmp_path: Path, organizer: Address, guest: Address, other: Address
) -> None:
    """T-2: people who accepted are busy, in whatever order the files are read."""
    other_file = make_meeting_file(organizer, {guest: "DECLINED", other: "ACCEPTED"})
    guest_file = make_meeting_file(organizer, {guest: "ACCEPTED", other: "DECLINED"})
    busy_hours = [(9, ShowAs.BUSY)]
    assert load_busy_hours(tmp_path, {guest: guest_file, other: other_file}) == {
        organizer: busy_hours,
        guest: busy_hours,
        other: busy_hours,
    }


@pytest.mark.parametrize(("organizer", "guest"), list(permutations((ANN, BO, CY), 2)))
def test_guest_who_declined_in_the_own_file_is_free(tmp_path: Path, organizer: Address, guest: Address) -> None:
    files = {
        organizer: make_meeting_file(organizer, {guest: "ACCEPTED"}),
        guest: make_meeting_file(organizer, {guest: "DECLINED"}),
    }
    busy_hours = load_busy_hours(tmp_path, files)
    assert (busy_hours[organizer], busy_hours[guest]) == ([(9, ShowAs.BUSY)], [])


@pytest.mark.parametrize(("organizer", "guest"), list(permutations((ANN, BO, CY), 2)))
def test_each_person_is_busy_at_the_time_in_the_own_file(tmp_path: Path, organizer: Address, guest: Address) -> None:
    """One of the two files was exported before the meeting moved."""
    files = {
        organizer: make_meeting_file(organizer, {guest: "ACCEPTED"}, hour=9),
        guest: make_meeting_file(organizer, {guest: "ACCEPTED"}, hour=14),
    }
    busy_hours = load_busy_hours(tmp_path, files)
    assert (busy_hours[organizer], busy_hours[guest]) == ([(9, ShowAs.BUSY)], [(14, ShowAs.BUSY)])


def test_file_of_the_organizer_decides_about_guests_without_a_file(tmp_path: Path) -> None:
    files = {
        ANN: make_meeting_file(BO, {ANN: "ACCEPTED", CY: "ACCEPTED"}),
        BO: make_meeting_file(BO, {ANN: "ACCEPTED", CY: "DECLINED"}),
    }
    assert load_busy_hours(tmp_path, files)[CY] == []
