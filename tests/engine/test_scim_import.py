"""The import of pushed people: a wave is applied when it ends, and needs consent when many pairs would end (T-17)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.companies import DAY, HOUR, MINUTE
from tests.support.pushing import MANAGER, Directory, PushedCompany, make_user, open_company
from worker.domain.model import EndReason, PairId
from worker.errors import IncompleteReading, PeopleImportRefused
from worker.ops.personal_data import collect_for_operator, collect_for_page

ANN, BO, CY = "ann@x.example", "bo@x.example", "cy@x.example"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[PushedCompany]:
    opened_company = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", people=tmp_path / "people.csv")
    yield opened_company
    opened_company.close()


@pytest.fixture
def directory(company: PushedCompany) -> Directory:
    return company.directory


def import_over_time(company: PushedCompany, time: timedelta) -> bool:
    """Let time pass, and import people each minute, or each hour when it is long.

    Return whether an import changed the roster.
    """
    end, has_changed, step = company.clock() + time, False, MINUTE if time <= HOUR else HOUR
    while company.clock() < end:
        company.clock.move_to(min(company.clock() + step, end))
        has_changed |= company.worker.import_people()
    return has_changed


def load_current_pairs(company: PushedCompany) -> set[PairId]:
    pairs = company.worker.store.people.load_all_pairs().values()
    return {pair.id for pair in pairs if pair.ended is EndReason.NO}


def push_three_people(company: PushedCompany) -> None:
    """Push Ann, who manages Bo and Cy. They are pushed before her, as Entra may do."""
    directory = company.directory
    for address in (BO, CY, ANN):
        assert directory.create(make_user(address)).status_code == 201
    for address in (BO, CY):
        assert directory.patch(address, {"op": "Add", "path": MANAGER, "value": directory.ids[ANN]}).status_code == 200
    assert import_over_time(company, HOUR)


def test_the_first_wave_is_applied_when_it_ends(company: PushedCompany, directory: Directory) -> None:
    assert not import_over_time(company, DAY), "an import before the first push changed something"
    directory.create(make_user(ANN))
    assert not import_over_time(company, 9 * MINUTE)
    directory.create(make_user(BO, manager=directory.ids[ANN]))
    assert not import_over_time(company, 9 * MINUTE)
    assert import_over_time(company, MINUTE)
    assert load_current_pairs(company) == {PairId(ANN, BO)}
    assert company.worker.store.outbox.list_alerts(company.clock() - 2 * DAY) == []


def test_a_manager_pushed_after_the_reports_gets_the_pairs(company: PushedCompany) -> None:
    push_three_people(company)
    assert load_current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_a_push_that_changes_nothing_causes_no_import(company: PushedCompany, directory: Directory) -> None:
    push_three_people(company)
    directory.patch(BO, {"op": "Replace", "path": "active", "value": "True"})
    assert not import_over_time(company, 2 * DAY)


def test_a_person_set_inactive_leaves_and_can_return(company: PushedCompany, directory: Directory) -> None:
    push_three_people(company)
    directory.patch(CY, {"op": "Replace", "path": "active", "value": "False"})
    assert import_over_time(company, HOUR)
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].ended is EndReason.REPORT_LEFT
    directory.patch(CY, {"op": "Replace", "path": "active", "value": "True"})
    assert import_over_time(company, HOUR)
    assert load_current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_a_person_with_a_new_address_keeps_the_pair(company: PushedCompany, directory: Directory) -> None:
    push_three_people(company)
    operations = [
        {"op": "Replace", "path": "userName", "value": "cy.roe@x.example"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "cy.roe@x.example"},
    ]
    assert directory.patch(CY, *operations).status_code == 200
    assert import_over_time(company, HOUR)
    assert load_current_pairs(company) == {PairId(ANN, BO), PairId(ANN, "cy.roe@x.example")}


def test_an_import_on_request_does_not_wait_for_the_end_of_the_wave(
    company: PushedCompany, directory: Directory
) -> None:
    directory.create(make_user(ANN))
    directory.create(make_user(BO, manager=directory.ids[ANN]))
    assert company.worker.import_people(must_read_directory=True)
    assert load_current_pairs(company) == {PairId(ANN, BO)}


def test_the_deletion_of_a_whole_company_is_not_applied(company: PushedCompany, directory: Directory) -> None:
    """The operator can't consent to it. When it lasts, the import fails."""
    push_three_people(company)
    for address in (ANN, BO, CY):
        assert directory.send("DELETE", f"/Users/{directory.ids[address]}").status_code == 204
    assert not import_over_time(company, HOUR)
    with pytest.raises(IncompleteReading, match="SCIM returned nobody"):
        company.worker.import_people(force=True)
    with pytest.raises(IncompleteReading, match="SCIM returned nobody"):
        import_over_time(company, 3 * DAY)
    assert load_current_pairs(company) == {PairId(ANN, BO), PairId(ANN, CY)}


def test_many_people_who_leave_at_once_need_consent(company: PushedCompany, directory: Directory) -> None:
    push_three_people(company)
    reports = [f"p{number:02}@x.example" for number in range(40)]  # besides Bo and Cy
    for address in reports:
        directory.create(make_user(address, manager=directory.ids[ANN]))
    assert import_over_time(company, HOUR)
    for address in reports[:20]:
        directory.patch(address, {"op": "Replace", "path": "active", "value": "False"})
    with pytest.raises(PeopleImportRefused, match="20 of 42 pairs would end"):
        import_over_time(company, HOUR)
    assert len(load_current_pairs(company)) == 42
    assert company.worker.import_people(force=True)
    assert len(load_current_pairs(company)) == 22


def test_the_collected_personal_data_contain_the_pushed_fields(company: PushedCompany) -> None:
    push_three_people(company)
    person = company.worker.store.people.load_current_people()[BO]
    for data in (
        collect_for_operator(company.worker, person, has_content=False),
        collect_for_page(company.worker, person, [], is_manager=False),
    ):
        (pushed_fields,) = data["about"]["told_by_the_directory"]
        assert (pushed_fields["userName"], pushed_fields["externalId"], pushed_fields["displayName"]) == (
            BO,
            f"x-{BO}",
            "bo",
        )


def test_forgetting_a_person_deletes_the_pushed_row(company: PushedCompany, directory: Directory) -> None:
    push_three_people(company)
    directory.patch(CY, {"op": "Replace", "path": "active", "value": False})
    assert company.worker.import_people(force=True)
    company.worker.erasure.forget(CY)
    names = [person.user_name for person in company.worker.store.pushed_people.list_people()]
    assert sorted(names) == [ANN, BO]
