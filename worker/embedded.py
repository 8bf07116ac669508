"""Embedded CalDAV and SMTP servers on the loopback interface, for the demo, tests and trials without an account.

Radicale serves the calendars, and stores them as files. aiosmtpd accepts mail, which is stored in a Maildir for each
recipient.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from icalendar import Calendar, Timezone

from worker import private_files
from worker.domain.model import Address, Person
from worker.errors import LongarcError, explain_missing_extra
from worker.providers import maildir
from worker.server_thread import ServerThread, make_server_socket

_HOST = "127.0.0.1"
#: A WSGI application.
WsgiApp = Callable[..., Any]


class EmbeddedServers:
    """A context manager that runs a CalDAV server and an SMTP server.

    `people` are the owners of the calendars, and `zones` the time zones of the calendars by owner. Port 0 stands for
    any free port. With `username` and `password`, the CalDAV server requires this login, with which all calendars can
    be read and written; without them, every program on this machine can read and write them. `wrap_caldav` wraps the
    WSGI application of the CalDAV server, so that tests can observe requests or make them fail. `sockets` are bound
    sockets by port, which are used for these ports in place of new ones.
    """

    def __init__(
        self,
        folder: Path,
        people: Sequence[Address],
        caldav_port: int = 0,
        smtp_port: int = 0,
        *,
        zones: Mapping[Address, str] | None = None,
        username: str = "",
        password: str = "",
        wrap_caldav: Callable[[WsgiApp], WsgiApp] | None = None,
        sockets: Mapping[int, socket.socket] | None = None,
    ) -> None:
        self._folder = folder
        self._people = dict.fromkeys(people)
        self._zones = dict(zones or {})
        self._requested_caldav_port = caldav_port
        self._requested_smtp_port = smtp_port
        self._username = username
        self._password = password
        self._wrap_caldav = wrap_caldav
        self._sockets = dict(sockets or {})
        self._stack = ExitStack()
        self._storage: Any = None
        self.mail_folder = folder / "mail"
        self.eml_folder = folder / "eml"  #: a file for each mail, as it came
        self.caldav_url = ""  #: contains the placeholder `{email}`, as the setting `calendars.caldav.url` does
        self.smtp_host = _HOST
        self.smtp_port = 0

    def __enter__(self) -> "EmbeddedServers":
        app, config = _import_optional("radicale.app"), _import_optional("radicale.config")
        server, controller = _import_optional("waitress.server"), _import_optional("aiosmtpd.controller")
        with ExitStack() as stack:
            self._start_calendars(app, config, server, stack)
            self._start_mail(controller, stack)
            self._stack = stack.pop_all()  # after an error above, `stack` stops the servers that have started
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add_person(self, person: Address, zone: str = "") -> None:
        """Create the calendar of a person, unless it exists already. With `zone`, it states this time zone."""
        with self._storage.acquire_lock("w"):
            for path, properties in ((f"/{person}/", {}), (f"/{person}/calendar/", _build_calendar_properties(zone))):
                is_missing = next(iter(self._storage.discover(path)), None) is None
                if is_missing:
                    self._storage.create_collection(path, props=properties)

    def add_people(self, people: Iterable[Person]) -> None:
        """Create the calendar of each person whose calendar service is CalDAV, unless it exists already."""
        for person in people:
            if person.calendar == "caldav":
                self.add_person(person.email, person.zone)

    def _bind_socket(self, port: int, setting: str) -> socket.socket:
        """Return a socket bound to this port of the loopback interface. Raises LongarcError, naming the setting."""
        if port in self._sockets:
            return self._sockets[port]
        bound_socket = make_server_socket()
        try:
            bound_socket.bind((_HOST, port))
        except OSError as error:
            bound_socket.close()
            remedy = f"Stop the program that uses it, or write another port as `{setting}` into the settings."
            raise LongarcError(f"Port {port} can't be used: {error.strerror}. {remedy}") from error
        return bound_socket

    # --- calendars ----------------------------------------------------------------------------------------------------

    def _start_calendars(self, app: ModuleType, config: ModuleType, server: ModuleType, stack: ExitStack) -> None:
        logging.getLogger("radicale").setLevel(logging.ERROR)  # it logs every refused request, including expected ones
        configuration = config.load()
        # `privileged` permits Radicale's internal options, whose names begin with `_`
        configuration.update(self._build_configuration(), source="longarc", privileged=True)
        application = app.Application(configuration)
        self._storage = application._storage
        for person in self._people:
            self.add_person(person, self._zones.get(person, ""))
        served_application = self._wrap_caldav(application) if self._wrap_caldav else application
        bound_socket = self._bind_socket(self._requested_caldav_port, "calendars.caldav.url")
        caldav_server = server.create_server(served_application, sockets=[bound_socket], threads=8)
        stack.enter_context(ServerThread(caldav_server, "longarc-caldav"))
        port = bound_socket.getsockname()[1]
        self.caldav_url = f"http://{_HOST}:{port}/{{email}}/calendar/"

    def _build_configuration(self) -> dict[str, dict[str, str]]:
        calendars = self._folder / "calendars"
        private_files.make_folder(calendars)
        # by default, Radicale waits about a second before it refuses a request, which slows down guessing of passwords
        auth = {"type": "none", "delay": "0"}
        if self._username:
            users = self._folder / "users"
            private_files.write(users, f"{self._username}:{self._password}\n".encode())
            auth = {"type": "htpasswd", "htpasswd_filename": str(users), "htpasswd_encryption": "plain", "delay": "0"}
        return {
            "auth": auth,
            "rights": {"type": "authenticated"},
            "server": {"delay_on_error": "0"},
            "storage": {
                "filesystem_folder": str(calendars),
                "folder_umask": "0077",
                "_filesystem_fsync": "False",
            },
            "web": {"type": "none"},
            "logging": {"level": "error"},
        }

    # --- mail ---------------------------------------------------------------------------------------------------------

    def _start_mail(self, controller: ModuleType, stack: ExitStack) -> None:
        private_files.make_folder(self.mail_folder)
        server_socket = self._bind_socket(self._requested_smtp_port, "mailers.smtp.port")

        class Server(controller.Controller):  # type: ignore[misc, name-defined]
            """Serves on the socket that is bound already. Its port is known even when port 0 was requested."""

            def _create_server(self) -> Any:
                return self.loop.create_server(self._factory_invoker, sock=server_socket)

        self.smtp_port = int(server_socket.getsockname()[1])
        server = Server(_MailHandler(self.mail_folder, self.eml_folder), hostname=_HOST, port=self.smtp_port)
        stack.callback(server_socket.close)
        server.start()
        stack.callback(server.stop)


class _MailHandler:
    """Stores incoming mail: a copy in each recipient's Maildir, and the original in the folder `eml`."""

    def __init__(self, mail_folder: Path, eml_folder: Path) -> None:
        self._mail_folder, self._eml_folder = mail_folder, eml_folder
        private_files.make_folder(self._eml_folder)
        self._count = sum(1 for _ in self._eml_folder.iterdir())

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Store one message. Returns the reply to the client."""
        self._count += 1
        name = f"{self._count:06d}"
        private_files.write(self._eml_folder / f"{name}.eml", envelope.original_content)
        for recipient in dict.fromkeys(address.lower() for address in envelope.rcpt_tos):
            maildir.write_message(get_mailbox_path(self._mail_folder, recipient), envelope.original_content, name)
        return "250 taken"


def get_mailbox_path(mail_folder: Path, recipient: Address) -> Path:
    """Return the Maildir of a recipient."""
    # a name that begins with a dot would be a hidden folder, or `..`, the folder above
    name = quote(recipient.lower(), safe="@+")
    return mail_folder / (f"_{name}" if name.startswith(".") else name)


def _build_calendar_properties(zone: str) -> dict[str, str]:
    # Radicale calls the kind of a collection its tag
    properties = {"tag": "VCALENDAR", "C:supported-calendar-component-set": "VEVENT"}
    if zone:
        zone_calendar = Calendar()
        zone_calendar.add("prodid", "-//Longarc//Longarc//EN")
        zone_calendar.add("version", "2.0")
        zone_calendar.add_component(Timezone.from_tzinfo(ZoneInfo(zone), zone))
        properties["C:calendar-timezone"] = str(zone_calendar.to_ical(), "utf-8")
    return properties


def _import_optional(name: str) -> ModuleType:
    """Return a module of the extra `embedded`. Raises LongarcError when the extra is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise LongarcError(f"{error.name} is missing. {explain_missing_extra('embedded')}") from error
