"""Every mail can be sent to a server without 8BITMIME and SMTPUTF8, and parsed by RFC 5322 and 2045."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from icalendar import Calendar

from tests.providers.test_smtp import MailHandler, open_mailer, serve_mail
from worker.domain.model import EventDraft, NamedAddress, Span
from worker.mail import calendar_part
from worker.mail.kinds import KINDS, list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import DANA, NOW, SAM
from worker.providers import maildir
from worker.providers.message_bytes import to_bytes
from worker.providers.smtp import SmtpMailer

#: A name of many scripts, with quotes.
ZOE = "Zoë Ünal-Çelik, “Zo” 漢"
#: The longest line that RFC 5322 allows, in 2.1.1.
MAX_LINE_BYTES = 998
EVENT = EventDraft(
    key="k1",
    title=f"Gespräch: {ZOE}",
    body=f"Zeit für {ZOE}. " * 40,
    span=Span(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1)),
    zone="Europe/Berlin",
    organizer=NamedAddress(DANA.email, ZOE),
    guests=(NamedAddress(SAM.email, ZOE),),
)


class OldServer(MailHandler):
    """A server that offers neither 8BITMIME nor SMTPUTF8."""

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if "8BITMIME" not in line and "SMTPUTF8" not in line]


@pytest.fixture(scope="module")
def server() -> OldServer:
    return OldServer()


@pytest.fixture(scope="module")
def mailer(server: OldServer) -> Iterator[SmtpMailer]:
    with serve_mail(server, enable_SMTPUTF8=False) as port:
        yield open_mailer(port)


def read_last_mail(server: OldServer) -> EmailMessage:
    """Return the last mail that the server took, after a check that any server could have taken it."""
    _, content = server.taken[-1]
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= MAX_LINE_BYTES
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = BytesParser(policy=policy.default).parsebytes(content)
    for part in message.walk():
        assert not part.defects, part.defects
        assert not [header for header in part.values() if header.defects]
        encoding = str(part["Content-Transfer-Encoding"] or "7bit").casefold()
        assert encoding in ("7bit", "quoted-printable", "base64")
    return message


def list_bodies(message: EmailMessage) -> list[list[str]]:
    """Return the lines of each part of a mail."""
    return [str(part.get_content()).splitlines() for part in message.iter_parts()]


@pytest.mark.parametrize("locale", ["en", "de"])
def test_every_mail_can_be_sent_without_smtp_extensions(server: OldServer, mailer: SmtpMailer, locale: str) -> None:
    renderer = MailRenderer(sender="longarc@example.com", domain="example.com")
    samples = {context.name: context for context in list_samples(locale)}
    for context in samples.values():
        manager = replace(context.manager, name=ZOE) if context.manager else None
        report = replace(context.report, name=ZOE) if context.report else None
        mail = renderer.render(replace(context, manager=manager, report=report, to=replace(context.to, name=ZOE)))
        mailer.send(mail, context.key)
        message = read_last_mail(server)
        assert message["To"].addresses[0].display_name == ZOE
        assert message["Subject"] == mail["Subject"]
        assert list_bodies(message) == list_bodies(mail)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.calendar_method])
def test_an_invitation_with_names_in_any_script_can_be_sent_without_extensions(
    server: OldServer, mailer: SmtpMailer, name: str
) -> None:
    """RFC 6047: the parameter SENT-BY names the sender, who is not the organizer."""
    renderer = MailRenderer(sender="longarc@example.com", domain="example.com")
    context = next(sample for sample in list_samples("de") if sample.name == name)
    mail = renderer.render(replace(context, to=replace(SAM, name=ZOE)))
    calendar_part.attach_event(mail, name, EVENT, NOW)
    mailer.send(mail, context.key)
    part = next(part for part in read_last_mail(server).walk() if part.get_content_type() == "text/calendar")
    calendar = Calendar.from_ical(part.get_payload(decode=True))  # type: ignore[arg-type]
    assert isinstance(calendar, Calendar)
    (event,) = calendar.walk("VEVENT")
    assert event["ORGANIZER"] == f"mailto:{DANA.email}"
    assert event["ORGANIZER"].params["SENT-BY"] == "mailto:longarc@example.com"
    # a parameter of iCalendar can't contain the character "
    quotable_name = ZOE.replace('"', "'")
    assert (event["ORGANIZER"].params["CN"], event["ATTENDEE"].params["CN"]) == (quotable_name, quotable_name)


def test_an_invitation_sent_by_the_organizer_has_no_sent_by() -> None:
    renderer = MailRenderer(sender=DANA.email, domain="example.com")
    context = next(sample for sample in list_samples() if sample.name == "invitation")
    mail = renderer.render(context)
    calendar_part.attach_event(mail, context.name, EVENT, NOW)
    part = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    text = part.get_payload(decode=True)
    assert isinstance(text, bytes) and b"SENT-BY" not in text


def test_an_8bit_body_is_encoded_in_seven_bits(tmp_path: Any) -> None:
    """Both when bytes are made for SMTP, and when the mail is written to a Maildir."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "longarc@example.com", "sam@example.com", ZOE
    message.set_content(f"{ZOE}\n", cte="8bit")
    maildir.MaildirMailer(tmp_path).send(message, "k1")
    (file,) = maildir.list_messages(tmp_path)
    for content in (to_bytes(message), file.read_bytes()):
        assert content.isascii()
        parsed = BytesParser(policy=policy.default).parsebytes(content)
        assert parsed.get_content() == f"{ZOE}\n"
