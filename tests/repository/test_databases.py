"""Each test runs on both databases, at least in the long proofs: see `choose_databases`."""

import pytest

from tests.conftest import BACKENDS, choose_databases


def test_story_runs_on_one_database_each_time_and_on_the_other_as_a_proof() -> None:
    stories = [f"tests.engine.test_sweep.test_story_{number}" for number in range(100)]
    chosen = [choose_databases(story, None) for story in stories]
    assert all(list(databases) == list(BACKENDS) and sum(databases.values()) == 1 for databases in chosen)
    assert 30 < sum(databases["sqlite"] for databases in chosen) < 70


def test_test_of_the_store_runs_on_both_databases_each_time() -> None:
    assert choose_databases("tests.store.test_store.test_rows", None) == {"sqlite": True, "postgresql": True}


def test_marked_test_runs_on_its_databases_alone() -> None:
    assert choose_databases("tests.web.test_moves.test_move", ["postgresql"]) == {"postgresql": True}


@pytest.mark.parametrize("names", [[], ["postgres"]])
def test_marker_that_names_no_database_is_refused(names: list[str]) -> None:
    with pytest.raises(pytest.UsageError, match="sqlite, postgresql"):
        choose_databases("tests.web.test_moves.test_move", names)
