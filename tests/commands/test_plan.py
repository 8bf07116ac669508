"""`longarc plan`: it shows what would be done, and changes nothing."""

import re
from datetime import datetime

import requests

from tests.support.companies import DANA, DAY, KIM, SAM
from tests.support.terminal import PAIR, PEOPLE_CSV, Terminal
from worker.clock import utcnow
from worker.embedded import EmbeddedServers


def test_plan_shows_the_first_run_without_a_database(fresh_terminal: Terminal) -> None:
    """A summary and a list by manager, in 80 columns, with times in one zone that is named."""
    output = fresh_terminal.output_of("plan")
    assert output.startswith("2 pairs with one manager. All of them have a time within the next 13 weeks.")
    assert "2 to book, 0 to move, 0 to cancel, 3 mails to send, for 2 pairs. Nothing was" in output
    assert "Times are those of Europe/Berlin." in output
    assert re.search(r"\nDana, 2 pairs\n  book +\w{3} \d+ \w{3} \d{4} \d\d:\d\d +75 min +\w+\n", output)
    assert "introduction: Dana, Kim, Sam" in output
    assert max(map(len, output.splitlines())) <= 80
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_plan_gives_the_reason_for_each_time_with_the_option_why(fresh_terminal: Terminal) -> None:
    output = fresh_terminal.output_of("plan", "--why")
    assert "target" in output and "target" not in fresh_terminal.output_of("plan")
    assert max(map(len, output.splitlines())) <= 80


def test_plan_ends_with_a_list_of_what_needs_a_person(fresh_terminal: Terminal) -> None:
    """Each entry has the reason and the remedy."""
    fresh_terminal.write(
        "people.csv",
        PEOPLE_CSV.replace(f"{KIM},Kim,{DANA},Europe/Berlin,DE", f"{KIM},Kim,{DANA},Pacific/Honolulu,US"),
    )
    output = fresh_terminal.output_of("plan")
    assert "One has no time." in " ".join(output.split())
    assert re.search(r"\n  no time  Kim\n           .*share no working hours", output, re.DOTALL)
    assert re.search(r"\n  mail .*no time found: (Dana|Kim)\b", output), "another name than on the page"
    ending = output.partition("What needs a person\n")[2]
    assert ending.startswith("  Never at work at the same time\n    Dana (Mon-Fri 09:00-17:00 in Berlin) and Kim")
    assert "Correct hours and time zones in the people file" in ending


def test_plan_shows_a_rollout_as_of_its_first_day(fresh_terminal: Terminal) -> None:
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    first_day = (utcnow() + 40 * DAY).date()
    fresh_terminal.write("longarc.toml", f'{toml}[rollout]\naddresses = ["{SAM}"]\nstart = {first_day}\n')
    output = fresh_terminal.output_of("plan")
    assert "1 to book" in output and "1 pair takes no part." in output
    booking = re.search(r"book +(\w{3} \d+ \w{3} \d{4} \d\d:\d\d)", output)
    # any zone will do: only the day counts
    assert booking and datetime.strptime(f"{booking[1]} +0100", "%a %d %b %Y %H:%M %z").date() > first_day
    fresh_terminal.output_of("plan", "--html", str(fresh_terminal.folder / "plan.html"))
    page = (fresh_terminal.folder / "plan.html").read_text()
    assert "This is how it begins on" in page and f"These take part: {SAM}." in page
    assert "One more pair does not take part" in page


def test_plan_shows_a_future_rollout_without_paused_pairs(fresh_terminal: Terminal) -> None:
    """Once there is a database, its pauses apply to the first day of the rollout too."""
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    fresh_terminal.write("longarc.toml", f"{toml}[rollout]\nstart = {(utcnow() + 40 * DAY).date()}\n")
    store = fresh_terminal.open_store()
    store.migrate()
    store.close()
    fresh_terminal.output_of("people", "--apply")
    fresh_terminal.output_of("pause", SAM)
    before = fresh_terminal.read_database()
    output = fresh_terminal.output_of("plan")
    assert "1 to book" in output and "  Kim" in output and "  Sam" not in output
    assert fresh_terminal.read_database() == before


