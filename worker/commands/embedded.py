"""The folder of `longarc run --embedded`: settings, people file, key and database for the built-in servers.

Settings, people file and key are written once and never overwritten. The ports are kept in the settings, so that a
calendar program that has subscribed keeps working.
"""

import json
import logging
import shlex
import socket
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker import private_files
from worker.commands.example import EXAMPLE_FILES, read_example
from worker.commands.terminal import name_program
from worker.errors import LongarcError
from worker.server_thread import make_server_socket

if TYPE_CHECKING:
    from worker.domain.model import Person
    from worker.embedded import EmbeddedServers
    from worker.settings.load import Settings

CONFIG_FILE = "longarc.toml"
PEOPLE_FILE = "people.csv"
KEY_FILE = "key"
#: The first port that is tried for each of calendars, mail and pages.
FIRST_PORTS = (5232, 2525, 8030)
#: How many ports are tried, counted from the first.
MAX_PORTS_TRIED = 50
#: The services that the built-in servers stand for, as people name them.
CALENDAR_SERVICE, MAIL_SERVICE = "caldav", "smtp"
_HOST = "127.0.0.1"

_SETTINGS_TEXT = """\
# Written by `longarc run --embedded` when it first started here; yours to change. The servers start at these ports.
# For the other commands: export LONGARC_CONFIG={config} LONGARC_KEY_FILE={key}
#   {program} status
database = {database}
people = "people.csv"
operator = "operator@example.com"
base_url = "http://127.0.0.1:{pages}"

[mail]
from = "longarc@example.com"

[calendars.caldav]
url = "http://127.0.0.1:{caldav}/{{email}}/calendar/"
attendee_copies = true

[mailers.smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"

[sync]
every = "1 minute"

[pages]
listen = "127.0.0.1:{pages}"
"""


