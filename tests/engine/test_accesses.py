"""Tests of the operator's access to contents of a pair.

Commands that show or change contents need a person and a reason, both people get a mail about that the same day, and
the history holds neither contents nor reasons.
"""

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest

from tests.support.companies import (
    BASE_URL,
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    SAM,
    SERVICE,
    START,
    Office,
    contract,
    people,
    settings,
    texts,
)
from tests.support.terminal import BEHALF, RECORD, SECRET, SHOW, WHY, Terminal, hold_booked_session, write_contract_file
from tests.support.traces import DraftRecorder
from worker.domain.model import ContentAccess, EndReason, PairId, SessionKind
from worker.engine.contracts import OnBehalf

PAIR = PairId(DANA, SAM)


@pytest.fixture(name="office")
def create_office_in_memory() -> Iterator[Office]:
    office = Office()
    office.tick()
    yield office
    office.close()


def get_reader(mail: EmailMessage) -> str:
    """Return the address of the only reader of a mail."""
    (address,) = mail["To"].addresses
    return str(address.addr_spec)


# --- the mail about accesses ---


def test_accesses_within_a_quarter_of_an_hour_share_one_mail_to_both(office: Office) -> None:
    office.worker.contracts.record_access(
        PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "Sam asked for it by telephone")
    )
    office.clock.advance(5 * MINUTE)
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.CHANGE_COMMITMENT, DANA, "Dana has no page"))
    office.run(15 * MINUTE)
    mails = office.mails("content_accessed")
    assert {get_reader(mail) for mail in mails} == {DANA, SAM}
    assert len(mails) == 2
    for words in ("Sam asked for it by telephone", "Dana has no page", "The contract was shown, for"):
        assert all(words in " ".join(texts([mail]).split()) for mail in mails), words
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "Once more"))
    office.run(15 * MINUTE)
    later_mails = office.mails("content_accessed")[2:]
    assert len(later_mails) == 2
    assert all("Once more" in texts([mail]) and "no page" not in texts([mail]) for mail in later_mails)


def test_accesses_at_night_share_one_mail_in_the_morning(office: Office) -> None:
    """T-16: mails about accesses keep to the reader's mail hours, and count for the limit of three mails a day."""
    office.run_to(START.replace(hour=19, minute=44))  # after the working hours of both
    for reason in ("It is late", "It is later"):
        office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, reason))
        office.run(40 * MINUTE)
    assert office.mails("content_accessed") == []
    office.run_to(START + DAY + 20 * MINUTE)  # twenty minutes after the next mail hours have begun
    mails = office.mails("content_accessed")
    assert {get_reader(mail) for mail in mails} == {DANA, SAM} and len(mails) == 2
    assert all("It is late" in texts([mail]) and "It is later" in texts([mail]) for mail in mails)
    assert {mail.is_limited for mail in office.effects("content_accessed")} == {True}


def test_person_who_left_today_gets_the_mail_tomorrow(office: Office) -> None:
    """T-17: mails to somebody who left wait for the next day, in case the roster was wrong."""
    office.persons, office.pairs = people(DANA), {}
    office.apply()
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, DANA, "What had we agreed?"))
    office.run(HOUR)
    assert [get_reader(mail) for mail in office.mails("content_accessed")] == [DANA]
    office.run(DAY)
    assert [get_reader(mail) for mail in office.mails("content_accessed")] == [DANA, SAM]


def test_both_people_of_an_ended_pair_get_mails_about_accesses(office: Office) -> None:
    """Their contents are still stored, so the operator can still open them."""
    del office.pairs[PAIR]
    office.apply()
    assert office.store.people.load_all_pairs()[PAIR].ended is not EndReason.NO
    office.run(DAY)
    office.worker.contracts.record_access(
        PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "A question about what was agreed")
    )
    office.run(timedelta(minutes=20))
    assert len(office.mails("content_accessed")) == 2


# --- private events of commitments ---


