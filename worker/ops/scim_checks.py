"""Checks of the way by which directories push people: the token, the pages, and whether they can be reached."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from worker.errors import build_extra_remedy
from worker.providers.base import Finding
from worker.seal import Seal, generate_key
from worker.settings.environment import MIN_SCIM_TOKEN_CHARS, SCIM_TOKEN_VARIABLE
from worker.settings.load import Settings
from worker.store.statistics import Statistics
from worker.store.store import Store

_TIMEOUT_SECONDS = 10
#: The status of an answer to whoever has no token.
_REFUSED = 401


def check_scim(settings: Settings) -> Iterator[Finding]:
    """Yield what a directory needs to push people here."""
    has_library = find_spec("scim2_server") is not None
    yield Finding("The library for SCIM is installed", has_library, "" if has_library else build_extra_remedy("scim"))
    yield _check_tokens(settings)
    address = f"{settings.base_url.rstrip('/')}/scim/v2"
    is_secure = urlsplit(settings.base_url).scheme == "https"
    remedy = "" if is_secure else "Entra and Okta push to HTTPS alone: put a proxy with TLS before the pages."
    yield Finding(f"Directories push people to {address}", is_secure, remedy)
    yield _check_answer(address)


def _check_tokens(settings: Settings) -> Finding:
    count = len(settings.scim_tokens)
    if not count:
        remedy = (
            f"Make one of at least {MIN_SCIM_TOKEN_CHARS} characters with `openssl rand -hex 32`, and give it as "
            f"{SCIM_TOKEN_VARIABLE} or {SCIM_TOKEN_VARIABLE}_FILE."
        )
        return Finding("A token admits directories", False, remedy)
    if count == 1:
        return Finding("A token admits directories", True)
    remedy = "Take the old one away when the directory has the new one."
    return Finding(f"{count} tokens admit directories", True, remedy)


def _check_answer(address: str) -> Finding:
    """Ask for what needs a token, without one. Nothing is wrong while the pages aren't served yet: it is a warning."""
    import requests

    what = f"{address} answers from here, and refuses whoever has no token"
    try:
        answer = requests.get(f"{address}/ServiceProviderConfig", timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        remedy = "Start `longarc run`, and look at the name, the certificate and the proxy. It may still do elsewhere."
        return Finding(f"{address} gives no answer from here ({type(error).__name__})", True, remedy)
    if answer.status_code == _REFUSED:
        return Finding(what, True)
    remedy = "Have the proxy pass everything below /scim/ on to the pages, with the header `Authorization`."
    return Finding(f"{address} answers {answer.status_code} to a request without a token, not {_REFUSED}", True, remedy)


@contextmanager
def open_current_store(settings: Settings) -> Iterator[Store | None]:
    """Open the database without its key; None while there is none, or one of another version."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        yield None
        return
    with closing(Store(settings.database, Seal([generate_key()]))) as store:  # nothing sealed is opened
        version, program_version = Statistics(store.database).get_schema_versions()
        yield store if version == program_version else None
