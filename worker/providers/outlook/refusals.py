"""The errors that Microsoft Graph's refusals mean, each with a remedy."""

from collections.abc import Mapping
from typing import Any

from worker.domain.model import Address
from worker.errors import AuthRevoked, Conflict, Forbidden, NotFound, Permanent, ProviderError

_LICENCE_REMEDY = "Give the person an Exchange Online licence, or write `none` as the calendar in the people file."
_POLICY_REMEDY = "Add {who} to the group that the app's access is limited to, and wait up to two hours."
_UNKNOWN_USER = (
    "is not known in this tenant by that address. Fix the address in the people file; where the sign-in name (user "
    "principal name) is another than the address, write it there under `aliases`, or the person's id under "
    "`directory_id`."
)
#: Error codes for an id or sign-in name that nobody in the tenant has.
_UNKNOWN_USER_CODES = frozenset({"request_resourcenotfound", "errorinvaliduser"})
#: By error code: the exception to raise and its text, for codes that mean the same with any HTTP status.
_ERRORS_BY_CODE: Mapping[str, tuple[type[ProviderError], str]] = {
    "mailboxnotenabledforrestapi": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "mailboxnotsupportedforrestapi": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "errornonexistentmailbox": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "erroritemnotfound": (NotFound, "{who}: it is gone."),
    "errorsendasdenied": (
        Forbidden,
        "{who}: the app may not send as the sender; give it Send As, or fix `mail.from`.",
    ),
    "timezonenotsupportedexception": (Permanent, "{who}: the service does not know the time zone that was given."),
}


class UnknownUser(NotFound):
    """Nobody in the tenant has that id or sign-in name."""


def parse_problem(body: Any) -> tuple[str, str, dict[str, Any]]:
    """Return code (in lower case), message (in one line) and the whole error of an error answer; empty where
    missing."""
    try:
        error = body["error"]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
    except (KeyError, TypeError, AttributeError):
        return "", "", {}
    return code.casefold(), " ".join(message.split())[:200], error


def translate_refusal(status: int, code: str, message: str, who: Address) -> ProviderError:
    """Return the error for a permanent refusal, with a remedy. `code`: in lower case."""
    if code in _UNKNOWN_USER_CODES:
        return UnknownUser(f"{who} {_UNKNOWN_USER}")
    if code in _ERRORS_BY_CODE:
        error_class, template = _ERRORS_BY_CODE[code]
        return error_class(template.format(who=who))
    if status == 401:
        return AuthRevoked(f"{who}: the service refuses our token ({message or code}); run `longarc check`.")
    if status == 403:
        return Forbidden(f"{who}: access was refused ({message or code}). {_choose_remedy(message).format(who=who)}")
    if status == 404:
        return NotFound(f"{who}: it is not there ({message or code}).")
    if status in (409, 412):
        return Conflict(f"{who}: it was changed since it was last read.")
    return Permanent(f"{who}: the service refused this: {status} {message or code}")


def _choose_remedy(message: str) -> str:
    # Both texts come from an application access policy that does not include the mailbox.
    if "odata is disabled" in message.casefold() or "raop" in message.casefold():
        return _POLICY_REMEDY
    return "Grant the permissions that README names, with an administrator's consent. " + _POLICY_REMEDY
