"""What is measured is kept beside what is said about it."""

from bench.__main__ import replace_table

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
    assert replace_table(PAGE, "One", TABLE) == PAGE.replace("| old | 1 |", "| new | 3 |")
    assert replace_table(PAGE, "Two", TABLE) == PAGE.replace("| other | 2 |", "| new | 3 |")
    assert replace_table(replace_table(PAGE, "One", TABLE), "One", TABLE) == replace_table(PAGE, "One", TABLE)


def test_what_is_measured_for_the_first_time_comes_last() -> None:
    assert replace_table(PAGE, "Three", TABLE) == f"{PAGE}\n## Three\n\n{TABLE}"
