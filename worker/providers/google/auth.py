"""Who may act for whom at Google: the two ways in, and the tokens that come of them.

`Delegation` is a service account that a Workspace's administrator lets act as each person, for exactly the scopes
named. `Accounts` are managers who connected their own account; their refresh tokens lie in a folder, sealed, one file
each. Either gives access tokens, kept in memory until shortly before they end.

The exchange with the token endpoint is done here rather than by google-auth: that would sleep and repeat by itself.
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
from worker.seal import Seal

_SCOPE_PREFIX = "https://www.googleapis.com/auth/"
OWNED_EVENTS_SCOPE = (
    f"{_SCOPE_PREFIX}calendar.events.owned"  #: write our events on a manager's own calendar, and read that calendar
)
EVENTS_READ_SCOPE = f"{_SCOPE_PREFIX}calendar.events.readonly"  #: acting as a person: when that person is busy, and how
FREE_BUSY_SCOPE = f"{_SCOPE_PREFIX}calendar.events.freebusy"  #: acting as a manager: when others are busy
GMAIL_SEND_SCOPE = f"{_SCOPE_PREFIX}gmail.send"
CALENDARS_READ_SCOPE = (
    f"{_SCOPE_PREFIX}calendar.calendars.readonly"  #: for `check` alone, where it is granted: whether Meet is offered
)
#: What one manager's own account is asked for, all of it at once.
ACCOUNT_SCOPES = (OWNED_EVENTS_SCOPE, FREE_BUSY_SCOPE, GMAIL_SEND_SCOPE)

TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
AUTH_ENDPOINT = "https://accounts.google.com/o/oauth2/v2/auth"
_TOKEN_LIFE = timedelta(hours=1)
_RENEWAL_MARGIN = timedelta(minutes=2)  #: a token is not used any more so shortly before its end
_KEY_FIELDS = ("client_email", "client_id", "private_key", "private_key_id", "project_id")


class GoogleAccess(Protocol):
    """Gives access tokens. Raises AuthRevoked, Unavailable, RateLimited, InvalidResponse."""

    def get_token(self, person: Address, scope: str) -> str:
        """A token with which to act as that person."""

    def forget_token(self, person: Address, scope: str) -> None:
        """That token was refused: get another one the next time."""

    def list_connected(self) -> list[Address] | None:
        """Who can be acted for; None when that is a whole domain."""

    def get_project(self) -> str:
        """The project whose quota is used, as far as it is known."""


class TokenCache:
    """Access tokens in memory, each asked for again shortly before it ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._known: dict[tuple[Address, str], tuple[str, datetime]] = {}

    def get(self, person: Address, scope: str, ask: Callable[[], tuple[str, timedelta]]) -> str:
        """The token that is known, or a new one."""
        now = self._clock()
        with self._lock:
            token, until = self._known.get((person, scope), ("", now))
        if now < until:
            return token
        token, life = ask()
        with self._lock:
            self._known[person, scope] = (token, now + max(life - _RENEWAL_MARGIN, timedelta()))
        return token

    def drop(self, person: Address, scope: str) -> None:
        with self._lock:
            self._known.pop((person, scope), None)


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where grants are changed into tokens."""

    url: str
    timeout: float

    def post_form(self, form: Mapping[str, str], refused: Callable[[str, str], ProviderError]) -> dict[str, Any]:
        """What it answers. `refused` says what its error code and description mean."""
        try:
            answer = requests.post(self.url, data=dict(form), timeout=self.timeout, allow_redirects=False)
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"Google's token endpoint {self.url} can't be reached.") from error
        if answer.status_code == 429:
            raise RateLimited(
                "Google's token endpoint asks to slow down.", retry_after=parse_retry_after(answer.headers)
            )
        if answer.status_code >= 500:
            raise Unavailable(f"Google's token endpoint is out of order (status {answer.status_code}).")
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise InvalidResponse(f"{self.url} answered with something that is not a token endpoint's.")
        if answer.status_code != 200:
            raise refused(str(told.get("error", "")), str(told.get("error_description", "")))
        return told

    def request_token(
        self, form: Mapping[str, str], refused: Callable[[str, str], ProviderError]
    ) -> tuple[str, timedelta]:
        """An access token, and how long it lives."""
        told = self.post_form(form, refused)
        token, life = told.get("access_token"), told.get("expires_in", _TOKEN_LIFE.total_seconds())
        if not isinstance(token, str) or not token or not isinstance(life, int | float):
            raise InvalidResponse(f"{self.url} answered without a token.")
        return token, timedelta(seconds=life)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long a service asks to be left alone, when it says so in seconds."""
    told = headers.get("Retry-After") or headers.get("retry-after") or ""
    return timedelta(seconds=int(told)) if told.isascii() and told.isdigit() and len(told) < 8 else None


