"""Gets access tokens for Google's APIs, by domain-wide delegation or from connected accounts.

`Delegation` uses a service account that the administrator of a Workspace domain allows to act as every user of the
domain, within named scopes. `ConnectedAccounts` uses the refresh tokens of managers who each connected their own
account; every refresh token is sealed (encrypted) in a file of its own. Both classes keep access tokens in memory until
shortly before they expire.

This module calls the token endpoint itself, because google-auth would sleep and repeat requests.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from urllib.parse import quote, unquote

import requests

from worker import private_files
from worker.clock import Clock
from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, ProviderError, RateLimited, Refused, Unavailable, WrongKey
from worker.process_metrics import observe_request
from worker.seal import Seal

_SCOPE_PREFIX = "https://www.googleapis.com/auth/"
#: Allows a token of a manager to read the manager's own calendar and to write our events on it.
OWNED_EVENTS_SCOPE = f"{_SCOPE_PREFIX}calendar.events.owned"
#: Allows a token of a person to read the events on that person's calendar.
EVENTS_READ_SCOPE = f"{_SCOPE_PREFIX}calendar.events.readonly"
#: Allows a token of a manager to query other people's free/busy.
FREE_BUSY_SCOPE = f"{_SCOPE_PREFIX}calendar.events.freebusy"
GMAIL_SEND_SCOPE = f"{_SCOPE_PREFIX}gmail.send"
#: Optional: lets `longarc check` read whether a calendar offers Meet links.
CALENDARS_READ_SCOPE = f"{_SCOPE_PREFIX}calendar.calendars.readonly"
#: Allows a token of an administrator to read people and their managers from the company's directory.
DIRECTORY_READ_SCOPE = f"{_SCOPE_PREFIX}admin.directory.user.readonly"
#: The scopes that a connected account has to grant.
ACCOUNT_SCOPES = (OWNED_EVENTS_SCOPE, FREE_BUSY_SCOPE, GMAIL_SEND_SCOPE)
_ALL_SCOPES = ""  #: the scope under which the token of a connected account is cached

TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"  # noqa: S105  # a URL
AUTH_ENDPOINT = "https://accounts.google.com/o/oauth2/v2/auth"
_TOKEN_LIFETIME = timedelta(hours=1)
_RENEWAL_MARGIN = timedelta(minutes=2)  #: how long before its expiry a token is replaced
_MAX_RETRY_AFTER_DIGITS = 7  #: a Retry-After header with more digits is ignored
#: The fields that a key file must have.
_KEY_FIELDS = ("client_email", "client_id", "private_key", "private_key_id", "project_id")


class GoogleAccess(Protocol):
    """Gets access tokens. Its methods raise AuthRevoked, Unavailable, RateLimited and InvalidResponse."""

    def get_token(self, person: Address, scope: str) -> str:
        """Return an access token to act as that person within the scope."""

    def forget_token(self, person: Address, scope: str) -> None:
        """Drop the cached token, which Google refused, so that `get_token` requests a new one."""

    def list_connected_people(self) -> list[Address] | None:
        """Return the people whose accounts are connected; None when Longarc may act as every user of the domain."""

    def get_project(self) -> str:
        """Return the Cloud project whose quota is used, or the OAuth client's id when the project is unknown."""


