"""`longarc learning`: for the company without pages; the manager and each report are told that a command wrote it."""

from tests.support.companies import DANA, SAM
from tests.support.terminal import SECRET, WHY, Terminal
from worker.domain.model import PairId

REASON = ("--reason", WHY)


def test_r35_a_sentence_is_written_for_each_report_and_everybody_is_told(terminal: Terminal) -> None:
    before = terminal.read_database()
    told = terminal.output_of("learning", DANA, *REASON, given=f"I {SECRET} before I ask.\n")
    after = terminal.read_database()
    assert "The sentence goes into the next prompt of" in told and SECRET not in told
    assert PairId(DANA, SAM) in {row.pair for row in after["learning"]}
    new = [row for row in after["access"] if row not in before["access"]]
    assert {(row.what, row.on_behalf_of) for row in new} == {("learning", DANA)}
    assert {row.pair for row in new} == {row.pair for row in after["learning"]}
    assert SECRET not in str(after)
    assert "The sentence was withdrawn." in terminal.output_of("learning", DANA, *REASON, given=" \n")
    assert terminal.read_database()["learning"] == []


def test_r35_nothing_is_written_without_a_reason_a_manager_and_one_sentence(terminal: Terminal) -> None:
    before = terminal.read_database()
    assert "Say why" in terminal.error_of("learning", DANA, SECRET, code=2)
    assert "has no reports" in terminal.error_of("learning", SAM, SECRET, *REASON)
    said = terminal.error_of("learning", DANA, *REASON, given=f"{SECRET} " * 60)
    assert "longer than 280 characters" in said and SECRET not in said
    assert terminal.read_database() == before
