"""A message as it goes over the wire."""

from email import policy
from email.message import EmailMessage

#: RFC 5321 and 5322 without any extension: lines of 7-bit characters, ended by CRLF. What a body holds beyond that is
#: encoded as base64, names in headers as encoded words.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")


def to_bytes(message: EmailMessage) -> bytes:
    """The message in 7-bit characters, whatever it holds: no server need offer 8BITMIME or SMTPUTF8.

    Raises ValueError when it can't be written so, as with an address that is not in ASCII.
    """
    content: bytes = message.as_bytes(policy=_SEVEN_BIT)
    if not content.isascii():
        raise ValueError("a part of it holds characters that mail can't carry")
    return content
