"""Who takes part: one rule, decided in one place."""

from datetime import date, timedelta

import pytest

from tests.support.companies import DANA, KIM, SAM, START, pair, person
from worker.domain.model import Pair, Participation
from worker.domain.rollout import PauseScope, Rollout, StandingPauses, decide_participation, resolve_aliases
from worker.domain.time.worktime import wall_to_utc

LEE = "lee@corp.example"
GROUPS = {DANA: "Board", SAM: "Sales", KIM: "Legal", LEE: ""}
NO_PAUSE = StandingPauses()


def decide(
    one: Pair, rollout: Rollout, pauses: StandingPauses = NO_PAUSE, zones: tuple[str, str] = ("UTC", "UTC")
) -> Participation:
    manager, report = (
        person(email, zone=zone, group=GROUPS[email]) for email, zone in zip(one.id.people, zones, strict=True)
    )
    return decide_participation(one, manager, report, rollout, pauses, START)


@pytest.mark.parametrize(
    ("rollout", "reports"),
    [
        (Rollout(), {SAM, KIM, LEE}),
        (Rollout(groups=("sales",)), {SAM}),
        (Rollout(groups=("Board",)), set()),  # the group of the manager is not asked
        (Rollout(managers=(DANA,)), {SAM, KIM, LEE}),
        (Rollout(managers=(SAM,)), set()),
        (Rollout(addresses=(DANA,)), {SAM, KIM, LEE}),
        (Rollout(addresses=(KIM,)), {KIM}),
        (Rollout(groups=("Sales",), addresses=(LEE,)), {SAM, LEE}),
        (Rollout(groups=()), set()),  # the last one was taken off the list: that does not mean everybody
        (Rollout(groups=("",)), set()),
    ],
)
def test_a_pair_takes_part_by_its_manager_its_report_or_the_group_of_its_report(
    rollout: Rollout, reports: set[str]
) -> None:
    assert {who for who in (SAM, KIM, LEE) if decide(pair(DANA, who), rollout) is Participation.YES} == reports
    others = {decide(pair(DANA, who), rollout) for who in {SAM, KIM, LEE} - reports}
    assert others <= {Participation.NOT_CHOSEN}


@pytest.mark.parametrize(
    ("zones", "hours"),
    [(("UTC", "UTC"), 0), (("Asia/Tokyo", "UTC"), 0), (("UTC", "America/Los_Angeles"), 7)],
)
def test_a_rollout_begins_when_its_day_has_begun_for_both(zones: tuple[str, str], hours: int) -> None:
    day = START.date() + timedelta(days=1)
    rollout = Rollout(start=day)
    begins = wall_to_utc("UTC", day, 0) + timedelta(hours=hours)
    manager, report = person(DANA, zone=zones[0]), person(SAM, zone=zones[1])
    found = [
        decide_participation(pair(), manager, report, rollout, NO_PAUSE, begins + timedelta(minutes=late))
        for late in (-1, 0)
    ]
    assert found == [Participation.NOT_BEGUN, Participation.YES]


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        (StandingPauses(everybody=True), Participation.EVERYBODY_PAUSED),
        (StandingPauses(groups=frozenset({"SALES"})), Participation.GROUP_PAUSED),
        (StandingPauses(groups=frozenset({"Board"})), Participation.YES),
        (StandingPauses(people=frozenset({DANA})), Participation.PERSON_PAUSED),
        (StandingPauses(people=frozenset({SAM})), Participation.PERSON_PAUSED),
        (StandingPauses(people=frozenset({KIM})), Participation.YES),
    ],
)
def test_a_standing_pause_holds_for_everybody_a_group_or_all_pairs_of_a_person(
    pauses: StandingPauses, expected: Participation
) -> None:
    assert decide(pair(DANA, SAM), Rollout(), pauses) is expected
    outside = decide(pair(DANA, SAM), Rollout(groups=("Legal",)), pauses)
    assert outside is Participation.NOT_CHOSEN, "to end the pause would not begin anything"


EVERYBODY, SALES, OF_DANA = PauseScope(), PauseScope(group="Sales"), PauseScope(person=DANA)
PAUSED = {
    EVERYBODY: StandingPauses(everybody=True),
    SALES: StandingPauses(groups=frozenset({"Sales"})),
    OF_DANA: StandingPauses(people=frozenset({DANA})),
}


@pytest.mark.parametrize("scope", PAUSED)
def test_what_is_paused_once_is_resumed_once_and_other_pauses_stay(scope: PauseScope) -> None:
    paused = NO_PAUSE.pause(scope)
    assert paused == paused.pause(scope) == PAUSED[scope]
    assert paused.resume(scope) == NO_PAUSE.resume(scope) == NO_PAUSE
    others = [one for one in PAUSED if one != scope]
    both = NO_PAUSE.pause(others[0]).pause(others[1])
    assert both.pause(scope).resume(scope) == both


def test_a_group_is_paused_and_resumed_in_upper_or_lower_case() -> None:
    paused = StandingPauses(groups=frozenset({"SALES", "Board"}))
    assert paused.pause(SALES) == paused
    assert paused.resume(SALES) == StandingPauses(groups=frozenset({"Board"}))


def test_an_undo_lasts_as_long_as_everybody_is_paused() -> None:
    """To pause or resume a part meanwhile neither ends it nor lets guests hear of a quiet one."""
    undone = StandingPauses(groups=frozenset({"Sales"})).begin_undo(is_quiet=True)
    assert (undone.everybody, undone.is_quiet, undone.is_undo_over) == (True, True, False)
    for after in (undone.pause(EVERYBODY), undone.pause(OF_DANA), undone.resume(SALES)):
        assert (after.is_quiet, after.is_undo_over) == (True, False)
    resumed = undone.resume(EVERYBODY)
    assert resumed == PAUSED[SALES]
    assert resumed.is_undo_over
    assert resumed.pause(EVERYBODY).is_quiet is False


def test_a_rollout_names_people_by_any_of_their_addresses() -> None:
    rollout = Rollout(managers=("d@corp.example",), addresses=None, start=date(2027, 1, 1))
    resolved = resolve_aliases(rollout, {"d@corp.example": DANA})
    assert resolved == Rollout(managers=(DANA,), start=date(2027, 1, 1))
