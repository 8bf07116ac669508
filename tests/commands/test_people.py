"""`longarc people`: it shows what the roster would change, and changes it on request (T-17, R-36, T-3a)."""

from collections.abc import Iterator

import pytest

from tests.doubles.graph import Double, make_section, set_rights
from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import PEOPLE_CSV, Terminal

LEE = "lee@corp.example"


def change_roster(terminal: Terminal) -> None:
    """Write a people file in which Lee joins, Kim leaves, Sam gets a new manager and zone, and Dana a new address."""
    terminal.write(
        "people.csv",
        "email,name,manager,time_zone,country,calendar,mail,aliases\n"
        f"d.weiss@corp.example,Dana,,Europe/Berlin,DE,memory,memory,{DANA}\n"
        f"{SAM},Sam,{LEE},Europe/Lisbon,DE,memory,memory,\n"
        f"{LEE},Lee,{DANA},Europe/Berlin,DE,memory,memory,\n",
    )


def test_people_shows_each_change_with_its_effects(terminal: Terminal) -> None:
    terminal.env["COLUMNS"] = "80"
    change_roster(terminal)
    before = terminal.read_database()
    result = terminal.run("people")
    output = " ".join(result.stdout.split())
    for words in (
        f"1 person joins Lee <{LEE}> with d.weiss@corp.example; first session around",
        f"1 person leaves Kim <{KIM}> 1 event cancelled",
        f"1 person has another manager Sam <{SAM}> from {DANA} (1 event cancelled) to {LEE} (first session around",
        "the report chooses what goes on to the new manager",
        f"1 person has another address {DANA} is d.weiss@corp.example from now on, and keeps everything",
        f"1 person has other settings {SAM} time_zone Europe/Berlin → Europe/Lisbon",
        "2 events would be cancelled. Nothing was changed.",
    ):
        assert words in output
    assert (
        "2 of 2 pairs would end, more than a tenth. To apply it all the same: `longarc people --accept`."
        in result.stderr
    )
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert terminal.read_database() == before


def test_people_json_lists_the_changes(terminal: Terminal) -> None:
    terminal.write("people.csv", f"{PEOPLE_CSV}{LEE},Lee,{DANA},UTC,DE,memory,memory\n")
    changes = terminal.json_of("people")
    (joiner,) = changes["joiners"]
    assert (joiner["email"], joiner["manager"], joiner["returns"]) == (LEE, DANA, False)
    assert joiner["first_session"]
    assert (changes["leavers"], changes["manager_changes"], changes["renames"], changes["settings"]) == ([], [], [], [])
    assert (changes["people"], changes["pairs"], changes["events_cancelled"], changes["objection"]) == (4, 3, 0, None)


def test_a_list_of_thirty_people_is_shortened_with_a_count(terminal: Terminal) -> None:
    rows = "".join(f"p{n}@corp.example,P{n},{DANA},Europe/Berlin,DE,memory,memory\n" for n in range(30))
    terminal.write("people.csv", PEOPLE_CSV + rows)
    output = terminal.output_of("people")
    assert "30 people join" in output and "and 20 more; `longarc people --json` lists all" in output
    assert len(terminal.json_of("people")["joiners"]) == 30


def test_people_apply_applies_the_changes_once(terminal: Terminal) -> None:
    terminal.write("people.csv", f"{PEOPLE_CSV}{LEE},Lee,{DANA},Europe/Berlin,DE,memory,memory\n")
    assert "4 people in 3 pairs: applied" in terminal.output_of("people", "--apply")
    assert "nothing has changed" in terminal.output_of("people", "--apply")
    assert "Nobody joins or leaves, and the pairs stay as they are." in terminal.output_of("people")


def test_a_roster_that_cancels_many_events_needs_accept_or_force(terminal: Terminal) -> None:
    toml = (terminal.folder / "longarc.toml").read_text()
    terminal.write("longarc.toml", toml + "[rules]\nmax_cancels = 1\n")
    header, dana, *_ = PEOPLE_CSV.splitlines()
    terminal.write("people.csv", f"{header}\n{dana}\n")
    before = terminal.read_database()
    assert "longarc people --accept" in terminal.error_of("people")
    assert "Nothing was changed" in terminal.error_of("people", "--apply")
    assert terminal.read_database() == before
    terminal.output_of("people", "--apply", "--force")
    assert "1 person, 0 active pairs" in terminal.output_of("status")


def test_people_apply_creates_the_database(fresh_terminal: Terminal) -> None:
    assert "3 people join" in fresh_terminal.output_of("people")
    assert not (fresh_terminal.folder / "longarc.db").exists()
    assert "3 people in 2 pairs: applied" in fresh_terminal.output_of("people", "--apply")
    fresh_terminal.write("people.csv", PEOPLE_CSV.replace("Europe/Berlin", "Europe/Berln"))
    assert len(fresh_terminal.error_of("people", "--apply").splitlines()) == 3  # a wrong zone in each row
    assert "3 people, 2 active pairs" in fresh_terminal.output_of("status")


# --- from a directory ---


@pytest.fixture
def entra() -> Iterator[Double]:
    with Double() as double:
        set_rights(double, "User.Read.All")
        yield double


@pytest.fixture
def company(fresh_terminal: Terminal, entra: Double) -> Terminal:
    """A company in Entra, in which Ann manages Bo and Cy. The settings have what Entra lacks."""
    outlook_section = make_section(entra)
    fresh_terminal.env["LONGARC_OUTLOOK_SECRET"] = outlook_section["password"]
    toml = (fresh_terminal.folder / "longarc.toml").read_text()
    fresh_terminal.write(
        "longarc.toml",
        f'{toml}[roster]\nsource = "outlook"\ncalendar = "memory"\nmail = "memory"\ntime_zone = "Europe/Berlin"\n'
        'country = "DE"\n[calendars.outlook]\n'
        + "".join(
            f'{key} = "{outlook_section[key]}"\n' for key in ("endpoint", "authority", "tenant", "client_id", "ca_file")
        ),
    )
    (fresh_terminal.folder / "people.csv").unlink()
    ann = entra.directory.add("ann@x.example", "Ann Doe", "")
    for name in ("Bo Roe", "Cy Poe"):
        entra.directory.add(f"{name[:2].lower()}@x.example", name, ann)
    return fresh_terminal


def test_the_people_of_a_directory_are_shown_and_applied(company: Terminal) -> None:
    assert "Microsoft Entra: 3 people in 2 pairs." in company.output_of("people")
    assert "3 people in 2 pairs: applied." in company.output_of("people", "--apply")
    assert "nothing has changed" in company.output_of("people", "--apply")


def test_roster_faults_are_shown_with_their_remedy(company: Terminal, entra: Double) -> None:
    company.output_of("people", "--apply")
    bo = next(user for user in entra.directory.users.values() if user["mail"] == "bo@x.example")
    bo["displayName"] = "=1+1"
    output = " ".join(company.output_of("people").split())
    assert "1 fault in the directory. The pairs concerned stay as they were. Microsoft Entra: user" in output
    assert "(bo@x.example), name: `=1+1` begins with `=`" in output and "Write the words themselves." in output
    (fault,) = company.json_of("people")["faults"]
    assert "name" in fault["where"]


def test_the_people_file_adds_wishes_to_a_directory(company: Terminal) -> None:
    company.output_of("people", "--apply")
    company.write("people.csv", "email,every\nbo@x.example,6 months\n")
    (change,) = company.json_of("people")["settings"]
    assert (change["column"], change["before"], change["after"]) == ("every", "13 weeks", "6 months")
