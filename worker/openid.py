"""An OpenID Connect client for signing in with the company's accounts (authorization code flow with PKCE, by Authlib).

The issuer is the company's sign-in service, such as Google or Microsoft. The client returns verified claims about a
person. It stores no token: each token is dropped at the end of the call that fetched it.
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

from worker.clock import is_recent
from worker.errors import LongarcError

SCOPE = "openid email profile"
TIMEOUT_SECONDS = 10
#: The issuer's metadata and keys are read again when they are older than this.
MAX_METADATA_AGE = timedelta(hours=1)
#: How far apart the clocks of the issuer and of this machine may be.
CLOCK_LEEWAY = timedelta(minutes=2)
#: The accepted signature algorithms. They are asymmetric, so that only the issuer can sign: `none` is left out, and so
#: are the HMAC algorithms, whose key is our own client secret.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
#: Hosts for which `http` is accepted in place of `https`.
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}
_REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IssuerUnreachable(LongarcError):
    """The company's sign-in can't be reached."""


class IssuerUnfit(LongarcError):
    """The metadata or the keys of the issuer can't be used."""


class SignInRefused(LongarcError):
    """The issuer's response does not prove the identity of the person."""


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """The values that the browser stores until the issuer redirects it back. Each is random and used once."""

    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class _Metadata:
    """The discovery document of the issuer, and its signing keys."""

    values: Mapping[str, Any]
    keys: KeySet
    read_at: datetime


