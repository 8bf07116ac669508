"""The databases on which a test runs: in the long proofs every test runs on both (`choose_databases`)."""

import pytest

from tests.conftest import BACKENDS, choose_databases


def test_unmarked_test_runs_on_one_database_and_on_the_other_as_a_proof() -> None:
    tests = [f"tests.engine.test_sweep.test_number_{number}" for number in range(100)]
    choices = [choose_databases(test, marked=None) for test in tests]
    assert all(list(databases) == list(BACKENDS) and sum(databases.values()) == 1 for databases in choices)
    assert 30 < sum(databases["sqlite"] for databases in choices) < 70  # about half of them


def test_store_test_always_runs_on_both_databases() -> None:
    assert choose_databases("tests.store.test_store.test_rows", marked=None) == {"sqlite": True, "postgresql": True}


def test_marked_test_runs_only_on_its_databases() -> None:
    assert choose_databases("tests.web.test_moves.test_move", marked=["postgresql"]) == {"postgresql": True}


@pytest.mark.parametrize("names", [[], ["postgres"]])
def test_marker_that_names_no_database_is_refused(names: list[str]) -> None:
    with pytest.raises(pytest.UsageError, match="sqlite, postgresql"):
        choose_databases("tests.web.test_moves.test_move", marked=names)