class TokenCache:
    """Keeps access tokens in memory until shortly before they expire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tokens: dict[tuple[Address, str], tuple[str, datetime]] = {}

    def get(self, person: Address, scope: str, request_token: Callable[[], tuple[str, timedelta]]) -> str:
        """Return the cached token. When there is none or it is about to expire, return the token from `request_token`,
        which returns a new token and its lifetime."""
        now = self._clock()
        with self._lock:
            token, usable_until = self._tokens.get((person, scope), ("", now))
        if now < usable_until:
            return token
        token, lifetime = request_token()
        with self._lock:
            self._tokens[person, scope] = (token, now + max(lifetime - _RENEWAL_MARGIN, timedelta()))
        return token

    def drop(self, person: Address, scope: str) -> None:
        """Remove the token, if there is one."""
        with self._lock:
            self._tokens.pop((person, scope), None)


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Google's OAuth token endpoint. `timeout` is in seconds."""

    url: str
    timeout: float

    def post_form(
        self, form: Mapping[str, str], translate_refusal: Callable[[str, str], ProviderError]
    ) -> dict[str, Any]:
        """Post the form and return the JSON object in the endpoint's answer.

        `translate_refusal` builds the error to raise from Google's error code and error description. Also raises
        Unavailable, RateLimited and InvalidResponse.
        """
        try:
            with observe_request("google", "token") as observation:
                answer = requests.post(self.url, data=dict(form), timeout=self.timeout, allow_redirects=False)
                observation.status = answer.status_code
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"Google's token endpoint {self.url} can't be reached.") from error
        if answer.status_code == 429:
            raise RateLimited(
                "Google's token endpoint limits the rate of requests.", retry_after=parse_retry_after(answer.headers)
            )
        if answer.status_code >= 500:
            raise Unavailable(f"Google's token endpoint failed with HTTP status {answer.status_code}.")
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InvalidResponse(f"The answer of {self.url} is not that of an OAuth token endpoint.")
        if answer.status_code != 200:
            raise translate_refusal(str(content.get("error", "")), str(content.get("error_description", "")))
        return content

    def request_token(
        self, form: Mapping[str, str], translate_refusal: Callable[[str, str], ProviderError]
    ) -> tuple[str, timedelta]:
        """Return an access token and its lifetime. Raises the errors of `post_form`."""
        answer = self.post_form(form, translate_refusal)
        token = answer.get("access_token")
        lifetime = answer.get("expires_in", _TOKEN_LIFETIME.total_seconds())  # in seconds
        if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
            raise InvalidResponse(f"The answer of {self.url} holds no access token.")
        return token, timedelta(seconds=lifetime)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the wait in the Retry-After header; None when the header is missing or does not hold seconds."""
    text = headers.get("Retry-After") or headers.get("retry-after") or ""
    is_number_of_seconds = text.isascii() and text.isdigit() and len(text) <= _MAX_RETRY_AFTER_DIGITS
    return timedelta(seconds=int(text)) if is_number_of_seconds else None


# --- a service account with domain-wide delegation ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The fields of a service account's key file."""

    email: str
    client_id: str
    project: str
    key_id: str
    signer: Any  #: a google.auth.crypt.RSASigner that holds the private key

    @classmethod
    def from_file(cls, path: Path) -> "ServiceAccount":
        """Return the service account in the key file. Raises AuthRevoked, whose text says what is wrong in the file."""
        from google.auth.crypt import RSASigner

        fields = _read_key_file(path)
        try:
            signer_class: Any = RSASigner  # the library has no types here
            signer = signer_class.from_string(fields["private_key"], fields["private_key_id"])
        except (ValueError, TypeError) as error:
            raise _make_key_file_error(path, "its private key can't be read") from error
        return cls(
            email=fields["client_email"],
            client_id=fields["client_id"],
            project=fields["project_id"],
            key_id=fields["private_key_id"],
            signer=signer,
        )

    def sign_assertion(self, subject: Address, scope: str, audience: str, now: datetime) -> str:
        """Return the signed JWT that asks for a token to act as `subject`. `audience` is the token endpoint's URL."""
        from google.auth import jwt

        encode: Any = jwt.encode  # the library has no types here
        seconds = int(now.timestamp())
        claims = {"iss": self.email, "sub": subject, "scope": scope, "aud": audience, "iat": seconds}
        claims["exp"] = seconds + int(_TOKEN_LIFETIME.total_seconds())
        return str(encode(self.signer, claims, key_id=self.key_id), "ascii")