class OpenIdClient:
    """Signs people in with one issuer. Thread-safe."""

    def __init__(self, issuer: str, client_id: str, secret: str, redirect_uri: str, ca_file: str | None = None) -> None:
        self.issuer = issuer
        self.redirect_uri = redirect_uri
        self._client_id = client_id
        self._secret = secret
        self._ca_file = ca_file
        self._lock = Lock()
        self._metadata: _Metadata | None = None

    def begin(self, now: datetime, *, choose_account: bool = False) -> tuple[str, PendingSignIn]:
        """Return the URL of the issuer for redirecting the browser, and the values to store until the browser returns.

        `choose_account` makes the issuer ask which account to use. Raises IssuerUnreachable, IssuerUnfit.
        """
        metadata = self._load_metadata(now)
        pending = PendingSignIn(state=token_urlsafe(32), nonce=token_urlsafe(32), code_verifier=token_urlsafe(48))
        options = {"nonce": pending.nonce, **({"prompt": "select_account"} if choose_account else {})}
        with self._open_session(metadata) as session:
            url, _ = session.create_authorization_url(
                metadata.values["authorization_endpoint"],
                state=pending.state,
                code_verifier=pending.code_verifier,
                **options,
            )
        return str(url), pending

    def finish(
        self, code: str, pending: PendingSignIn, now: datetime, needed_claims: Collection[str]
    ) -> Mapping[str, Any]:
        """Exchange the authorization code that the browser brought, and return the verified claims about the person.

        When the ID token lacks one of `needed_claims`, the claims of the issuer's userinfo endpoint are added.

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
            if claims.keys() >= set(needed_claims):
                return claims
            return {**self._read_user_info(session, metadata, claims), **claims}

    def read_metadata(self, now: datetime) -> Mapping[str, Any]:
        """Return the issuer's discovery document. Raises IssuerUnreachable, IssuerUnfit."""
        return self._load_metadata(now).values

    def read_clock_difference(self, now: datetime) -> timedelta | None:
        """Return how far the issuer's clock is ahead of ours; None when its response has no usable `Date` header.

        Raises IssuerUnreachable.
        """
        from email.utils import parsedate_to_datetime

        response = self._get(self._discovery_url)
        try:
            return parsedate_to_datetime(response.headers["Date"]) - now
        except (KeyError, ValueError, TypeError):
            return None

    # --- the ID token ---

    def _read_id_token(
        self, token: Mapping[str, Any], nonce: str, metadata: _Metadata, now: datetime
    ) -> Mapping[str, Any]:
        """Return the claims of the ID token in a token response. Raises SignInRefused unless the ID token is valid."""
        encoded_id_token = token.get("id_token")
        if not isinstance(encoded_id_token, str):
            raise SignInRefused("The issuer gave no ID token.")
        expected = {"iss": self.issuer, "aud": self._client_id}
        # RS256 is the default of the specification, for an issuer that lists no algorithms
        issuer_algorithms = metadata.values.get("id_token_signing_alg_values_supported") or ["RS256"]
        # `strict_check_header` would refuse a header parameter that the library does not know
        registry = JWSRegistry(algorithms=sorted(ALGORITHMS.intersection(issuer_algorithms)), strict_check_header=False)
        try:
            try:
                decoded = jwt.decode(encoded_id_token, metadata.keys, registry=registry)
            except (InvalidKeyIdError, BadSignatureError):  # the issuer may have new keys
                new_keys = self._load_metadata(now, anew=True).keys
                decoded = jwt.decode(encoded_id_token, new_keys, registry=registry)
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
        """Return the claims of the userinfo endpoint; some issuers leave the mail address out of the ID token.

        Returns no claims when the issuer has no such endpoint, or when they are about another person than `claims`.
        """
        endpoint = metadata.values.get("userinfo_endpoint")
        if not endpoint:
            return {}
        try:
            response = session.get(endpoint, allow_redirects=False)
            user_info = response.json() if response.status_code == 200 else {}
        except (requests.RequestException, ValueError, OAuthError) as error:
            raise IssuerUnreachable(f"The issuer did not say who that is: {type(error).__name__}.") from None
        is_same_person = isinstance(user_info, dict) and user_info.get("sub") == claims["sub"]
        return user_info if is_same_person else {}

    # --- the issuer's metadata ---

    @property
    def _discovery_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def _load_metadata(self, now: datetime, *, anew: bool = False) -> _Metadata:
        """Return the metadata and keys of the issuer. They are cached for a time; `anew` ignores the cache."""
        with self._lock:
            metadata = self._metadata
            if metadata is None or anew or not is_recent(metadata.read_at, now, MAX_METADATA_AGE):
                values = self._get_json(self._discovery_url)
                self._check_metadata(values)
                try:
                    keys = KeySet.import_key_set(self._get_json(values["jwks_uri"]))  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise IssuerUnfit(f"The issuer's keys can't be read: {type(error).__name__}.") from None
                metadata = self._metadata = _Metadata(values, keys, now)
            return metadata

    def _check_metadata(self, values: Mapping[str, Any]) -> None:
        """Raise IssuerUnfit when the metadata is another issuer's, or an endpoint in it is not an HTTPS URL."""
        if values.get("issuer") != self.issuer:
            actual_issuer = str(values.get("issuer"))[:200]
            raise IssuerUnfit(f"The issuer calls itself `{actual_issuer}`: write exactly that as `sign_in.issuer`.")
        for name in _REQUIRED_ENDPOINTS:
            if not _is_secure(values.get(name)):
                raise IssuerUnfit(f"The issuer names no usable `{name}`.")
        if (endpoint := values.get("userinfo_endpoint")) and not _is_secure(endpoint):
            raise IssuerUnfit("The issuer names no usable `userinfo_endpoint`.")

    def _get_json(self, url: str) -> dict[str, Any]:
        response = self._get(url)
        try:
            values = response.json()
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise IssuerUnfit(f"There is no JSON object at {url}.")
        return values

    def _get(self, url: str) -> requests.Response:
        try:
            response = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, verify=self._ca_file or True)
        except requests.RequestException as error:
            raise IssuerUnreachable(f"{url} can't be reached: {type(error).__name__}.") from None
        if response.status_code != 200:
            raise IssuerUnreachable(f"{url} answers {response.status_code}.")
        return response

    def _open_session(self, metadata: _Metadata) -> OAuth2Session:
        # `client_secret_basic` is the default of the specification
        auth_methods = metadata.values.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        session = OAuth2Session(
            self._client_id,
            self._secret,
            scope=SCOPE,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method=(
                "client_secret_basic" if "client_secret_basic" in auth_methods else "client_secret_post"
            ),
            default_timeout=TIMEOUT_SECONDS,
        )
        session.verify = self._ca_file or True
        return session


def _is_secure(url: object) -> bool:
    """Return whether this is an HTTPS URL, or an HTTP URL of this machine."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS)
