"""The SMTP mailer on a real SMTP server: mails that arrive, refusals, and sends whose outcome is unknown."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.drafts import letter
from tests.support.mailer_contract import MailerContract
from worker.clock import utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, Forbidden, Permanent, ProviderError, RateLimited, Transient, Unavailable
from worker.providers import base
from worker.providers.smtp import SmtpMailer


class MailHandler:
    """An SMTP handler that accepts mail, and refuses or hangs up at the steps for which a test says so."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], bytes]] = []  #: the recipients and the content of each accepted mail
        self.answers: dict[str, str] = {}  #: refusals, by the step (`MAIL`, `RCPT`, `DATA`) or the recipient
        self.hang_up_at = ""  #: the step at which the connection is broken

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "MAIL" in self.answers or self.hang_up_at == "MAIL":
            return self._act(server, "MAIL")
        envelope.mail_from = address
        return "250 fine"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.answers:
            return self.answers[address]
        if "RCPT" in self.answers or self.hang_up_at == "RCPT":
            return self._act(server, "RCPT")
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" not in self.answers:
            self.taken.append((list(envelope.rcpt_tos), envelope.original_content))
        return self._act(server, "DATA")

    def _act(self, server: Any, step: str) -> str:
        """Hang up when that is planned for the step; return its answer."""
        if self.hang_up_at == step:
            server.transport.abort()
        return self.answers.get(step, "250 taken")


class BoundController(Controller):
    """Listens on a port that the system has chosen, and keeps it from the start, so that nobody else takes it."""

    def __init__(self, handler: MailHandler, **parameters: Any) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        super().__init__(handler, hostname="127.0.0.1", port=self._listening.getsockname()[1], **parameters)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening, ssl=self.ssl_context)


@contextmanager
def serve_mail(handler: MailHandler, **parameters: Any) -> Iterator[int]:
    """Run an SMTP server with this handler; yield its port."""
    controller = BoundController(handler, **parameters)
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()


def open_mailer(port: int, **section: Any) -> SmtpMailer:
    """Return a mailer for the server on that port; `section` replaces settings."""
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5} | section
    smtp_mailer = base.load_factory(base.MAILER_FACTORIES, "smtp")(settings)
    assert isinstance(smtp_mailer, SmtpMailer)
    return smtp_mailer


@pytest.fixture(scope="module")
def shared_handler() -> MailHandler:
    return MailHandler()


@pytest.fixture(scope="module")
def port(shared_handler: MailHandler) -> Iterator[int]:
    with serve_mail(shared_handler, enable_SMTPUTF8=False) as port:
        yield port


@pytest.fixture
def handler(shared_handler: MailHandler) -> MailHandler:
    shared_handler.taken, shared_handler.answers, shared_handler.hang_up_at = [], {}, ""
    return shared_handler


@pytest.fixture
def mailer(port: int, handler: MailHandler) -> SmtpMailer:
    return open_mailer(port)


@pytest.fixture
def inbox(handler: MailHandler) -> Callable[[Address], list[EmailMessage]]:
    parser = BytesParser(policy=policy.default)

    def read_messages(to: Address) -> list[EmailMessage]:
        return [parser.parsebytes(content) for recipients, content in handler.taken if to in recipients]

    return read_messages


class TestSmtpMailer(MailerContract):
    knows_what_it_sent = False  # SMTP has no command that looks for a sent mail


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 5.1.1 no such user here", Permanent),
        ("450 4.2.1 try again", Transient),
        ("421 4.7.0 too many", RateLimited),
    ],
)
def test_status_code_decides_whether_a_refusal_is_permanent(
    mailer: SmtpMailer, handler: MailHandler, step: str, answer: str, error: type[ProviderError]
) -> None:
    handler.answers[step] = answer
    with pytest.raises(error) as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert "\n" not in str(error_info.value) and answer[:3] in str(error_info.value)
    assert handler.taken == []
    if isinstance(error_info.value, Transient):
        assert not error_info.value.uncertain  # the server has answered that it did not accept the mail


@pytest.mark.parametrize(("step", "uncertain"), [("MAIL", False), ("RCPT", False), ("DATA", True)])
def test_broken_connection_is_uncertain_only_after_the_message_is_sent(
    mailer: SmtpMailer, handler: MailHandler, step: str, uncertain: bool
) -> None:
    handler.hang_up_at = step
    with pytest.raises(Unavailable) as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert error_info.value.uncertain is uncertain
    assert bool(handler.taken) is uncertain


def test_mail_that_one_of_two_recipients_got_is_never_sent_again(mailer: SmtpMailer, handler: MailHandler) -> None:
    handler.answers["kim@example.org"] = "450 later"
    with pytest.raises(Permanent):
        mailer.send(letter("sam@example.org, kim@example.org"), "m1")
    assert [recipients for recipients, _ in handler.taken] == [["sam@example.org"]]


