"""`longarc simulate`: the same ledger for the same seed, real calendars, and nothing half-written."""

import json
from pathlib import Path

import pytest

from tests.support.companies import KIM
from tests.support.terminal import PAIR, Terminal


def simulated(terminal: Terminal, name: str, *more: str) -> tuple[bytes, bytes, str]:
    out = terminal.folder / name
    people = str(terminal.folder / "people.csv")
    words = ("simulate", "--people", people, "--from", "2026-03-02", "--days", "45", "--out", str(out))
    told = terminal.output_of(*words, *more)
    assert sorted(path.name for path in out.iterdir()) == ["ledger.jsonl", "summary.txt"]
    return (out / "ledger.jsonl").read_bytes(), (out / "summary.txt").read_bytes(), told


def test_simulate_gives_the_same_bytes_for_the_same_seed(fresh_terminal: Terminal) -> None:
    one = simulated(fresh_terminal, "one", "--people-behave", "busy", "--seed", "7")
    assert simulated(fresh_terminal, "two", "--people-behave", "busy", "--seed", "7")[:2] == one[:2]
    assert simulated(fresh_terminal, "three", "--people-behave", "busy", "--seed", "8")[0] != one[0]
    lines = [json.loads(line) for line in one[0].splitlines()]
    assert {"event.create", "mail", "session"} <= {line["what"] for line in lines}
    assert "Pairs that met" in one[2]
    assert b"2 of 2" in one[1]


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


def test_simulate_takes_real_calendars_and_refuses_broken_ones(fresh_terminal: Terminal) -> None:
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    (folder / "Sam@corp.example.ics").write_text(ICS)
    ledger = simulated(fresh_terminal, "with", "--calendars", str(folder))[0]
    booked = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    first = min(line["start"] for line in booked if line["pair"] == PAIR)
    assert first >= "2026-03-22"  # all day, every day until then, both of them are in that meeting
    (folder / "stranger@corp.example.ics").write_text(ICS)
    (folder / f"{KIM}.ics").write_text("BEGIN:VCALENDAR\nnothing that makes sense")
    words = (
        "--people",
        str(fresh_terminal.folder / "people.csv"),
        "--from",
        "2026-03-02",
        "--out",
        str(fresh_terminal.folder / "bad"),
    )
    said = fresh_terminal.error_of("simulate", *words, "--calendars", str(folder)).splitlines()
    assert len(said) == 2
    assert KIM in said[0]
    assert "Nobody of that address" in said[1]
    assert not (fresh_terminal.folder / "bad").exists()


def test_simulate_refuses_at_once_what_it_can_t_read_or_write(fresh_terminal: Terminal) -> None:
    empty, taken, here = (fresh_terminal.folder / name for name in ("empty", "taken", "calendars"))
    for folder in (empty, taken / "ledger.jsonl", taken / "summary.txt", here):
        folder.mkdir(parents=True)
    (here / f"{KIM.upper()}.ICS").write_text("no calendar at all")
    words = ("simulate", "--people", str(fresh_terminal.folder / "people.csv"), "--from", "2026-03-02", "--days", "45")
    new = str(fresh_terminal.folder / "new")
    said = fresh_terminal.error_of(*words, "--calendars", str(empty), "--out", new)
    assert said.strip().endswith(
        "empty: No file here ends in `.ics`. Name each calendar as its owner: `name@example.com.ics`."
    )
    assert f"{KIM.upper()}.ICS: It can't be read" in fresh_terminal.error_of(
        *words, "--calendars", str(here), "--out", new
    )
    assert not Path(new).exists()
    assert len(fresh_terminal.error_of(*words, "--out", str(taken)).splitlines()) == 2
    same = fresh_terminal.error_of(*words, "--calendars", str(here), "--out", f"{here}/../calendars")
    assert "The calendars are in this folder. Name another folder with --out." in same
    assert [file.name for file in here.iterdir()] == [f"{KIM.upper()}.ICS"]
    for year in ("0001", "9999"):
        assert "years 2000 to 2099" in fresh_terminal.error_of(*words, "--from", f"{year}-12-31", "--out", new, code=2)


def test_simulate_keeps_what_it_found_until_the_new_is_whole(fresh_terminal: Terminal) -> None:
    ledger, summary, _ = simulated(fresh_terminal, "out")
    out, calendars = fresh_terminal.folder / "out", fresh_terminal.folder / "calendars"
    calendars.mkdir()
    (calendars / f"{KIM}.ics").write_text("no calendar at all")
    people = str(fresh_terminal.folder / "people.csv")
    words = ("--people", people, "--from", "2026-03-02", "--out", str(out), "--calendars", str(calendars))
    fresh_terminal.error_of("simulate", *words)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {"ledger.jsonl": ledger, "summary.txt": summary}


def test_simulate_reads_the_rest_of_a_calendar_in_which_something_makes_no_sense(fresh_terminal: Terminal) -> None:
    """An event that never ends, one that is none, and one each second: none of them hides the meeting they are in."""
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    always = "BEGIN:VEVENT\nUID:a\nDTSTART:00010101T000000Z\nDTEND:{}\nTRANSP:{}\n{}END:VEVENT\n"
    more = always.format("99991231T235959Z", "TRANSPARENT", "") + always.format(
        "00010101T000001Z", "OPAQUE", "nothing\n"
    )
    more += always.format("00010101T000001Z", "OPAQUE", "RRULE:FREQ=SECONDLY;UNTIL=20200101T000000Z\n").replace(
        "UID:a", "UID:b"
    )
    broken = ICS.replace("BEGIN:VEVENT", f"nothing\n{more}BEGIN:VEVENT", 1)
    (folder / "Sam@corp.example.ICS").write_text(broken)
    ledger = simulated(fresh_terminal, "with", "--calendars", str(folder))[0]
    booked = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    assert min(line["start"] for line in booked if line["pair"] == PAIR) >= "2026-03-22"


@pytest.mark.parametrize("line", ["RRULE:FREQ=SECONDLY", "RRULE:FREQ=SOMETIMES", "RDATE:tomorrow"])
def test_simulate_books_nothing_over_a_series_that_cannot_be_followed(fresh_terminal: Terminal, line: str) -> None:
    folder = fresh_terminal.folder / "calendars"
    folder.mkdir()
    series = f"BEGIN:VEVENT\nUID:b\nDTSTART:20260101T000001Z\nDURATION:PT1S\n{line}\nEND:VEVENT\n"
    (folder / "Sam@corp.example.ics").write_text(ICS.replace("BEGIN:VEVENT", f"{series}BEGIN:VEVENT", 1))
    ledger = simulated(fresh_terminal, "with", "--calendars", str(folder))[0]
    lines = list(map(json.loads, ledger.splitlines()))
    assert not [one for one in lines if one.get("state") == "booked" and one.get("pair") == PAIR]
    assert [one for one in lines if one.get("state") == "booked"]
