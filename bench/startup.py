"""Benchmark of the start of `longarc`, compared with a Python that imports only click.

The commands run in turn, and the best time of each counts, since other work of the machine only makes runs longer.
"""

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

RUNS = 12
ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "`python -c pass`": ("-c", "pass"),
    "`python -c 'import click'`": ("-c", "import click"),
    "`longarc --help`": ("-m", "worker", "--help"),
    "`longarc key` (with cryptography)": ("-m", "worker", "key"),
}


def time_command(arguments: tuple[str, ...]) -> float:
    """Return the seconds that a new Python process takes with these arguments."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LONGARC_")}
    began_at = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT, env=env)
    return perf_counter() - began_at


def measure() -> list[tuple[str, str]]:
    """Return each command with its best time, in milliseconds and relative to importing click."""
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(RUNS):
        for name, arguments in COMMANDS.items():
            best[name] = min(best[name], time_command(arguments))
    click = best["`python -c 'import click'`"]
    return [(name, f"{took * 1000:.0f} ms ({took / click:.2f} times click alone)") for name, took in best.items()]


def main() -> None:
    for what, result in measure():
        print(f"{what:<40} {result}")


if __name__ == "__main__":
    main()
