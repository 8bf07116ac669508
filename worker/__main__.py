"""Runs the command `longarc` as `python -m worker`, where no script of that name is installed."""

from worker.cli import main

if __name__ == "__main__":
    main(prog_name="longarc")
