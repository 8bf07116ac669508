"""Checks of the SCIM server, to which directories push people: its library, its tokens, and its public address."""

from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from worker.errors import explain_missing_extra
from worker.providers.base import Finding
from worker.settings.environment import MIN_SCIM_TOKEN_CHARS, SCIM_TOKEN_VARIABLE
from worker.settings.load import Settings

_TIMEOUT_SECONDS = 10
#: The HTTP status of the response to a request without a valid token.
_UNAUTHORIZED = 401


def check_scim(settings: Settings) -> Iterator[Finding]:
    """Yield findings on what a directory needs to push people to Longarc."""
    has_library = find_spec("scim2_server") is not None
    yield Finding(
        "The library for SCIM is installed", ok=has_library, remedy="" if has_library else explain_missing_extra("scim")
    )
    yield _check_tokens(settings)
    address = f"{settings.base_url.rstrip('/')}/scim/v2"
    is_secure = urlsplit(settings.base_url).scheme == "https"
    remedy = "" if is_secure else "Entra and Okta push only to HTTPS. Put a proxy with TLS in front of the pages."
    yield Finding(f"Directories push people to {address}", ok=is_secure, remedy=remedy)
    yield _check_response(address)


def _check_tokens(settings: Settings) -> Finding:
    count = len(settings.scim_tokens)
    if not count:
        remedy = (
            f"Make one of at least {MIN_SCIM_TOKEN_CHARS} characters with `openssl rand -hex 32`, and give it as "
            f"{SCIM_TOKEN_VARIABLE} or {SCIM_TOKEN_VARIABLE}_FILE."
        )
        return Finding("A token is set, with which directories can push people", ok=False, remedy=remedy)
    if count == 1:
        return Finding("A token is set, with which directories can push people", ok=True)
    remedy = "Remove the old token when the directory uses the new one."
    return Finding(f"{count} tokens are set, with which directories can push people", ok=True, remedy=remedy)


def _check_response(address: str) -> Finding:
    """Send a request without a token, which the pages have to refuse.

    Any problem is only a warning, a finding with `ok=True` and a remedy, because the pages may not be served yet.
    """
    import requests

    try:
        response = requests.get(f"{address}/ServiceProviderConfig", timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        remedy = (
            "Start `longarc run`, and check the name, the certificate and the proxy. "
            "The address may still be reachable from elsewhere."
        )
        return Finding(f"{address} does not respond to this machine ({type(error).__name__})", ok=True, remedy=remedy)
    if response.status_code == _UNAUTHORIZED:
        return Finding(f"{address} responds to this machine, and refuses requests without a token", ok=True)
    remedy = "Let the proxy pass everything below /scim/ on to the pages, with the header `Authorization`."
    statement = f"{address} answers {response.status_code} to a request without a token, and not {_UNAUTHORIZED}"
    return Finding(statement, ok=True, remedy=remedy)
