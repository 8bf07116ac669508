"""Mail by SMTP (RFC 5321), a connection for each message.

A server that has taken a message tells nobody afterwards, so `was_sent` never knows. What we do know is whether the
message itself had been handed over when something broke: that decides between "may have gone" and "did not go".
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from email.message import EmailMessage
from typing import Any

from worker.errors import AuthRevoked, Forbidden, Permanent, ProviderError, RateLimited, Transient, Unavailable
from worker.providers.base import Finding
from worker.providers.wire import to_bytes

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_TIMEOUT = 20.0


def build_mailer(section: Mapping[str, Any]) -> "SmtpMailer":
    """The mailer as its section of the settings describes it: `host`, `port`, `username`, `password`, `security`
    (`none`, `starttls` or `tls`), `ca_file` (when the server's certificate comes from a house of its own), `timeout` in
    seconds."""
    security = str(section.get("security") or "starttls")
    if security not in _PORTS:
        raise Permanent(f"smtp.security is {security!r}; write none, starttls or tls.")
    return SmtpMailer(
        host=str(section["host"]),
        port=int(section.get("port") or _PORTS[security]),
        username=str(section.get("username") or ""),
        password=str(section.get("password") or ""),
        security=security,
        ca_file=str(section.get("ca_file") or ""),
        timeout=float(section.get("timeout") or _TIMEOUT),
    )


class SmtpMailer:
    """A Mailer that hands messages to an SMTP server."""

    def __init__(
        self, *, host: str, port: int, username: str, password: str, security: str, ca_file: str, timeout: float
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username, password
        self._security, self._ca_file = security, ca_file
        self._timeout = timeout

    def send(self, message: EmailMessage, key: str) -> None:
        sender, recipients, content = _make_envelope(message)
        with self._open_session() as session:
            try:
                refused = session.sendmail(sender, recipients, content)
            except (smtplib.SMTPException, OSError, EOFError) as error:
                raise self._translate_error(error, uncertain=session.handing_over) from error
            if refused:  # the others have it, so it must not be sent again
                code, said = next(iter(refused.values()))
                raise Permanent(f"The mail server refused a recipient: {code} {_decode_reply(said)}")

    def was_sent(self, key: str) -> bool | None:
        return None

    def check(self) -> list[Finding]:
        """Connects, secures the connection, logs in; sends nothing."""
        what = f"The mail server {self._host}:{self._port} answers and lets us in"
        try:
            with self._open_session() as session:
                session.noop()
        except ProviderError as error:
            return [Finding(what, ok=False, remedy=str(error))]
        except (smtplib.SMTPException, OSError) as error:
            return [Finding(what, ok=False, remedy=str(self._translate_error(error, uncertain=False)))]
        return [Finding(what, ok=True)]

    @contextmanager
    def _open_session(self) -> Iterator["_SmtpSession"]:
        try:
            session = self._connect()
        except (smtplib.SMTPException, OSError, EOFError, UnicodeError) as error:
            raise self._translate_error(error, uncertain=False) from error
        try:
            yield session
        finally:
            with suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def _connect(self) -> "_SmtpSession":
        name = socket.gethostname()
        greeting = name if "." in name else "[127.0.0.1]"  # asking the DNS for our name can take long
        if self._security == "tls":
            session: _SmtpSession = _TlsSmtpSession(
                self._host, self._port, local_hostname=greeting, timeout=self._timeout, context=self._make_ssl_context()
            )
        else:
            session = _SmtpSession(self._host, self._port, local_hostname=greeting, timeout=self._timeout)
        try:
            if self._security == "starttls":
                session.starttls(context=self._make_ssl_context())
            if self._username:
                session.login(self._username, self._password)
        except BaseException:
            session.close()
            raise
        return session

    def _make_ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file or None)

    def _translate_error(self, error: Exception, *, uncertain: bool) -> ProviderError:
        place = f"{self._host}:{self._port}"
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
            return AuthRevoked(f"{place}: log-in refused; check smtp.username and its password.")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return _translate_code(*next(iter(error.recipients.values())), what="the recipient")
        if isinstance(error, smtplib.SMTPSenderRefused):
            return _translate_code(error.smtp_code, error.smtp_error, what="the sender's address")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Forbidden(f"{place} can't do what smtp.security or smtp.username asks for: {_to_one_line(error)}")
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return Unavailable(f"{place} did not answer within {self._timeout:g} seconds.", uncertain=uncertain)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return Unavailable(f"{place} closed the connection.", uncertain=uncertain)
        if isinstance(error, smtplib.SMTPResponseException):
            return _translate_code(error.smtp_code, error.smtp_error, what="this")
        if isinstance(error, smtplib.SMTPException):
            return Forbidden(f"{place} can't be used: {_to_one_line(error)}")
        if isinstance(error, ssl.SSLError):
            return Unavailable(f"{place}: no safe connection (TLS); check smtp.security and the certificate.")
        return Unavailable(f"Nothing answers at {place}; check smtp.host and smtp.port.", uncertain=uncertain)


def _make_envelope(message: EmailMessage) -> tuple[str, list[str], bytes]:
    """From whom, to whom, and the message as it goes over the wire. (The library would do this, too, but puts a mark
    before each line that begins with "From".) Raises Permanent."""
    try:
        sender = _list_addresses(message, "Sender", "From")[0]
        recipients = _list_addresses(message, "To", "Cc", "Bcc")
        if not recipients or not all(address.isascii() for address in (sender, *recipients)):
            raise ValueError("it needs a recipient, and addresses in ASCII")
        hidden = copy(message)
        del hidden["Bcc"]
        return sender, recipients, to_bytes(hidden)
    except (ValueError, IndexError, AttributeError) as error:
        raise Permanent(f"The message can't be sent as it is: {_to_one_line(error)}") from error


def _list_addresses(message: EmailMessage, *names: str) -> list[str]:
    found = [one.addr_spec for name in names for header in message.get_all(name, []) for one in header.addresses]
    return list(dict.fromkeys(found))


class _SmtpSession(smtplib.SMTP):
    """Remembers whether the message itself has begun to go over."""

    handing_over = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.handing_over = True
        return super().data(msg)


class _TlsSmtpSession(_SmtpSession, smtplib.SMTP_SSL):
    """With TLS from the first byte."""


def _translate_code(code: int, said: bytes | str, *, what: str) -> ProviderError:
    message = f"The mail server refused {what}: {code} {_decode_reply(said)}"
    if code == 421:
        return RateLimited(message)
    return Transient(message) if 400 <= code < 500 else Permanent(message)


def _decode_reply(said: bytes | str) -> str:
    return _to_one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)


def _to_one_line(said: object) -> str:
    return " ".join(str(said).split())[:200]