def test_send_to_a_closed_port_is_not_uncertain() -> None:
    with socket.socket() as closed_port:
        closed_port.bind(("127.0.0.1", 0))
        mailer = open_mailer(closed_port.getsockname()[1])
        with pytest.raises(Unavailable, match=r"smtp\.host") as error_info:
            mailer.send(letter("sam@example.org"), "m1")
        [finding] = mailer.check()
    assert not error_info.value.uncertain
    assert not finding.ok and "\n" not in finding.remedy


def test_silent_server_is_left_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        mailer = open_mailer(silent_server.getsockname()[1], timeout=0.1)
        with pytest.raises(Unavailable, match=r"0\.1 seconds") as error_info:
            mailer.send(letter("sam@example.org"), "m1")
    assert not error_info.value.uncertain


def test_check_of_a_working_server_succeeds_and_sends_no_mail(mailer: SmtpMailer, handler: MailHandler) -> None:
    [finding] = mailer.check()
    assert finding.ok and handler.taken == []


def test_mail_that_smtp_cannot_carry_is_a_permanent_error(mailer: SmtpMailer, handler: MailHandler) -> None:
    nameless = letter("sam@example.org")
    del nameless["From"]
    for message in (letter("säm@example.org"), letter(""), nameless):
        with pytest.raises(Permanent, match="message can't be sent") as error_info:
            mailer.send(message, "m1")
        assert "\n" not in str(error_info.value)
    assert handler.taken == []


def test_bcc_recipient_is_not_named_in_the_message(mailer: SmtpMailer, handler: MailHandler) -> None:
    message = letter("sam@example.org")
    message["Bcc"] = "kim@example.org"
    mailer.send(message, "m1")
    [(recipients, content)] = handler.taken
    assert recipients == ["sam@example.org", "kim@example.org"] and b"kim@" not in content
    assert message["Bcc"] == "kim@example.org"


def test_unknown_kind_of_security_is_an_error() -> None:
    with pytest.raises(Permanent, match=r"smtp\.security is 'ssl'"):
        open_mailer(port=1, security="ssl")


# --- TLS and log-in ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for this computer: its file, and the context for a server that uses it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    subject_address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = utcnow()
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(subject_address, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "public.pem", folder / "secret.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return certificate_file, context


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, auth_data: Any) -> AuthResult:
    """Accept the right password; with `handled`, aiosmtpd would expect the answer to have been sent here."""
    return AuthResult(success=auth_data.password == b"right", handled=False)


@pytest.fixture(scope="module")
def secured_server(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[tuple[MailHandler, int, Path]]:
    """A server that requires STARTTLS and a log-in: its handler, its port and its certificate."""
    handler = MailHandler()
    with serve_mail(
        handler, tls_context=certificate[1], authenticator=authenticate, auth_required=True, require_starttls=True
    ) as port:
        yield handler, port, certificate[0]


def test_mailer_logs_in_over_starttls(secured_server: tuple[MailHandler, int, Path]) -> None:
    handler, port, ca_file = secured_server
    mailer = open_mailer(port, security="starttls", ca_file=str(ca_file), username="longarc", password="right")
    mailer.send(letter("sam@example.org"), "m1")
    assert len(handler.taken) == 1
    assert [finding.ok for finding in mailer.check()] == [True]


@pytest.mark.parametrize(
    ("section", "error", "expected_word"),
    [
        ({"username": "longarc", "password": "wrong"}, AuthRevoked, "smtp.username"),
        ({"ca_file": ""}, Unavailable, "certificate"),
        ({"security": "tls", "username": "longarc", "password": "right"}, Unavailable, "smtp.security"),
        ({"security": "none", "username": "longarc", "password": "right"}, Forbidden, "smtp.security"),
        ({"username": ""}, Permanent, "530"),  # the server's refusal of a client that has not logged in
    ],
)
def test_wrong_setting_is_an_error_of_one_line(
    secured_server: tuple[MailHandler, int, Path],
    section: dict[str, str],
    error: type[ProviderError],
    expected_word: str,
) -> None:
    handler, port, ca_file = secured_server
    handler.taken.clear()
    mailer = open_mailer(port, **({"security": "starttls", "ca_file": str(ca_file)} | section))
    with pytest.raises(error) as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert (
        expected_word in str(error_info.value)
        and "\n" not in str(error_info.value)
        and "wrong" not in str(error_info.value)
    )
    assert handler.taken == []


def test_mailer_uses_tls_from_the_first_byte(certificate: tuple[Path, ssl.SSLContext]) -> None:
    handler = MailHandler()
    with serve_mail(handler, ssl_context=certificate[1]) as port:
        mailer = open_mailer(port, security="tls", ca_file=str(certificate[0]))
        mailer.send(letter("sam@example.org"), "m1")
    assert len(handler.taken) == 1


def test_no_mail_is_sent_unencrypted_when_starttls_is_missing(port: int, handler: MailHandler) -> None:
    """R-23, content is confidential: a mail that has to be encrypted is not sent when it can't be."""
    with pytest.raises(Forbidden, match=r"smtp\.security"):
        open_mailer(port, security="starttls").send(letter("sam@example.org"), "m1")
    assert handler.taken == []
