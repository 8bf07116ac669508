"""`longarc connect google`: one manager's own account, by the flow for installed programs.

The browser is sent to Google, and comes back to a port on this machine that only lives for it. PKCE and a state that
nobody can guess make sure that what comes back belongs to what was asked. Kept is the refresh token alone, sealed.
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
    timeout_of,
)

_HOST = "127.0.0.1"
_DONE_PAGE = b"<!doctype html><title>Longarc</title><p>This window can be closed now; go back to the terminal.</p>"
_IDENTITY_SCOPES = ("openid", "email")  #: so that Google says whose account it was


def connect_account(
    section: Mapping[str, Any], person: Address, show: Callable[[str], None], wait: float = 300
) -> tuple[Address, str]:
    """Have the grant given in a browser: `show` is told the address to open. Whose account it is, and the file that
    holds its token. Raises LongarcError; then nothing was written."""
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
    proof, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    with _CallbackServer() as landing:
        show(_compose_auth_url(section, client_id, person, landing.uri, proof, state))
        code = _read_code(landing.wait_for_query(wait), state)
        told = _exchange_code(section, client_id, landing.uri, proof, code)
    account = _read_account(told)
    if account != person:
        raise Refused(f"The browser gave the account {account}, not {person}. Nothing was kept; choose the other one.")
    granted = set(str(told.get("scope", "")).split())
    lacking = [scope for scope in ACCOUNT_SCOPES if scope not in granted]
    if lacking:
        raise Refused(f"Not everything was allowed; lacking: {', '.join(lacking)}. Nothing was kept; tick every box.")
    token = told.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise Refused(
            "Google gave no lasting grant. Take Longarc out at myaccount.google.com/connections, then try again."
        )
    return account, str(folder.save(account, token))


def _compose_auth_url(
    section: Mapping[str, Any], client_id: str, person: Address, landing: str, proof: str, state: str
) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(proof.encode()).digest()).decode().rstrip("=")
    asked = {
        "client_id": client_id,
        "redirect_uri": landing,
        "response_type": "code",
        "scope": " ".join([*_IDENTITY_SCOPES, *ACCOUNT_SCOPES]),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": state,
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": person,
    }
    return f"{section.get('auth_endpoint') or AUTH_ENDPOINT}?{urlencode(asked)}"


def _read_code(query: Mapping[str, list[str]], state: str) -> str:
    """What came back, if it belongs to what was asked."""
    if not secrets.compare_digest(query.get("state", [""])[0], state):
        raise Forbidden("What came back from the browser does not belong to this request. Nothing was kept.")
    if error := query.get("error", [""])[0]:
        raise Refused(f"The grant was not given ({_sanitize_text(error)}). Nothing was kept.")
    if not query.get("code"):
        raise Refused("The browser came back without a code. Nothing was kept.")
    return query["code"][0]


def _sanitize_text(text: str) -> str:
    return "".join(sign for sign in text[:60] if sign.isalnum() or sign in "_- ")


def _exchange_code(section: Mapping[str, Any], client_id: str, landing: str, proof: str, code: str) -> dict[str, Any]:
    endpoint = TokenEndpoint(str(section.get("token_endpoint") or TOKEN_ENDPOINT), timeout_of(section))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "client_secret": str(section.get("password") or ""),
        "redirect_uri": landing,
        "code_verifier": proof,
    }

    def translate_refusal(error: str, told: str) -> ProviderError:
        if error in ("invalid_client", "unauthorized_client"):
            return AuthRevoked("Google does not know this OAuth client: check client_id and its secret.")
        return AuthRevoked(f"Google did not accept the code ({_sanitize_text(error)}). Nothing was kept; try again.")

    return endpoint.post_form(form, translate_refusal)


def _read_account(told: Mapping[str, Any]) -> Address:
    """Whose account it is: the token came straight from Google, so its signature says nothing more."""
    from google.auth import jwt

    decode: Any = jwt.decode  # the library has no types here
    try:
        claims = decode(str(told.get("id_token", "")), verify=False)
    except ValueError:
        claims = {}
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise LongarcError("Google did not say whose account this is. Nothing was kept.")
    return email.lower()


class _CallbackServer:
    """A port of this machine on which the browser lands, once."""

    def __init__(self) -> None:
        self._query: dict[str, list[str]] | None = None
        landing = self

        class Page(BaseHTTPRequestHandler):
            """Takes the one visit that carries an answer."""

            timeout = 10  #: for a visitor who says nothing

            def do_GET(self) -> None:  # the library's name
                query = parse_qs(urlsplit(self.path).query)
                wanted = "state" in query
                self.send_response(200 if wanted else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                if wanted:
                    self.wfile.write(_DONE_PAGE)
                    landing._query = query

            def log_message(self, *_: object) -> None:
                """What comes back is a secret: nothing of it is logged."""

        self._server = HTTPServer((_HOST, 0), Page)
        self.uri = f"http://{_HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> "_CallbackServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait_for_query(self, seconds: float) -> dict[str, list[str]]:
        """What the browser brings. Raises Unavailable when it never comes."""
        until = utcnow() + timedelta(seconds=seconds)
        while self._query is None:
            left = (until - utcnow()).total_seconds()
            self._server.timeout = left
            if left <= 0:
                raise Unavailable("Nobody came back from the browser in time. Nothing was kept.")
            self._server.handle_request()
        return self._query
