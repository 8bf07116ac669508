"""The mail provider for SMTP servers (RFC 5321). It opens one connection for each message.

An SMTP server can't be asked about messages that it has accepted, so `was_sent` always returns None. But when a
connection breaks, we know whether the transfer of the message had begun. If it had not, the message was not sent.
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
from worker.process_metrics import NO_ANSWER, observe_request
from worker.providers.base import Finding
from worker.providers.message_bytes import to_bytes

#: The default port for each value of `security`.
_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_TIMEOUT_SECONDS = 20.0
_MAX_REPLY_LENGTH = 200  #: characters of a server's reply that an error text repeats
_SERVICE_CLOSING = 421  #: the server's status code when it closes the connection, such as under high load
_ACCEPTED = 250  #: the server's status code for a message that it accepts


def build_mailer(section: Mapping[str, Any]) -> "SmtpMailer":
    """Return the mailer that a section of the settings describes. Raises Permanent for an unknown `security`.

    `host`, `port`, `username`, `password`: of the server. `security`: `none`, `starttls` or `tls`. `ca_file`: the
    certificates of a private certificate authority. `timeout`: seconds.
    """
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
        timeout=float(section.get("timeout") or _TIMEOUT_SECONDS),
    )


class SmtpMailer:
    """A Mailer that hands messages to an SMTP server."""

    def __init__(
        self, *, host: str, port: int, username: str, password: str, security: str, ca_file: str, timeout: float
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._security = security
        self._ca_file = ca_file
        self._timeout = timeout

    def send(self, message: EmailMessage, key: str) -> None:
        """Hand the message to the server. Raises ProviderErrors; they are `uncertain` when the message may have been
        sent."""
        sender, recipients, content = _make_envelope(message)
        with observe_request("smtp", "mail") as observation, self._open_session() as session:
            try:
                refusals = session.sendmail(sender, recipients, content)
            except (smtplib.SMTPException, OSError, EOFError) as error:
                observation.status = _find_code(error) or NO_ANSWER
                raise self._translate_error(error, uncertain=session.has_begun_transfer) from error
            observation.status = _ACCEPTED
            if refusals:  # Permanent, so that the recipients who were accepted don't get the message twice
                code, reply = next(iter(refusals.values()))
                raise Permanent(f"The mail server refused a recipient: {code} {_decode_reply(reply)}")

    def was_sent(self, key: str) -> bool | None:
        """Return None, because an SMTP server can't tell."""
        return None

    def check(self) -> list[Finding]:
        """Check whether we can connect, secure the connection and log in. Sends no message."""
        statement = f"The mail server {self._host}:{self._port} answers and accepts the log-in"
        try:
            with self._open_session() as session:
                session.noop()
        except ProviderError as error:
            return [Finding(statement, ok=False, remedy=str(error))]
        except (smtplib.SMTPException, OSError) as error:
            return [Finding(statement, ok=False, remedy=str(self._translate_error(error, uncertain=False)))]
        return [Finding(statement, ok=True)]

    @contextmanager
    def _open_session(self) -> Iterator["_SmtpSession"]:
        """Hold a connection that is secured and logged in inside the `with` block. Raises ProviderErrors."""
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
        """Return a new connection, secured and logged in. Raises the errors of smtplib, ssl and socket."""
        # Without `local_hostname`, smtplib finds the name that EHLO needs by a DNS query, which can take long.
        host_name = socket.gethostname()
        ehlo_name = host_name if "." in host_name else "[127.0.0.1]"
        if self._security == "tls":
            session: _SmtpSession = _TlsSmtpSession(
                self._host,
                self._port,
                local_hostname=ehlo_name,
                timeout=self._timeout,
                context=self._make_ssl_context(),
            )
        else:
            session = _SmtpSession(self._host, self._port, local_hostname=ehlo_name, timeout=self._timeout)
        try:
            if self._security == "starttls":
                session.starttls(context=self._make_ssl_context())
            if self._username:
                session.login(self._username, self._password)
        except BaseException:  # also KeyboardInterrupt: nobody else can close the session
            session.close()
            raise
        return session

    def _make_ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file or None)

    def _translate_error(self, error: Exception, *, uncertain: bool) -> ProviderError:
        """Return the ProviderError for an error of smtplib, ssl or socket. `uncertain`: the message may have been sent,
        unless the server answered with a refusal."""
        server = f"{self._host}:{self._port}"
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
            return AuthRevoked(f"{server}: log-in refused; check smtp.username and its password.")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return _translate_code(*next(iter(error.recipients.values())), refused_item="the recipient")
        if isinstance(error, smtplib.SMTPSenderRefused):
            return _translate_code(error.smtp_code, error.smtp_error, refused_item="the sender's address")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Forbidden(f"{server} can't do what smtp.security or smtp.username needs: {_to_one_line(error)}")
        # smtplib replaces a time-out by SMTPServerDisconnected, and keeps the time-out as the context.
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return Unavailable(f"{server} did not answer within {self._timeout:g} seconds.", uncertain=uncertain)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return Unavailable(f"{server} closed the connection.", uncertain=uncertain)
        if isinstance(error, smtplib.SMTPResponseException):
            return _translate_code(error.smtp_code, error.smtp_error, refused_item="a command")
        if isinstance(error, smtplib.SMTPException):
            return Forbidden(f"{server} can't be used: {_to_one_line(error)}")
        if isinstance(error, ssl.SSLError):
            return Unavailable(f"{server}: no safe connection (TLS); check smtp.security and the certificate.")
        return Unavailable(f"Nothing answers at {server}; check smtp.host and smtp.port.", uncertain=uncertain)


