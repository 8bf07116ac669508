"""A variant of the standard library's mail policy that caches the parsed headers.

Parsing headers takes half of the time of creating a mail, because `HeaderRegistry` creates a class for each header and
parses each value again. Most headers of a mail have the same values as those of earlier mails.
"""

from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.policy import SMTP
from functools import cache, lru_cache
from typing import Any

_STANDARD_HEADERS = HeaderRegistry()
#: Headers whose values repeat from mail to mail. None of them holds content of a conversation.
_REPEATED = frozenset(
    {
        "from",
        "to",
        "reply-to",
        "mime-version",
        "auto-submitted",
        "x-auto-response-suppress",
        "content-type",
        "content-transfer-encoding",
        "content-language",
    }
)


class CachedHeaders(HeaderRegistry):
    """A header registry that returns the same headers as the standard one, but caches classes and repeated values."""

    def __getitem__(self, name: str) -> type[BaseHeader]:
        return _find_header_class(name.lower())

    def __call__(self, name: str, value: Any) -> BaseHeader:
        if isinstance(value, str) and name.lower() in _REPEATED:
            return _parse_repeated_header(name, value)
        return self[name](name, value)


@cache
def _find_header_class(name: str) -> type[BaseHeader]:
    return _STANDARD_HEADERS[name]


@lru_cache(4096)
def _parse_repeated_header(name: str, value: str) -> BaseHeader:
    return _find_header_class(name.lower())(name, value)


@lru_cache(4096)
def format_address(name: str, email: str) -> str:
    """Return the name and the address in the format of headers. Raises ValueError or HeaderParseError."""
    return str(Address(name, addr_spec=email))


#: Equivalent to `email.policy.SMTP`.
MAIL_POLICY = SMTP.clone(header_factory=CachedHeaders())
