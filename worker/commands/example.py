"""`longarc example`: prints the example files that come with Longarc, or writes them to a file."""

from pathlib import Path

import click

from worker import private_files
from worker.commands.base import Command
from worker.commands.terminal import print_line
from worker.commands.written_files import refuse_unsuitable_file
from worker.errors import LongarcError

#: The file of each example in the folder `config`, by its name on the command line.
EXAMPLE_FILES = {
    "settings": "longarc.example.toml",
    "people": "people.example.csv",
    "openings": "openings.example.csv",
    "service": "longarc.service",
    "alerts": "monitoring/prometheus-rules.yml",
    "dashboard": "monitoring/grafana-dashboard.json",
}


@click.command("example", cls=Command, short_help="Print or write an example: settings, people, a systemd unit, …")
@click.argument("name", type=click.Choice(list(EXAMPLE_FILES)))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace FILE if it is a text that Longarc does not use.")
def example(name: str, file: Path | None, force: bool) -> None:
    """Write an example to FILE, or to standard output without FILE.

    `settings` lists every setting with its default and meaning, `people` is a people file, `openings` a list of
    openings, `service` a systemd unit, `alerts` alerting rules for Prometheus, `dashboard` a dashboard for Grafana.
    """
    content = read_example(EXAMPLE_FILES[name])
    if file is None:
        click.echo(content.decode("utf-8"), nl=False)
        return
    refuse_unsuitable_file(file, "a text", _is_text, replaces=force)
    (private_files.write if force else private_files.write_new)(file, content)
    print_line(f"{file} was written.", "green")


def _is_text(file: Path) -> bool:
    """Return whether the file is text, as an example is that somebody has edited."""
    try:
        return "\0" not in file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False


def read_example(name: str) -> bytes:
    """Return the content of an example file, from the installed package or from a checkout.

    Raises LongarcError when the file is missing.
    """
    package = Path(__file__).resolve().parents[1]
    possible_files = (package / "_config" / name, package.parent / "config" / name)
    file = next((path for path in possible_files if path.is_file()), None)
    if file is None:
        raise LongarcError(f"{name} is missing from this installation.")
    return file.read_bytes()