def _make_envelope(message: EmailMessage) -> tuple[str, list[str], bytes]:
    """Return the sender, the recipients, and the message as bytes. Raises Permanent for a message that can't be sent.

    We don't use `smtplib.send_message`, because it puts a ">" before each line that begins with "From".
    """
    try:
        sender = _list_addresses(message, "Sender", "From")[0]
        recipients = _list_addresses(message, "To", "Cc", "Bcc")
        if not recipients or not all(address.isascii() for address in (sender, *recipients)):
            raise ValueError("it has no recipient, or an address with characters that are not ASCII")
        without_bcc = copy(message)
        del without_bcc["Bcc"]
        return sender, recipients, to_bytes(without_bcc)
    except (ValueError, IndexError, AttributeError) as error:
        raise Permanent(f"The message can't be sent: {_to_one_line(error)}") from error


def _list_addresses(message: EmailMessage, *header_names: str) -> list[str]:
    """Return the distinct addresses in the named headers."""
    headers = [header for name in header_names for header in message.get_all(name, [])]
    return list(dict.fromkeys(address.addr_spec for header in headers for address in header.addresses))


class _SmtpSession(smtplib.SMTP):
    """An SMTP connection that remembers whether the transfer of the message has begun."""

    has_begun_transfer = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Transfer the message. `sendmail` calls this method once the server has accepted a recipient."""
        self.has_begun_transfer = True
        return super().data(msg)


class _TlsSmtpSession(_SmtpSession, smtplib.SMTP_SSL):
    """An SMTP connection with TLS from the first byte."""


def _translate_code(code: int, reply: bytes | str, *, refused_item: str) -> ProviderError:
    """Return the ProviderError for a refusal. `refused_item`: what the server refused, for the message."""
    message = f"The mail server refused {refused_item}: {code} {_decode_reply(reply)}"
    if code == _SERVICE_CLOSING:
        return RateLimited(message)
    return Transient(message) if 400 <= code < 500 else Permanent(message)


def _find_code(error: Exception) -> int | None:
    """Return the status code with which the server refused; None for an error without one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def _decode_reply(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return _to_one_line(text)


def _to_one_line(text: object) -> str:
    return " ".join(str(text).split())[:_MAX_REPLY_LENGTH]
