"""Connects one manager's Google account, for `longarc connect google`, with OAuth's flow for installed programs.

The manager grants access in a browser. Google then redirects the browser to a port that this process opens on 127.0.0.1
for that one request. PKCE and a random state prove that the redirect belongs to this run. Of the tokens that Google
issues, only the refresh token is stored, sealed (encrypted).
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from worker.clock import utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, Forbidden, LongarcError, ProviderError, Refused, Unavailable
from worker.providers.google.auth import (
    ACCOUNT_SCOPES,
    AUTH_ENDPOINT,
    TOKEN_ENDPOINT,
    TokenEndpoint,
    TokenFolder,
    get_timeout,
)

_HOST = "127.0.0.1"
_MAX_TEXT_LENGTH = 60  #: characters of a text from the browser that an error text repeats
#: The page that the browser shows after the redirect.
_DONE_PAGE = b"<!doctype html><title>Longarc</title><p>This window can be closed now; go back to the terminal.</p>"
_IDENTITY_SCOPES = ("openid", "email")  #: request an id token, which names the account


def connect_account(
    section: Mapping[str, Any], person: Address, show_url: Callable[[str], None], wait_seconds: float = 300
) -> tuple[Address, str]:
    """Ask the person for the grant in a browser; return the account and the path of the file that holds its token.

    `show_url` is called with the URL that the person has to open. `wait_seconds` is the longest time to wait for the
    browser. When a LongarcError is raised, no token was stored.
    """
    client_id = str(section.get("client_id") or "")
    if not client_id:
        raise Refused(
            "calendars.google.client_id is not set. In the Cloud console open APIs & Services > Credentials > Create "
            "credentials > OAuth client ID > Desktop app. Write the client's id into this setting, and its secret into "
            "LONGARC_GOOGLE_CLIENT_SECRET."
        )
    if not section.get("keys"):
        raise Refused("LONGARC_KEY is not set, so the token can't be sealed. Create a key with `longarc key`.")
    folder = TokenFolder(Path(str(section.get("token_folder") or "var/google")), section["keys"])
    folder.prepare_for(person)
    code_verifier = secrets.token_urlsafe(64)
    state = secrets.token_urlsafe(32)
    with _CallbackServer() as server:
        auth_url = _compose_auth_url(
            section, person, client_id=client_id, redirect_uri=server.uri, code_verifier=code_verifier, state=state
        )
        show_url(auth_url)
        code = _read_code(server.wait_for_query(wait_seconds), state)
        answer = _exchange_code(
            section, client_id=client_id, redirect_uri=server.uri, code_verifier=code_verifier, code=code
        )
    account = _read_account(answer)
    if account != person:
        raise Refused(
            f"Access to the account {account} was granted, not to {person}. Nothing was stored. Run the command again "
            f"and choose the account {person}."
        )
    granted_scopes = set(str(answer.get("scope", "")).split())
    missing_scopes = [scope for scope in ACCOUNT_SCOPES if scope not in granted_scopes]
    if missing_scopes:
        raise Refused(
            f"The grant lacks these scopes: {', '.join(missing_scopes)}. Nothing was stored. Run the command again and "
            "tick every box."
        )
    token = answer.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise Refused(
            "Google issued no refresh token. Remove Longarc at myaccount.google.com/connections, then run the command "
            "again."
        )
    return account, str(folder.save(account, token))


def _compose_auth_url(
    section: Mapping[str, Any], person: Address, *, client_id: str, redirect_uri: str, code_verifier: str, state: str
) -> str:
    """Return the URL at which the person grants access. `code_verifier` is the PKCE secret; the URL holds its hash."""
    code_challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": " ".join([*_IDENTITY_SCOPES, *ACCOUNT_SCOPES]),
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
        "state": state,
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": person,
    }
    return f"{section.get('auth_endpoint') or AUTH_ENDPOINT}?{urlencode(query)}"


def _read_code(query: Mapping[str, list[str]], state: str) -> str:
    """Return the authorization code in the query of the redirect.

    Raises Forbidden when the query's state is not `state`, and Refused when the person did not grant access.
    """
    if not secrets.compare_digest(query.get("state", [""])[0], state):
        raise Forbidden("The browser was redirected by another request than ours. Nothing was stored.")
    if error := query.get("error", [""])[0]:
        raise Refused(f"Access was not granted ({_sanitize_text(error)}). Nothing was stored.")
    if not query.get("code"):
        raise Refused("The browser was redirected without an authorization code. Nothing was stored.")
    return query["code"][0]


def _sanitize_text(text: str) -> str:
    """Return the beginning of the text, without characters that a terminal could take for a command."""
    beginning = text[:_MAX_TEXT_LENGTH]
    return "".join(character for character in beginning if character.isalnum() or character in "_- ")


def _exchange_code(
    section: Mapping[str, Any], *, client_id: str, redirect_uri: str, code_verifier: str, code: str
) -> dict[str, Any]:
    """Exchange the authorization code for tokens; return the token endpoint's answer, with tokens and granted scopes.

    Raises AuthRevoked when Google refuses the code, and the other errors of `TokenEndpoint.post_form`.
    """
    endpoint = TokenEndpoint(str(section.get("token_endpoint") or TOKEN_ENDPOINT), get_timeout(section))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "client_secret": str(section.get("password") or ""),  # every provider gets its secret as `password`
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
    }

    def translate_refusal(error: str, _description: str) -> ProviderError:
        if error in ("invalid_client", "unauthorized_client"):
            return AuthRevoked("Google does not know this OAuth client: check client_id and the client's secret.")
        return AuthRevoked(
            f"Google did not accept the authorization code ({_sanitize_text(error)}). Nothing was stored. Run the "
            "command again."
        )

    return endpoint.post_form(form, translate_refusal)


def _read_account(answer: Mapping[str, Any]) -> Address:
    """Return the address of the account that the id token names. Raises LongarcError when no account is named.

    The signature of the id token need not be verified, because the token came directly from Google over TLS.
    """
    from google.auth import jwt

    decode: Any = jwt.decode  # the library has no types here
    try:
        claims = decode(str(answer.get("id_token", "")), verify=False)
    except ValueError:
        claims = {}
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise LongarcError("Google's answer does not name the account. Nothing was stored.")
    return email.lower()


class _CallbackServer:
    """An HTTP server on a free port of 127.0.0.1 that waits for the browser's redirect from Google."""

    def __init__(self) -> None:
        self._query: dict[str, list[str]] | None = None
        callback_server = self

        class Handler(BaseHTTPRequestHandler):
            """Stores the query of the request that carries a `state`; answers 404 to any other."""

            timeout = 10  #: seconds after which an idle connection is closed

            def do_GET(self) -> None:  # BaseHTTPRequestHandler requires this name
                query = parse_qs(urlsplit(self.path).query)
                is_callback = "state" in query
                self.send_response(200 if is_callback else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                if is_callback:
                    self.wfile.write(_DONE_PAGE)
                    callback_server._query = query

            def log_message(self, *_: object) -> None:
                """Log nothing: the query holds a secret code."""

        self._server = HTTPServer((_HOST, 0), Handler)
        self.uri = f"http://{_HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> "_CallbackServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait_for_query(self, seconds: float) -> dict[str, list[str]]:
        """Return the query of the browser's redirect. Raises Unavailable when none comes within `seconds`."""
        deadline = utcnow() + timedelta(seconds=seconds)
        while self._query is None:
            remaining = (deadline - utcnow()).total_seconds()
            self._server.timeout = remaining
            if remaining <= 0:
                raise Unavailable("The browser was not redirected in time. Nothing was stored.")
            self._server.handle_request()
        return self._query
