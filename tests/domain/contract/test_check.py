"""Faults that keep a contract from being recorded, and questions about it (R-14, R-16, R-23)."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.support.pairs import DANA, SAM
from worker.commands.contracts import _FAULT_TEXTS
from worker.domain.contract.check import (
    AllowedDays,
    ContractCheck,
    ContractFault,
    FaultKind,
    TextLimits,
    UnfitContract,
    check_contract,
    compute_allowed_days,
    iterate_days,
)
from worker.domain.contract.languages import ContractPart
from worker.domain.model import Contract, Owner, ReviewPoint, WrittenCommitment
from worker.domain.time.worktime import parse_hours
from worker.web.contract_form import ADVICE_BY_FAULT

TODAY = date(2027, 1, 4)
NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
VALID_CONTRACT = Contract(
    report=(WrittenCommitment(text="Run the design review", due=date(2027, 2, 15), line=4),),
    manager=(WrittenCommitment(text="Introduce Sam to Priya", due=date(2027, 1, 29), support="Jordan", line=8),),
    reviews=(ReviewPoint(month=date(2027, 2, 1), text="how the review went", line=12),),
    question="And when?",
    progress=("The outage was led calmly",),
)


def check(contract: Contract, *revisions: Contract, limits: TextLimits | None = None) -> ContractCheck:
    return check_contract(contract, DANA, SAM, NOW, revisions, limits)


def test_valid_contract_has_no_fault_and_no_question() -> None:
    result = check(VALID_CONTRACT, limits=TextLimits(entries=1, characters=25))
    assert (result.faults, result.questions, result.newest_revision) == ((), (), 0)


@pytest.mark.parametrize("year", [1, 1969, 2025, 2032, 9999])
def test_distant_date_is_a_fault_that_names_its_place(year: int) -> None:
    contract = replace(
        VALID_CONTRACT,
        report=(VALID_CONTRACT.report[0], replace(VALID_CONTRACT.report[0], due=date(year, 3, 1), line=7)),
        reviews=(replace(VALID_CONTRACT.reviews[0], month=date(year, 2, 1)),),
    )
    result = check(contract)
    assert result.faults == (
        ContractFault(kind=FaultKind.DAY_NOT_ALLOWED, part=ContractPart.REPORT, index=1, field="due", line=7),
        ContractFault(kind=FaultKind.DAY_NOT_ALLOWED, part=ContractPart.REVIEWS, index=0, field="month", line=12),
    )
    # from the first of the month a year ago to five years of 366 days, as of TODAY
    assert str(result.days) == "from 2026-01-01 to 2032-01-08"


def test_near_date_and_date_of_an_earlier_revision_are_no_fault() -> None:
    for year in (2026, 2031):
        assert (
            check(replace(VALID_CONTRACT, reviews=(replace(VALID_CONTRACT.reviews[0], month=date(year, 2, 1)),))).faults
            == ()
        )
    old_contract = replace(VALID_CONTRACT, report=(replace(VALID_CONTRACT.report[0], due=date(2024, 3, 1)),))
    assert check(old_contract, VALID_CONTRACT).faults
    result = check(old_contract, VALID_CONTRACT, old_contract)
    assert (result.faults, result.newest_revision) == ((), 2)
    assert compute_allowed_days(TODAY, iterate_days(old_contract)) == AllowedDays(
        date(2024, 3, 1), compute_allowed_days(TODAY).last
    )


def test_commitment_without_date_is_a_fault_and_has_no_question() -> None:
    result = check(replace(VALID_CONTRACT, manager=(WrittenCommitment(text="Do something soon", due=None, line=8),)))
    assert [(fault.kind, fault.field, fault.line) for fault in result.faults] == [(FaultKind.UNDATED, "due", 8)]
    assert result.questions == ()


def test_r16_vague_commitment_has_a_question_and_no_fault() -> None:
    result = check(replace(VALID_CONTRACT, manager=(replace(VALID_CONTRACT.manager[0], text="Do something soon"),)))
    assert result.faults == ()
    assert [(question.code, question.line) for question in result.questions] == [("vague", 8)]


def test_limits_of_texts_and_entries_apply_only_where_they_are_set() -> None:
    long_contract = replace(
        VALID_CONTRACT,
        manager=(replace(VALID_CONTRACT.manager[0], support="J" * 26),),
        progress=("Led the outage", "x" * 26),
    )
    assert check(long_contract).faults == ()
    faults = check(long_contract, limits=TextLimits(entries=1, characters=25)).faults
    assert [(fault.kind, fault.part, fault.index, fault.field) for fault in faults] == [
        (FaultKind.LONG, ContractPart.MANAGER, 0, "support"),
        (FaultKind.LONG, ContractPart.PROGRESS, 1, "text"),
        (FaultKind.MANY, ContractPart.PROGRESS, 0, ""),
    ]


def test_r23_error_names_each_kind_of_fault_once_and_no_word_of_the_contract() -> None:
    contract = replace(
        VALID_CONTRACT, report=tuple(WrittenCommitment(text=text, due=None) for text in ("Hyacinth", "Larkspur"))
    )
    result = check(contract)
    assert str(UnfitContract(result.faults, result.days)) == "A commitment has no date."


@pytest.mark.parametrize("kind", FaultKind)
def test_page_and_command_have_a_text_for_each_kind_of_fault(kind: FaultKind) -> None:
    assert ADVICE_BY_FAULT[kind] and all(_FAULT_TEXTS[kind.value])


def test_due_date_on_a_day_off_of_its_owner_is_questioned() -> None:
    """A Saturday, a public holiday in Bavaria, and a weekday on which the owner does not work.

    A day off of the other person does not count.
    """
    saturday, epiphany = date(2027, 1, 30), date(2027, 1, 6)
    for due in (saturday, epiphany):
        contract = replace(VALID_CONTRACT, manager=(replace(VALID_CONTRACT.manager[0], due=due),))
        dana_in_bavaria = replace(DANA, country="DE-BY")
        result = check_contract(contract, dana_in_bavaria, SAM, NOW, ())
        assert [(question.code, question.owner) for question in result.questions] == [("day_off", Owner.MANAGER)], due
    sam_on_tuesdays = replace(SAM, hours=parse_hours("Tue 09:00-17:00"))
    result = check_contract(VALID_CONTRACT, DANA, sam_on_tuesdays, NOW, ())
    assert [(question.code, question.owner) for question in result.questions] == [("day_off", Owner.REPORT)]
