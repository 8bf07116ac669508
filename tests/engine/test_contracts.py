"""The one way to record a contract and to change it: checked, decided and written whole, or not at all (R-14, R-18)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from tests.support.companies import DANA, DAY, MINUTE, SAM, START, Office, contract, pair, pairs, people, texts
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

BEHALF = OnBehalf(ContentAccess.RECORD_CONTRACT, DANA, "She is travelling")
#: Everything that recording a contract may write.
TABLES = ("contract", "commitment", "sketch", "access", "history", "message")


@pytest.fixture(name="office")
def held_office() -> Iterator[Office]:
    office = Office("sqlite://", people(DANA, SAM), pairs(pair()), at=START)
    office.store.create_tables()
    office.tick()
    office.hold()
    yield office
    office.close()


@pytest.fixture(name="held")
def held_session(office: Office) -> Session:
    return next(one for one in office.store.queries.list_sessions() if one.state is SessionState.HELD)


@pytest.fixture(name="contracts")
def contracts_of(office: Office) -> Contracts:
    return office.worker.contracts


def written(office: Office) -> dict[str, int]:
    """How many rows each of the tables has."""
    with office.store.database.read() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in TABLES}


def commitment(office: Office, owner: Owner) -> str:
    return next(one.id for one in office.store.queries.list_commitments() if one.owner is owner)


# --- checking ---


def test_a_check_tells_faults_and_questions_and_writes_nothing(
    office: Office, contracts: Contracts, held: Session
) -> None:
    before = written(office)
    far = contract(office.clock(), "Introduce Sam to the platform group soon", days=4000)
    found = contracts.check(held.id, far)
    assert {one.kind for one in found.faults} == {FaultKind.FAR}
    assert "vague" in [one.code for one in found.questions]
    assert written(office) == before


def test_a_check_knows_the_days_and_the_number_of_the_newest_revision(
    office: Office, contracts: Contracts, held: Session
) -> None:
    agreed = contract(office.clock())
    assert contracts.check(held.id, agreed).newest_revision == 0
    contracts.record(held.id, agreed)
    office.clock.advance(800 * DAY)
    assert (contracts.check(held.id, agreed).newest_revision, contracts.check(held.id, agreed).faults) == (1, ())


def test_what_nobody_has_heard_of_is_an_unknown_name(office: Office, contracts: Contracts) -> None:
    agreed = contract(office.clock())
    for attempt in (
        lambda: contracts.check("nothing", agreed),
        lambda: contracts.record("nothing", agreed),
        lambda: contracts.mark_done("nothing"),
        lambda: contracts.let_go("nothing"),
        lambda: contracts.change("nothing", text="Ask Ana"),
        lambda: contracts.get_pair_of_commitment("nothing"),
    ):
        with pytest.raises(UnknownName, match="nothing"):
            attempt()


# --- recording ---


def test_r15_a_recorded_contract_closes_the_session_and_leaves_for_both(
    office: Office, contracts: Contracts, held: Session
) -> None:
    assert contracts.record(held.id, contract(office.clock())) == RecordResult(1, is_new=True)
    found = office.store.queries.get_session(held.id)
    assert found is not None and found.state is SessionState.CONTRACTED
    assert {one.owner for one in office.store.queries.list_commitments()} == {Owner.MANAGER, Owner.REPORT}
    office.tick()
    assert len(office.mails("contract_summary")) == 2


def test_r18_what_says_the_same_is_the_revision_that_is_there(
    office: Office, contracts: Contracts, held: Session
) -> None:
    """Whichever revision it was written after: two presses at once are one."""
    agreed = contract(office.clock())
    contracts.record(held.id, agreed, base_revision=0)
    before = written(office)
    for after in (None, 0, 1):
        assert contracts.record(held.id, agreed, base_revision=after, on_behalf=BEHALF) == RecordResult(1, is_new=False)
    assert written(office) == before


def test_r18_what_goes_on_keeps_its_commitment_and_what_was_done_stays_done(
    office: Office, contracts: Contracts, held: Session
) -> None:
    agreed = contract(office.clock())
    contracts.record(held.id, agreed)
    mine, theirs = commitment(office, Owner.MANAGER), commitment(office, Owner.REPORT)
    contracts.mark_done(theirs)
    later = replace(agreed, manager=(replace(agreed.manager[0], due=date(2027, 1, 15)),))
    assert contracts.record(held.id, later) == RecordResult(2, is_new=True)
    found = {one.id: one for one in office.store.queries.list_commitments()}
    assert set(found) == {mine, theirs}
    assert (found[mine].due, found[theirs].standing) == (date(2027, 1, 15), CommitmentStanding.DONE)


def test_a_contract_written_after_another_revision_is_refused(
    office: Office, contracts: Contracts, held: Session
) -> None:
    agreed = contract(office.clock())
    contracts.record(held.id, agreed)
    before = written(office)
    for after in (0, 2):
        with pytest.raises(Overtaken):
            contracts.record(held.id, replace(agreed, question="And then?"), base_revision=after)
    assert written(office) == before
    assert contracts.record(held.id, replace(agreed, question="And then?"), base_revision=1).revision == 2


@pytest.mark.parametrize(
    ("due", "limits", "kind"),
    [
        (None, None, FaultKind.UNDATED),
        (date(2062, 1, 1), None, FaultKind.FAR),
        (date(2027, 1, 15), TextLimits(entries=1, characters=30), FaultKind.LONG),
        (date(2027, 1, 15), TextLimits(entries=0, characters=500), FaultKind.MANY),
    ],
)
def test_what_has_a_fault_is_refused_whole(
    office: Office,
    contracts: Contracts,
    held: Session,
    due: date | None,
    limits: TextLimits | None,
    kind: FaultKind,
) -> None:
    promise, before = replace(contract(office.clock()).manager[0], due=due), written(office)
    with pytest.raises(UnfitContract) as raised:
        contracts.record(held.id, Contract(manager=(promise,)), limits=limits)
    assert [one.kind for one in raised.value.faults] == [kind]
    assert promise.text not in str(raised.value)
    assert written(office) == before


def test_before_it_took_place_nothing_is_recorded(office: Office, contracts: Contracts) -> None:
    coming = next(one for one in office.store.queries.list_sessions() if one.booked and one.kind is SessionKind.CAREER)
    with pytest.raises(NotHeldYet):
        contracts.record(coming.id, contract(office.clock()))


def test_what_ends_without_a_contract_takes_none(office: Office, contracts: Contracts) -> None:
    checkin = office.worker.actions.request_check_in(PairId(DANA, SAM))
    with pytest.raises(NoContractSession):
        contracts.record(checkin, contract(office.clock()))


# --- what goes with it ---


def test_the_draft_of_the_page_ends_with_it_only_when_it_was_that(
    office: Office, contracts: Contracts, held: Session
) -> None:
    agreed, content = contract(office.clock()), office.store.content
    content.save_contract_draft(held.id, {"question": "Typed"}, office.clock())
    contracts.record(held.id, agreed)
    assert content.get_contract_draft(held.id) is not None
    contracts.record(held.id, agreed, deletes_draft=True)
    assert content.get_contract_draft(held.id) is None


def test_for_whom_and_why_is_noted_in_the_same_transaction(office: Office, contracts: Contracts, held: Session) -> None:
    """When the one can't be written, neither is the other."""
    before = written(office)
    with office.store.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON access BEGIN SELECT RAISE(ABORT, ''); END")
    with pytest.raises(IntegrityError):
        contracts.record(held.id, contract(office.clock()), on_behalf=BEHALF)
    assert written(office) == before
    with office.store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    contracts.record(held.id, contract(office.clock()), on_behalf=BEHALF)
    office.run(20 * MINUTE)
    assert BEHALF.reason in texts(office.mails("content_accessed"))


