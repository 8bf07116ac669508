"""Tests of recording and changing contracts: each is checked and written completely, or not at all (R-14, R-18)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from tests.support.companies import DANA, DAY, MINUTE, SAM, Office, contract, texts
from worker.domain.contract.check import FaultKind, TextLimits, UnfitContract
from worker.domain.model import (
    CommitmentStanding,
    ContentAccess,
    Contract,
    Owner,
    PairId,
    Session,
    SessionKind,
    SessionState,
)
from worker.engine.contracts import Contracts, OnBehalf, RecordResult
from worker.errors import NoContractSession, NotHeldYet, Overtaken, Refused, UnknownName

#: A day on which a commitment may be due, and one that is too far ahead: more than five years.
ALLOWED_DAY, DAY_TOO_FAR = date(2027, 1, 15), date(2062, 1, 1)
ON_BEHALF = OnBehalf(ContentAccess.RECORD_CONTRACT, DANA, "She is travelling")
#: The tables to which recording a contract writes. `sketch` holds contract drafts, and `message` is the outbox.
TABLES = ("contract", "commitment", "sketch", "access", "history", "message")


@pytest.fixture(name="office")
def create_office_after_a_session() -> Iterator[Office]:
    office = Office()
    office.tick()
    office.hold()
    yield office
    office.close()


@pytest.fixture
def session(office: Office) -> Session:
    """The session that was held, whose contract is due."""
    return next(session for session in office.store.queries.list_sessions() if session.state is SessionState.HELD)


@pytest.fixture
def contracts(office: Office) -> Contracts:
    return office.worker.contracts


def count_rows(office: Office) -> dict[str, int]:
    """Return the number of rows of each of the tables."""
    with office.store.database.read() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in TABLES}


def get_commitment_id(office: Office, owner: Owner) -> str:
    return next(commitment.id for commitment in office.store.queries.list_commitments() if commitment.owner is owner)


# --- checking ---


def test_check_returns_faults_and_questions_and_writes_nothing(
    office: Office, contracts: Contracts, session: Session
) -> None:
    rows_before = count_rows(office)
    contract_due_in_years = contract(office.clock(), "Introduce Sam to the platform group soon", days=4000)
    result = contracts.check(session.id, contract_due_in_years)
    assert {fault.kind for fault in result.faults} == {FaultKind.DAY_NOT_ALLOWED}
    assert "vague" in [question.code for question in result.questions]  # about "soon"
    assert count_rows(office) == rows_before


def test_check_allows_old_days_of_the_newest_revision_and_returns_its_number(
    office: Office, contracts: Contracts, session: Session
) -> None:
    """Days that are past are no fault when the newest revision has them already."""
    new_contract = contract(office.clock())
    assert contracts.check(session.id, new_contract).newest_revision == 0
    contracts.record(session.id, new_contract)
    office.clock.advance(800 * DAY)
    result = contracts.check(session.id, new_contract)
    assert (result.newest_revision, result.faults) == (1, ())


def test_unknown_session_or_commitment_is_refused(office: Office, contracts: Contracts) -> None:
    new_contract = contract(office.clock())
    for call in (
        lambda: contracts.check("nothing", new_contract),
        lambda: contracts.record("nothing", new_contract),
        lambda: contracts.mark_done("nothing"),
        lambda: contracts.let_go("nothing"),
        lambda: contracts.change("nothing", text="Ask Ana"),
        lambda: contracts.get_pair_of_commitment("nothing"),
    ):
        with pytest.raises(UnknownName, match="nothing"):
            call()


# --- recording ---


def test_r15_recorded_contract_completes_the_session_and_is_mailed_to_both(
    office: Office, contracts: Contracts, session: Session
) -> None:
    assert contracts.record(session.id, contract(office.clock())) == RecordResult(revision=1, is_new=True)
    stored_session = office.store.queries.get_session(session.id)
    assert stored_session is not None and stored_session.state is SessionState.CONTRACTED
    owners = {commitment.owner for commitment in office.store.queries.list_commitments()}
    assert owners == {Owner.MANAGER, Owner.REPORT}
    office.tick()
    assert len(office.mails("contract_summary")) == 2


def test_r18_identical_contract_creates_no_new_revision(office: Office, contracts: Contracts, session: Session) -> None:
    """This holds for every base revision, so that a button that is pressed twice records one revision."""
    new_contract = contract(office.clock())
    contracts.record(session.id, new_contract, base_revision=0)
    rows_before = count_rows(office)
    for base in (None, 0, 1):
        result = contracts.record(session.id, new_contract, base_revision=base, on_behalf=ON_BEHALF)
        assert result == RecordResult(revision=1, is_new=False)
    assert count_rows(office) == rows_before


def test_r18_new_revision_keeps_the_ids_and_standings_of_commitments(
    office: Office, contracts: Contracts, session: Session
) -> None:
    new_contract = contract(office.clock())
    contracts.record(session.id, new_contract)
    manager_id, report_id = get_commitment_id(office, Owner.MANAGER), get_commitment_id(office, Owner.REPORT)
    contracts.mark_done(report_id)
    postponed = replace(new_contract, manager=(replace(new_contract.manager[0], due=ALLOWED_DAY),))
    assert contracts.record(session.id, postponed) == RecordResult(revision=2, is_new=True)
    commitments = {commitment.id: commitment for commitment in office.store.queries.list_commitments()}
    assert set(commitments) == {manager_id, report_id}
    assert commitments[manager_id].due == ALLOWED_DAY
    assert commitments[report_id].standing is CommitmentStanding.DONE


def test_contract_based_on_another_revision_than_the_newest_is_refused(
    office: Office, contracts: Contracts, session: Session
) -> None:
    new_contract = contract(office.clock())
    contracts.record(session.id, new_contract)
    rows_before = count_rows(office)
    for base in (0, 2):
        with pytest.raises(Overtaken):
            contracts.record(session.id, replace(new_contract, question="And then?"), base_revision=base)
    assert count_rows(office) == rows_before
    assert contracts.record(session.id, replace(new_contract, question="And then?"), base_revision=1).revision == 2


@pytest.mark.parametrize(
    ("due", "limits", "kind"),
    [
        (None, None, FaultKind.UNDATED),
        (DAY_TOO_FAR, None, FaultKind.DAY_NOT_ALLOWED),
        (ALLOWED_DAY, TextLimits(entries=1, characters=30), FaultKind.LONG),
        (ALLOWED_DAY, TextLimits(entries=0, characters=500), FaultKind.MANY),
    ],
)
def test_contract_with_a_fault_is_refused_and_nothing_is_written(
    office: Office,
    contracts: Contracts,
    session: Session,
    due: date | None,
    limits: TextLimits | None,
    kind: FaultKind,
) -> None:
    promise, rows_before = replace(contract(office.clock()).manager[0], due=due), count_rows(office)
    with pytest.raises(UnfitContract) as error_info:
        contracts.record(session.id, Contract(manager=(promise,)), limits=limits)
    assert [fault.kind for fault in error_info.value.faults] == [kind]
    assert promise.text not in str(error_info.value)
    assert count_rows(office) == rows_before


def test_contract_of_a_session_that_was_not_held_is_refused(office: Office, contracts: Contracts) -> None:
    booked_session = office.session(SessionKind.CAREER)
    assert booked_session.booked
    with pytest.raises(NotHeldYet):
        contracts.record(booked_session.id, contract(office.clock()))


def test_contract_of_a_check_in_is_refused(office: Office, contracts: Contracts) -> None:
    checkin_id = office.worker.actions.request_check_in(PairId(DANA, SAM))
    with pytest.raises(NoContractSession):
        contracts.record(checkin_id, contract(office.clock()))


# --- what recording changes besides the contract ---


def test_recording_deletes_the_contract_draft_only_on_request(
    office: Office, contracts: Contracts, session: Session
) -> None:
    """The page requests it, since its draft became the contract; a command leaves the draft of the page."""
    new_contract, content = contract(office.clock()), office.store.content
    content.save_contract_draft(session.id, {"question": "Typed"}, office.clock())
    contracts.record(session.id, new_contract)
    assert content.get_contract_draft(session.id) is not None
    contracts.record(session.id, new_contract, deletes_draft=True)
    assert content.get_contract_draft(session.id) is None


def test_contract_and_reason_of_access_are_written_in_one_transaction(
    office: Office, contracts: Contracts, session: Session
) -> None:
    """If the reason can't be written, the contract isn't either."""
    rows_before = count_rows(office)
    with office.store.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER refuse BEFORE INSERT ON access BEGIN SELECT RAISE(ABORT, ''); END")
    with pytest.raises(IntegrityError):
        contracts.record(session.id, contract(office.clock()), on_behalf=ON_BEHALF)
    assert count_rows(office) == rows_before
    with office.store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse")
    contracts.record(session.id, contract(office.clock()), on_behalf=ON_BEHALF)
    office.run(20 * MINUTE)  # the mail about accesses waits a quarter of an hour for more of them
    assert ON_BEHALF.reason in texts(office.mails("content_accessed"))


# --- changes of commitments ---


@pytest.fixture
def recorded_contract(office: Office, contracts: Contracts, session: Session) -> Contract:
    new_contract = contract(office.clock())
    contracts.record(session.id, new_contract)
    return new_contract


def get_newest_revision(office: Office, session: Session) -> tuple[int, Contract]:
    """Return the number and the contract of the newest revision."""
    revisions = office.store.content.list_revisions(session.id)
    return len(revisions), revisions[-1].contract


def test_r18_changed_commitment_creates_a_revision_and_keeps_its_id(
    office: Office, contracts: Contracts, session: Session, recorded_contract: Contract
) -> None:
    commitment_id = get_commitment_id(office, Owner.MANAGER)
    assert contracts.change(commitment_id, text="Ask Ana about a mentor", due=ALLOWED_DAY)
    number, newest = get_newest_revision(office, session)
    assert (number, newest.report) == (2, recorded_contract.report)
    assert (newest.manager[0].text, newest.manager[0].due) == ("Ask Ana about a mentor", ALLOWED_DAY)
    assert get_commitment_id(office, Owner.MANAGER) == commitment_id
    assert not contracts.change(commitment_id, text="Ask Ana about a mentor", on_behalf=ON_BEHALF)
    assert get_newest_revision(office, session)[0] == 2, "the same text again counts as a change"


def test_r18_commitment_that_is_let_go_is_removed_from_the_contract(
    office: Office, contracts: Contracts, session: Session, recorded_contract: Contract
) -> None:
    commitment_id = get_commitment_id(office, Owner.REPORT)
    contracts.let_go(commitment_id, "Plans change", ON_BEHALF)
    assert get_newest_revision(office, session) == (2, replace(recorded_contract, report=()))
    stored_commitment = office.store.queries.get_commitment(commitment_id)
    assert stored_commitment is not None and stored_commitment.standing is CommitmentStanding.LET_GO
    assert count_rows(office)["access"] == 1


def test_contract_contains_two_successive_changes(
    office: Office, contracts: Contracts, session: Session, recorded_contract: Contract
) -> None:
    contracts.change(get_commitment_id(office, Owner.MANAGER), text="Ask Ana about a mentor")
    contracts.let_go(get_commitment_id(office, Owner.REPORT))
    number, newest = get_newest_revision(office, session)
    assert (number, newest.report, newest.manager[0].text) == (3, (), "Ask Ana about a mentor")


def test_change_to_a_day_too_far_away_is_refused(office: Office, contracts: Contracts, session: Session) -> None:
    contracts.record(session.id, contract(office.clock()))
    rows_before = count_rows(office)
    with pytest.raises(UnfitContract) as error_info:
        contracts.change(get_commitment_id(office, Owner.MANAGER), due=DAY_TOO_FAR)
    assert error_info.value.faults[0].kind is FaultKind.DAY_NOT_ALLOWED
    assert count_rows(office) == rows_before


@pytest.mark.parametrize("action", ["mark_done", "let_go", "change"])
def test_commitment_that_has_ended_can_not_be_changed(
    office: Office, contracts: Contracts, recorded_contract: Contract, action: str
) -> None:
    commitment_id = get_commitment_id(office, Owner.MANAGER)
    contracts.mark_done(commitment_id)
    rows_before = count_rows(office)
    actions: dict[str, Callable[[], object]] = {
        "mark_done": lambda: contracts.mark_done(commitment_id),
        "let_go": lambda: contracts.let_go(commitment_id),
        "change": lambda: contracts.change(commitment_id, text="Ask Ana"),
    }
    with pytest.raises(Refused, match="ended already, as done"):
        actions[action]()
    assert count_rows(office) == rows_before
