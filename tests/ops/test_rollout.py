"""`longarc check` on the rollout: unknown names get a suggestion, and pairs that take part are counted."""

import pytest

from tests.support.companies import DANA, KIM, SAM, pair, pairs, people, person
from worker.domain.model import AliasSource, PersonAlias
from worker.domain.rollout import Rollout
from worker.ops.rollout import check_rollout, select_chosen_pairs
from worker.roster.model import Roster

PERSONS = {**people(DANA), SAM: person(SAM, group="Sales"), KIM: person(KIM, group="Legal")}
#: Dana's other address.
ALIASES = [PersonAlias("d@corp.example", DANA, AliasSource.PEOPLE_FILE)]
COMPANY = Roster(PERSONS, pairs(pair(DANA, SAM), pair(DANA, KIM)), aliases=ALIASES)


@pytest.mark.parametrize(
    ("rollout", "statement", "remedy"),
    [
        (Rollout(groups=("Slaes",)), "rollout.groups: no report is in the group `Slaes`", "Did you mean `Sales`?"),
        (Rollout(groups=("Board",)), "no report is in the group `Board`", "write it as the people file does"),
        (Rollout(managers=(SAM,)), f"rollout.managers: nobody with the address {SAM} is the manager", ""),
        (Rollout(addresses=("dan@corp.example",)), "nobody with the address dan@corp.example", f"mean `{DANA}`?"),
        (Rollout(groups=()), "0 of 2 pairs take part", "remove the section `[rollout]`"),
    ],
)
def test_unknown_name_in_the_rollout_is_reported_with_a_remedy(rollout: Rollout, statement: str, remedy: str) -> None:
    failed = [finding for finding in check_rollout(rollout, COMPANY) if not finding.ok]
    assert any(statement in finding.statement and remedy in finding.remedy for finding in failed), failed
    assert all(finding.remedy for finding in failed)


@pytest.mark.parametrize(
    ("rollout", "count", "statement"),
    [
        (Rollout(), 2, "Everybody takes part"),
        (Rollout(groups=("SALES",)), 1, "1 of 2 pairs take part"),
        (Rollout(managers=("d@corp.example",)), 2, "2 of 2 pairs take part"),
    ],
)
def test_pairs_of_a_valid_rollout_are_counted_and_selected(rollout: Rollout, count: int, statement: str) -> None:
    (finding,) = check_rollout(rollout, COMPANY)
    assert finding.ok
    assert finding.statement.startswith(statement)
    assert len(select_chosen_pairs(rollout, COMPANY).pairs) == count