@dataclass(frozen=True, slots=True)
class EmbeddedFolder:
    """A folder with settings, people file, key and database, and the built-in servers that they describe."""

    folder: Path
    #: The first port tried for calendars, mail and pages. 0 takes any free port.
    first_ports: tuple[int, int, int] = FIRST_PORTS
    #: Sockets that listen at the chosen ports until the servers take them over, by port.
    _reserved: dict[int, socket.socket] = field(default_factory=dict, repr=False, compare=False)

    @property
    def settings_file(self) -> Path:
        return self.folder / CONFIG_FILE

    @property
    def key_file(self) -> Path:
        return self.folder / KEY_FILE

    def write_missing_files(self) -> None:
        """Write the files that are missing: settings with free ports, a key, an example people file."""
        private_files.make_folder(self.folder)
        if not self.key_file.exists():
            from worker.seal import generate_key

            private_files.write_new(self.key_file, f"{generate_key()}\n".encode("ascii"))
        if not (self.folder / PEOPLE_FILE).exists():
            private_files.write(self.folder / PEOPLE_FILE, read_example(EXAMPLE_FILES["people"]))
        if not self.settings_file.exists():
            private_files.write(self.settings_file, self._render_settings().encode("utf-8"))

    def _render_settings(self) -> str:
        from sqlalchemy import URL

        database = URL.create("sqlite", database=str(self.folder / "longarc.db"))
        caldav, smtp, pages = (self._reserve_port(port) for port in self.first_ports)
        return _SETTINGS_TEXT.format(
            config=shlex.quote(str(self.settings_file)),
            key=shlex.quote(str(self.key_file)),
            program=name_program(),
            database=json.dumps(database.render_as_string(), ensure_ascii=False),
            caldav=caldav,
            smtp=smtp,
            pages=pages,
        )

    def _reserve_port(self, first_port: int) -> int:
        """Reserve and return the first free port from `first_port` on. Raises LongarcError when none is free."""
        ports = range(first_port, first_port + MAX_PORTS_TRIED) if first_port else [0]
        for port in ports:
            candidate = make_server_socket()
            try:
                candidate.bind((_HOST, port))
                candidate.listen()  # two sockets may bind the same port, but only one can listen
            except OSError:
                candidate.close()
                continue
            chosen_port = int(candidate.getsockname()[1])
            self._reserved[chosen_port] = candidate
            return chosen_port
        last_port = first_port + MAX_PORTS_TRIED - 1
        raise LongarcError(f"No port from {first_port} to {last_port} is free. Write a free port into the settings.")

    def release_ports(self) -> None:
        """Release the reserved ports, so that other programs can listen there."""
        for reserved_socket in self._reserved.values():
            reserved_socket.close()
        self._reserved.clear()

    def set_environment(self, env: MutableMapping[str, str]) -> None:
        """Set LONGARC_CONFIG to the settings of this folder, and LONGARC_KEY_FILE to its key if no key is set."""
        env["LONGARC_CONFIG"] = str(self.settings_file)
        if not (env.get("LONGARC_KEY") or env.get("LONGARC_KEY_FILE")):
            env["LONGARC_KEY_FILE"] = str(self.key_file)

    def read_ports(self, settings: "Settings") -> tuple[int, int]:
        """Return the ports of calendars and mail in the settings. Raises LongarcError when one is missing."""
        calendar_port, mail_port = urlsplit(settings.calendars.caldav.url).port, settings.mailers.smtp.port
        if not (calendar_port and mail_port):
            missing = "names no port for the calendars (calendars.caldav.url) or for mail (mailers.smtp.port)."
            raise LongarcError(
                f"{self.settings_file} {missing} Write both, or delete the file: it is then written anew."
            )
        return calendar_port, mail_port

    @contextmanager
    def start_servers(self, settings: "Settings", people: "Collection[Person]") -> "Iterator[EmbeddedServers]":
        """Run the calendar and mail servers at the ports in the settings."""
        from worker.embedded import EmbeddedServers

        calendar_port, mail_port = self.read_ports(settings)
        for logger in ("mail.log", "waitress"):  # the servers log each connection at level INFO
            logging.getLogger(logger).setLevel(logging.WARNING)
        zones = {person.email: person.zone for person in people}
        # No other program can take these ports before the servers listen there.
        sockets = {port: self._reserved.pop(port) for port in (calendar_port, mail_port) if port in self._reserved}
        self.release_ports()
        with EmbeddedServers(
            self.folder, list(zones), calendar_port, mail_port, zones=zones, sockets=sockets
        ) as servers:
            yield servers


def list_addresses(servers: "EmbeddedServers", people: "Collection[Person]") -> Iterator[tuple[str, str, str]]:
    """Yield for each person whom the servers serve: the address, the URL of the calendar, and the path of the mailbox.

    The servers have the calendars of people with `caldav` and take the mail of people with `smtp`. A cell of another
    service names that service.
    """
    from worker.embedded import get_mailbox_path

    for person in people:
        if person.calendar != CALENDAR_SERVICE and person.mail != MAIL_SERVICE:
            continue
        is_here = person.calendar == CALENDAR_SERVICE
        calendar = servers.caldav_url.replace("{email}", person.email) if is_here else person.calendar
        mailbox_path = get_mailbox_path(servers.mail_folder, person.email)
        yield person.email, calendar, str(mailbox_path) if person.mail == MAIL_SERVICE else person.mail


def list_operator_address(
    servers: "EmbeddedServers", people: "Collection[Person]", settings: "Settings"
) -> Iterator[tuple[str, str, str]]:
    """Yield the row of the operator as `list_addresses` does, unless the operator is one of these people."""
    from worker.domain.model import NO_CALENDAR
    from worker.embedded import get_mailbox_path

    operator = settings.operator
    is_listed = any(person.email == operator for person in people)
    if operator and not is_listed and settings.mail.operator_by == MAIL_SERVICE:
        yield operator, f"{NO_CALENDAR} (the operator)", str(get_mailbox_path(servers.mail_folder, operator))
