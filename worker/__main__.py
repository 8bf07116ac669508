"""`python -m worker`: the command `longarc` where it is not installed as one."""

from worker.cli import main

if __name__ == "__main__":
    main(prog_name="longarc")
