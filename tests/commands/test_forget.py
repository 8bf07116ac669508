"""`longarc forget` at a terminal: what goes is said first, the address is asked for once more, and it can't go wrong by
a slip."""

import pytest

from tests.support.companies import DANA, SAM
from tests.support.terminal import PEOPLE, RECORD, SECRET, Terminal, record_held, write_contract_file
from worker.providers.google.auth import TokenFolder
from worker.store import tables


@pytest.fixture(name="agreed")
def terminal_with_contract(terminal: Terminal) -> Terminal:
    terminal.output_of(*RECORD, record_held(terminal), write_contract_file(terminal), "--yes")
    return terminal


def leave(terminal: Terminal) -> None:
    """Sam leaves, and what stands on calendars is off by then."""
    terminal.write("people.csv", "".join(line for line in PEOPLE.splitlines(True) if not line.startswith(SAM)))
    terminal.output_of("people", "--accept")
    store = terminal.open_store()
    with store.database.write() as connection:
        connection.execute(tables.event.update().values(gone=True))
    store.close()


@pytest.mark.parametrize("given", ["", "\n", f"{DANA}\n", "sam\n"])
def test_nothing_is_erased_unless_the_address_is_typed_again(agreed: Terminal, given: str) -> None:
    before = agreed.read_database()
    said = agreed.error_of("forget", SAM, "--contents", given=given)
    assert said.endswith("That is not the address. Nothing was erased.")
    assert agreed.read_database() == before


def test_what_goes_is_said_with_who_loses_it_as_well(agreed: Terminal) -> None:
    told = agreed.output_of("forget", SAM, "--contents", given=f"{SAM.upper()}\n")
    for wanted in (
        f"In 1 pair of {SAM}: 1 reason for an access, 2 commitments' words, 1 revision of a contract.",
        f"it is erased for {DANA} as well",
        "This can't be taken back. It does not reach backups",
        "4 pieces were erased",
    ):
        assert wanted in told
    assert agreed.read_database()["contract"] == []
    assert "1 pair was erased so far." in agreed.output_of("status")
    assert SECRET not in told


def test_who_is_in_the_roster_is_taken_out_of_it_first(agreed: Terminal) -> None:
    said = agreed.error_of("forget", SAM, "--confirm", SAM)
    assert said == (
        f"longarc: {SAM} is still in the roster, and would come back when it is read next. Take the person out of "
        "the roster first, or erase only what was written: --contents."
    )
    leave(agreed)
    told = agreed.output_of("forget", SAM, "--confirm", SAM)
    assert "In the database the person is Former colleague" in told
    assert SAM not in str([row for table, rows in agreed.read_database().items() for row in rows])
    assert f"Nobody in the roster is {SAM}" in agreed.error_of("forget", SAM)


def test_the_account_that_a_person_connected_is_forgotten_as_well(agreed: Terminal) -> None:
    toml = (agreed.folder / "longarc.toml").read_text()
    agreed.write("longarc.toml", toml + '[calendars.google]\ntoken_folder = "google"\n')
    tokens = TokenFolder(agreed.folder / "google", [agreed.env["LONGARC_KEY"]])
    for who in (SAM, DANA):
        tokens.save(who, "refresh")
    leave(agreed)
    agreed.output_of("forget", SAM, "--confirm", SAM)
    assert tokens.list_people() == [DANA]


def test_without_the_key_nothing_is_touched(agreed: Terminal) -> None:
    """What is sealed of questions to third persons could not be looked at."""
    before = agreed.read_database()
    agreed.env["LONGARC_KEY"] = ""
    assert "LONGARC_KEY" in agreed.error_of("forget", SAM, "--contents", "--confirm", SAM)
    assert agreed.read_database() == before
