"""`longarc simulate`: equal ledgers for equal seeds, calendar files, and no files written in part."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.companies import KIM
from tests.support.terminal import PAIR, Terminal


class Simulation(NamedTuple):
    """The files that `longarc simulate` wrote, and its output."""

    ledger: bytes
    summary: bytes
    output: str


def simulate(terminal: Terminal, folder_name: str, *options: str) -> Simulation:
    """Simulate 45 days, from a Monday on, into this folder of the terminal."""
    out = terminal.folder / folder_name
    people = str(terminal.folder / "people.csv")
    words = ("simulate", "--people", people, "--from", "2026-03-02", "--days", "45", "--out", str(out))
    output = terminal.output_of(*words, *options)
    assert sorted(path.name for path in out.iterdir()) == ["ledger.jsonl", "summary.txt"]
    return Simulation((out / "ledger.jsonl").read_bytes(), (out / "summary.txt").read_bytes(), output)


def test_simulate_gives_the_same_bytes_for_the_same_seed(fresh_terminal: Terminal) -> None:
    ledger, summary, output = simulate(fresh_terminal, "one", "--people-behave", "busy", "--seed", "7")
    same_seed = simulate(fresh_terminal, "two", "--people-behave", "busy", "--seed", "7")
    assert (same_seed.ledger, same_seed.summary) == (ledger, summary)
    assert simulate(fresh_terminal, "three", "--people-behave", "busy", "--seed", "8").ledger != ledger
    lines = [json.loads(line) for line in ledger.splitlines()]
    assert {"event.create", "mail", "session"} <= {line["what"] for line in lines}
    assert "Pairs that met" in output
    assert b"2 of 2" in summary  # both pairs met


#: A meeting of Dana and Sam that fills each working day from 2 to 21 March 2026, from 9:00 to 17:00 in Berlin.
ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//
BEGIN:VEVENT
UID:weekly-one
DTSTART:20260302T080000Z
DTEND:20260302T160000Z
RRULE:FREQ=DAILY;COUNT=20
ORGANIZER:mailto:dana@corp.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:sam@corp.example
END:VEVENT
END:VCALENDAR
"""


def test_simulate_reads_calendar_files_and_refuses_broken_ones(fresh_terminal: Terminal) -> None:
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    (folder / "Sam@corp.example.ics").write_text(ICS)
    ledger = simulate(fresh_terminal, "with", "--calendars", str(folder)).ledger
    bookings = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    assert min(line["start"] for line in bookings if line["pair"] == PAIR) >= "2026-03-22"  # after the meeting
    (folder / "stranger@corp.example.ics").write_text(ICS)
    (folder / f"{KIM}.ics").write_text("BEGIN:VCALENDAR\nno property")
    words = (
        "--people",
        str(fresh_terminal.folder / "people.csv"),
        "--from",
        "2026-03-02",
        "--out",
        str(fresh_terminal.folder / "bad"),
    )
    errors = fresh_terminal.error_of("simulate", *words, "--calendars", str(folder)).splitlines()
    assert len(errors) == 2
    assert KIM in errors[0]
    assert "Nobody of that address" in errors[1]
    assert not (fresh_terminal.folder / "bad").exists()


def test_simulate_refuses_unusable_folders_before_it_begins(fresh_terminal: Terminal) -> None:
    empty, occupied, calendars = (fresh_terminal.folder / name for name in ("empty", "taken", "calendars"))
    for folder in (empty, occupied / "ledger.jsonl", occupied / "summary.txt", calendars):
        folder.mkdir(parents=True)
    (calendars / f"{KIM.upper()}.ICS").write_text("no calendar at all")
    words = ("simulate", "--people", str(fresh_terminal.folder / "people.csv"), "--from", "2026-03-02", "--days", "45")
    new = str(fresh_terminal.folder / "new")
    error = fresh_terminal.error_of(*words, "--calendars", str(empty), "--out", new)
    assert error.strip().endswith(
        "empty: No file here ends in `.ics`. Name each calendar as its owner: `name@example.com.ics`."
    )
    assert f"{KIM.upper()}.ICS: It can't be read" in fresh_terminal.error_of(
        *words, "--calendars", str(calendars), "--out", new
    )
    assert not Path(new).exists()
    assert len(fresh_terminal.error_of(*words, "--out", str(occupied)).splitlines()) == 2
    same_folder_error = fresh_terminal.error_of(
        *words, "--calendars", str(calendars), "--out", f"{calendars}/../calendars"
    )
    assert "The calendars are in this folder. Name another folder with --out." in same_folder_error
    assert [file.name for file in calendars.iterdir()] == [f"{KIM.upper()}.ICS"]
    for year in ("0001", "9999"):
        assert "years 2000 to 2099" in fresh_terminal.error_of(*words, "--from", f"{year}-12-31", "--out", new, code=2)


def test_a_failed_simulation_keeps_the_files_of_the_former_one(fresh_terminal: Terminal) -> None:
    ledger, summary, _ = simulate(fresh_terminal, "out")
    out, calendars = fresh_terminal.folder / "out", fresh_terminal.folder / "calendars"
    calendars.mkdir()
    (calendars / f"{KIM}.ics").write_text("no calendar at all")
    people = str(fresh_terminal.folder / "people.csv")
    words = ("--people", people, "--from", "2026-03-02", "--out", str(out), "--calendars", str(calendars))
    fresh_terminal.error_of("simulate", *words)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {"ledger.jsonl": ledger, "summary.txt": summary}


def test_simulate_reads_the_other_events_of_a_calendar_with_broken_events(fresh_terminal: Terminal) -> None:
    """An endless event, an event with a wrong line and an event each second do not hide the meeting."""
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    event = "BEGIN:VEVENT\nUID:{}\nDTSTART:00010101T000000Z\nDTEND:{}\nTRANSP:{}\n{}END:VEVENT\n"
    endless_event = event.format("a", "99991231T235959Z", "TRANSPARENT", "")
    wrong_line = event.format("a", "00010101T000001Z", "OPAQUE", "nothing\n")
    rule = "RRULE:FREQ=SECONDLY;UNTIL=20200101T000000Z\n"
    each_second = event.format("b", "00010101T000001Z", "OPAQUE", rule)
    events = f"nothing\n{endless_event}{wrong_line}{each_second}BEGIN:VEVENT"
    (folder / "Sam@corp.example.ICS").write_text(ICS.replace("BEGIN:VEVENT", events, 1))
    ledger = simulate(fresh_terminal, "with", "--calendars", str(folder)).ledger
    bookings = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    assert min(line["start"] for line in bookings if line["pair"] == PAIR) >= "2026-03-22"  # after the meeting


@pytest.mark.parametrize("line", ["RRULE:FREQ=SECONDLY", "RRULE:FREQ=SOMETIMES", "RDATE:tomorrow"])
def test_simulate_books_no_session_beside_a_series_that_cannot_be_expanded(fresh_terminal: Terminal, line: str) -> None:
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    series = f"BEGIN:VEVENT\nUID:b\nDTSTART:20260101T000001Z\nDURATION:PT1S\n{line}\nEND:VEVENT\n"
    (folder / "Sam@corp.example.ics").write_text(ICS.replace("BEGIN:VEVENT", f"{series}BEGIN:VEVENT", 1))
    ledger = simulate(fresh_terminal, "with", "--calendars", str(folder)).ledger
    bookings = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    assert not [line for line in bookings if line.get("pair") == PAIR]
    assert bookings, "the other pair has no session"