def test_plan_works_after_a_person_has_left(fresh_terminal: Terminal) -> None:
    store = fresh_terminal.open_store()
    store.migrate()
    store.close()
    fresh_terminal.output_of("people", "--apply")
    lines = (fresh_terminal.folder / "people.csv").read_text().splitlines()
    fresh_terminal.write("people.csv", "\n".join(line for line in lines if not line.startswith(SAM)))
    fresh_terminal.output_of("people", "--accept")
    output = fresh_terminal.output_of("plan")
    assert "  Kim" in output and "  Sam" not in output


# --- the HTML page ---


def test_the_page_is_written_without_a_database(fresh_terminal: Terminal) -> None:
    file = fresh_terminal.folder / "plan.html"
    assert f"{file} was written" in fresh_terminal.output_of("plan", "--html", str(file))
    page = file.read_text()
    assert "2 pairs with one manager." in page and "<bdi>Sam</bdi>" in page
    assert file.stat().st_mode & 0o077 == 0  # the page names people, so only its owner may read it
    assert not (fresh_terminal.folder / "longarc.db").exists()
    fresh_terminal.output_of("plan", "--html", str(file))  # a page of `longarc plan` is replaced


def test_writing_the_page_does_not_change_the_database(terminal: Terminal) -> None:
    before = terminal.read_database()
    terminal.output_of("plan", "--html", str(terminal.folder / "plan.html"))
    assert "2 pairs with one manager." in (terminal.folder / "plan.html").read_text()
    assert terminal.read_database() == before


def test_the_page_holds_no_text_of_calendar_events(fresh_terminal: Terminal) -> None:
    """The events, on a real calendar server, keep the pairs from meeting."""
    with EmbeddedServers(fresh_terminal.folder / "servers", [DANA, SAM, KIM]) as servers:
        calendar = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:busy\r\nDTSTAMP:20260101T000000Z\r\n"
            f"DTSTART:{utcnow() - DAY:%Y%m%d}T061700Z\r\nDURATION:PT12H\r\nRRULE:FREQ=DAILY\r\n"
            "SUMMARY:Peppermint layoffs\r\nLOCATION:Room Saxifrage\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        assert requests.put(f"{servers.caldav_url.format(email=DANA)}busy.ics", calendar, timeout=10).status_code == 201
        fresh_terminal.write("people.csv", PEOPLE_CSV.replace("memory,memory", "caldav,memory"))
        toml = (fresh_terminal.folder / "longarc.toml").read_text()
        fresh_terminal.write("longarc.toml", f'{toml}[calendars.caldav]\nurl = "{servers.caldav_url}"\n')
        fresh_terminal.output_of("plan", "--html", str(fresh_terminal.folder / "plan.html"))
    page = (fresh_terminal.folder / "plan.html").read_text()
    assert "2 have no time." in page and "No time that both have free" in page
    for secret in ("eppermint", "axifrage", "busy time"):  # in any case of the first letter
        assert secret not in page, secret


def test_the_page_replaces_no_other_file(fresh_terminal: Terminal) -> None:
    other = fresh_terminal.write("other.html", "<!doctype html>\n")
    assert "is not a page of `longarc plan`" in fresh_terminal.error_of("plan", "--html", other)
    assert (fresh_terminal.folder / "other.html").read_text() == "<!doctype html>\n"
    assert "There is no folder" in fresh_terminal.error_of(
        "plan", "--html", str(fresh_terminal.folder / "missing" / "plan.html")
    )
    assert "Give one of them" in fresh_terminal.error_of("plan", "--json", "--html", "plan.html", code=2)


# --- effects and failures ---


def test_plan_shows_a_cancellation_and_does_not_change_the_database(terminal: Terminal) -> None:
    terminal.output_of("pause", SAM)
    before = terminal.read_database()
    (plan,) = terminal.json_of("plan")
    assert plan["pair"] == PAIR
    assert {message["what"] for message in plan["messages"]} >= {"event.cancel"}
    assert terminal.read_database() == before


def test_plan_names_an_unreachable_service(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("people.csv", PEOPLE_CSV.replace("memory,memory", "caldav,memory"))
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    fresh_terminal.write("longarc.toml", toml + '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n')
    assert "Nothing answers at http://127.0.0.1:9/" in fresh_terminal.error_of("plan")
