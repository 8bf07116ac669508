"""Measure everything, print it, and keep the table in `bench/README.md`."""

import argparse
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import calls, google, outlook, pages, search, startup, tick, year

PARTS: Sequence[tuple[str, str, Callable[[], list[tuple[str, str]]]]] = (
    ("search", "Finding a time", search.measure),
    ("tick", "A tick with nothing due", tick.measure),
    ("startup", "Starting the command", startup.measure),
    ("calls", "Requests to a calendar", calls.measure),
    ("google", "Requests to Google", google.measure),
    ("outlook", "Microsoft 365, with answers that take 30 ms", outlook.measure),
    ("pages", "Pages", pages.measure),
)
README = Path(__file__).parent / "README.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ", ".join([*(name for name, _, _ in PARTS), "year"])
    parser.add_argument("parts", nargs="*", help=f"measure only these: {known}")
    parser.add_argument("--days", type=int, default=364, help="how long the simulated companies live; a year by itself")
    options = parser.parse_args()
    wanted = options.parts
    lines = [
        "# Measurements",
        "",
        "What `make bench` printed when it last ran. Counts and ratios say more than times: machines differ.",
        f"Python {platform.python_version()}, {platform.machine()}, two cores shared with other work.",
    ]
    parts = [*PARTS, ("year", "Simulating a company", lambda: year.measure(options.days))]
    for name, title, measure in parts:
        if wanted and name not in wanted:
            continue
        rows = measure()
        table = [f"| {what} | {got} |" for what, got in rows]
        lines += ["", f"## {title}", "", "| what | result |", "|---|---|", *table]
        print("\n".join(lines[-len(rows) - 4 :]), flush=True)
    if not wanted:
        README.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
