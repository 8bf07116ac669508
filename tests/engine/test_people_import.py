"""T-17: an export that is wrong, cut off or half written ends nobody's conversations before a person has said so."""

from pathlib import Path

import pytest

from tests.support.companies import OPERATOR, SERVICE, START, new_store, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.errors import PeopleImportRefused, Problems
from worker.providers.memory import MemoryCalendar, MemoryMailer

HEADER = "email,name,manager,time_zone,country,calendar,mail\n"
BOSS = f"boss@corp.example,Boss,,Europe/Berlin,DE,{SERVICE},{SERVICE}\n"


def export(pairs: int) -> str:
    """A people file of so many reports of one manager."""
    reports = "".join(
        f"r{n}@corp.example,R{n},boss@corp.example,Europe/Berlin,DE,{SERVICE},{SERVICE}\n" for n in range(pairs)
    )
    return HEADER + BOSS + reports


class Company:
    """A worker that reads a people file."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.file = folder / "people.csv"
        self.file.write_text(export(pairs))
        store = new_store("sqlite://")
        store.create_tables()
        known = settings("sqlite://", people=self.file)
        self.worker: Worker = build(known, SteppedClock(START), store=store)
        self.worker.services.use(calendars={SERVICE: MemoryCalendar()}, mailers={SERVICE: MemoryMailer()})
        assert self.worker.import_people()

    def going_on(self) -> int:
        return sum(pair.is_active for pair in self.worker.store.people.load_all_pairs().values())


@pytest.mark.parametrize(
    ("before", "after", "is_held"),
    [(12, 5, True), (12, 10, True), (12, 11, False), (2, 1, False), (2, 0, True), (40, 36, False), (40, 35, True)],
)
def test_an_export_that_ends_more_than_a_tenth_of_the_pairs_is_held(
    tmp_path: Path, before: int, after: int, is_held: bool
) -> None:
    company = Company(tmp_path, before)
    company.file.write_text(export(after))
    if is_held:
        for _ in range(2):
            with pytest.raises(
                PeopleImportRefused, match=rf"{before - after} of {before} pairs would end.*people --accept"
            ):
                company.worker.import_people()
        assert company.going_on() == before
        company.worker.import_people(force=True)
    else:
        company.worker.import_people()
    assert company.going_on() == after
    assert not company.worker.import_people()


def test_an_export_that_names_everybody_again_is_taken_without_a_question(tmp_path: Path) -> None:
    company = Company(tmp_path, 12)
    company.file.write_text(export(5))
    with pytest.raises(PeopleImportRefused):
        company.worker.import_people()
    company.file.write_text(export(13))
    assert company.worker.import_people()
    assert company.going_on() == 13


@pytest.mark.parametrize("cut", [20, 40, 55])
def test_an_export_that_was_cut_off_changes_nothing(tmp_path: Path, cut: int) -> None:
    company = Company(tmp_path, 12)
    company.file.write_text(export(12)[:-cut])
    with pytest.raises(Problems, match=r"people\.csv:line 14"):
        company.worker.import_people()
    assert company.going_on() == 12


def test_the_operator_is_asked_once_for_each_export(tmp_path: Path) -> None:
    company = Company(tmp_path, 12)
    for after in (5, 5, 4):
        company.file.write_text(export(after))
        for _ in range(3):
            with pytest.raises(PeopleImportRefused) as raised:
                company.worker.import_people()
            company.worker.store.outbox.alert(f"people:{raised.value.digest}", str(raised.value), START, OPERATOR)
    assert len(company.worker.store.outbox.list_alerts(START)) == 2
