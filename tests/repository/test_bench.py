"""What is measured is kept beside what is said about it."""

from bench.__main__ import kept

PAGE = """# Measurements

On two cores.

## One

Said of one,
at length.

| what | result |
|---|---|
| old | 1 |

## Two

| what | result |
|---|---|
| other | 2 |
"""
TABLE = "| what | result |\n|---|---|\n| new | 3 |\n"


def test_a_table_takes_the_place_of_the_one_before_and_nothing_else_changes() -> None:
    assert kept(PAGE, "One", TABLE) == PAGE.replace("| old | 1 |", "| new | 3 |")
    assert kept(PAGE, "Two", TABLE) == PAGE.replace("| other | 2 |", "| new | 3 |")
    assert kept(kept(PAGE, "One", TABLE), "One", TABLE) == kept(PAGE, "One", TABLE)


def test_what_is_measured_for_the_first_time_comes_last() -> None:
    assert kept(PAGE, "Three", TABLE) == f"{PAGE}\n## Three\n\n{TABLE}"
