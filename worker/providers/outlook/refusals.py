"""Translates Microsoft Graph's refusals of requests into ProviderErrors, whose texts name a remedy."""

from collections.abc import Mapping
from typing import Any

from worker.domain.model import Address
from worker.errors import AuthRevoked, Conflict, Forbidden, NotFound, Permanent, ProviderError

_MAX_MESSAGE_LENGTH = 200  #: characters of Graph's error message that an error text repeats
_LICENCE_REMEDY = "Give the person an Exchange Online licence, or write `none` as the calendar in the people file."
_POLICY_REMEDY = "Add {person} to the group that the app's access is limited to, and wait up to two hours."
_UNKNOWN_USER = (
    "is not known in this tenant by that address. Fix the address in the people file. If the person's sign-in name "
    "(user principal name) differs from the address, write the sign-in name there under `aliases`, or the person's id "
    "under `directory_id`."
)
#: Error codes for an id or sign-in name that nobody in the tenant has.
_UNKNOWN_USER_CODES = frozenset({"request_resourcenotfound", "errorinvaliduser"})
#: The exception to raise and its text, by error code, for codes that mean the same with every HTTP status.
_ERRORS_BY_CODE: Mapping[str, tuple[type[ProviderError], str]] = {
    "mailboxnotenabledforrestapi": (NotFound, f"{{person}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "mailboxnotsupportedforrestapi": (NotFound, f"{{person}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "errornonexistentmailbox": (NotFound, f"{{person}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "erroritemnotfound": (NotFound, "{person}: the item no longer exists."),
    "errorsendasdenied": (
        Forbidden,
        "{person}: the app may not send mail as this sender. Grant it Send As, or fix `mail.from`.",
    ),
    "timezonenotsupportedexception": (Permanent, "{person}: the service does not know the time zone in our request."),
}


class UnknownUser(NotFound):
    """Nobody in the tenant has that id or sign-in name."""


def parse_problem(body: Any) -> tuple[str, str, dict[str, Any]]:
    """Return the code, the message and the whole error object in the body of an error answer.

    The code is in lower case, and the message in one line. Each of the three is empty when it is missing.
    """
    try:
        error = body["error"]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
    except (KeyError, TypeError, AttributeError):
        return "", "", {}
    return code.casefold(), " ".join(message.split())[:_MAX_MESSAGE_LENGTH], error


def translate_refusal(status: int, code: str, message: str, person: Address) -> ProviderError:
    """Return the error for a permanent refusal, with a remedy. `code` has to be in lower case."""
    if code in _UNKNOWN_USER_CODES:
        return UnknownUser(f"{person} {_UNKNOWN_USER}")
    if code in _ERRORS_BY_CODE:
        error_class, template = _ERRORS_BY_CODE[code]
        return error_class(template.format(person=person))
    if status == 401:
        return AuthRevoked(f"{person}: the service refuses our access token ({message or code}). Run `longarc check`.")
    if status == 403:
        return Forbidden(
            f"{person}: access was refused ({message or code}). {_choose_remedy(message).format(person=person)}"
        )
    if status == 404:
        return NotFound(f"{person}: the service does not find the item ({message or code}).")
    if status in (409, 412):
        return Conflict(f"{person}: the item was changed since it was last read.")
    return Permanent(f"{person}: the service refused the request: {status} {message or code}")


def _choose_remedy(message: str) -> str:
    """Return the remedy for a refusal with HTTP status 403."""
    # Graph sends these two texts when an application access policy does not include the mailbox.
    is_refused_by_policy = "odata is disabled" in message.casefold() or "raop" in message.casefold()
    if is_refused_by_policy:
        return _POLICY_REMEDY
    return f"Have an administrator grant the permissions that docs/how-to/microsoft.md lists. {_POLICY_REMEDY}"
