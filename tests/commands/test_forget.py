"""`longarc forget`: it says what it would erase, and erases nothing until the address is typed again."""

import pytest

from tests.support.companies import DANA, SAM
from tests.support.terminal import PEOPLE_CSV, SECRET, Terminal
from worker.providers.google.auth import TokenFolder
from worker.store import tables


def remove_sam(terminal: Terminal) -> None:
    """Remove Sam from the roster, and mark all events as removed from calendars."""
    terminal.write("people.csv", "".join(line for line in PEOPLE_CSV.splitlines(True) if not line.startswith(SAM)))
    terminal.output_of("people", "--accept")
    store = terminal.open_store()
    with store.database.write() as connection:
        connection.execute(tables.event.update().values(gone=True))
    store.close()


@pytest.mark.parametrize("given", ["", "\n", f"{DANA}\n", "sam\n"])
def test_forget_erases_nothing_until_the_address_is_typed_again(contract_terminal: Terminal, given: str) -> None:
    before = contract_terminal.read_database()
    error = contract_terminal.error_of("forget", SAM, "--contents", given=given)
    assert error.endswith("That is not the address. Nothing was erased.")
    assert contract_terminal.read_database() == before


def test_forget_contents_names_the_pieces_and_the_other_person(contract_terminal: Terminal) -> None:
    output = contract_terminal.output_of("forget", SAM, "--contents", given=f"{SAM.upper()}\n")
    for words in (
        f"In 1 pair of {SAM}: 1 reason for an access, 2 commitments' words, 1 revision of a contract.",
        f"it is erased for {DANA} as well",
        "This can't be taken back. It does not reach backups",
        "4 pieces were erased",
    ):
        assert words in output
    assert contract_terminal.read_database()["contract"] == []
    assert "1 pair was erased so far." in contract_terminal.output_of("status")
    assert SECRET not in output


def test_a_person_in_the_roster_cannot_be_forgotten(contract_terminal: Terminal) -> None:
    error = contract_terminal.error_of("forget", SAM, "--confirm", SAM)
    assert error == (
        f"longarc: {SAM} is still in the roster, and would come back when it is read next. Take the person out of "
        "the roster first, or erase only what was written: --contents."
    )
    remove_sam(contract_terminal)
    output = contract_terminal.output_of("forget", SAM, "--confirm", SAM)
    assert "In the database the person is Former colleague" in output
    assert SAM not in str([row for table, rows in contract_terminal.read_database().items() for row in rows])
    assert f"Nobody in the roster is {SAM}" in contract_terminal.error_of("forget", SAM)


def test_forget_deletes_the_grant_of_a_connected_account(contract_terminal: Terminal) -> None:
    toml = (contract_terminal.folder / "longarc.toml").read_text()
    contract_terminal.write("longarc.toml", toml + '[calendars.google]\ntoken_folder = "google"\n')
    tokens = TokenFolder(contract_terminal.folder / "google", [contract_terminal.env["LONGARC_KEY"]])
    for email in (SAM, DANA):
        tokens.save(email, "refresh")
    remove_sam(contract_terminal)
    contract_terminal.output_of("forget", SAM, "--confirm", SAM)
    assert tokens.list_people() == [DANA]


def test_forget_without_the_key_erases_nothing(contract_terminal: Terminal) -> None:
    """Without the key, sealed questions to third voices can't be searched for the person."""
    before = contract_terminal.read_database()
    contract_terminal.env["LONGARC_KEY"] = ""
    assert "LONGARC_KEY" in contract_terminal.error_of("forget", SAM, "--contents", "--confirm", SAM)
    assert contract_terminal.read_database() == before