# --- a service account with domain-wide delegation ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What a key file says, ready to sign with."""

    email: str
    client_id: str
    project: str
    key_id: str
    signer: Any

    @classmethod
    def from_file(cls, path: Path) -> "ServiceAccount":
        """Raises AuthRevoked, in one line that says what is wrong with the file."""
        from google.auth.crypt import RSASigner

        told = _read_key_file(path)
        try:
            signer: Any = RSASigner
            signer = signer.from_string(told["private_key"], told["private_key_id"])
        except (ValueError, TypeError) as error:
            raise _make_key_file_error(path, "its private key can't be read") from error
        return cls(told["client_email"], told["client_id"], told["project_id"], told["private_key_id"], signer)

    def sign_assertion(self, subject: Address, scope: str, audience: str, now: datetime) -> str:
        """The signed wish to act as `subject`."""
        from google.auth import jwt

        encode: Any = jwt.encode  # the library has no types here
        seconds = int(now.timestamp())
        claims = {"iss": self.email, "sub": subject, "scope": scope, "aud": audience, "iat": seconds}
        claims["exp"] = seconds + int(_TOKEN_LIFE.total_seconds())
        return str(encode(self.signer, claims, key_id=self.key_id), "ascii")


def _read_key_file(path: Path) -> dict[str, str]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _make_key_file_error(path, str(error.strerror)) from error
    except ValueError as error:
        raise _make_key_file_error(path, "it is not JSON") from error
    if not isinstance(told, dict) or told.get("type") != "service_account":
        kind = "an OAuth client" if isinstance(told, dict) and {"installed", "web"} & told.keys() else "something else"
        raise _make_key_file_error(path, f"it is {kind}")
    lacking = [name for name in _KEY_FIELDS if not isinstance(told.get(name), str) or not told[name]]
    if lacking:
        raise _make_key_file_error(path, f"it lacks {', '.join(lacking)}")
    return {name: told[name] for name in _KEY_FIELDS}


def _make_key_file_error(path: Path, why: str) -> AuthRevoked:
    return AuthRevoked(
        f"{path} is not the key file of a service account: {why}. "
        "Make one in the Cloud console: IAM & Admin > Service Accounts > Keys > Add key > JSON."
    )


class Delegation:
    """A service account that acts as anybody in the domain, for the scopes that the administrator granted."""

    def __init__(self, key_file: Path, endpoint: TokenEndpoint, clock: Clock) -> None:
        self._key_file = key_file
        self._endpoint = endpoint
        self._clock = clock
        self._tokens = TokenCache(clock)
        self._account: ServiceAccount | None = None

    @property
    def account(self) -> ServiceAccount:
        """Read when it is first needed."""
        if self._account is None:
            self._account = ServiceAccount.from_file(self._key_file)
        return self._account

    def get_token(self, person: Address, scope: str) -> str:
        return self._tokens.get(person, scope, lambda: self._request_token(person, scope))

    def _request_token(self, person: Address, scope: str) -> tuple[str, timedelta]:
        signed = self.account.sign_assertion(person, scope, self._endpoint.url, self._clock())
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
        return self._endpoint.request_token(form, lambda code, told: self._translate_refusal(person, scope, code, told))

    def _translate_refusal(self, person: Address, scope: str, code: str, told: str) -> ProviderError:
        account = self.account
        if code in ("unauthorized_client", "access_denied", "invalid_scope"):
            return AuthRevoked(delegation_remedy(account.client_id, scope))
        if "signature" in told.lower() or "not found" in told.lower() or code == "invalid_client":
            return AuthRevoked(
                f"Google does not know the key in {self._key_file} ({account.email}, project {account.project}) "
                "any more: it was deleted, or has expired. Make a new one: IAM & Admin > Service Accounts > Keys."
            )
        if "timeframe" in told.lower():
            return AuthRevoked("Google refuses the time in our request: set this machine's clock right (NTP).")
        return AuthRevoked(
            f"Nobody can act as {person}: the account is suspended, deleted, or not in the domain that granted "
            f"delegation to {account.client_id} (Google says {code or 'nothing'})."
        )

    def forget_token(self, person: Address, scope: str) -> None:
        self._tokens.drop(person, scope)

    def list_connected(self) -> list[Address] | None:
        return None

    def get_project(self) -> str:
        return self.account.project


def delegation_remedy(client_id: str, *scopes: str) -> str:
    """Word for word what to paste where."""
    return (
        "In admin.google.com open Security > Access and data control > API controls > Manage domain wide delegation, "
        f"choose Add new (or Edit), and paste as Client ID `{client_id}` and among the OAuth scopes "
        f"`{','.join(scopes)}`. It may take some minutes, in rare cases a day."
    )


# --- managers' own accounts -----------------------------------------------------------------------------------------


