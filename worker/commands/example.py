"""`longarc example`: the files that come with Longarc, written where one wants them."""

from pathlib import Path

import click

from worker import private_files
from worker.commands.base import Command
from worker.commands.terminal import print_line
from worker.errors import LongarcError

#: What each is called on the command line, and in the folder `config` of a checkout.
EXAMPLE_FILES = {"settings": "longarc.example.toml", "people": "people.example.csv", "service": "longarc.service"}


@click.command("example", cls=Command, short_help="Write example settings, people or systemd unit.")
@click.argument("name", type=click.Choice(list(EXAMPLE_FILES)))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace a FILE that is there.")
def example(name: str, file: Path | None, force: bool) -> None:
    """Write an example to FILE, else to standard output: `settings` with every key, its default and what it means; a
    `people` file; the systemd unit (`service`)."""
    content = read_example(EXAMPLE_FILES[name])
    if file is None:
        click.echo(content.decode("utf-8"), nl=False)
        return
    try:
        (private_files.write if force else private_files.write_new)(file, content)
    except FileExistsError:
        raise LongarcError(f"{file} is there already. Name another file, or say --force to replace it.") from None
    print_line(f"{file} is written.", "green")


def read_example(name: str) -> bytes:
    """A file that comes with Longarc: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "_config" / name, package.parent / "config" / name)
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise LongarcError(f"{name} is missing from this installation.")
    return file.read_bytes()
