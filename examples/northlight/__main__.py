"""`python -m examples.northlight`: run the demo. `make demo` calls it."""

from pathlib import Path

import click

from examples.northlight.run import run_demo
from worker.commands.base import Command

_folder = click.Path(file_okay=False, path_type=Path)


@click.command("demo", cls=Command)
@click.option("--out", default="demo", show_default=True, type=_folder, metavar="DIR", help="The folder to write.")
@click.option(
    "--provider",
    default="caldav",
    show_default=True,
    metavar="NAME",
    help="The calendar service: caldav, google or outlook.",
)
def demo(out: Path, provider: str) -> None:
    """Play twenty weeks of a made-up company on real servers, under a stepped clock, in about a minute.

    Writes DIR/index.html with the story, the mails, the calendars and the ledger.
    """
    run_demo(out, provider)


if __name__ == "__main__":
    demo()
