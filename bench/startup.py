"""How long `longarc --help` takes, against Python with nothing but click: what our own imports cost a person who asks.

Runs alternate, and the best of several counts: what disturbs a measurement only ever makes it longer.
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
    """How long a new Python takes for that."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LONGARC_")}
    begun = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT, env=env)
    return perf_counter() - begun


def measure() -> list[tuple[str, str]]:
    """Each command with its best time, and with how much longer it takes than click alone."""
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
