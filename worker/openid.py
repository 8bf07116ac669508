"""Signing in with the company's accounts: a client of OpenID Connect (authorization code, PKCE, Authlib).

It asks the issuer who somebody is and keeps nothing of the answer: no token outlives the call that fetched it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from worker.errors import LongarcError

SCOPE = "openid email profile"
TIMEOUT_SECONDS = 10
#: What the issuer says of itself, and its keys, are read again when they are older than this.
MAX_AGE = timedelta(hours=1)
#: How far the clocks of the issuer and of this machine may be apart.
CLOCK_LEEWAY = timedelta(minutes=2)
#: Signatures that only the issuer can make. Neither `none` nor one that is made with our own secret.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}
_REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IssuerUnreachable(LongarcError):
    """The company's sign-in can't be reached."""


class IssuerUnfit(LongarcError):
    """What the issuer says of itself can't be used."""


class SignInRefused(LongarcError):
    """The issuer's answer does not prove who somebody is."""


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What the browser keeps while somebody is at the issuer: each value is random and used once."""

    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What the issuer says of itself, and its keys."""

    values: Mapping[str, Any]
    keys: KeySet
    read_at: datetime


class OpenIdClient:
    """Asks one issuer who somebody is. Can be used by several threads."""

    def __init__(self, issuer: str, client_id: str, secret: str, redirect_uri: str, ca_file: str | None = None) -> None:
        self.issuer = issuer
        self.redirect_uri = redirect_uri
        self._client_id = client_id
        self._secret = secret
        self._ca_file = ca_file
        self._lock = Lock()
        self._metadata: _Metadata | None = None

    def begin(self, now: datetime, *, choose_account: bool = False) -> tuple[str, PendingSignIn]:
        """Return the issuer's address to send the browser to, and what to remember until it comes back.

        Raises IssuerUnreachable, IssuerUnfit.
        """
        metadata = self._load_metadata(now)
        pending = PendingSignIn(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48))
        options = {"nonce": pending.nonce, **({"prompt": "select_account"} if choose_account else {})}
        with self._open_session(metadata) as session:
            url, _ = session.create_authorization_url(
                metadata.values["authorization_endpoint"],
                state=pending.state,
                code_verifier=pending.code_verifier,
                **options,
            )
        return str(url), pending

    def finish(self, code: str, pending: PendingSignIn, now: datetime, needed: Collection[str]) -> Mapping[str, Any]:
        """Exchange the code that the browser brought, and return the verified claims about the person.

        When one of the claims `needed` is not in the ID token, the issuer is asked for more.

        Raises SignInRefused, IssuerUnreachable, IssuerUnfit.
        """
        metadata = self._load_metadata(now)
        with self._open_session(metadata) as session:
            try:
                token = session.fetch_token(
                    metadata.values["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.code_verifier,
                    allow_redirects=False,
                )
            except OAuthError as error:
                raise SignInRefused(f"The issuer refused the code: {error.error}.") from None
            except (requests.RequestException, ValueError) as error:
                raise IssuerUnreachable(f"The issuer gave no token: {type(error).__name__}.") from None
            claims = self._read_id_token(token, pending.nonce, metadata, now)
            if claims.keys() >= set(needed):
                return claims
            return {**self._read_user_info(session, metadata, claims), **claims}

    def read_metadata(self, now: datetime) -> Mapping[str, Any]:
        """Return what the issuer says of itself. Raises IssuerUnreachable, IssuerUnfit."""
        return self._load_metadata(now).values

    def read_clock_difference(self, now: datetime) -> timedelta | None:
        """Return by how much the issuer's clock is ahead of ours; None when it does not say what time it is."""
        from email.utils import parsedate_to_datetime

        answer = self._get(self._discovery_url)
        try:
            return parsedate_to_datetime(answer.headers["Date"]) - now
        except (KeyError, ValueError, TypeError):
            return None

    # --- the ID token ---

    def _read_id_token(
        self, token: Mapping[str, Any], nonce: str, metadata: _Metadata, now: datetime
    ) -> Mapping[str, Any]:
        """Return the claims of the ID token in the issuer's answer. Raises SignInRefused unless all of it is right."""
        encoded = token.get("id_token")
        if not isinstance(encoded, str):
            raise SignInRefused("The issuer gave no ID token.")
        expected = {"iss": self.issuer, "aud": self._client_id}
        offered = metadata.values.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(algorithms=sorted(ALGORITHMS.intersection(offered)), strict_check_header=False)
        try:
            try:
                decoded = jwt.decode(encoded, metadata.keys, registry=registry)
            except (InvalidKeyIdError, BadSignatureError):  # the issuer may have new keys
                decoded = jwt.decode(encoded, self._load_metadata(now, anew=True).keys, registry=registry)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {name: {"essential": True, "value": value} for name, value in expected.items()},
                {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
            )
            claims.validate(now=int(now.timestamp()), leeway=int(CLOCK_LEEWAY.total_seconds()))
        except (JoseError, ValueError, TypeError) as error:
            cause = getattr(error, "error", type(error).__name__)
            raise SignInRefused(f"The ID token can't be used: {cause}.") from None
        return dict(claims)

    def _read_user_info(
        self, session: OAuth2Session, metadata: _Metadata, claims: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return what the issuer says of the person besides; some leave the address out of the ID token."""
        endpoint = metadata.values.get("userinfo_endpoint")
        if not endpoint:
            return {}
        try:
            answer = session.get(endpoint, allow_redirects=False)
            info = answer.json() if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError, OAuthError) as error:
            raise IssuerUnreachable(f"The issuer did not say who that is: {type(error).__name__}.") from None
        return info if isinstance(info, dict) and info.get("sub") == claims["sub"] else {}

    # --- the issuer ---

    @property
    def _discovery_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def _load_metadata(self, now: datetime, *, anew: bool = False) -> _Metadata:
        """Return what the issuer says of itself, and its keys; read again after an hour, or `anew`."""
        with self._lock:
            known = self._metadata
            if known is None or anew or not timedelta(0) <= now - known.read_at < MAX_AGE:
                values = self._get_json(self._discovery_url)
                self._check_metadata(values)
                try:
                    keys = KeySet.import_key_set(self._get_json(values["jwks_uri"]))  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise IssuerUnfit(f"The issuer's keys can't be read: {type(error).__name__}.") from None
                known = self._metadata = _Metadata(values, keys, now)
            return known

    def _check_metadata(self, values: Mapping[str, Any]) -> None:
        """Raises IssuerUnfit when these are another issuer's, or their addresses are not reached by HTTPS."""
        if values.get("issuer") != self.issuer:
            named = str(values.get("issuer"))[:200]
            raise IssuerUnfit(f"The issuer calls itself `{named}`: write exactly that as `sign_in.issuer`.")
        for name in _REQUIRED:
            if not _is_secure(values.get(name)):
                raise IssuerUnfit(f"The issuer names no usable `{name}`.")
        if (endpoint := values.get("userinfo_endpoint")) and not _is_secure(endpoint):
            raise IssuerUnfit("The issuer names no usable `userinfo_endpoint`.")

    def _get_json(self, url: str) -> dict[str, Any]:
        answer = self._get(url)
        try:
            values = answer.json()
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise IssuerUnfit(f"There is no JSON object at {url}.")
        return values

    def _get(self, url: str) -> requests.Response:
        try:
            answer = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, verify=self._ca_file or True)
        except requests.RequestException as error:
            raise IssuerUnreachable(f"{url} can't be reached: {type(error).__name__}.") from None
        if answer.status_code != 200:
            raise IssuerUnreachable(f"{url} answers {answer.status_code}.")
        return answer

    def _open_session(self, metadata: _Metadata) -> OAuth2Session:
        offered = metadata.values.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        session = OAuth2Session(
            self._client_id,
            self._secret,
            scope=SCOPE,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method=(
                "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
            ),
            default_timeout=TIMEOUT_SECONDS,
        )
        session.verify = self._ca_file or True
        return session


def _is_secure(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS)
