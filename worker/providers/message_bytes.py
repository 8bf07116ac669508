"""Converts a message to the bytes that are sent."""

from email import policy
from email.message import EmailMessage

#: The format of RFC 5321 and 5322 without extensions: lines of 7-bit characters that end in CRLF. Bodies with other
#: characters are encoded as base64, names in headers as encoded words.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")


def to_bytes(message: EmailMessage) -> bytes:
    """Return the message in 7-bit characters, which servers without 8BITMIME and SMTPUTF8 accept too.

    Raises ValueError for a message that can't be encoded so, such as one with an address that is not ASCII.
    """
    content: bytes = message.as_bytes(policy=_SEVEN_BIT)
    if not content.isascii():
        raise ValueError("a part of it has characters that mail can't transport")
    return content
