"""Two processes accept pushes at once, as behind a load balancer: none is lost, and a user name is created once."""

import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.support.push_child import SHARED
from tests.support.pushing import make_user, open_company

#: How often each process creates a person of its own, changes the shared person, and tries to create another one
#: whom the other process tries to create too.
COUNT = 20


@pytest.mark.databases("postgresql")
def test_simultaneous_pushes_of_two_processes_are_all_stored(database_url: str) -> None:
    """On PostgreSQL alone: SQLite lets only one transaction write at a time."""
    company = open_company(database_url, has_tables=True)
    assert company.directory.create(make_user(SHARED)).status_code == 201
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.push_child", database_url, name, attribute, str(COUNT)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, attribute in (("one", "displayName"), ("two", "timezone"))  # each process changes one attribute
    ]
    created_counts = [int(child.communicate(timeout=100)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0]
    people = {person.user_name: person for person in company.worker.store.pushed_people.list_people()}
    expected = {f"{name}{number}@x.example" for name in ("one", "two", "both") for number in range(COUNT)}
    assert people.keys() == expected | {SHARED}
    assert sum(created_counts) == COUNT
    shared = people[SHARED]
    assert (shared.attributes["displayName"], shared.attributes["timezone"]) == (f"one{COUNT - 1}", f"two{COUNT - 1}")
    assert shared.revision == 2 * COUNT + 1  # created here once, changed by both
    log = company.worker.store.pushed_people.get_push_log()
    # of each process: own people and changes; people whom one of the two created; and the shared person
    assert log is not None and log.count == 2 * 2 * COUNT + COUNT + 1
    company.close()
