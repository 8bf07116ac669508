"""`longarc connect google`: connects one manager's account, by OAuth's flow for installed programs.

The browser is sent to Google, which redirects it to a port that this process opens on 127.0.0.1 for that one request.
PKCE and a random state prove that the redirect belongs to this run. Only the refresh token is stored, sealed.
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
_DONE_PAGE = b"<!doctype html><title>Longarc</title><p>This window can be closed now; go back to the terminal.</p>"
_IDENTITY_SCOPES = ("openid", "email")  #: for the id token, which names the account


def connect_account(
    section: Mapping[str, Any], person: Address, show: Callable[[str], None], wait: float = 300
) -> tuple[Address, str]:
    """Ask for the grant in a browser; return the account and the path of the file that holds its token.

    `show`: called with the URL to open. `wait`: seconds to wait for the browser. When it raises a LongarcError, nothing
    was written.
    """
    client_id = str(section.get("client_id") or "")
    if not client_id:
        raise Refused(
            "calendars.google.client_id is not set. In the Cloud console open APIs & Services > Credentials > Create "
            "credentials > OAuth client ID > Desktop app; put its id there, and its secret in "
            "LONGARC_GOOGLE_CLIENT_SECRET."
        )
    if not section.get("keys"):
        raise Refused("There is no LONGARC_KEY to seal the token with. Make one with `longarc key`.")
    folder = TokenFolder(Path(str(section.get("token_folder") or "var/google")), section["keys"])
    folder.prepare_for(person)
    verifier = secrets.token_urlsafe(64)
    state = secrets.token_urlsafe(32)
    with _CallbackServer() as server:
        show(_compose_auth_url(section, client_id, person, server.uri, verifier, state))
        code = _read_code(server.wait_for_query(wait), state)
        answer = _exchange_code(section, client_id, server.uri, verifier, code)
    account = _read_account(answer)
    if account != person:
        raise Refused(f"The browser gave the account {account}, not {person}. Nothing was kept; choose the other one.")
    granted_scopes = set(str(answer.get("scope", "")).split())
    missing_scopes = [scope for scope in ACCOUNT_SCOPES if scope not in granted_scopes]
    if missing_scopes:
        raise Refused(
            f"Not everything was allowed; lacking: {', '.join(missing_scopes)}. Nothing was kept; tick every box."
        )
    token = answer.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise Refused(
            "Google gave no lasting grant. Take Longarc out at myaccount.google.com/connections, then try again."
        )
    return account, str(folder.save(account, token))


def _compose_auth_url(
    section: Mapping[str, Any], client_id: str, person: Address, redirect_uri: str, verifier: str, state: str
) -> str:
    """Return the URL at which the person grants access. `verifier`: the PKCE secret, of which only a hash is sent
    here."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": " ".join([*_IDENTITY_SCOPES, *ACCOUNT_SCOPES]),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": state,
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": person,
    }
    return f"{section.get('auth_endpoint') or AUTH_ENDPOINT}?{urlencode(query)}"


def _read_code(query: Mapping[str, list[str]], state: str) -> str:
    """Return the code that Google gave the browser. Raises Forbidden when `state` differs from the one sent, Refused
    when the person did not grant access."""
    if not secrets.compare_digest(query.get("state", [""])[0], state):
        raise Forbidden("What came back from the browser does not belong to this request. Nothing was kept.")
    if error := query.get("error", [""])[0]:
        raise Refused(f"The grant was not given ({_sanitize_text(error)}). Nothing was kept.")
    if not query.get("code"):
        raise Refused("The browser came back without a code. Nothing was kept.")
    return query["code"][0]


def _sanitize_text(text: str) -> str:
    """Return the start of the text without characters that could alter a terminal."""
    return "".join(character for character in text[:60] if character.isalnum() or character in "_- ")


def _exchange_code(
    section: Mapping[str, Any], client_id: str, redirect_uri: str, verifier: str, code: str
) -> dict[str, Any]:
    """Return the token endpoint's answer to the code: tokens and granted scopes. Raises AuthRevoked."""
    endpoint = TokenEndpoint(str(section.get("token_endpoint") or TOKEN_ENDPOINT), get_timeout(section))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "client_secret": str(section.get("password") or ""),
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }

    def translate_refusal(error: str, _description: str) -> ProviderError:
        if error in ("invalid_client", "unauthorized_client"):
            return AuthRevoked("Google does not know this OAuth client: check client_id and its secret.")
        return AuthRevoked(f"Google did not accept the code ({_sanitize_text(error)}). Nothing was kept; try again.")

    return endpoint.post_form(form, translate_refusal)


def _read_account(answer: Mapping[str, Any]) -> Address:
    """Return the address of the account, from the id token. Its signature need not be verified: the token came directly
    from Google over TLS. Raises LongarcError."""
    from google.auth import jwt

    decode: Any = jwt.decode  # the library has no types here
    try:
        claims = decode(str(answer.get("id_token", "")), verify=False)
    except ValueError:
        claims = {}
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise LongarcError("Google did not say whose account this is. Nothing was kept.")
    return email.lower()


class _CallbackServer:
    """An HTTP server on a free port of 127.0.0.1 that waits for the browser's redirect from Google."""

    def __init__(self) -> None:
        self._query: dict[str, list[str]] | None = None
        callback_server = self

        class Handler(BaseHTTPRequestHandler):
            """Stores the query of the request that carries a `state`; answers 404 to any other."""

            timeout = 10  #: seconds that a connection may stay silent

            def do_GET(self) -> None:  # the library's name
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
        """Return the query of the browser's redirect. Raises Unavailable when it does not come in time."""
        deadline = utcnow() + timedelta(seconds=seconds)
        while self._query is None:
            remaining = (deadline - utcnow()).total_seconds()
            self._server.timeout = remaining
            if remaining <= 0:
                raise Unavailable("Nobody came back from the browser in time. Nothing was kept.")
            self._server.handle_request()
        return self._query