@pytest.mark.parametrize(
    ("commitment_text", "body_text"),
    [("text", "Introduce Sam to the platform group"), ("link", f"{BASE_URL}/team/contract/"), ("none", "")],
)
def test_setting_decides_the_text_in_the_event_of_a_commitment(commitment_text: str, body_text: str) -> None:
    """T-8. A link in the event is the address of a page, and not a personal link that signs its reader in."""
    office_settings = settings("sqlite://", base_url=BASE_URL, event={"commitment_text": commitment_text})
    office, calendar = Office(office_settings=office_settings), DraftRecorder()
    office.worker.services.use(calendars={SERVICE: calendar})
    office.calendar = calendar
    office.tick()
    session = office.session(SessionKind.CAREER, PAIR)
    office.run_to(session.span.end)
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.run(timedelta(minutes=5))
    (body,) = {draft.body for _, draft in calendar.drafts if not draft.guests}
    assert body.rpartition("\n\n")[0] == (body_text + session.id if commitment_text == "link" else body_text)
    assert "/in/" not in body, "the body has a personal link"
    introduction = texts(office.mails("introduction"))
    assert ("stand inside that private event" in " ".join(introduction.split())) is (commitment_text == "text")
    office.close()


# --- the commands ---


def test_commands_refuse_access_without_a_person_and_a_reason(terminal: Terminal) -> None:
    """A refused command shows and changes nothing, and sends no mail."""
    session = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    (commitment, *_), before = terminal.json_of("commitment", "list"), terminal.read_database()
    commands = (
        ("contract", "show", session),
        ("contract", "record", session, write_contract_file(terminal), "--yes"),
        ("commitment", "list", "--pair", SAM, "--words"),
        ("commitment", "done", commitment["commitment"]),
        ("commitment", "change", commitment["commitment"], "--text", "Ask Ana"),
        ("commitment", "let-go", commitment["commitment"]),
    )
    for command in commands:
        only_person, only_reason = BEHALF[:2], BEHALF[2:]
        for options in ((), only_person, only_reason, ("--on-behalf-of", DANA, "--reason", "  ")):
            error = terminal.error_of(*command, *options, code=2)
            assert "--on-behalf-of PERSON --reason" in error, (command, options)
        error = terminal.error_of(*command, "--on-behalf-of", KIM, "--reason", WHY)
        assert error == f"longarc: {KIM} is neither of the two. Give {DANA} or {SAM} to --on-behalf-of."
    assert terminal.read_database() == before


def test_each_access_adds_a_history_line_without_content_and_a_mail_to_both(terminal: Terminal) -> None:
    session = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    (first, second), before = terminal.json_of("commitment", "list"), terminal.read_database()
    terminal.output_of(*SHOW, session)
    terminal.output_of("commitment", "list", "--pair", SAM, "--words", "--on-behalf-of", SAM.upper(), "--reason", WHY)
    terminal.output_of("commitment", "change", first["commitment"], "--text", SECRET, *BEHALF)
    terminal.output_of("commitment", "done", first["commitment"], *BEHALF)
    terminal.output_of("commitment", "let-go", second["commitment"], *BEHALF)
    after = terminal.read_database()
    rows = [row for row in after["access"] if row not in before["access"]]
    assert [(row.what, row.on_behalf_of) for row in rows] == [
        ("contract show", DANA), ("commitment list", SAM), ("commitment change", DANA),
        ("commitment done", DANA), ("commitment let-go", DANA),
    ]  # fmt: skip
    lines = [row for row in after["history"] if row.what == "access"]
    assert len(lines) == 6  # the five commands, and the recording of the contract before them
    assert WHY not in str(lines) and SECRET not in str(lines)
    assert {row.to for row in after["message"] if row.name == "content_accessed"} == {DANA, SAM}


def test_commitment_list_without_words_shows_no_content_and_needs_no_reason(terminal: Terminal) -> None:
    terminal.output_of(*RECORD, hold_booked_session(terminal), write_contract_file(terminal), "--yes")
    before = terminal.read_database()
    assert SECRET not in terminal.output_of("commitment", "list")
    assert terminal.read_database() == before
