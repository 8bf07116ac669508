"""Every mail of ours as a server without 8BITMIME and SMTPUTF8 takes it, read by a parser of RFC 5322 and 2045."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from icalendar import Calendar

from tests.providers.test_smtp import Desk, open_mailer, serving
from worker.domain.model import EventDraft, Guest, Span
from worker.mail import calendar_part
from worker.mail.kinds import KINDS, list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import DANA, NOW, SAM
from worker.providers import maildir
from worker.providers.message_bytes import to_bytes
from worker.providers.smtp import SmtpMailer

ZOE = "Zoë Ünal-Çelik, “Zo” 漢"
#: RFC 5322, 2.1.1
LONGEST = 998
EVENT = EventDraft(
    key="k1",
    subject=f"Gespräch: {ZOE}",
    body=f"Zeit für {ZOE}. " * 40,
    span=Span(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1)),
    zone="Europe/Berlin",
    organizer=Guest(DANA.email, ZOE),
    guests=(Guest(SAM.email, ZOE),),
)


class OldServer(Desk):
    """Offers neither 8BITMIME nor SMTPUTF8."""

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if "8BITMIME" not in line and "SMTPUTF8" not in line]


@pytest.fixture(scope="module")
def desk() -> OldServer:
    return OldServer()


@pytest.fixture(scope="module")
def mailer(desk: OldServer) -> Iterator[SmtpMailer]:
    with serving(desk, enable_SMTPUTF8=False) as port:
        yield open_mailer(port)


def arrived(desk: OldServer) -> EmailMessage:
    """The mail that came last, which every server could have taken."""
    content = desk.taken[-1][1]
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= LONGEST
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = BytesParser(policy=policy.default).parsebytes(content)
    for part in message.walk():
        assert not part.defects, part.defects
        assert not [header for header in part.values() if header.defects]
        encoding = str(part["Content-Transfer-Encoding"] or "7bit").casefold()
        assert encoding in ("7bit", "quoted-printable", "base64")
    return message


def bodies(message: EmailMessage) -> list[list[str]]:
    return [str(part.get_content()).splitlines() for part in message.iter_parts()]


@pytest.mark.parametrize("locale", ["en", "de"])
def test_every_mail_fits_a_server_without_extensions(desk: OldServer, mailer: SmtpMailer, locale: str) -> None:
    emails = MailRenderer(sender="longarc@example.com", domain="example.com")
    each = {letter.name: letter for letter in list_samples(locale)}
    for letter in each.values():
        manager, report = replace(letter.manager or DANA, name=ZOE), letter.report
        named = replace(letter, manager=manager if letter.manager else None, to=replace(letter.to, name=ZOE))
        written = emails.render(replace(named, report=replace(report, name=ZOE) if report else None))
        mailer.send(written, letter.key)
        message = arrived(desk)
        assert message["To"].addresses[0].display_name == ZOE
        assert message["Subject"] == written["Subject"]
        assert bodies(message) == bodies(written)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.calendar_method])
def test_an_invitation_with_names_of_any_script_fits_too(desk: OldServer, mailer: SmtpMailer, name: str) -> None:
    """RFC 6047: whoever sends for the organizer says so."""
    emails = MailRenderer(sender="longarc@example.com", domain="example.com")
    letter = next(one for one in list_samples("de") if one.name == name)
    written = emails.render(replace(letter, to=replace(SAM, name=ZOE)))
    calendar_part.attach_event(written, name, EVENT, NOW)
    mailer.send(written, letter.key)
    part = next(one for one in arrived(desk).walk() if one.get_content_type() == "text/calendar")
    read = Calendar.from_ical(part.get_payload(decode=True))  # type: ignore[arg-type]
    assert isinstance(read, Calendar)
    (shown,) = read.walk("VEVENT")
    assert shown["ORGANIZER"] == f"mailto:{DANA.email}"
    assert shown["ORGANIZER"].params["SENT-BY"] == "mailto:longarc@example.com"
    assert (shown["ORGANIZER"].params["CN"], shown["ATTENDEE"].params["CN"]) == (ZOE.replace('"', "'"),) * 2


def test_who_sends_as_the_organizer_sends_for_nobody_else() -> None:
    emails = MailRenderer(sender=DANA.email, domain="example.com")
    letter = next(one for one in list_samples() if one.name == "invitation")
    written = emails.render(letter)
    calendar_part.attach_event(written, letter.name, EVENT, NOW)
    text = next(one for one in written.walk() if one.get_content_type() == "text/calendar").get_payload(decode=True)
    assert isinstance(text, bytes) and b"SENT-BY" not in text


def test_whatever_a_body_holds_leaves_in_seven_bits(tmp_path: Any) -> None:
    """Also what a library encoded as 8bit, whichever mailer takes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "longarc@example.com", "sam@example.com", ZOE
    message.set_content(f"{ZOE}\n", cte="8bit")
    maildir.MaildirMailer(tmp_path).send(message, "k1")
    (file,) = maildir.list_messages(tmp_path)
    for content in (to_bytes(message), file.read_bytes()):
        assert content.isascii()
        read = BytesParser(policy=policy.default).parsebytes(content)
        assert read.get_content() == f"{ZOE}\n"
