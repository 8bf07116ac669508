"""`longarc learning`, for companies without pages: each pair of the manager gets a record of the access, and a mail
to each of the two."""

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import SECRET, WHY, Terminal
from worker.domain.model import PairId

REASON = ("--reason", WHY)


def test_r35_a_learning_is_stored_for_each_report_with_a_record_of_the_access_and_mails_to_both(
    terminal: Terminal,
) -> None:
    before = terminal.read_database()
    output = terminal.output_of("learning", DANA, *REASON, given=f"I {SECRET} before I ask.\n")
    after = terminal.read_database()
    assert "The sentence goes into the next prompt of" in output and SECRET not in output
    assert PairId(DANA, SAM) in {row.pair for row in after["learning"]}
    new_accesses = [row for row in after["access"] if row not in before["access"]]
    assert {(row.what, row.on_behalf_of) for row in new_accesses} == {("learning", DANA)}
    assert {row.pair for row in new_accesses} == {row.pair for row in after["learning"]}
    assert sorted((row.pair, row.to) for row in after["message"] if row.name == "content_accessed") == [
        *((PairId(DANA, KIM), address) for address in (DANA, KIM)),
        *((PairId(DANA, SAM), address) for address in (DANA, SAM)),
    ]
    assert SECRET not in str(after)
    assert "The sentence was withdrawn." in terminal.output_of("learning", DANA, *REASON, given=" \n")
    assert terminal.read_database()["learning"] == []


def test_r35_a_learning_needs_a_reason_a_manager_and_one_sentence(terminal: Terminal) -> None:
    before = terminal.read_database()
    error = terminal.error_of("learning", DANA, SECRET, code=2)
    assert "Say why" in error and "The manager and each report are told by mail." in error
    assert "has no reports" in terminal.error_of("learning", SAM, SECRET, *REASON)
    error = terminal.error_of("learning", DANA, *REASON, given=f"{SECRET} " * 60)
    assert "longer than 280 characters" in error and SECRET not in error
    assert terminal.read_database() == before
