"""`python -m examples.northlight`: plays the demo. `make demo` calls it."""

from pathlib import Path

import click

from examples.northlight.run import run_demo
from worker.commands.base import Command

_folder = click.Path(file_okay=False, path_type=Path)


@click.command("demo", cls=Command)
@click.option("--out", default="demo", show_default=True, type=_folder, metavar="DIR", help="Where the story goes.")
@click.option("--provider", default="caldav", show_default=True, metavar="NAME", help="The calendar service it shows.")
def demo(out: Path, provider: str) -> None:
    """Show the main job on real servers: a quarter and more under a stepped clock, in a minute or so.

    Writes DIR/index.html with the story, the mails, the calendars and the ledger.
    """
    run_demo(out, provider)


if __name__ == "__main__":
    demo()
