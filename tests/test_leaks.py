"""The content of conversations is written only where its readers may read it (R-6, R-23).

A fixture puts a different rare word into each piece of content, such as a commitment or a reason, and lets the program
work from the first career session of a pair to the next. The tests then search for these words in all that was written:
the database and its write-ahead log, the queue, the log at level DEBUG, the history, the ledger, the events and the
mails. Only mails to the manager or the report, and blocks on the manager's own calendar, may hold a word, and each word
only if the reader may read that piece of content.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tests.conftest import migrate
from tests.support.companies import DANA, DAY, HOUR, KIM, OPERATOR, SAM, Office, pair, pairs, people, settings, texts
from tests.support.traces import (
    BLOCK_WORDS,
    LEE,
    PAGE_WORDS,
    PRIYA,
    UNMAILED_WORDS,
    WORDS,
    Traces,
    find_words,
    find_words_in_mail,
    get_recipient,
    hold_session,
    make_contract,
    record_traces,
)
from worker.domain.model import HandoverLineKind, Owner, PairId, SessionKind, Trigger
from worker.engine.handovers import PromiseDecision
from worker.simulation.world import make_ledger_line
from worker.store import tables

# Dana manages Sam and Kim, Lee becomes Sam's manager in one test, and Priya is the third voice whom Sam asks.


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """The traces of one run of the program, for all tests of this module."""
    recorded = record_traces(tmp_path_factory.mktemp("leaks"))
    yield recorded
    recorded.office.close()


# --- the search for words ---


def test_search_finds_each_word_in_plain_text_quoted_printable_and_base64() -> None:
    """Otherwise the tests that find no word would prove nothing."""
    for word in WORDS.values():
        line = f"a {word} b".encode()
        base64_lines = [base64.b64encode(b"_" * offset + line) for offset in range(3)]
        # A soft line break may be at any place in a word, and any character may be written as its code.
        broken_lines = [line[:end] + b"=\n" + line[end:] for end in range(3, 2 + len(word))]
        coded_line = line.replace(word.encode(), "".join(f"={ord(letter):02X}" for letter in word).encode())
        for raw in (line, line.upper(), *base64_lines, *broken_lines, coded_line):
            assert find_words(raw) == {word}, raw


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r\n ", rb"\n", rb"\r\n"])
def test_search_finds_each_word_in_base64_that_is_divided_into_lines(line_break: bytes) -> None:
    """A line may end at any place, a folded header goes on after a space, and logs escape the line breaks."""
    for word in WORDS.values():
        for offset in range(3):
            encoded = base64.b64encode(b"_" * offset + f"a {word} b".encode())
            for end in range(1, len(encoded)):
                raw = encoded[:end] + line_break + encoded[end:]
                assert find_words(raw) == {word}, raw


def test_each_word_that_mails_may_hold_is_in_some_mail(traces: Traces) -> None:
    """The program sent every kind of mail with content. Otherwise the tests that find no word would prove nothing."""
    names = {key.partition(":")[0] for key, _ in traces.office.mailer.sent}
    assert {"contract_summary", "brief", "review_note", "commitment_due", "contract_request"} <= names
    mails = [mail for _, mail in traces.office.mailer.sent]
    assert set().union(*(find_words_in_mail(mail) for mail in mails)) >= set(WORDS.values()) - UNMAILED_WORDS


def test_no_file_contains_readable_content(traces: Traces) -> None:
    """Neither database, write-ahead log and queue, nor the log at level DEBUG with its SQL statements."""
    files = [path for path in traces.folder.rglob("*") if path.is_file()]
    assert {"longarc.db", "longarc.db-wal", "longarc.queue.db", "longarc.log"} <= {path.name for path in files}
    assert {path.name: find_words(path.read_bytes()) for path in files} == {path.name: set() for path in files}


def test_log_holds_the_sql_that_stores_content(traces: Traces) -> None:
    """Otherwise a log without any word would prove nothing."""
    for log_text in ("contract_summary", "INSERT INTO contract", "sealed"):
        assert log_text in traces.log, log_text


def test_no_row_of_the_database_contains_readable_content(traces: Traces) -> None:
    """The rows are read through SQL, since a word may be split between the pages of the file."""
    with traces.office.store.database.read() as connection:
        for name in tables.metadata.tables:
            for row in connection.execute(text(f'SELECT * FROM "{name}"')):
                assert find_words(repr(tuple(row)).encode()) == set(), name


def test_history_and_ledger_contain_no_content(traces: Traces) -> None:
    lines = traces.office.history()
    assert {"mail", "session", "commitment", "contract", "access", "event.create"} <= {line["what"] for line in lines}
    assert find_words(repr([(line, make_ledger_line(line)) for line in lines]).encode()) == set()


def test_error_texts_contain_no_content(traces: Traces) -> None:
    assert traces.errors
    assert find_words(traces.errors.encode()) == set()


def test_only_blocks_of_the_manager_contain_content(traces: Traces) -> None:
    """Only blocks hold words, those of the manager's commitments. A block is on Dana's calendar and has no guests."""
    words_in_blocks: set[str] = set()
    for calendar, draft in traces.calendar.drafts:
        assert find_words(draft.title.encode()) == set()
        words_in_body = find_words(draft.body.encode())
        if words_in_body:
            assert (calendar, draft.guests) == (DANA, ())
        words_in_blocks |= words_in_body
    assert words_in_blocks == BLOCK_WORDS
    drafts_with_guests = [draft for _, draft in traces.calendar.drafts if draft.guests]
    assert {guest.email for draft in drafts_with_guests for guest in draft.guests} == {SAM, KIM}


def test_only_mails_to_the_pair_contain_its_content(traces: Traces) -> None:
    for key, mail in traces.office.mailer.sent:
        if get_recipient(mail) not in (DANA, SAM):
            assert find_words_in_mail(mail) == set(), key
        if KIM in str(mail) or f">{KIM}" in key:
            assert find_words_in_mail(mail) == set(), key
        assert find_words(str(mail["Subject"]).encode()) == set(), key
        assert get_recipient(mail) in (DANA, SAM, KIM, OPERATOR, PRIYA)


def test_only_the_manager_reads_the_reason_for_an_ad_hoc_session(traces: Traces) -> None:
    """R-6: mails to others show neither the words nor the trigger, and the event has the usual title."""
    readers = {
        get_recipient(mail) for _, mail in traces.office.mailer.sent if WORDS["reason.talk"] in find_words_in_mail(mail)
    }
    assert readers == {DANA}
    mails_to_others = [mail for _, mail in traces.office.mailer.sent if get_recipient(mail) != DANA]
    for trigger_text in ("leaving", "another employer", "thinking of"):
        assert trigger_text not in texts(mails_to_others).lower(), trigger_text
    subjects = {
        draft.title for calendar, draft in traces.calendar.drafts if draft.guests and draft.guests[0].email == SAM
    }
    assert len({subject for subject in subjects if subject.startswith("Career")}) == 1


def test_only_the_manager_reads_why_the_report_moved_a_session(traces: Traces) -> None:
    """R-18: only the mail about the new time holds the reason. The row shows that there is one, and holds it sealed."""
    mails = [
        (key.partition(":")[0], get_recipient(mail))
        for key, mail in traces.office.mailer.sent
        if WORDS["reason.move"] in find_words_in_mail(mail)
    ]
    assert mails == [("deferral_notice", DANA)]
    with traces.office.store.database.read() as connection:
        (deferral,) = connection.execute(select(tables.deferral)).mappings().all()
    assert deferral["who"] == SAM and deferral["explained_at"] is not None
    assert find_words(deferral["sealed"]) == set()


def test_only_summaries_show_why_the_report_changed_or_ended_a_commitment(traces: Traces) -> None:
    """R-18: the two summaries of that revision hold the report's reason, and no mail holds the manager's reasons."""
    mails_by_word = {
        name: sorted(
            (key.partition(":")[0], get_recipient(mail))
            for key, mail in traces.office.mailer.sent
            if WORDS[name] in find_words_in_mail(mail)
        )
        for name in ("reason.change", "reason.let_go", "reason.report_change", "reason.report_let_go")
    }
    names = [key.partition(":")[0] for key, _ in traces.office.mailer.sent]
    assert names.count("contract_summary") == 10  # two of the first contract, and two of each of four changes
    assert mails_by_word == {
        "reason.change": [],
        "reason.let_go": [],
        "reason.report_change": [("contract_summary", DANA), ("contract_summary", SAM)],
        "reason.report_let_go": [("contract_summary", DANA), ("contract_summary", SAM)],
    }


def test_only_manager_and_report_read_why_a_command_opened_content(traces: Traces) -> None:
    readers = {
        get_recipient(mail)
        for _, mail in traces.office.mailer.sent
        if WORDS["reason.access"] in find_words_in_mail(mail)
    }
    assert readers == {DANA, SAM}


def test_one_prompt_to_the_report_contains_the_managers_learning(traces: Traces) -> None:
    """R-35: one mail holds the sentence, the report's reflection prompt."""
    mails = [
        (key, get_recipient(mail))
        for key, mail in traces.office.mailer.sent
        if WORDS["learning"] in find_words_in_mail(mail)
    ]
    assert [(key.partition(":")[0], reader) for key, reader in mails] == [("reflection_prompt", SAM)]


