"""Writes a message as bytes for sending."""

from email import policy
from email.message import EmailMessage

#: RFC 5321 and 5322 without any extension: lines of 7-bit characters, ended by CRLF. What a body holds beyond that is
#: encoded as base64, names in headers as encoded words.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")


def to_bytes(message: EmailMessage) -> bytes:
    """Return the message in 7-bit characters, so that servers without 8BITMIME and SMTPUTF8 accept it.

    Raises ValueError when that is impossible, as with an address that is not in ASCII.
    """
    content: bytes = message.as_bytes(policy=_SEVEN_BIT)
    if not content.isascii():
        raise ValueError("a part of it holds characters that mail can't carry")
    return content
