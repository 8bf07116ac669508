"""The calendar and mail servers that come with Longarc: they work, and they end completely."""

import smtplib
import socket
import sys
import threading
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.client import HTTPConnection
from pathlib import Path

import pytest

from worker import embedded
from worker.commands.embedded import EmbeddedFolder
from worker.domain.model import EventDraft, NamedAddress, Span
from worker.embedded import EmbeddedServers
from worker.errors import LongarcError
from worker.providers import maildir
from worker.providers.caldav.calendar import build_calendar
from worker.settings.load import load_settings

DANA, SAM = "dana@example.org", "sam@example.org"
NOON = datetime(2027, 3, 9, 12, tzinfo=UTC)
DRAFT = EventDraft(
    key="s1.1", title="Career conversation", body="", span=Span(NOON, NOON + timedelta(hours=1)), zone="UTC",
    organizer=NamedAddress(DANA, "Dana"), guests=(NamedAddress(SAM, "Sam"),),
)  # fmt: skip


def test_the_servers_start_for_fifty_people_and_leave_no_thread_or_port(tmp_path: Path) -> None:
    threads_before = set(threading.enumerate())
    with EmbeddedServers(tmp_path, [f"p{number}@example.org" for number in range(50)]) as servers:
        ports = (int(servers.caldav_url.split(":")[2].partition("/")[0]), servers.smtp_port)
        # A program that crashes leaves its connection open.
        open_connection = HTTPConnection("127.0.0.1", ports[0], timeout=5)
        open_connection.request("PROPFIND", "/p7@example.org/calendar/", headers={"Depth": "0"})
        assert open_connection.getresponse().status == 207
    assert set(threading.enumerate()) - threads_before == set()
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    open_connection.close()


def find_listening_socket(port: int) -> str:
    """Return the inode of the socket that listens at this port."""
    _, *lines = Path("/proc/net/tcp").read_text().splitlines()
    # the columns: 1 the local address, with the port in hexadecimal; 3 the state, 0A for listening; 9 the inode
    rows = [line.split() for line in lines]
    (inode,) = [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"]
    return inode


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells which socket listens")
def test_the_servers_use_the_sockets_that_new_settings_reserve(tmp_path: Path) -> None:
    folder = EmbeddedFolder(tmp_path, first_ports=(0, 0, 0))
    folder.write_missing_files()
    settings = load_settings(folder.settings_file, {})
    ports = folder.read_ports(settings)
    reserved_sockets = [find_listening_socket(port) for port in ports]
    with folder.start_servers(settings, []) as servers:
        assert [find_listening_socket(port) for port in ports] == reserved_sockets
        with smtplib.SMTP(servers.smtp_host, servers.smtp_port) as session:
            assert session.noop()[0] == 250
    with folder.start_servers(settings, []):  # a restart opens new sockets at the same ports
        assert [find_listening_socket(port) for port in ports] != reserved_sockets


def test_calendars_keep_their_events_after_a_restart(tmp_path: Path) -> None:
    for start_number in range(2):
        with EmbeddedServers(tmp_path, [DANA, SAM]) as servers:
            provider = build_calendar({"url": servers.caldav_url, "attendee_copies": True})
            if start_number == 0:
                provider.create(DANA, DRAFT)
            for person in (DANA, SAM):
                assert provider.find(person, "s1.1") is not None
            provider.close()


def test_a_new_calendar_has_the_zone_of_its_person(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, [DANA], zones={DANA: "Australia/Lord_Howe"}) as servers:
        provider = build_calendar({"url": servers.caldav_url})
        assert str(provider.get_collection(DANA).zone) == "Australia/Lord_Howe"
        servers.add_person(SAM, "Europe/Berlin")
        servers.add_person(SAM, "Asia/Tokyo")  # the calendar exists, and keeps its zone
        assert str(provider.get_collection(SAM).zone) == "Europe/Berlin"
        provider.close()


def test_each_recipient_gets_the_mail_before_and_after_a_restart(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = DANA, f"{SAM}, Kim@Example.org", "Grüße"
    message.set_content("Hallo")
    for start_number in range(2):  # the second start keeps the mail of the first
        with EmbeddedServers(tmp_path, []) as servers, smtplib.SMTP(servers.smtp_host, servers.smtp_port) as session:
            session.send_message(message)
            for person in (SAM, "kim@example.org"):
                paths = maildir.list_messages(embedded.get_mailbox_path(servers.mail_folder, person))
                assert len(paths) == start_number + 1
                assert BytesParser(policy=default).parsebytes(paths[-1].read_bytes())["Subject"] == "Grüße"
    assert len(list((tmp_path / "eml").glob("*.eml"))) == 2


@pytest.mark.parametrize("recipient", ["../../escape", "..", "a/b@example.org", ".hidden", "%2e%2e"])
def test_the_mailbox_of_any_recipient_is_inside_the_folder(tmp_path: Path, recipient: str) -> None:
    mailbox = embedded.get_mailbox_path(tmp_path, recipient)
    assert mailbox.parent == tmp_path and mailbox.name and not mailbox.name.startswith(".")


def test_the_servers_listen_on_the_loopback_address_only(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, []) as servers:
        assert servers.caldav_url.startswith("http://127.0.0.1:") and servers.smtp_host == "127.0.0.1"


@pytest.mark.parametrize("parameter", ["caldav_port", "smtp_port"])
def test_the_error_names_a_port_in_use_and_no_thread_stays(tmp_path: Path, parameter: str) -> None:
    threads_before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as blocker:
        port = blocker.getsockname()[1]
        with pytest.raises(LongarcError, match=str(port)), EmbeddedServers(tmp_path, [], **{parameter: port}):
            pass
    assert set(threading.enumerate()) - threads_before == set()


@pytest.mark.parametrize(("position", "setting"), [(0, "calendars.caldav.url"), (1, "mailers.smtp.port")])
def test_the_error_for_a_port_in_use_names_its_setting(tmp_path: Path, position: int, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as blocker:
        port = blocker.getsockname()[1]
        ports = [0, 0]
        ports[position] = port
        with pytest.raises(LongarcError) as error_info, EmbeddedServers(tmp_path, [], *ports):
            pass
    assert str(error_info.value) == (
        f"Port {port} can't be used: Address already in use. "
        f"Stop the program that uses it, or write another port as `{setting}` into the settings."
    )


def test_the_error_for_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosmtpd.controller", None)
    with pytest.raises(LongarcError, match=r"checkout\[embedded\]"), EmbeddedServers(tmp_path, []):
        pass