def test_only_the_brief_contains_notes(traces: Traces) -> None:
    """R-28: the manager's brief is the only mail that holds notes. The report reads them on the page."""
    for word in (WORDS["note.manager"], WORDS["note.report"]):
        mails = [
            (key.partition(":")[0], get_recipient(mail))
            for key, mail in traces.office.mailer.sent
            if word in find_words_in_mail(mail)
        ]
        assert mails == [("brief", DANA)]


def test_no_mail_contains_question_or_answer_of_a_third_voice(traces: Traces) -> None:
    """R-30: no mail holds question or answer. Only one mail to the third voice and one to the report mention them.

    Otherwise the third voice's address is in sealed columns alone, and it is not in the log.
    """
    mails = [(key.partition(":")[0], get_recipient(mail), mail) for key, mail in traces.office.mailer.sent]
    assert all(PAGE_WORDS.isdisjoint(find_words_in_mail(mail)) for _, _, mail in mails)
    voice_mails = [(name, reader) for name, reader, _ in mails if name.startswith("third_voice")]
    assert voice_mails == [("third_voice_request", PRIYA), ("third_voice_answered", SAM)]
    other_text = texts([mail for name, _, mail in mails if not name.startswith("third_voice")])
    assert PRIYA not in other_text and "third voice" not in other_text.lower()
    assert "third_voice" not in repr(traces.office.history())
    with traces.office.store.database.read() as connection:
        unsealed_rows = [
            tuple(value for value in row if not isinstance(value, bytes))
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table))
        ]
        effects = connection.execute(select(tables.outbox).where(tables.outbox.c.name.like("third_voice%"))).all()
    assert PRIYA not in repr(unsealed_rows) and PRIYA not in traces.log
    assert SAM not in repr(effects) and DANA not in repr(effects)


