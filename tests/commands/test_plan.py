"""`longarc plan`: what would be done is shown, and nothing is written."""

import re
from datetime import datetime

import requests

from tests.support.companies import DANA, DAY, KIM, SAM
from tests.support.terminal import PAIR, PEOPLE, Terminal
from worker.clock import utcnow
from worker.embedded import EmbeddedServers


def test_plan_shows_the_first_run_before_there_is_anything(fresh_terminal: Terminal) -> None:
    """A summary, then by manager, in one zone that is named, in 80 columns."""
    told = fresh_terminal.output_of("plan")
    assert told.startswith("2 pairs with one manager. All of them have a time within the next 13 weeks.")
    assert "2 to book, 0 to move, 0 to cancel, 3 mails to send, for 2 pairs. Nothing was" in told
    assert "Times are those of Europe/Berlin." in told
    assert re.search(r"\nDana, 2 pairs\n  book +\w{3} \d+ \w{3} \d{4} \d\d:\d\d +75 min +\w+\n", told)
    assert "introduction to Dana, Kim, Sam" in told
    assert max(map(len, told.splitlines())) <= 80
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_plan_gives_the_reason_for_each_time_when_asked(fresh_terminal: Terminal) -> None:
    told = fresh_terminal.output_of("plan", "--why")
    assert "target" in told and "target" not in fresh_terminal.output_of("plan")
    assert max(map(len, told.splitlines())) <= 80


def test_plan_ends_with_what_needs_somebody(fresh_terminal: Terminal) -> None:
    """With the reason, and what would change it."""
    fresh_terminal.write(
        "people.csv", PEOPLE.replace(f"{KIM},Kim,{DANA},Europe/Berlin,DE", f"{KIM},Kim,{DANA},Pacific/Honolulu,US")
    )
    told = fresh_terminal.output_of("plan")
    assert "One has no time." in " ".join(told.split())
    assert re.search(r"\n  no time  Kim\n           .*share no working hours", told, re.DOTALL)
    ending = told.partition("What needs a person\n")[2]
    assert ending.startswith("  Never at work at the same time\n    Dana (Mon-Fri 09:00-17:00 in Berlin) and Kim")
    assert "Correct hours and time zones in the people file" in ending


def test_plan_shows_a_rollout_as_of_its_first_day(fresh_terminal: Terminal) -> None:
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    first = (utcnow() + 40 * DAY).date()
    fresh_terminal.write("longarc.toml", f'{toml}[rollout]\naddresses = ["{SAM}"]\nstart = {first}\n')
    told = fresh_terminal.output_of("plan")
    assert "1 to book" in told and "1 pair takes no part." in told
    booked = re.search(r"book +(\w{3} \d+ \w{3} \d{4} \d\d:\d\d)", told)
    assert booked and datetime.strptime(f"{booked[1]} +0100", "%a %d %b %Y %H:%M %z").date() > first
    fresh_terminal.output_of("plan", "--html", str(fresh_terminal.folder / "plan.html"))
    page = (fresh_terminal.folder / "plan.html").read_text()
    assert "This is how it begins on" in page and f"These take part: {SAM}." in page
    assert "One more pair does not take part" in page


def test_plan_shows_that_day_too_while_the_worker_waits_for_it(fresh_terminal: Terminal) -> None:
    """With the pauses there are, and nothing else of the database."""
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    fresh_terminal.write("longarc.toml", f"{toml}[rollout]\nstart = {(utcnow() + 40 * DAY).date()}\n")
    store = fresh_terminal.open_store()
    store.migrate()
    store.close()
    fresh_terminal.output_of("people", "--apply")
    fresh_terminal.output_of("pause", SAM)
    before = fresh_terminal.read_database()
    told = fresh_terminal.output_of("plan")
    assert "1 to book" in told and "  Kim" in told and "  Sam" not in told
    assert fresh_terminal.read_database() == before