# --- what becomes of a commitment ---


@pytest.fixture(name="agreed")
def agreed_contract(office: Office, contracts: Contracts, held: Session) -> Contract:
    agreed = contract(office.clock())
    contracts.record(held.id, agreed)
    return agreed


def newest(office: Office, held: Session) -> tuple[int, Contract]:
    revisions = office.store.content.list_revisions(held.id)
    return len(revisions), revisions[-1].contract


def test_r18_a_changed_commitment_is_a_new_revision_and_goes_on(
    office: Office, contracts: Contracts, held: Session, agreed: Contract
) -> None:
    one = commitment(office, Owner.MANAGER)
    assert contracts.change(one, text="Ask Ana about a mentor", due=date(2027, 1, 15))
    number, now = newest(office, held)
    assert (number, now.report) == (2, agreed.report)
    assert (now.manager[0].text, now.manager[0].due) == ("Ask Ana about a mentor", date(2027, 1, 15))
    assert commitment(office, Owner.MANAGER) == one
    assert not contracts.change(one, text="Ask Ana about a mentor", on_behalf=BEHALF)
    assert newest(office, held)[0] == 2


def test_r18_a_commitment_let_go_leaves_the_contract(
    office: Office, contracts: Contracts, held: Session, agreed: Contract
) -> None:
    one = commitment(office, Owner.REPORT)
    contracts.let_go(one, "Plans change", BEHALF)
    assert newest(office, held) == (2, replace(agreed, report=()))
    found = office.store.queries.get_commitment(one)
    assert found is not None and found.standing is CommitmentStanding.LET_GO
    assert written(office)["access"] == 1


def test_two_changes_one_after_the_other_are_both_in_the_contract(
    office: Office, contracts: Contracts, held: Session, agreed: Contract
) -> None:
    contracts.change(commitment(office, Owner.MANAGER), text="Ask Ana about a mentor")
    contracts.let_go(commitment(office, Owner.REPORT))
    number, now = newest(office, held)
    assert (number, now.report, now.manager[0].text) == (3, (), "Ask Ana about a mentor")


def test_a_day_too_far_away_changes_nothing(office: Office, contracts: Contracts, held: Session) -> None:
    contracts.record(held.id, contract(office.clock()))
    before = written(office)
    with pytest.raises(UnfitContract) as raised:
        contracts.change(commitment(office, Owner.MANAGER), due=date(2062, 1, 1))
    assert raised.value.faults[0].kind is FaultKind.FAR
    assert written(office) == before


@pytest.mark.parametrize("again", ["mark_done", "let_go", "change"])
def test_what_has_ended_ends_no_second_time(office: Office, contracts: Contracts, agreed: Contract, again: str) -> None:
    one = commitment(office, Owner.MANAGER)
    contracts.mark_done(one)
    before = written(office)
    attempts: dict[str, Callable[[], object]] = {
        "mark_done": lambda: contracts.mark_done(one),
        "let_go": lambda: contracts.let_go(one),
        "change": lambda: contracts.change(one, text="Ask Ana"),
    }
    with pytest.raises(Refused, match="ended already, as done"):
        attempts[again]()
    assert written(office) == before
