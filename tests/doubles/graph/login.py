"""The sign-in service of Microsoft: it issues tokens, and answers errors with their AADSTS numbers.

An app signs in by certificate or secret; a person by device code, browser or refresh token.
"""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

TENANT = "11111111-2222-4333-8444-555555555555"
SECRET = "a secret"  #: of an app, unless it is given another
APP_RIGHTS = ("Calendars.ReadWrite", "MailboxSettings.Read", "Mail.Send")


class Denied(Exception):
    """An error of the sign-in service. `code` is its AADSTS number."""

    def __init__(self, error: str, code: int, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status
        self.body = {
            "error": error,
            "error_description": f"AADSTS{code}: {words} Trace ID: 0 Timestamp: 0",
            "error_codes": [code],
        }


@dataclass
class Application:
    """An app registration."""

    client_id: str
    rights: tuple[str, ...] = APP_RIGHTS
    secret: str = SECRET
    secret_expired: bool = False
    certificates: list[bytes] = field(default_factory=list)  #: public parts, in PEM
    public: bool = True  #: people can sign in to it (a "public client")


@dataclass
class Grant:
    """Whose access a token gives, to what, and until when."""

    person: str  #: the person who signed in; empty for an app
    rights: tuple[str, ...]
    until: float  #: by `time.monotonic`
    application: str = ""  #: its client id


class Login:
    """The state of the sign-in service, and its answers."""

    def __init__(self) -> None:
        self.base = ""  #: the URL of the service
        self.applications: dict[str, Application] = {}
        self.grants: dict[str, Grant] = {}  #: by access token
        self.refresh_tokens: dict[str, tuple[str, tuple[str, ...]]] = {}  #: their person and rights
        self.device_codes: dict[str, dict[str, Any]] = {}
        self.authorization_codes: dict[str, tuple[str, str, str]] = {}  #: their scope, PKCE challenge and nonce
        self.consenting_person = ""  #: who signs in at the browser or the device; empty: somebody who refuses to
        self.refusal: Denied | None = None  #: answers every request but the one for the configuration
        self.requests: list[str] = []  #: the grant type, or else the path, of each request

    def reset(self) -> None:
        """Remove all apps, tokens and planned refusals."""
        for collection in (
            self.applications,
            self.grants,
            self.refresh_tokens,
            self.device_codes,
            self.authorization_codes,
            self.requests,
        ):
            collection.clear()
        self.consenting_person, self.refusal = "", None

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Return status, JSON body and headers."""
        tenant, _, rest = path.strip("/").partition("/")
        given = {name: values[0] for name, values in parse_qs(body.decode() if method == "POST" else query).items()}
        self.requests.append(given.get("grant_type") or rest)
        try:
            if tenant not in (TENANT, "corp.example", "organizations"):
                raise Denied("invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
            if rest.endswith("openid-configuration"):
                return 200, self._configuration(tenant), {}
            if self.refusal:
                raise self.refusal
            if rest.endswith("/devicecode"):
                return 200, self._start_device_sign_in(given), {}
            if rest.endswith("/authorize"):
                return self._authorize(given)
            return 200, self._issue_token(given), {}
        except Denied as denied:
            return denied.status, denied.body, {}

    def _configuration(self, tenant: str) -> dict[str, Any]:
        at = f"{self.base}/{tenant}/oauth2/v2.0"
        return {
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "device_authorization_endpoint": f"{at}/devicecode",
            "issuer": f"{self.base}/{tenant}/v2.0",
        }

    def _find_application(self, given: dict[str, str]) -> Application:
        found = self.applications.get(given.get("client_id", ""))
        if found is None:
            words = f"Application with identifier '{given.get('client_id')}' was not found in the directory."
            raise Denied("unauthorized_client", 700016, words)
        return found

    def _issue_token(self, given: dict[str, str]) -> dict[str, Any]:
        application = self._find_application(given)
        kind = given.get("grant_type", "")
        if kind == "client_credentials":
            self._check_credentials(application, given)
            if not given.get("scope", "").endswith("/.default"):
                raise Denied("invalid_scope", 1002012, "The provided value for scope is not valid.")
            return self._make_token_response("", application.rights, given)
        if not application.public:
            raise Denied(
                "invalid_client", 7000218, "The request body must contain 'client_assertion' or 'client_secret'.", 401
            )
        if kind == "refresh_token":
            return self._redeem_refresh_token(given)
        if kind == "authorization_code":
            return self._redeem_code(given)
        if kind.endswith("device_code"):
            return self._redeem_device_code(given)
        raise Denied("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def _check_credentials(self, application: Application, given: dict[str, str]) -> None:
        if assertion := given.get("client_assertion"):
            self._verify_assertion(application, assertion)
        elif given.get("client_secret") != application.secret:
            raise Denied("invalid_client", 7000215, "Invalid client secret provided.", 401)
        elif application.secret_expired:
            raise Denied("invalid_client", 7000222, "The provided client secret keys are expired.", 401)

    def _verify_assertion(self, application: Application, assertion: str) -> None:
        """Check the signature with the app's registered certificates. Raises Denied."""
        header = jwt.get_unverified_header(assertion)
        for pem in application.certificates:
            certificate = x509.load_pem_x509_certificate(pem)
            fingerprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
            if str(header.get("x5t#S256")).rstrip("=") != fingerprint:
                continue
            key: Any = certificate.public_key()
            try:
                claims = jwt.decode(assertion, key, algorithms=["RS256", "PS256"], options={"verify_aud": False})
            except jwt.PyJWTError:
                break
            if claims["iss"] == claims["sub"] == application.client_id and str(claims["aud"]).startswith(self.base):
                return
        raise Denied("invalid_client", 700027, "Client assertion failed signature validation.", 401)

    def _make_token_response(self, person: str, rights: tuple[str, ...], given: dict[str, str]) -> dict[str, Any]:
        claims: dict[str, Any] = {"scp": " ".join(rights), "upn": person} if person else {"roles": list(rights)}
        claims |= {"aud": "graph", "jti": secrets.token_hex(8)}
        token = jwt.encode(claims, "the double's own key, which nobody looks at", algorithm="HS256")
        self.grants[token] = Grant(person, rights, time.monotonic() + 3600, given.get("client_id", ""))
        response: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600, "access_token": token}
        if person:
            refresh_token = secrets.token_hex(16)
            self.refresh_tokens[refresh_token] = (person, rights)
            now = int(time.time())
            id_claims = {"aud": given["client_id"], "iss": f"{self.base}/{TENANT}/v2.0", "iat": now, "exp": now + 3600}
            id_claims |= {"preferred_username": person, "sub": person, "tid": TENANT, "oid": person}
            if nonce := given.get("nonce"):
                id_claims["nonce"] = nonce
            response |= {
                "refresh_token": refresh_token,
                "scope": " ".join(rights),
                "id_token": jwt.encode(id_claims, "a key for id tokens, which nobody checks", algorithm="HS256"),
                "client_info": base64.urlsafe_b64encode(json.dumps({"uid": person, "utid": TENANT}).encode()).decode(),
            }
        return response

    def _redeem_refresh_token(self, given: dict[str, str]) -> dict[str, Any]:
        known = self.refresh_tokens.pop(given.get("refresh_token", ""), None)  # good for one use
        if known is None:
            raise Denied("invalid_grant", 700082, "The refresh token has expired due to inactivity.")
        return self._make_token_response(*known, given)

    # --- people -----------------------------------------------------------------------------------------------------

    def _start_device_sign_in(self, given: dict[str, str]) -> dict[str, Any]:
        application = self._find_application(given)
        if not application.public:
            raise Denied(
                "invalid_client", 7000218, "The request body must contain 'client_assertion' or 'client_secret'.", 401
            )
        code, user = secrets.token_hex(16), secrets.token_hex(4).upper()
        self.device_codes[code] = {"scopes": _parse_scopes(given.get("scope", "")), "user_code": user}
        words = f"To sign in, open {self.base}/device and enter the code {user} to authenticate."
        return {
            "device_code": code,
            "user_code": user,
            "verification_uri": f"{self.base}/device",
            "expires_in": 900,
            "interval": 1,
            "message": words,
        }

    def _redeem_device_code(self, given: dict[str, str]) -> dict[str, Any]:
        known = self.device_codes.get(given.get("device_code", ""))
        if known is None:
            raise Denied("expired_token", 70020, "The provided value for the device code is not valid.")
        if not self.consenting_person:
            raise Denied("authorization_declined", 70019, "The user said no.")
        return self._make_token_response(self.consenting_person, known["scopes"], given)

    def _authorize(self, given: dict[str, str]) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Sign in `consenting_person` at once; return the form that the browser would post to the redirect URI."""
        self._find_application(given)
        code = secrets.token_hex(16)
        self.authorization_codes[code] = (
            given.get("scope", ""),
            given.get("code_challenge", ""),
            given.get("nonce", ""),
        )
        fields = {"code": code, "state": given.get("state", "")}
        if given.get("response_mode") != "form_post":
            raise Denied("invalid_request", 900144, "Only response_mode=form_post is offered here.")
        return 200, {"action": given["redirect_uri"], "fields": fields}, {}

    def _redeem_code(self, given: dict[str, str]) -> dict[str, Any]:
        scope, challenge, nonce = self.authorization_codes.pop(given.get("code", ""), ("", "", ""))
        proof = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if not scope or base64.urlsafe_b64encode(proof).rstrip(b"=").decode() != challenge:
            raise Denied("invalid_grant", 70000, "The provided code is not valid.")
        return self._make_token_response(self.consenting_person, _parse_scopes(scope), {**given, "nonce": nonce})


def _parse_scopes(scope: str) -> tuple[str, ...]:
    return tuple(one.rpartition("/")[2] for one in scope.split() if "/" in one)


# --- certificates ---------------------------------------------------------------------------------------------------


def make_certificate(name: str, *hosts: str) -> tuple[bytes, bytes]:
    """Return a new private key and its self-signed certificate, both in PEM: for these hosts, or else for an app."""
    # an app needs an RSA key; an EC key is generated much faster
    key: CertificateIssuerPrivateKeyTypes = (
        ec.generate_private_key(ec.SECP256R1())
        if hosts
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if hosts:
        names = [x509.IPAddress(ip_address(one)) for one in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, builder.sign(key, hashes.SHA256()).public_bytes(pem)


def write_parts(folder: Path, name: str, *parts: bytes) -> Path:
    """Write the parts, in PEM, to one file that only its owner can read; return its path."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(b"".join(parts))
    return path
