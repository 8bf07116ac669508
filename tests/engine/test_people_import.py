"""T-17: an export that is wrong or cut off ends no large part of the pairs without consent."""

import re
from collections.abc import Collection
from importlib import import_module
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from tests.support.companies import SERVICE, START, new_store, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Person
from worker.embedded import EmbeddedServers
from worker.errors import PeopleImportRefused, Problems
from worker.providers.memory import MemoryCalendar, MemoryMailer

HEADER = "email,name,manager,time_zone,country,calendar,mail\n"
BOSS = f"boss@corp.example,Boss,,Europe/Berlin,DE,{SERVICE},{SERVICE}\n"


def build_people_file(pairs: int) -> str:
    """Return the text of a people file in which one manager has so many reports."""
    reports = "".join(
        f"r{n}@corp.example,R{n},boss@corp.example,Europe/Berlin,DE,{SERVICE},{SERVICE}\n" for n in range(pairs)
    )
    return HEADER + BOSS + reports


class Company:
    """A worker that reads a people file."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.file = folder / "people.csv"
        self.file.write_text(build_people_file(pairs))
        store = new_store("sqlite://")
        store.create_tables()
        self.worker: Worker = build(settings("sqlite://", people=self.file), SteppedClock(START), store=store)
        self.worker.services.use(calendars={SERVICE: MemoryCalendar()}, mailers={SERVICE: MemoryMailer()})
        assert self.worker.import_people()

    def count_active_pairs(self) -> int:
        return sum(pair.is_active for pair in self.worker.store.people.load_all_pairs().values())


@pytest.mark.parametrize(
    ("before", "after", "needs_consent"),
    [(12, 5, True), (12, 10, True), (12, 11, False), (2, 1, False), (2, 0, True), (40, 36, False), (40, 35, True)],
)
def test_an_export_that_ends_more_than_a_tenth_of_the_pairs_needs_consent(
    tmp_path: Path, before: int, after: int, needs_consent: bool
) -> None:
    """A company with few pairs may lose one of them, but not all, without consent."""
    company = Company(tmp_path, before)
    company.file.write_text(build_people_file(after))
    if needs_consent:
        for _ in range(2):
            with pytest.raises(
                PeopleImportRefused, match=rf"{before - after} of {before} pairs would end.*people --accept"
            ):
                company.worker.import_people()
        assert company.count_active_pairs() == before
        company.worker.import_people(force=True)
    else:
        company.worker.import_people()
    assert company.count_active_pairs() == after
    assert not company.worker.import_people()


def test_a_corrected_export_is_imported_without_consent(tmp_path: Path) -> None:
    company = Company(tmp_path, 12)
    company.file.write_text(build_people_file(5))
    with pytest.raises(PeopleImportRefused):
        company.worker.import_people()
    company.file.write_text(build_people_file(13))
    assert company.worker.import_people()
    assert company.count_active_pairs() == 13


@pytest.mark.parametrize("cut_length", [20, 40, 55])
def test_an_export_cut_off_in_its_last_line_changes_nothing(tmp_path: Path, cut_length: int) -> None:
    company = Company(tmp_path, 12)
    company.file.write_text(build_people_file(12)[:-cut_length])
    with pytest.raises(Problems, match=r"people\.csv:line 14"):  # the last line: the header, the manager, 12 reports
        company.worker.import_people()
    assert company.count_active_pairs() == 12


def test_each_refused_export_causes_one_alert(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """The task `tick` reads each of the three files three times. They have two different contents."""
    monkeypatch.setenv("LONGARC_DATABASE_URL", f"sqlite:///{tmp_path / 'longarc.db'}")
    tasks = import_module("worker.tasks")  # reads the settings when it is imported
    company = Company(tmp_path, 12)
    with tasks.run_tasks_immediately(company.worker):
        for after in (5, 5, 4):
            company.file.write_text(build_people_file(after))
            for _ in range(3):
                tasks.tick.call_local()  # at once, without the queue
    alerts = sorted(text for _, text in company.worker.store.outbox.list_alerts(START))
    assert [re.findall(r"\d+ of \d+ pairs would end", text) for text in alerts] == [
        ["7 of 12 pairs would end"],
        ["8 of 12 pairs would end"],
    ]
    assert company.count_active_pairs() == 12


def test_calendars_of_new_people_are_made_before_their_pairs_are_planned(tmp_path: Path) -> None:
    """A trial's people file is changed while it runs. Otherwise the first mail to a new person would be a false one."""
    company = Company(tmp_path, 1)
    newcomers = (
        "zoe@corp.example,Zoe,boss@corp.example,Europe/Berlin,DE,caldav,memory\n"
        "ada@corp.example,Ada,boss@corp.example,Europe/Berlin,DE,none,memory\n"
    )
    with EmbeddedServers(tmp_path / "var", ["boss@corp.example"]) as servers:
        collections = tmp_path / "var" / "calendars"
        people_with_calendars: list[set[str]] = []

        def prepare_people(people: Collection[Person]) -> None:
            assert "zoe@corp.example" not in company.worker.store.people.load_current_people()
            servers.add_people(people)
            people_with_calendars.append({path.name for path in collections.rglob("*@corp.example")})

        company.worker.people_import.prepare_people = prepare_people
        company.file.write_text(build_people_file(1) + newcomers)
        assert company.worker.import_people()
    assert people_with_calendars == [{"boss@corp.example", "zoe@corp.example"}]
