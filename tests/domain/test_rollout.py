"""Whether a pair takes part: the rollout, its first day, pauses and undo."""

from datetime import date, timedelta

import pytest

from tests.support.companies import DANA, KIM, SAM, START, pair, person
from worker.domain.model import Pair, Participation
from worker.domain.rollout import OperatorPauses, PauseScope, Rollout, decide_participation, resolve_aliases
from worker.domain.time.worktime import wall_to_utc

LEE = "lee@corp.example"
GROUPS = {DANA: "Board", SAM: "Sales", KIM: "Legal", LEE: ""}
NO_PAUSE = OperatorPauses()


def get_participation(
    decided_pair: Pair, rollout: Rollout, pauses: OperatorPauses = NO_PAUSE, zones: tuple[str, str] = ("UTC", "UTC")
) -> Participation:
    """Return whether the pair takes part at `START`."""
    manager, report = (
        person(email, zone=zone, group=GROUPS[email]) for email, zone in zip(decided_pair.id.people, zones, strict=True)
    )
    return decide_participation(decided_pair, manager, report, rollout, pauses, START)


@pytest.mark.parametrize(
    ("rollout", "reports"),
    [
        (Rollout(), {SAM, KIM, LEE}),
        (Rollout(groups=("sales",)), {SAM}),
        (Rollout(groups=("Board",)), set()),  # the group of the manager does not count
        (Rollout(managers=(DANA,)), {SAM, KIM, LEE}),
        (Rollout(managers=(SAM,)), set()),
        (Rollout(addresses=(DANA,)), {SAM, KIM, LEE}),
        (Rollout(addresses=(KIM,)), {KIM}),
        (Rollout(groups=("Sales",), addresses=(LEE,)), {SAM, LEE}),
        (Rollout(groups=()), set()),  # an empty list chooses nobody; only no list at all chooses everybody
        (Rollout(groups=("",)), set()),
    ],
)
def test_manager_or_report_or_group_of_the_report_decides_whether_a_pair_takes_part(
    rollout: Rollout, reports: set[str]
) -> None:
    assert {
        report for report in (SAM, KIM, LEE) if get_participation(pair(DANA, report), rollout) is Participation.YES
    } == reports
    other_participations = {get_participation(pair(DANA, report), rollout) for report in {SAM, KIM, LEE} - reports}
    assert other_participations <= {Participation.NOT_CHOSEN}


@pytest.mark.parametrize(
    ("zones", "hours_after_utc"),
    # the day begins in Tokyo before, and in Los Angeles seven hours after it begins in UTC
    [(("UTC", "UTC"), 0), (("Asia/Tokyo", "UTC"), 0), (("UTC", "America/Los_Angeles"), 7)],
)
def test_rollout_begins_when_its_first_day_has_begun_for_both_people(
    zones: tuple[str, str], hours_after_utc: int
) -> None:
    day = START.date() + timedelta(days=1)
    rollout = Rollout(start=day)
    beginning = wall_to_utc("UTC", day, 0) + timedelta(hours=hours_after_utc)
    manager, report = person(DANA, zone=zones[0]), person(SAM, zone=zones[1])
    participations = [
        decide_participation(pair(), manager, report, rollout, NO_PAUSE, beginning + timedelta(minutes=minutes))
        for minutes in (-1, 0)
    ]
    assert participations == [Participation.NOT_BEGUN, Participation.YES]


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        (OperatorPauses(everybody=True), Participation.EVERYBODY_PAUSED),
        (OperatorPauses(groups=frozenset({"SALES"})), Participation.GROUP_PAUSED),
        (OperatorPauses(groups=frozenset({"Board"})), Participation.YES),
        (OperatorPauses(people=frozenset({DANA})), Participation.PERSON_PAUSED),
        (OperatorPauses(people=frozenset({SAM})), Participation.PERSON_PAUSED),
        (OperatorPauses(people=frozenset({KIM})), Participation.YES),
    ],
)
def test_standing_pause_applies_to_everybody_a_group_or_a_person(
    pauses: OperatorPauses, expected: Participation
) -> None:
    assert get_participation(pair(DANA, SAM), Rollout(), pauses) is expected
    participation_outside = get_participation(pair(DANA, SAM), Rollout(groups=("Legal",)), pauses)
    assert participation_outside is Participation.NOT_CHOSEN  # the pair would not take part without the pause either


ALL_PAIRS, SALES, PAIRS_OF_DANA = PauseScope(), PauseScope(group="Sales"), PauseScope(person=DANA)
PAUSES_BY_SCOPE = {
    ALL_PAIRS: OperatorPauses(everybody=True),
    SALES: OperatorPauses(groups=frozenset({"Sales"})),
    PAIRS_OF_DANA: OperatorPauses(people=frozenset({DANA})),
}


@pytest.mark.parametrize("scope", PAUSES_BY_SCOPE)
def test_pause_or_resume_twice_is_the_same_as_once_and_keeps_other_pauses(scope: PauseScope) -> None:
    pauses = NO_PAUSE.pause(scope)
    assert pauses == pauses.pause(scope) == PAUSES_BY_SCOPE[scope]
    assert pauses.resume(scope) == NO_PAUSE.resume(scope) == NO_PAUSE
    other_scopes = [other_scope for other_scope in PAUSES_BY_SCOPE if other_scope != scope]
    other_pauses = NO_PAUSE.pause(other_scopes[0]).pause(other_scopes[1])
    assert other_pauses.pause(scope).resume(scope) == other_pauses


def test_case_of_a_group_name_does_not_matter_to_pauses() -> None:
    pauses = OperatorPauses(groups=frozenset({"SALES", "Board"}))
    assert pauses.pause(SALES) == pauses
    assert pauses.resume(SALES) == OperatorPauses(groups=frozenset({"Board"}))


def test_undo_lasts_as_long_as_everybody_is_paused() -> None:
    """A pause or resume of a part in the meantime does not end it, and a quiet undo stays quiet."""
    pauses_during_undo = OperatorPauses(groups=frozenset({"Sales"})).begin_undo(is_quiet=True)
    assert (pauses_during_undo.everybody, pauses_during_undo.is_quiet, pauses_during_undo.is_undo_over) == (
        True,
        True,
        False,
    )
    for changed_pauses in (
        pauses_during_undo.pause(ALL_PAIRS),
        pauses_during_undo.pause(PAIRS_OF_DANA),
        pauses_during_undo.resume(SALES),
    ):
        assert (changed_pauses.is_quiet, changed_pauses.is_undo_over) == (True, False)
    pauses_after_undo = pauses_during_undo.resume(ALL_PAIRS)
    assert pauses_after_undo == PAUSES_BY_SCOPE[SALES]
    assert pauses_after_undo.is_undo_over
    assert pauses_after_undo.pause(ALL_PAIRS).is_quiet is False


def test_alias_in_a_rollout_becomes_the_address_of_its_person() -> None:
    rollout = Rollout(managers=("d@corp.example",), addresses=None, start=date(2027, 1, 1))
    resolved_rollout = resolve_aliases(rollout, {"d@corp.example": DANA})
    assert resolved_rollout == Rollout(managers=(DANA,), start=date(2027, 1, 1))
