"""Calendars that people bring along to a simulation: each person's own file decides for that person."""

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


def meeting(organizer: Address, answers: Mapping[Address, str], hour: int = 9) -> str:
    """A meeting as somebody's file holds it."""
    lines = [f"ATTENDEE;PARTSTAT={answer}:mailto:{who}" for who, answer in answers.items()]
    times = [f"DTSTART:20270302T{hour:02}0000Z", f"DTEND:20270302T{hour + 1:02}0000Z"]
    body = ["BEGIN:VEVENT", "UID:one-meeting", *times, f"ORGANIZER:mailto:{organizer}", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//", *body, "END:VCALENDAR", ""])


def load(folder: Path, files: Mapping[Address, str]) -> dict[Address, list[tuple[int, ShowAs]]]:
    """At which hours each of them is busy, and how."""
    for owner, content in files.items():
        (folder / f"{owner}.ics").write_text(content)
    calendar = MemoryCalendar()
    load_calendars(folder, people(ANN, BO, CY), calendar, WINDOW)
    shown = calendar.free_busy([ANN, BO, CY], WINDOW)
    return {who: [(busy.span.start.hour, busy.show_as) for busy in one.busy] for who, one in shown.items()}


@pytest.mark.parametrize(("organizer", "guest", "other"), list(permutations((ANN, BO, CY))))
def test_a_stale_answer_in_another_s_file_hides_nothing(
    tmp_path: Path, organizer: Address, guest: Address, other: Address
) -> None:
    """T-2: whoever accepted is busy, whichever file is read first."""
    stale = meeting(organizer, {guest: "DECLINED", other: "ACCEPTED"})
    own = meeting(organizer, {guest: "ACCEPTED", other: "DECLINED"})
    taken = [(9, ShowAs.BUSY)]
    assert load(tmp_path, {guest: own, other: stale}) == {organizer: taken, guest: taken, other: taken}


@pytest.mark.parametrize(("organizer", "guest"), list(permutations((ANN, BO, CY), 2)))
def test_who_declined_in_their_own_file_is_free(tmp_path: Path, organizer: Address, guest: Address) -> None:
    files = {
        organizer: meeting(organizer, {guest: "ACCEPTED"}),
        guest: meeting(organizer, {guest: "DECLINED"}),
    }
    shown = load(tmp_path, files)
    assert (shown[organizer], shown[guest]) == ([(9, ShowAs.BUSY)], [])


@pytest.mark.parametrize(("organizer", "guest"), list(permutations((ANN, BO, CY), 2)))
def test_each_has_a_meeting_at_the_time_of_their_own_file(tmp_path: Path, organizer: Address, guest: Address) -> None:
    """One of the two exports is older than the move."""
    files = {
        organizer: meeting(organizer, {guest: "ACCEPTED"}, hour=9),
        guest: meeting(organizer, {guest: "ACCEPTED"}, hour=14),
    }
    shown = load(tmp_path, files)
    assert (shown[organizer], shown[guest]) == ([(9, ShowAs.BUSY)], [(14, ShowAs.BUSY)])


def test_of_others_the_organizer_s_file_is_believed(tmp_path: Path) -> None:
    files = {ANN: meeting(BO, {ANN: "ACCEPTED", CY: "ACCEPTED"}), BO: meeting(BO, {ANN: "ACCEPTED", CY: "DECLINED"})}
    assert load(tmp_path, files)[CY] == []
