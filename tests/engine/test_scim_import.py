"""What becomes of pushed people: applied once pushes pause, and never without consent when many would go (T-17)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.companies import DAY, HOUR, MINUTE
from tests.support.pushing import MANAGER, Directory, PushedCompany, make_user, open_company
from worker.domain.model import EndReason, PairId
from worker.errors import PeopleImportRefused
from worker.ops.personal_data import collect_for_operator, collect_for_page

ANN, BO, CY = "ann@x.example", "bo@x.example", "cy@x.example"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[PushedCompany]:
    opened = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", people=tmp_path / "people.csv")
    yield opened
    opened.close()


@pytest.fixture
def directory(company: PushedCompany) -> Directory:
    return company.directory


def pass_time(company: PushedCompany, time: timedelta) -> bool:
    """Let time pass, minute by minute or, when it is long, hour by hour. True when the roster was applied meanwhile."""
    end, has_changed, step = company.clock() + time, False, MINUTE if time <= HOUR else HOUR
    while company.clock() < end:
        company.clock.move_to(min(company.clock() + step, end))
        has_changed |= company.worker.import_people()
    return has_changed


def current_pairs(company: PushedCompany) -> set[PairId]:
    pairs = company.worker.store.people.load_all_pairs().values()
    return {pair.id for pair in pairs if pair.ended is EndReason.NO}


def staff(company: PushedCompany) -> None:
    """Ann manages Bo and Cy, who were pushed before her, as Entra may do."""
    directory = company.directory
    for address in (BO, CY, ANN):
        assert directory.create(make_user(address)).status_code == 201
    for address in (BO, CY):
        assert directory.patch(address, {"op": "Add", "path": MANAGER, "value": directory.ids[ANN]}).status_code == 200
    assert pass_time(company, HOUR)


def test_people_and_pairs_begin_when_the_first_pushes_pause(company: PushedCompany, directory: Directory) -> None:
    assert not pass_time(company, DAY), "before the first push there is nothing to complain of"
    directory.create(make_user(ANN))
    assert not pass_time(company, 9 * MINUTE)
    directory.create(make_user(BO, manager=directory.ids[ANN]))
    assert not pass_time(company, 9 * MINUTE)
    assert pass_time(company, MINUTE)
    assert current_pairs(company) == {PairId(ANN, BO)}
    assert company.worker.store.outbox.list_alerts(company.clock() - 2 * DAY) == []


def test_a_manager_who_comes_later_is_found(company: PushedCompany) -> None:
    staff(company)
    assert current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_nothing_is_read_again_while_nothing_is_pushed(company: PushedCompany, directory: Directory) -> None:
    staff(company)
    directory.patch(BO, {"op": "Replace", "path": "active", "value": "True"})
    assert not pass_time(company, 2 * DAY)


def test_who_is_set_inactive_leaves_and_continues_on_return(company: PushedCompany, directory: Directory) -> None:
    staff(company)
    directory.patch(CY, {"op": "Replace", "path": "active", "value": "False"})
    assert pass_time(company, HOUR)
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].ended is EndReason.REPORT_LEFT
    directory.patch(CY, {"op": "Replace", "path": "active", "value": "True"})
    assert pass_time(company, HOUR)
    assert current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_a_new_address_is_the_same_person(company: PushedCompany, directory: Directory) -> None:
    staff(company)
    operations = [
        {"op": "Replace", "path": "userName", "value": "cy.roe@x.example"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "cy.roe@x.example"},
    ]
    assert directory.patch(CY, *operations).status_code == 200
    assert pass_time(company, HOUR)
    assert current_pairs(company) == {PairId(ANN, BO), PairId(ANN, "cy.roe@x.example")}


def test_asking_for_it_does_not_wait(company: PushedCompany, directory: Directory) -> None:
    directory.create(make_user(ANN))
    directory.create(make_user(BO, manager=directory.ids[ANN]))
    assert company.worker.import_people(must_read_directory=True)
    assert current_pairs(company) == {PairId(ANN, BO)}


def test_a_company_that_is_deleted_by_mistake_stays_until_somebody_agrees(
    company: PushedCompany, directory: Directory
) -> None:
    staff(company)
    for address in (ANN, BO, CY):
        assert directory.send("DELETE", f"/Users/{directory.ids[address]}").status_code == 204
    assert not pass_time(company, HOUR)
    assert current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_many_who_go_at_once_wait_for_consent(company: PushedCompany, directory: Directory) -> None:
    staff(company)
    others = [f"p{number:02}@x.example" for number in range(40)]
    for address in others:
        directory.create(make_user(address, manager=directory.ids[ANN]))
    assert pass_time(company, HOUR)
    for address in others[:20]:
        directory.patch(address, {"op": "Replace", "path": "active", "value": "False"})
    with pytest.raises(PeopleImportRefused, match="20 of 42 pairs would end"):
        pass_time(company, HOUR)
    assert len(current_pairs(company)) == 42
    assert company.worker.import_people(force=True)
    assert len(current_pairs(company)) == 22


def test_a_file_of_personal_data_has_what_was_pushed(company: PushedCompany) -> None:
    staff(company)
    person = company.worker.store.people.load_current_people()[BO]
    for data in (
        collect_for_operator(company.worker, person, has_content=False),
        collect_for_page(company.worker, person, [], is_manager=False),
    ):
        (pushed,) = data["about"]["told_by_the_directory"]
        assert (pushed["userName"], pushed["externalId"], pushed["displayName"]) == (BO, f"x-{BO}", "bo")


def test_who_is_forgotten_is_in_no_pushed_row(company: PushedCompany, directory: Directory) -> None:
    staff(company)
    directory.patch(CY, {"op": "Replace", "path": "active", "value": False})
    assert company.worker.import_people(force=True)
    company.worker.erasure.forget(CY)
    names = [person.user_name for person in company.worker.store.pushed_people.list_people()]
    assert sorted(names) == [ANN, BO]