def test_plan_needs_nobody_who_has_left(fresh_terminal: Terminal) -> None:
    store = fresh_terminal.open_store()
    store.migrate()
    store.close()
    fresh_terminal.output_of("people", "--apply")
    lines = (fresh_terminal.folder / "people.csv").read_text().splitlines()
    fresh_terminal.write("people.csv", "\n".join(line for line in lines if not line.startswith(SAM)))
    fresh_terminal.output_of("people", "--accept")
    assert "  Kim" in fresh_terminal.output_of("plan")


# --- the page ---


def test_the_page_is_written_before_there_is_anything(fresh_terminal: Terminal) -> None:
    file = fresh_terminal.folder / "plan.html"
    assert f"{file} was written" in fresh_terminal.output_of("plan", "--html", str(file))
    page = file.read_text()
    assert "2 pairs with one manager." in page and "<bdi>Sam</bdi>" in page
    assert file.stat().st_mode & 0o077 == 0, "it names people"
    assert not (fresh_terminal.folder / "longarc.db").exists()
    fresh_terminal.output_of("plan", "--html", str(file))  # once more, in its place


def test_the_page_of_an_installation_in_use_changes_nothing(terminal: Terminal) -> None:
    before = terminal.read_database()
    terminal.output_of("plan", "--html", str(terminal.folder / "plan.html"))
    assert "2 pairs with one manager." in (terminal.folder / "plan.html").read_text()
    assert terminal.read_database() == before


def test_the_page_tells_nothing_of_what_stands_on_a_calendar(fresh_terminal: Terminal) -> None:
    """On a real calendar server: nothing of what keeps the two from meeting."""
    with EmbeddedServers(fresh_terminal.folder / "servers", [DANA, SAM, KIM]) as servers:
        entry = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:busy\r\nDTSTAMP:20260101T000000Z\r\n"
            f"DTSTART:{utcnow() - DAY:%Y%m%d}T061700Z\r\nDURATION:PT12H\r\nRRULE:FREQ=DAILY\r\n"
            "SUMMARY:Peppermint layoffs\r\nLOCATION:Room Saxifrage\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        assert requests.put(f"{servers.caldav_url.format(email=DANA)}busy.ics", entry, timeout=10).status_code == 201
        fresh_terminal.write("people.csv", PEOPLE.replace("memory,memory", "caldav,memory"))
        toml = (fresh_terminal.folder / "longarc.toml").read_text()
        fresh_terminal.write("longarc.toml", f'{toml}[calendars.caldav]\nurl = "{servers.caldav_url}"\n')
        fresh_terminal.output_of("plan", "--html", str(fresh_terminal.folder / "plan.html"))
    page = (fresh_terminal.folder / "plan.html").read_text()
    assert "2 have no time." in page and "No time that both have free" in page
    for secret in ("eppermint", "axifrage", "busy time"):
        assert secret not in page, secret


def test_the_page_takes_the_place_of_no_other_file(fresh_terminal: Terminal) -> None:
    before = (fresh_terminal.folder / "longarc.toml").read_bytes()
    assert "is not a page of `longarc plan`" in fresh_terminal.error_of(
        "plan", "--html", str(fresh_terminal.folder / "longarc.toml")
    )
    assert (fresh_terminal.folder / "longarc.toml").read_bytes() == before
    assert "There is no folder" in fresh_terminal.error_of(
        "plan", "--html", str(fresh_terminal.folder / "missing" / "plan.html")
    )
    assert "Give one of them" in fresh_terminal.error_of("plan", "--json", "--html", "plan.html", code=2)


# --- before and after ---


def test_plan_writes_nothing(terminal: Terminal) -> None:
    terminal.output_of("pause", SAM)
    before = terminal.read_database()
    (made,) = terminal.json_of("plan")
    assert made["pair"] == PAIR
    assert {one["what"] for one in made["messages"]} >= {"event.cancel"}
    assert terminal.read_database() == before


def test_plan_says_which_service_it_could_not_ask(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("people.csv", PEOPLE.replace("memory,memory", "caldav,memory"))
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    fresh_terminal.write("longarc.toml", toml + '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n')
    assert "Nothing answers at http://127.0.0.1:9/" in fresh_terminal.error_of("plan")