def _read_key_file(path: Path) -> dict[str, str]:
    """Return the `_KEY_FIELDS` of the file. Raises AuthRevoked when it lacks one of them or is no key file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _make_key_file_error(path, str(error.strerror)) from error
    except ValueError as error:
        raise _make_key_file_error(path, "it is not JSON") from error
    if not isinstance(content, dict) or content.get("type") != "service_account":
        is_oauth_client = isinstance(content, dict) and {"installed", "web"} & content.keys()
        raise _make_key_file_error(path, "it is an OAuth client" if is_oauth_client else "it is something else")
    missing_fields = [name for name in _KEY_FIELDS if not isinstance(content.get(name), str) or not content[name]]
    if missing_fields:
        raise _make_key_file_error(path, f"it lacks {', '.join(missing_fields)}")
    return {name: content[name] for name in _KEY_FIELDS}


def _make_key_file_error(path: Path, reason: str) -> AuthRevoked:
    return AuthRevoked(
        f"{path} is not the key file of a service account: {reason}. "
        "Create one in the Cloud console: IAM & Admin > Service Accounts > Keys > Add key > JSON."
    )


class Delegation:
    """GoogleAccess through a service account, which may act as every user of the domain within the granted scopes."""

    def __init__(self, key_file: Path, endpoint: TokenEndpoint, clock: Clock) -> None:
        self._key_file = key_file
        self._endpoint = endpoint
        self._clock = clock
        self._tokens = TokenCache(clock)
        self._account: ServiceAccount | None = None

    @property
    def account(self) -> ServiceAccount:
        """The service account, read from the key file on first use."""
        if self._account is None:
            self._account = ServiceAccount.from_file(self._key_file)
        return self._account

    def get_token(self, person: Address, scope: str) -> str:
        return self._tokens.get(person, scope, lambda: self._request_token(person, scope))

    def _request_token(self, person: Address, scope: str) -> tuple[str, timedelta]:
        assertion = self.account.sign_assertion(person, scope, self._endpoint.url, self._clock())
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return self._endpoint.request_token(
            form, lambda code, description: self._translate_refusal(person, scope, code, description)
        )

    def _translate_refusal(self, person: Address, scope: str, code: str, description: str) -> ProviderError:
        account, lower_description = self.account, description.lower()
        if code in ("unauthorized_client", "access_denied", "invalid_scope"):
            return AuthRevoked(describe_delegation_remedy(account.client_id, scope))
        if "signature" in lower_description or "not found" in lower_description or code == "invalid_client":
            return AuthRevoked(
                f"Google no longer accepts the key in {self._key_file} ({account.email}, project {account.project}): "
                "it was deleted or has expired. Create a new key: IAM & Admin > Service Accounts > Keys."
            )
        if "timeframe" in lower_description:
            return AuthRevoked("Google refuses the time in our request: correct the clock of this machine (NTP).")
        return AuthRevoked(
            f"Longarc can't act as {person}: the account is suspended, deleted, or not in the domain that granted "
            f"delegation to {account.client_id} (Google's error code: {code or 'none'})."
        )

    def forget_token(self, person: Address, scope: str) -> None:
        self._tokens.drop(person, scope)

    def list_connected_people(self) -> list[Address] | None:
        return None

    def get_project(self) -> str:
        return self.account.project


def describe_delegation_remedy(client_id: str, *scopes: str) -> str:
    """Return instructions for the administrator that say where to enter the client id and the scopes."""
    return (
        "In admin.google.com open Security > Access and data control > API controls > Manage domain wide delegation, "
        f"choose Add new (or Edit), and paste as Client ID `{client_id}` and among the OAuth scopes "
        f"`{','.join(scopes)}`. The change takes effect after some minutes, in rare cases after a day."
    )


# --- connected accounts ---------------------------------------------------------------------------------------------


class ConnectedAccounts:
    """GoogleAccess through the accounts that managers connected with `longarc connect google`.

    One token of an account is valid for all ACCOUNT_SCOPES, so tokens are cached without a scope.
    """

    def __init__(
        self, token_folder: "TokenFolder", client_id: str, client_secret: str, endpoint: TokenEndpoint, clock: Clock
    ) -> None:
        self._token_folder = token_folder
        self._client_id = client_id
        self._client_secret = client_secret
        self._endpoint = endpoint
        self._tokens = TokenCache(clock)

    def get_token(self, person: Address, scope: str) -> str:
        return self._tokens.get(person, _ALL_SCOPES, lambda: self._request_token(person))

    def _request_token(self, person: Address) -> tuple[str, timedelta]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._token_folder.load(person),
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        return self._endpoint.request_token(form, lambda code, _: self._translate_refusal(person, code))

    @staticmethod
    def _translate_refusal(person: Address, code: str) -> ProviderError:
        if code in ("invalid_client", "unauthorized_client"):
            return AuthRevoked(
                "Google does not know this OAuth client: compare client_id and LONGARC_GOOGLE_CLIENT_SECRET with "
                "APIs & Services > Credentials in the Cloud console."
            )
        return AuthRevoked(
            f"{person} revoked the grant, or the grant has expired (Google ends a grant after seven days while the "
            f"app is in testing): run `longarc connect google {person}` again."
        )

    def forget_token(self, person: Address, scope: str) -> None:
        self._tokens.drop(person, _ALL_SCOPES)

    def list_connected_people(self) -> list[Address] | None:
        return self._token_folder.list_people()

    def get_project(self) -> str:
        return self._client_id


class TokenFolder:
    """A folder of sealed refresh tokens, one file for each account, readable only by the operator."""

    def __init__(self, folder: Path, keys: Iterable[str]) -> None:
        self._folder = folder
        self._keys = list(keys)

    def list_people(self) -> list[Address]:
        """Return the people who have a token in this folder, sorted by address."""
        return sorted(unquote(path.name.removesuffix(".sealed")) for path in self._folder.glob("*.sealed"))

    def load(self, person: Address) -> str:
        """Return the person's refresh token. Raises AuthRevoked when its file is missing or can't be decrypted."""
        path = self._make_path(person)
        try:
            return Seal(self._keys).unseal(path.read_bytes())
        except FileNotFoundError:
            message = f"{person} has not connected a Google account yet: run `longarc connect google {person}`."
            raise AuthRevoked(message) from None
        except OSError as error:
            raise AuthRevoked(f"{path} can't be read: {error.strerror}.") from error
        except WrongKey as error:
            cause = f"{path} was sealed with another key than those in LONGARC_KEY"
            remedy = f"add that key to LONGARC_KEY, or run `longarc connect google {person}` again"
            raise AuthRevoked(f"{cause}: {remedy}.") from error

    def prepare_for(self, person: Address) -> None:
        """Create the folder. Raises Refused when the person's token can't be saved in it.

        This is called before the person is asked for a grant, so that no grant is lost.
        """
        try:
            private_files.make_folder(self._folder)
        except OSError as error:
            raise Refused(f"No token can be stored in {self._folder}: {error.strerror}. Fix `token_folder`.") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise Refused(f"No token can be stored in {self._folder}: let Longarc write to it, or fix `token_folder`.")
        if self._make_path(person).is_dir():
            raise Refused(f"No token can be stored in {self._make_path(person)}: it is a folder. Remove this folder.")

    def save(self, person: Address, refresh_token: str) -> Path:
        """Seal the token, write its file atomically, and return its path. Raises OSError and WrongKey."""
        private_files.make_folder(self._folder)
        private_files.write(self._make_path(person), Seal(self._keys).seal(refresh_token))
        return self._make_path(person)

    def delete(self, person: Address) -> None:
        """Delete the person's token, if there is one. Raises OSError."""
        self._make_path(person).unlink(missing_ok=True)

    def reseal(self, person: Address) -> None:
        """Seal the person's token again, with the first key in LONGARC_KEY. Raises AuthRevoked and OSError."""
        self.save(person, self.load(person))

    def _make_path(self, person: Address) -> Path:
        return self._folder / f"{quote(person, safe='@+')}.sealed"


