"""Run the benchmarks, print their tables, and write them to `bench/README.md`."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import (
    at_once,
    calls,
    channels,
    flood,
    google,
    outlook,
    pages,
    placing,
    roster,
    search,
    startup,
    tick,
    year,
    years,
)

#: Name, title and function of each benchmark.
PARTS: Sequence[tuple[str, str, Callable[[], list[tuple[str, str]]]]] = (
    ("search", "Finding a time", search.measure),
    ("placing", "Where sessions are placed", placing.measure),
    ("tick", "A tick with nothing due", tick.measure),
    ("startup", "Starting the command", startup.measure),
    ("calls", "Requests to a calendar", calls.measure),
    ("google", "Requests to Google", google.measure),
    ("channels", "Requests to Google, with channels", channels.measure),
    ("at_once", "From a change to the new time", at_once.measure),
    ("outlook", "Microsoft 365, with answers that take 30 ms", outlook.measure),
    ("pages", "Pages", pages.measure),
    ("flood", "A flood of forged notifications", flood.measure),
    ("roster", "The roster of a large company", roster.measure),
    ("years", "What a simulated year comes to", years.measure),
)
README = Path(__file__).parent / "README.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ", ".join([*(name for name, _, _ in PARTS), "year"])
    parser.add_argument("parts", nargs="*", help=f"measure only these: {names}")
    parser.add_argument("--days", type=int, default=364, help="length of the simulation; default: a year")
    options = parser.parse_args()
    parts = [*PARTS, ("year", "Simulating a company", lambda: year.measure(options.days))]
    for name, title, measure in parts:
        if not options.parts or name in options.parts:
            table = "".join(f"| {what} | {value} |\n" for what, value in [("what", "result"), *measure()])
            table = table.replace("| what | result |\n", "| what | result |\n|---|---|\n", 1)
            print(f"\n## {title}\n\n{table}", end="", flush=True)
            README.write_text(replace_table(README.read_text("utf-8"), title, table), "utf-8")


def replace_table(text: str, title: str, table: str) -> str:
    """Return the page with this table under this title; a missing section is added at the end."""
    # the heading and the text below it (group 1), then the lines of the table, which begin with `|`
    section_pattern = re.compile(rf"^(## {re.escape(title)}\n(?:(?!##|\|).*\n)*)(?:\|.*\n)+", re.MULTILINE)
    new_text, count = section_pattern.subn(lambda section: section[1] + table, text)
    return new_text if count else f"{text.rstrip()}\n\n## {title}\n\n{table}"


if __name__ == "__main__":
    main()