def test_r6_unsealed_columns_show_neither_trigger_nor_urgency_of_an_ad_hoc_session(traces: Traces) -> None:
    """The columns name no trigger, and all ad hoc sessions have a window of the same length."""
    with traces.office.store.database.read() as connection:
        sessions = connection.execute(select(tables.session).where(tables.session.c.adhoc)).mappings().all()
        unsealed_rows = [
            tuple(value for value in row if not isinstance(value, bytes))
            for name in ("session", "history", "message", "fact", "access")
            for row in connection.execute(select(tables.metadata.tables[name]))
        ]
    assert {(row["urgent"], row["latest"] - row["earliest"]) for row in sessions} == {(False, 7 * DAY)}
    unsealed_text = repr(unsealed_rows).lower()
    for trigger in Trigger:
        assert trigger.value not in unsealed_text, trigger


def test_operator_alerts_contain_no_content(traces: Traces) -> None:
    alerts = [mail for _, mail in traces.office.mailer.sent if get_recipient(mail) == OPERATOR]
    assert alerts
    assert set().union(*(find_words_in_mail(mail) for mail in alerts)) == set()


# --- when the manager changes ---


def test_r36_only_the_new_manager_reads_the_lines_passed_on(tmp_path: Path) -> None:
    """R-36: mails to the new manager hold the two lines that the report passes on, and no other mail holds them.

    Neither the history nor the files of the database hold a word of them.
    """
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    migrate(url)
    office = Office(url, people(DANA, SAM, KIM, LEE), pairs(pair(), pair(DANA, KIM)), office_settings=settings(url))
    old_pair, new_pair = PairId(DANA, SAM), PairId(LEE, SAM)
    office.tick()
    held = hold_session(office, old_pair)
    office.run_to(held.span.end + 9 * DAY)  # the session is unfinished by then, so both may leave notes
    office.worker.notes.save(held.id, Owner.MANAGER, [f"Ask about {WORDS['note.manager']}"])
    office.worker.notes.save(held.id, Owner.REPORT, [f"Nobody saw the {WORDS['note.report']}"])
    office.worker.contracts.record(held.id, make_contract(office.clock().date()))
    office.run(2 * HOUR)
    office.pairs = pairs(pair(LEE, SAM), pair(DANA, KIM))
    office.apply()
    office.run(3 * DAY)
    mail_count_before = len(office.mailer.sent)
    for commitment in office.store.queries.list_commitments(old_pair):
        if commitment.owner == "manager":
            office.worker.handovers.decide_promise(commitment.id, PromiseDecision.SUGGEST)
    choice = office.worker.handovers.load_choice(new_pair, is_open=True)
    assert choice is not None
    question = next(line for line in choice.lines if line.kind is HandoverLineKind.QUESTION)
    note = next(line for line in choice.lines if line.kind is HandoverLineKind.REPORT_NOTE)
    office.worker.handovers.pass_on(new_pair, [question.id, note.id])
    office.run_to(office.session(SessionKind.CAREER, new_pair).span.start)
    office.run_to(office.session(SessionKind.CAREER, PairId(DANA, KIM)).span.start)
    passed_words = {WORDS["question"], WORDS["note.report"]}
    words_by_reader = {get_recipient(mail): set[str]() for _, mail in office.mailer.sent[mail_count_before:]}
    for _, mail in office.mailer.sent[mail_count_before:]:
        words_by_reader[get_recipient(mail)] |= find_words_in_mail(mail)
    assert words_by_reader[LEE] == passed_words
    assert (words_by_reader[DANA], words_by_reader[KIM]) == (set(), set()), "brief and prompt of their next session"
    assert words_by_reader.keys() == {DANA, SAM, KIM, LEE}
    announcements = [mail for key, mail in office.mailer.sent if key.startswith("new_manager")]
    assert announcements and all(find_words_in_mail(mail) == set() for mail in announcements)
    assert find_words(repr(office.history()).encode()) == set()
    office.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name: find_words(path.read_bytes()) for path in files} == {path.name: set() for path in files}