class ConnectedAccounts:
    """Managers who connected their own account with `longarc connect google`."""

    def __init__(
        self, folder: Path, keys: Iterable[str], client_id: str, secret: str, endpoint: TokenEndpoint, clock: Clock
    ) -> None:
        self._store = TokenFolder(folder, keys)
        self._client_id, self._secret = client_id, secret
        self._endpoint = endpoint
        self._tokens = TokenCache(clock)

    def get_token(self, person: Address, scope: str) -> str:
        return self._tokens.get(person, "", lambda: self._request_token(person))

    def _request_token(self, person: Address) -> tuple[str, timedelta]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._store.load(person),
            "client_id": self._client_id,
            "client_secret": self._secret,
        }
        return self._endpoint.request_token(form, lambda code, told: self._translate_refusal(person, code))

    @staticmethod
    def _translate_refusal(person: Address, code: str) -> ProviderError:
        if code in ("invalid_client", "unauthorized_client"):
            return AuthRevoked(
                "Google does not know this OAuth client: compare client_id and LONGARC_GOOGLE_CLIENT_SECRET with "
                "APIs & Services > Credentials in the Cloud console."
            )
        return AuthRevoked(
            f"{person} took the grant back, or it has expired (in an app that is still in testing it ends after "
            f"seven days): run `longarc connect google {person}` again."
        )

    def forget_token(self, person: Address, scope: str) -> None:
        self._tokens.drop(person, "")

    def list_connected(self) -> list[Address] | None:
        return self._store.list_people()

    def get_project(self) -> str:
        return self._client_id


class TokenFolder:
    """Refresh tokens, sealed, one file for each account, readable by nobody else."""

    def __init__(self, folder: Path, keys: Iterable[str]) -> None:
        self._folder = folder
        self._keys = list(keys)

    def list_people(self) -> list[Address]:
        """Whose tokens there are."""
        return sorted(unquote(path.name.removesuffix(".sealed")) for path in self._folder.glob("*.sealed"))

    def load(self, person: Address) -> str:
        """Raises AuthRevoked."""
        path = self._path(person)
        try:
            return Seal(self._keys).open(path.read_bytes())
        except FileNotFoundError:
            words = f"{person} has not connected a Google account yet: run `longarc connect google {person}`."
            raise AuthRevoked(words) from None
        except OSError as error:
            raise AuthRevoked(f"{path} can't be read: {error.strerror}.") from error
        except WrongKey as error:
            words = f"{path} was sealed with another LONGARC_KEY: give that one too, or run"
            raise AuthRevoked(f"{words} `longarc connect google {person}` again.") from error

    def prepare_for(self, person: Address) -> None:
        """Raises Refused when that person's could not be kept: to be told before anybody is asked for it."""
        try:
            private_files.make_folder(self._folder)
        except OSError as error:
            raise Refused(f"Nothing can be kept in {self._folder}: {error.strerror}. Mend `token_folder`.") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise Refused(f"Nothing can be kept in {self._folder}: let Longarc write to it, or mend `token_folder`.")
        if self._path(person).is_dir():
            raise Refused(f"Nothing can be kept in {self._path(person)}: it is a folder. Take it away.")

    def save(self, person: Address, refresh_token: str) -> Path:
        """Write it whole or not at all. Raises OSError, WrongKey."""
        private_files.make_folder(self._folder)
        private_files.write(self._path(person), Seal(self._keys).close(refresh_token))
        return self._path(person)

    def reseal(self, person: Address) -> None:
        """Seal that person's anew with the first key. Raises AuthRevoked, OSError."""
        self.save(person, self.load(person))

    def _path(self, person: Address) -> Path:
        return self._folder / f"{quote(person, safe='@+')}.sealed"


# --- from the settings ----------------------------------------------------------------------------------------------


def build_access(section: Mapping[str, Any], clock: Clock) -> GoogleAccess:
    """The way in that a section of the settings describes: with a `service_account`, delegation; else the accounts
    that were connected. Reads nothing yet."""
    endpoint = TokenEndpoint(str(section.get("token_endpoint") or TOKEN_ENDPOINT), timeout_of(section))
    if section.get("service_account"):
        return Delegation(Path(str(section["service_account"])), endpoint, clock)
    return ConnectedAccounts(
        Path(str(section.get("token_folder") or "var/google")),
        section.get("keys") or (),
        str(section.get("client_id") or ""),
        str(section.get("password") or ""),
        endpoint,
        clock,
    )


def quota_key_of(section: Mapping[str, Any]) -> str:
    """What people's addresses are hashed with where they say whose quota is used: the same in every process."""
    return next(iter(section.get("keys") or ()), "")


def timeout_of(section: Mapping[str, Any]) -> float:
    """Seconds to wait for an answer."""
    return float(section.get("timeout") or 20.0)
