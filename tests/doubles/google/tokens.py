"""The token endpoint and the consent page of Google's OAuth 2."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from worker.clock import Clock

_LIFETIME = timedelta(hours=1)
#: The audience for which Google's own library signs its assertions, whatever the URL of the token endpoint.
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"


@cache
def _key_pair() -> tuple[bytes, bytes]:
    """A private and a public key, in PEM. The key is short, since tests need speed and no security."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 -- so that tests are quick
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return private, key.public_key().public_bytes(serialization.Encoding.PEM, public_format)


class TokenRefusal(Exception):
    """An error answer of the token endpoint (RFC 6749)."""

    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "error_description": description}


@dataclass(slots=True)
class Grant:
    """What an access token allows."""

    who: str  #: a person's address, or a service account's own
    scopes: set[str]
    until: datetime
    service_account: bool = False  #: `who` is a service account, which acts for itself
    account: str = ""  #: the service account that acts for `who`


@dataclass(slots=True)
class Code:
    """What an authorization code stands for."""

    who: str
    scopes: set[str]
    challenge: str  #: the PKCE challenge
    redirect: str  #: the redirect URI


@dataclass(slots=True)
class Tokens:
    """Issues access tokens and checks them. `url` is that of the token endpoint; `is_active` says whether a person has
    an account that is not suspended."""

    url: str
    clock: Clock
    is_active: Callable[[str], bool]
    granted_scopes: set[str] = field(default_factory=set)  #: those that the administrator granted to service accounts
    client: tuple[str, str] = ("longarc-client", "client-secret")  #: id and secret of the OAuth client
    consenting_person: str = ""  #: who is signed in at the consent page; empty: whom the link suggests
    declines_consent: bool = False
    unticked_scopes: set[str] = field(default_factory=set)  #: those that the person leaves out on the consent page
    lifetime: timedelta = _LIFETIME  #: of access tokens
    token_requests: list[str] = field(default_factory=list)  #: the grant type of each request to the token endpoint
    _keys: dict[str, bytes] = field(default_factory=dict)  #: public keys of service accounts, by key id
    _accounts: dict[str, str] = field(default_factory=dict)  #: addresses of service accounts, by key id
    _grants: dict[str, Grant] = field(default_factory=dict)
    _codes: dict[str, Code] = field(default_factory=dict)
    _refresh_tokens: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  #: each with its person and scopes

    # --- setting up ---

    def add_service_account(self, project: str = "longarc-test") -> dict[str, str]:
        """Create a service account, and return the content of its key file."""
        private, public = _key_pair()
        key_id, email = secrets.token_hex(20), f"longarc@{project}.iam.gserviceaccount.com"
        self._keys[key_id], self._accounts[key_id] = public, email
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": key_id,
            "private_key": private.decode(),
            "client_email": email,
            "client_id": str(int(key_id[:16], 16)),
            "token_uri": self.url,
        }

    def withdraw_keys(self) -> None:
        """Delete every key of the service accounts."""
        self._keys.clear()

    def issue_refresh_token(self, who: str, scopes: set[str]) -> str:
        """Return a new refresh token, as if that person had consented to these scopes in a browser."""
        token = f"1//{secrets.token_urlsafe(32)}"
        self._refresh_tokens[token] = (who, set(scopes))
        return token

    def revoke(self, who: str) -> None:
        """Make all refresh and access tokens of that person invalid."""
        self._refresh_tokens = {token: stored for token, stored in self._refresh_tokens.items() if stored[0] != who}
        self.expire_access_tokens(who)

    def expire_access_tokens(self, who: str | None = None) -> None:
        """Make the access tokens of that person invalid, or all of them."""
        self._grants = {token: one for token, one in self._grants.items() if who is not None and one.who != who}

    # --- requests ---

    def find_grant(self, authorization: str) -> Grant | None:
        """The grant of the token in an Authorization header; None when the token is unknown or no longer valid."""
        grant = self._grants.get(authorization.removeprefix("Bearer "))
        if grant is None or grant.until <= self.clock() or not (grant.service_account or self.is_active(grant.who)):
            return None
        return grant

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a request to the token endpoint. Raises TokenRefusal."""
        kind = form.get("grant_type", "")
        self.token_requests.append(kind.rpartition(":")[2])
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._exchange_assertion(form.get("assertion", ""))
        if kind not in ("refresh_token", "authorization_code"):
            raise TokenRefusal(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            raise TokenRefusal(401, "invalid_client", "The OAuth client was not found.")
        return self._exchange_refresh_token(form) if kind == "refresh_token" else self._exchange_code(form)

    def _exchange_assertion(self, text: str) -> dict[str, Any]:
        try:
            reader: Any = jwt  # the library has no types
            header = reader.decode_header(text)
            key = self._keys[header["kid"]]
            claims = dict(reader.decode(text, verify=False))
            self._verify(text, key)
        except KeyError:
            raise TokenRefusal(400, "invalid_grant", "Invalid grant: account not found") from None
        except ValueError:
            raise TokenRefusal(400, "invalid_grant", "Invalid JWT Signature.") from None
        if not {"iat", "exp", "aud", "iss"} <= claims.keys():
            raise TokenRefusal(400, "invalid_grant", "Invalid JWT: a claim is missing")
        issued, ends, now = claims["iat"], claims["exp"], self.clock().timestamp()
        if ends - issued > 3600 or abs(now - issued) > 300:
            words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            raise TokenRefusal(400, "invalid_grant", words)
        if claims["aud"] not in (self.url, TOKEN_AUDIENCE) or claims["iss"] != self._accounts[header["kid"]]:
            raise TokenRefusal(400, "invalid_grant", "Invalid JWT: wrong audience or issuer")
        scopes, who = set(str(claims.get("scope", "")).split()), claims.get("sub")
        if who is None:
            return self.issue_token(claims["iss"], scopes, service_account=True)
        if not scopes or not scopes <= self.granted_scopes:
            words = (
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for "
                "any of the scopes requested."
            )
            raise TokenRefusal(401, "unauthorized_client", words)
        if not self.is_active(who):
            raise TokenRefusal(400, "invalid_grant", "Invalid email or User ID")
        return self.issue_token(who, scopes, account=str(claims["iss"]))

    @staticmethod
    def _verify(text: str, key: bytes) -> None:
        from google.auth import crypt

        signed, _, signature = text.encode().rpartition(b".")
        padded = signature + b"=" * (-len(signature) % 4)
        loaded = serialization.load_pem_public_key(key)
        verifier: Any = crypt.RSAVerifier(loaded)  # type: ignore[no-untyped-call]
        if not verifier.verify(signed, base64.urlsafe_b64decode(padded)):
            raise ValueError("signature")

    def _exchange_refresh_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        stored = self._refresh_tokens.get(form.get("refresh_token", ""))
        if stored is None or not self.is_active(stored[0]):
            raise TokenRefusal(400, "invalid_grant", "Token has been expired or revoked.")
        return self.issue_token(*stored)

    def _exchange_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or form.get("redirect_uri") != code.redirect:
            raise TokenRefusal(400, "invalid_grant", "Malformed auth code.")
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(proof).decode().rstrip("=") != code.challenge:
            raise TokenRefusal(400, "invalid_grant", "Invalid code verifier.")
        claims = json.dumps({"email": code.who, "email_verified": True}).encode()
        header, signature = b'{"alg":"RS256"}', b"x"  # a false signature: over TLS, clients needn't verify it
        parts = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (header, claims, signature)]
        further_tokens = {"refresh_token": self.issue_refresh_token(code.who, code.scopes), "id_token": ".".join(parts)}
        return {**self.issue_token(code.who, code.scopes), **further_tokens}

    def issue_token(
        self, who: str, scopes: set[str], *, service_account: bool = False, account: str = ""
    ) -> dict[str, Any]:
        """Issue an access token. Returns the JSON of the token endpoint's answer."""
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._grants[token] = Grant(who, set(scopes), self.clock() + self.lifetime, service_account, account)
        seconds = int(self.lifetime.total_seconds())
        return {"access_token": token, "expires_in": seconds, "token_type": "Bearer", "scope": " ".join(sorted(scopes))}

    # --- the consent page ---

    def consent(self, query: Mapping[str, str]) -> str:
        """The URL to which the browser is redirected after the consent page. Raises TokenRefusal."""
        redirect = query.get("redirect_uri", "")
        if query.get("client_id") != self.client[0] or not redirect.startswith("http://127.0.0.1:"):
            raise TokenRefusal(400, "invalid_request", "redirect_uri_mismatch")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise TokenRefusal(400, "invalid_request", "Missing parameter")
        state = {"state": query.get("state", "")}
        if self.declines_consent:
            return f"{redirect}?{urlencode(state | {'error': 'access_denied'})}"
        code = secrets.token_urlsafe(16)
        scopes = set(query.get("scope", "").split()) - self.unticked_scopes
        who = self.consenting_person or query.get("login_hint", "")
        self._codes[code] = Code(who, scopes, query.get("code_challenge", ""), redirect)
        return f"{redirect}?{urlencode(state | {'code': code, 'scope': ' '.join(sorted(scopes))})}"
