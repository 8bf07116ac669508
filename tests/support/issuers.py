"""Issuers to sign in at: a library's, and one of ours that answers with any token, also with a wrong one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from flask import Flask, Response, request
from flask.testing import FlaskClient
from oidc_provider_mock import User, run_server_in_thread
from pydantic import SecretStr
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from tests.support.companies import DANA, OPERATOR, SAM
from worker.clock import utcnow

CLIENT_ID, SECRET = "longarc-at-corp.clients.issuer.example", "a-secret-that-the-issuer-gave-the-client"
ACCESS_TOKEN, CODE = "the-access-token-of-the-issuer", "the-code-of-a-sign-in"
HILDA = "hilda@corp.example"  #: belongs to people-ops, and is in no pair
#: Somebody with both roles, operator and people-ops, and somebody with none.
BOTH_ROLES, WITHOUT_ROLE = "both@corp.example", "nobody@corp.example"
#: Signs in under this name, and claims the operator's address, which the issuer has not verified.
IMPOSTOR = "unverified@corp.example"
#: Somebody of another company.
OUTSIDER = "ops@elsewhere.example"
#: Sam's other address, as a roster may list it.
SAM_ALIAS = "s.okafor@corp.example"


def make_users() -> list[User]:
    """Return who can sign in, with their groups. The issuer has verified the address of all but the impostor."""
    groups = {OPERATOR: ["it", "longarc-ops"], HILDA: ["hr"], BOTH_ROLES: ["longarc-ops", "hr"]}
    verified = [OPERATOR, HILDA, BOTH_ROLES, WITHOUT_ROLE, OUTSIDER, DANA, SAM, SAM_ALIAS]
    users = [
        User(sub=one, claims={"email": one, "email_verified": True, "groups": groups.get(one, [])}) for one in verified
    ]
    return [*users, User(sub=IMPOSTOR, claims={"email": OPERATOR, "email_verified": False})]


@contextmanager
def serve_issuer() -> Iterator[str]:
    """Serve an issuer that a library provides; yield its address."""
    with run_server_in_thread(user_claims=make_users()) as server:
        yield f"http://localhost:{server.server_port}"


def sign_in_settings(issuer: str, required: bool = False, **more: Any) -> dict[str, Any]:
    """Return the settings for an issuer, as a file and the environment give them; `more` goes into its section.

    `required`: whether links to the pages of managers and reports require a sign-in, too.
    """
    section = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "operators": [OPERATOR, BOTH_ROLES],
        "people_ops": [HILDA, BOTH_ROLES],
        **more,
    }
    return {
        "sign_in": section,
        "passwords": {"sign_in": SecretStr(SECRET)},
        "pages": {"sign_in": "required" if required else "optional"},
    }


def sign_in_at_issuer(location: str, sub: str) -> str:
    """Sign in at the issuer as the user `sub`; return the path of our pages to which it sends the browser back.

    `location` is the address of the issuer to which our pages have sent the browser.
    """
    answer = requests.post(location, data={"sub": sub}, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def sign_in(client: FlaskClient, sub: str, page: str) -> TestResponse:
    """Request a page, sign in as the user `sub` on the way, and return the last answer."""
    redirect = client.get(page)
    if redirect.headers["Location"].startswith("/sign-in?"):
        redirect = client.get(redirect.headers["Location"])
    back = client.get(sign_in_at_issuer(redirect.headers["Location"], sub))
    return client.get(back.headers["Location"]) if back.status_code == 303 else back


@cache
def _make_key(kid: str) -> RSAPrivateKey:
    """Return the key of that id, always the same one: to make a key takes long."""
    return generate_private_key(65537, 2048)


@dataclass
class ForgingIssuer:
    """An issuer whose tokens tests make wrong: each has the right claims and signature, unless a field changes them."""

    url: str = ""
    keys: dict[str, RSAPrivateKey] = field(default_factory=dict)  #: by id; there is only one, which is published
    claims: dict[str, Any] = field(default_factory=dict)  #: in place of the right ones; None removes a claim
    algorithm: str = "RS256"
    kid: str = "first"  #: the id of the key that the header of a token names, whatever signs the token
    secret: Any = None  #: signs the token in place of the key
    metadata: dict[str, Any] = field(default_factory=dict)  #: in place of the right ones
    token: dict[str, Any] = field(default_factory=dict)  #: further fields in the answers to token requests
    nonce: str = ""  #: of the last sign-in
    token_requests: list[Mapping[str, list[str]]] = field(default_factory=list)  #: the forms that were sent

    def replace_key(self, kid: str) -> RSAPrivateKey:
        """Sign with a new key from now on, and publish no other."""
        self.keys = {kid: _make_key(kid)}
        self.kid = kid
        return self.keys[kid]

    def make_token(self) -> str:
        """Return an ID token as tests have changed it."""
        now = int(utcnow().timestamp())
        right = {
            "iss": self.url,
            "sub": "17",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 600,
            "nonce": self.nonce,
            "email": OPERATOR,
            "email_verified": True,
        }
        claims = {name: value for name, value in {**right, **self.claims}.items() if value is not None}
        key = self.keys[next(iter(self.keys))] if self.secret is None else self.secret
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": self.kid})

    def make_app(self) -> Flask:
        app = Flask(__name__)
        discovery = "/.well-known/openid-configuration"
        app.add_url_rule(discovery, "metadata", lambda: {**self._describe(), **self.metadata})
        app.add_url_rule("/keys", "keys", lambda: {"keys": [self._export(kid) for kid in self.keys]})
        app.add_url_rule("/token", "token", self._answer_token_request, methods=["POST"])
        return app

    def _describe(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def _export(self, kid: str) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[kid].public_key(), as_dict=True)
        return {**public, "kid": kid, "use": "sig", "alg": "RS256"}

    def _answer_token_request(self) -> dict[str, Any] | Response:
        self.token_requests.append(request.form.to_dict(flat=False))
        return {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.make_token(), **self.token}

    def send_back(self, location: str, **changed: str) -> str:
        """Take a redirect to the issuer; return the path of our pages to which it sends the browser back.

        `changed` replaces parameters in the query of that path.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        self.nonce = query["nonce"]
        values = {"state": query["state"], "code": CODE, **changed}
        return "/sign-in/callback?" + "&".join(f"{name}={value}" for name, value in values.items())


@contextmanager
def serve_forging_issuer() -> Iterator[ForgingIssuer]:
    """Serve an issuer whose tokens tests make wrong."""
    issuer = ForgingIssuer()
    issuer.replace_key("first")
    server = make_server("localhost", 0, issuer.make_app(), threaded=True)
    issuer.url = f"http://localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


#: A token that expired so long ago is still accepted, or refused: the clocks may differ by two minutes.
A_LITTLE_LATE, TOO_LATE = timedelta(minutes=1), timedelta(minutes=3)
