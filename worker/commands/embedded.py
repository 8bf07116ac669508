"""Everything in one folder: the calendar and mail servers that come with Longarc, with settings written for them.

What a person may change (settings, people, key) is written once and then left alone; the ports stay the same, so that
a calendar program that was subscribed keeps working.
"""

import json
import logging
import socket
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker import private_files
from worker.commands.example import EXAMPLE_FILES, read_example
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.domain.model import Address, Person
    from worker.embedded import EmbeddedServers
    from worker.settings.load import Settings

CONFIG, PEOPLE, KEY = "longarc.toml", "people.csv", "key"
#: The first ports that are tried for calendars, mail and pages; then those after them.
FIRST_PORTS, PORTS_TRIED = (5232, 2525, 8030), 50
_HOST = "127.0.0.1"

_SETTINGS_TEXT = """\
# Written by `longarc run --embedded` when it first started here; yours to change. The servers start at these ports.
# For the other commands: export LONGARC_CONFIG={config} LONGARC_KEY_FILE={key}
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
    """A folder that everything is in."""

    folder: Path
    #: Where the search for free ports begins: calendars, mail, pages. 0 takes any free port.
    first_ports: tuple[int, int, int] = FIRST_PORTS
    #: Keeps the ports that were just chosen from everybody else until the servers take them.
    _reserved_ports: ExitStack = field(default_factory=ExitStack, repr=False, compare=False)

    @property
    def config(self) -> Path:
        return self.folder / CONFIG

    @property
    def key(self) -> Path:
        return self.folder / KEY

    def write_missing_files(self) -> None:
        """Write what is not there yet: settings for free ports, a key only its owner may read, an example of people."""
        private_files.make_folder(self.folder)
        if not self.key.exists():
            from worker.seal import generate_key

            private_files.write_new(self.key, f"{generate_key()}\n".encode("ascii"))
        if not (self.folder / PEOPLE).exists():
            private_files.write(self.folder / PEOPLE, read_example(EXAMPLE_FILES["people"]))
        if not self.config.exists():
            private_files.write(self.config, self._render_settings().encode("utf-8"))

    def _render_settings(self) -> str:
        from sqlalchemy import URL

        database = URL.create("sqlite", database=str(self.folder / "longarc.db"))
        caldav, smtp, pages = (self._reserve_port(port) for port in self.first_ports)
        return _SETTINGS_TEXT.format(
            config=self.config,
            key=self.key,
            database=json.dumps(database.render_as_string(), ensure_ascii=False),
            caldav=caldav,
            smtp=smtp,
            pages=pages,
        )

    def _reserve_port(self, first: int) -> int:
        """A port that nobody listens on, the first one if possible."""
        for port in range(first, first + PORTS_TRIED) if first else [0]:
            trying = socket.socket()
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind((_HOST, port))
                trying.listen()  # two may be bound to a port, and only one can listen there
            except OSError:
                trying.close()
                continue
            self._reserved_ports.callback(trying.close)
            return int(trying.getsockname()[1])
        raise LongarcError(f"No port from {first} to {first + PORTS_TRIED - 1} is free. Write one into the settings.")

    def release_ports(self) -> None:
        """Leave the ports that were just chosen to the servers."""
        self._reserved_ports.close()

    def set_environment(self, env: MutableMapping[str, str]) -> None:
        """Have this process, and whatever it starts, use these settings and this key."""
        env["LONGARC_CONFIG"] = str(self.config)
        if not (env.get("LONGARC_KEY") or env.get("LONGARC_KEY_FILE")):
            env["LONGARC_KEY_FILE"] = str(self.key)

    def read_ports(self, settings: "Settings") -> tuple[int, int]:
        """Where the settings have the calendars and mail. Raises LongarcError when they don't say."""
        calendars, mail = urlsplit(settings.calendars.caldav.url).port, settings.mailers.smtp.port
        if not (calendars and mail):
            what = "names no port for the calendars (calendars.caldav.url) or for mail (mailers.smtp.port)."
            raise LongarcError(f"{self.config} {what} Write both, or take the file away: it is then written anew.")
        return calendars, mail

    @contextmanager
    def start_servers(self, settings: "Settings", people: "Collection[Person]") -> "Iterator[EmbeddedServers]":
        """The servers, at the ports that the settings name."""
        from worker.embedded import EmbeddedServers

        calendars, mail = self.read_ports(settings)
        for noisy in ("mail.log", "waitress"):  # they tell of each connection
            logging.getLogger(noisy).setLevel(logging.WARNING)
        zones = {person.email: person.zone for person in people}
        self.release_ports()
        with EmbeddedServers(self.folder, list(zones), calendars, mail, zones=zones) as servers:
            yield servers


def list_addresses(servers: "EmbeddedServers", people: "Collection[Address]") -> Iterator[tuple[str, str, str]]:
    """For each person: the calendar's address for a calendar program, and where the mail is."""
    from worker.embedded import get_mailbox_path

    for email in people:
        yield email, servers.caldav_url.replace("{email}", email), str(get_mailbox_path(servers.mail_folder, email))
