"""What keeps a contract from being recorded, and what is asked of it before (R-14, R-16, R-23)."""

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
from worker.web.contract_form import REMEDIES

TODAY = date(2027, 1, 4)
NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
AGREED = Contract(
    report=(WrittenCommitment(text="Run the design review", due=date(2027, 2, 15), line=4),),
    manager=(WrittenCommitment(text="Introduce Sam to Priya", due=date(2027, 1, 29), support="Jordan", line=8),),
    reviews=(ReviewPoint(month=date(2027, 2, 1), text="how the review went", line=12),),
    question="And when?",
    progress=("The outage was led calmly",),
)


def checked(contract: Contract, *revisions: Contract, limits: TextLimits | None = None) -> ContractCheck:
    return check_contract(contract, DANA, SAM, NOW, revisions, limits)


def test_a_contract_without_fault_or_question_is_recorded_as_it_is() -> None:
    found = checked(AGREED, limits=TextLimits(entries=1, characters=25))
    assert (found.faults, found.questions, found.newest_revision) == ((), (), 0)


@pytest.mark.parametrize("year", [1, 1969, 2025, 2032, 9999])
def test_each_day_too_far_away_is_a_fault_at_its_place(year: int) -> None:
    far = replace(
        AGREED,
        report=(AGREED.report[0], replace(AGREED.report[0], due=date(year, 3, 1), line=7)),
        reviews=(replace(AGREED.reviews[0], month=date(year, 2, 1)),),
    )
    found = checked(far)
    assert found.faults == (
        ContractFault(kind=FaultKind.FAR, part=ContractPart.REPORT, index=1, field="due", line=7),
        ContractFault(kind=FaultKind.FAR, part=ContractPart.REVIEWS, index=0, field="month", line=12),
    )
    assert str(found.days) == "from 2026-01-01 to 2032-01-08"


def test_days_near_enough_and_those_agreed_before_are_no_fault() -> None:
    for year in (2026, 2031):
        assert checked(replace(AGREED, reviews=(replace(AGREED.reviews[0], month=date(year, 2, 1)),))).faults == ()
    old = replace(AGREED, report=(replace(AGREED.report[0], due=date(2024, 3, 1)),))
    assert checked(old, AGREED).faults
    again = checked(old, AGREED, old)
    assert (again.faults, again.newest_revision) == ((), 2)
    assert compute_allowed_days(TODAY, iterate_days(old)) == AllowedDays(
        date(2024, 3, 1), compute_allowed_days(TODAY).last
    )


def test_a_commitment_without_a_day_is_a_fault_and_asked_nothing() -> None:
    found = checked(replace(AGREED, manager=(WrittenCommitment(text="Do something soon", due=None, line=8),)))
    assert [(one.kind, one.field, one.line) for one in found.faults] == [(FaultKind.UNDATED, "due", 8)]
    assert found.questions == ()


def test_r16_a_vague_commitment_is_a_question_and_no_fault() -> None:
    found = checked(replace(AGREED, manager=(replace(AGREED.manager[0], text="Do something soon"),)))
    assert found.faults == ()
    assert [(one.code, one.line) for one in found.questions] == [("vague", 8)]


def test_texts_and_parts_have_limits_where_they_are_given() -> None:
    long = replace(
        AGREED,
        manager=(replace(AGREED.manager[0], support="J" * 26),),
        progress=("Led the outage", "x" * 26),
    )
    assert checked(long).faults == ()
    found = checked(long, limits=TextLimits(entries=1, characters=25)).faults
    assert [(one.kind, one.part, one.index, one.field) for one in found] == [
        (FaultKind.LONG, ContractPart.MANAGER, 0, "support"),
        (FaultKind.LONG, ContractPart.PROGRESS, 1, "text"),
        (FaultKind.MANY, ContractPart.PROGRESS, 0, ""),
    ]


def test_r23_the_error_says_each_kind_once_and_no_word_of_the_contract() -> None:
    undated = replace(AGREED, report=tuple(WrittenCommitment(text=text, due=None) for text in ("Hyacinth", "Larkspur")))
    found = checked(undated)
    assert str(UnfitContract(found.faults, found.days)) == "A commitment has no date."


@pytest.mark.parametrize("kind", FaultKind)
def test_page_and_command_have_words_for_each_kind_of_fault(kind: FaultKind) -> None:
    assert REMEDIES[kind] and all(_FAULT_TEXTS[kind.value])


def test_a_day_off_of_the_one_who_promises_is_asked_about() -> None:
    """A Saturday, a public holiday, a day that is none of one's own week; the other's day off does not count."""
    saturday, epiphany = date(2027, 1, 30), date(2027, 1, 6)
    for due in (saturday, epiphany):
        weekend = replace(AGREED, manager=(replace(AGREED.manager[0], due=due),))
        bavarian = replace(DANA, country="DE-BY")
        found = check_contract(weekend, bavarian, SAM, NOW, ())
        assert [(one.code, one.owner) for one in found.questions] == [("day_off", Owner.MANAGER)], due
    tuesdays = replace(SAM, hours=parse_hours("Tue 09:00-17:00"))
    found = check_contract(AGREED, DANA, tuesdays, NOW, ())
    assert [(one.code, one.owner) for one in found.questions] == [("day_off", Owner.REPORT)]
