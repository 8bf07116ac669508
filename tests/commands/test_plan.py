"""`longarc plan` and `longarc people`: what would be done is shown first, and written only when asked for."""

import re

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import PAIR, PEOPLE, Desk


def test_plan_shows_the_first_run_before_there_is_anything(fresh: Desk) -> None:
    told = fresh.told("plan")
    assert "2 to book, 0 to move, 0 to take off, 4 mails to send, for 2 pairs. Nothing was written" in told
    assert "Dana and Kim" in told
    assert "target" in told  # the reason
    assert not (fresh.folder / "longarc.db").exists()


def test_plan_writes_nothing(desk: Desk) -> None:
    desk.told("pause", SAM)
    before = desk.rows()
    (made,) = desk.json("plan")
    assert made["pair"] == PAIR
    assert {one["what"] for one in made["messages"]} >= {"event.cancel"}
    assert desk.rows() == before


def test_plan_says_which_service_it_could_not_ask(fresh: Desk) -> None:
    fresh.write("people.csv", PEOPLE.replace("memory,memory", "caldav,memory"))
    toml = (fresh.folder / "longarc.toml").read_text()
    fresh.write("longarc.toml", toml + '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n')
    assert "Nothing answers at http://127.0.0.1:9/" in fresh.refused("plan")


def test_people_shows_and_applies_what_the_file_changes(desk: Desk) -> None:
    desk.write(
        "people.csv", "\n".join(PEOPLE.splitlines()[:-1]) + f"\nlee@corp.example,Lee,{DANA},UTC,DE,memory,memory\n"
    )
    before = desk.rows()
    told = desk.told("people")
    for wanted in ("1 person joins: lee@corp.example", f"1 person leaves: {KIM}", f"1 pair ends: {DANA}>{KIM}"):
        assert wanted in told
    assert re.search(r"[1-9] events? would be cancelled", told)
    assert desk.rows() == before
    assert "applied" in desk.told("people", "--apply")
    assert "nothing has changed" in desk.told("people", "--apply")
    assert "Nobody joins or leaves" in desk.told("people")


def test_people_who_would_take_much_away_need_force(desk: Desk) -> None:
    toml = (desk.folder / "longarc.toml").read_text()
    desk.write("longarc.toml", toml + "[rules]\nmax_cancels = 1\n")
    desk.write("people.csv", "\n".join(PEOPLE.splitlines()[:2]) + "\n")
    before = desk.rows()
    assert "longarc people --accept" in desk.refused("people")
    assert "Nothing was changed" in desk.refused("people", "--apply")
    assert desk.rows() == before
    desk.told("people", "--apply", "--force")
    assert "1 people, 0 active pairs" in desk.told("status")


def test_people_begins_an_empty_company(fresh: Desk) -> None:
    assert "3 people in 2 pairs: applied" in fresh.told("people", "--apply")
    fresh.write("people.csv", PEOPLE.replace("Europe/Berlin", "Europe/Berln"))
    assert len(fresh.refused("people", "--apply").splitlines()) == 3
    assert "3 people, 2 active pairs" in fresh.told("status")