# --- from the settings ----------------------------------------------------------------------------------------------


def build_access(section: Mapping[str, Any], clock: Clock) -> GoogleAccess:
    """Return a `Delegation` when the section of the settings names a `service_account`, else `ConnectedAccounts`.

    No file is read before the first token is needed.
    """
    endpoint = TokenEndpoint(str(section.get("token_endpoint") or TOKEN_ENDPOINT), get_timeout(section))
    if section.get("service_account"):
        return Delegation(Path(str(section["service_account"])), endpoint, clock)
    return ConnectedAccounts(
        TokenFolder(Path(str(section.get("token_folder") or "var/google")), section.get("keys") or ()),
        client_id=str(section.get("client_id") or ""),
        client_secret=str(section.get("password") or ""),
        endpoint=endpoint,
        clock=clock,
    )


def get_hashing_key(section: Mapping[str, Any]) -> str:
    """Return the key with which addresses are hashed for `quotaUser`; empty when LONGARC_KEY is not set.

    The first LONGARC_KEY is used, because all processes have the same one and then make the same hashes.
    """
    return next(iter(section.get("keys") or ()), "")


def get_timeout(section: Mapping[str, Any]) -> float:
    """Return how long to wait for an answer from Google, in seconds."""
    return float(section.get("timeout") or 20.0)
