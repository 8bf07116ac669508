"""The servers that come with Longarc: really working, cleanly gone."""

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
from worker.domain.model import EventDraft, Guest, Span
from worker.embedded import EmbeddedServers
from worker.errors import LongarcError
from worker.providers import maildir
from worker.providers.caldav.calendar import build_calendar
from worker.settings.load import load_settings

DANA, SAM = "dana@example.org", "sam@example.org"
NOON = datetime(2027, 3, 9, 12, tzinfo=UTC)
DRAFT = EventDraft(
    key="s1.1", subject="Career conversation", body="", span=Span(NOON, NOON + timedelta(hours=1)), zone="UTC",
    organizer=Guest(DANA, "Dana"), guests=(Guest(SAM, "Sam"),),
)  # fmt: skip


def test_it_starts_for_many_people_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with EmbeddedServers(tmp_path, [f"p{number}@example.org" for number in range(50)]) as servers:
        ports = (int(servers.caldav_url.split(":")[2].partition("/")[0]), servers.smtp_port)
        # A connection is left open, as a program that crashed would leave it.
        held = HTTPConnection("127.0.0.1", ports[0], timeout=5)
        held.request("PROPFIND", "/p7@example.org/calendar/", headers={"Depth": "0"})
        assert held.getresponse().status == 207
    assert set(threading.enumerate()) - before == set()
    for port in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
    held.close()


def find_listening_socket(port: int) -> str:
    """The number by which Linux knows the socket that listens at this port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    (number,) = [line[9] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"]
    return number


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells which socket listens")
def test_the_ports_in_new_settings_are_free_for_nobody_else_until_the_servers_listen(tmp_path: Path) -> None:
    folder = EmbeddedFolder(tmp_path, first_ports=(0, 0, 0))
    folder.write_missing_files()
    settings = load_settings(folder.settings_file, {})
    ports = folder.read_ports(settings)
    before = [find_listening_socket(port) for port in ports]
    with folder.start_servers(settings, []) as servers:
        assert [find_listening_socket(port) for port in ports] == before
        with smtplib.SMTP(servers.smtp_host, servers.smtp_port) as session:
            assert session.noop()[0] == 250
    with folder.start_servers(settings, []):  # again, at the same ports
        assert [find_listening_socket(port) for port in ports] != before


def test_calendars_outlive_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        with EmbeddedServers(tmp_path, [DANA, SAM]) as servers:
            provider = build_calendar({"url": servers.caldav_url, "attendee_copies": True})
            if not number:
                provider.create(DANA, DRAFT)
            for person in (DANA, SAM):
                assert provider.find(person, "s1.1") is not None
            provider.close()


def test_a_person_comes_with_a_zone(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, [DANA], zones={DANA: "Australia/Lord_Howe"}) as servers:
        provider = build_calendar({"url": servers.caldav_url})
        assert str(provider.get_collection(DANA).zone) == "Australia/Lord_Howe"
        servers.add_person(SAM, "Europe/Berlin")
        servers.add_person(SAM, "Asia/Tokyo")  # is there already, and stays
        assert str(provider.get_collection(SAM).zone) == "Europe/Berlin"
        provider.close()


def test_each_recipient_gets_the_mail(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = DANA, f"{SAM}, Kim@Example.org", "Grüße"
    message.set_content("Hallo")
    for number in range(2):  # a restart does not write over what came before
        with EmbeddedServers(tmp_path, []) as servers, smtplib.SMTP(servers.smtp_host, servers.smtp_port) as session:
            session.send_message(message)
            for person in (SAM, "kim@example.org"):
                paths = maildir.list_messages(embedded.get_mailbox_path(servers.mail_folder, person))
                assert len(paths) == number + 1
                assert BytesParser(policy=default).parsebytes(paths[-1].read_bytes())["Subject"] == "Grüße"
    assert len(list((tmp_path / "eml").glob("*.eml"))) == 2


@pytest.mark.parametrize("recipient", ["../../escape", "..", "a/b@example.org", ".hidden", "%2e%2e"])
def test_no_recipient_leads_out_of_the_folder(tmp_path: Path, recipient: str) -> None:
    place = embedded.get_mailbox_path(tmp_path, recipient)
    assert place.parent == tmp_path and place.name and not place.name.startswith(".")


def test_only_this_machine_can_reach_it(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, []) as servers:
        assert servers.caldav_url.startswith("http://127.0.0.1:") and servers.smtp_host == "127.0.0.1"


@pytest.mark.parametrize("which", ["caldav_port", "smtp_port"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, which: str) -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LongarcError, match=str(port)), EmbeddedServers(tmp_path, [], **{which: port}):
            pass
    assert set(threading.enumerate()) - before == set()


@pytest.mark.parametrize(("place", "setting"), [(0, "calendars.caldav.url"), (1, "mailers.smtp.port")])
def test_a_port_that_is_taken_is_told_with_the_setting_that_names_it(tmp_path: Path, place: int, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [0, 0]
        ports[place] = port
        with pytest.raises(LongarcError) as raised, EmbeddedServers(tmp_path, [], *ports):
            pass
    assert str(raised.value) == (
        f"Port {port} can't be used: Address already in use. "
        f"Stop the program that uses it, or write another port as `{setting}` into the settings."
    )


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosmtpd.controller", None)
    with pytest.raises(LongarcError, match=r"checkout\[embedded\]"), EmbeddedServers(tmp_path, []):
        pass
