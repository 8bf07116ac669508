"""Commands that show or change what two people wrote down: both are told the same day, and the history has no word."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.companies import (
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
    pair,
    pairs,
    people,
    settings,
    texts,
)
from tests.support.terminal import BEHALF, RECORD, SECRET, SHOW, WHY, Terminal, record_held, write_contract_file
from tests.test_leaks import Watched
from worker.domain.model import ContentAccess, EndReason, PairId, SessionKind
from worker.engine.contracts import OnBehalf

PAIR = PairId(DANA, SAM)
BASE = "https://longarc.corp.example"


@pytest.fixture(name="office")
def small_office() -> Iterator[Office]:
    office = Office("sqlite://", people(DANA, SAM), pairs(pair()), at=START)
    office.store.create_tables()
    office.tick()
    yield office
    office.close()


# --- the mail ---


def test_both_are_told_once_of_what_happened_within_a_quarter_of_an_hour(office: Office) -> None:
    office.worker.contracts.record_access(
        PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "Sam asked for it by telephone")
    )
    office.clock.advance(5 * MINUTE)
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.CHANGE_COMMITMENT, DANA, "Dana has no page"))
    office.run(15 * MINUTE)
    mails = office.mails("content_accessed")
    assert {mail["To"].addresses[0].addr_spec for mail in mails} == {DANA, SAM}
    assert len(mails) == 2
    for words in ("Sam asked for it by telephone", "Dana has no page", "The contract was shown, for"):
        assert all(words in " ".join(texts([mail]).split()) for mail in mails), words
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "Once more"))
    office.run(15 * MINUTE)
    later = office.mails("content_accessed")[2:]
    assert len(later) == 2
    assert all("Once more" in texts([mail]) and "no page" not in texts([mail]) for mail in later)


def test_what_happens_at_night_is_told_in_one_mail_in_the_morning(office: Office) -> None:
    """T-16: it is no exception of the reader's hours, and counts as one of the three mails of the day."""
    office.run_to(START.replace(hour=19, minute=44))
    for reason in ("It is late", "It is later"):
        office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, reason))
        office.run(40 * MINUTE)
    assert office.mails("content_accessed") == []
    office.run_to(START + DAY + 20 * MINUTE)
    mails = office.mails("content_accessed")
    assert {mail["To"].addresses[0].addr_spec for mail in mails} == {DANA, SAM} and len(mails) == 2
    assert all("It is late" in texts([mail]) and "It is later" in texts([mail]) for mail in mails)
    assert {mail.counts for mail in office.messages("content_accessed")} == {True}


def test_who_left_today_is_told_tomorrow(office: Office) -> None:
    """T-17."""
    office.persons, office.pairs = people(DANA), {}
    office.apply()
    office.worker.contracts.record_access(PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, DANA, "What had we agreed?"))
    office.run(HOUR)
    assert [mail["To"].addresses[0].addr_spec for mail in office.mails("content_accessed")] == [DANA]
    office.run(DAY)
    assert [mail["To"].addresses[0].addr_spec for mail in office.mails("content_accessed")] == [DANA, SAM]


def test_they_are_told_when_their_conversations_have_ended(office: Office) -> None:
    """What they wrote down is still stored, and can still be opened."""
    del office.pairs[PAIR]
    office.apply()
    assert office.store.people.load_all_pairs()[PAIR].ended is not EndReason.NO
    office.run(DAY)
    office.worker.contracts.record_access(
        PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, "A question about what was agreed")
    )
    office.run(timedelta(minutes=20))
    assert len(office.mails("content_accessed")) == 2


# --- what stands on the calendar ---


@pytest.mark.parametrize(
    ("kept", "shown"),
    [("text", "Introduce Sam to the platform group"), ("link", f"{BASE}/team/contract/"), ("none", "")],
)
def test_the_event_of_a_promise_holds_what_the_setting_says(kept: str, shown: str) -> None:
    """T-8. The address of a page holds no link that would open it for whoever reads the event."""
    known = settings("sqlite://", base_url=BASE, event={"commitment_text": kept})
    office, calendar = Office("sqlite://", people(DANA, SAM), pairs(pair()), known=known), Watched()
    office.worker.services.use(calendars={SERVICE: calendar})
    office.calendar = calendar
    office.tick()
    session = office.session(SessionKind.CAREER, PAIR)
    office.run_to(session.span.end)
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.run(timedelta(minutes=5))
    (body,) = {draft.body for _, draft in calendar.drafts if not draft.guests}
    assert body.rpartition("\n\n")[0] == (shown + session.id if kept == "link" else shown)
    assert "/in/" not in body
    introduction = texts(office.mails("introduction"))
    assert ("stand inside that private event" in " ".join(introduction.split())) is (kept == "text")
    office.close()


# --- the commands ---


def test_commands_that_open_or_change_say_for_whom_and_why(terminal: Terminal) -> None:
    """Nothing is shown or changed before, and nobody is told of what did not happen."""
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    (one, *_), before = terminal.json_of("commitment", "list"), terminal.read_database()
    commands = (
        ("contract", "show", session),
        ("contract", "record", session, write_contract_file(terminal), "--yes"),
        ("commitment", "list", "--pair", SAM, "--words"),
        ("commitment", "done", one["commitment"]),
        ("commitment", "change", one["commitment"], "--text", "Ask Ana"),
        ("commitment", "let-go", one["commitment"]),
    )
    for words in commands:
        for some in ((), BEHALF[:2], BEHALF[2:], ("--on-behalf-of", DANA, "--reason", "  ")):
            said = terminal.error_of(*words, *some, code=2)
            assert "--on-behalf-of PERSON --reason" in said, (words, some)
        said = terminal.error_of(*words, "--on-behalf-of", KIM, "--reason", WHY)
        assert said == f"longarc: {KIM} is neither of the two. Give {DANA} or {SAM} to --on-behalf-of."
    assert terminal.read_database() == before


def test_each_access_leaves_a_line_without_content_and_a_mail_for_each(terminal: Terminal) -> None:
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    (one, two), before = terminal.json_of("commitment", "list"), terminal.read_database()
    terminal.output_of(*SHOW, session)
    terminal.output_of("commitment", "list", "--pair", SAM, "--words", "--on-behalf-of", SAM.upper(), "--reason", WHY)
    terminal.output_of("commitment", "change", one["commitment"], "--text", SECRET, *BEHALF)
    terminal.output_of("commitment", "done", one["commitment"], *BEHALF)
    terminal.output_of("commitment", "let-go", two["commitment"], *BEHALF)
    after = terminal.read_database()
    rows = [row for row in after["access"] if row not in before["access"]]
    assert [(row.what, row.on_behalf_of) for row in rows] == [
        ("contract show", DANA), ("commitment list", SAM), ("commitment change", DANA),
        ("commitment done", DANA), ("commitment let-go", DANA),
    ]  # fmt: skip
    lines = [row for row in after["history"] if row.what == "access"]
    assert len(lines) == 6
    assert WHY not in str(lines) and SECRET not in str(lines)
    assert {row.to for row in after["message"] if row.name == "content_accessed"} == {DANA, SAM}


def test_without_words_the_list_shows_no_content_and_needs_no_reason(terminal: Terminal) -> None:
    terminal.output_of(*RECORD, record_held(terminal), write_contract_file(terminal), "--yes")
    before = terminal.read_database()
    assert SECRET not in terminal.output_of("commitment", "list")
    assert terminal.read_database() == before
