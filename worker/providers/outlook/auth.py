"""Tokens for Microsoft Graph, by MSAL: as an app that acts for many people, or as one manager's own account.

An app authenticates by a certificate or a secret. An account signs in once (`longarc connect outlook`); MSAL's token
cache for it is stored sealed, written whole or not at all, and readable by its owner alone.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msal.exceptions import MsalError

from worker import private_files
from worker.domain.model import Address
from worker.errors import AuthRevoked, LongarcError, ProviderError, Unavailable, WrongKey
from worker.providers.outlook.client import GraphTokens, HttpSession
from worker.seal import Seal

#: The scopes that a connected account has to grant: its calendar, sending mail, its working hours.
DELEGATED_SCOPES = ("Calendars.ReadWrite", "Mail.Send", "MailboxSettings.Read")
#: The scope that is needed in addition where mail is sent exactly once.
EXACTLY_ONCE_SCOPE = "Mail.ReadWrite"

_msal: Any = msal  # the library is typed only in part

_CONNECT_REMEDY = "Run `longarc connect outlook`."
_RENEW_REMEDY = (
    "Make a new one in Entra, under App registrations, Certificates & secrets, and give it as LONGARC_OUTLOOK_SECRET."
)
#: By the log-in service's error codes (AADSTS): what a code means, and what to do.
_REMEDIES: Mapping[int, str] = {
    90002: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    900023: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    900021: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    700016: "The app is not known in this tenant. Fix `client_id` or `tenant` in [calendars.outlook].",
    50194: "The app is for one organization. Write its tenant as `tenant` in [calendars.outlook].",
    7000215: f"The app's secret is wrong. {_RENEW_REMEDY}",
    7000222: f"The app's secret has expired. {_RENEW_REMEDY}",
    700027: "The app does not know this certificate, or its key does not match. Upload its public part in Entra, under "
    "Certificates & secrets, and name the file with both parts as `certificate` in [calendars.outlook].",
    700024: "The certificate's proof is out of its time. Set this machine's clock right.",
    7000112: "The app is switched off in this tenant. Have an administrator switch it on.",
    65001: "Nobody has consented to what the app needs. An administrator has to, in Entra, under API permissions.",
    50076: f"The account needs a second factor. {_CONNECT_REMEDY}",
    50079: f"The account needs a second factor. {_CONNECT_REMEDY}",
    53003: "A conditional access policy blocks this log-in. Ask an administrator, or use an app registration.",
    50105: "The account is not assigned to the app. Have an administrator assign it in Entra.",
    7000218: "The app is no public client. Switch on `Allow public client flows` in Entra, under Authentication.",
    70043: f"The grant has expired. {_CONNECT_REMEDY}",
    700082: f"The grant has expired. {_CONNECT_REMEDY}",
    50173: f"The grant was withdrawn. {_CONNECT_REMEDY}",
    70000: f"The grant was withdrawn. {_CONNECT_REMEDY}",
    50057: "The account is switched off. Ask an administrator.",
}
#: Error codes of failures that may pass within a minute.
_TEMPORARY_CODES = frozenset({90033, 90024, 50196, 90055})
_TEMPORARY_ERRORS = frozenset({"temporarily_unavailable", "server_error", "timeout"})


def build_tokens(section: Mapping[str, Any]) -> GraphTokens:
    """Return the tokens of an account when the section of the settings names one, else those of an app.

    Both need `endpoint`, `authority`, `client_id`. An app: `tenant`, and `certificate` (a PEM file with key and
    certificate; `password` opens the key) or `password` (a secret). An account: `account`, `account_file`, `seal`.
    Raises AuthRevoked when a key is missing.
    """
    if not section.get("client_id"):
        raise AuthRevoked("No app is named. Write `client_id` under [calendars.outlook].")
    if section.get("account"):
        return AccountTokens(section)
    if not section.get("tenant"):
        raise AuthRevoked("An app belongs to a tenant. Write `tenant` under [calendars.outlook].")
    return AppTokens(section)


class AppTokens:
    """GraphTokens of an app registration."""

    own_account: Address = ""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._section = section
        self._scopes = [f"{_get_graph_root(section)}/.default"]
        self._lock = Lock()
        self._client: Any = None

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section):
            client = self._client = self._client or _build_app_client(self._section)
            if fresh:
                client.remove_tokens_for_client()
            return _extract_token(client.acquire_token_for_client(self._scopes), "the app")


def _build_app_client(section: Mapping[str, Any]) -> Any:
    secret = str(section.get("password") or "")
    file = section.get("certificate")
    if not file and not secret:
        text = "The app has neither a certificate nor a secret. Name `certificate` in [calendars.outlook], or give "
        raise AuthRevoked(f"{text}LONGARC_OUTLOOK_SECRET.")
    credential = _load_certificate(Path(str(file)), secret) if file else secret
    return _msal.ConfidentialClientApplication(client_credential=credential, **_make_client_options(section))


def _load_certificate(file: Path, passphrase: str) -> Mapping[str, Any]:
    """Return the credential for MSAL from a PEM file with a private key and its certificate. Raises AuthRevoked."""
    remedy = "It has to hold a private key and its certificate, both in PEM."
    try:
        content = file.read_bytes()
        key = serialization.load_pem_private_key(content, passphrase.encode() or None)
        certificate = x509.load_pem_x509_certificate(content)
    except OSError as error:
        raise AuthRevoked(f"The certificate {file} can't be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise AuthRevoked(f"The certificate {file} can't be used. {remedy}") from error
    if _encode_public_key(key.public_key()) != _encode_public_key(certificate.public_key()):
        raise AuthRevoked(f"In {file} the private key does not belong to the certificate. {remedy}")
    return {
        "private_key": key,  # the object, because reading and checking a text takes 50 ms at each new client
        "public_certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _encode_public_key(key: Any) -> bytes:
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, public_format))


class AccountTokens:
    """GraphTokens of one person's own account, into which that person signed in."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.own_account: Address = str(section["account"]).casefold()
        self._section = section
        if "seal" not in section:
            raise AuthRevoked("There is no LONGARC_KEY to seal the account's tokens with. Make one with `longarc key`.")
        self._cache_file = TokenCacheFile(Path(str(section["account_file"])), section["seal"])
        self._lock = Lock()
        names = (*DELEGATED_SCOPES, *((EXACTLY_ONCE_SCOPE,) if section.get("exactly_once") else ()))
        self._scopes = [f"{_get_graph_root(section)}/{name}" for name in names]

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section), self._open_client() as client:
            accounts = client.get_accounts(self.own_account)
            if not accounts:
                raise AuthRevoked(f"{self.own_account} has not signed in, or signed out. {_CONNECT_REMEDY}")
            answer = client.acquire_token_silent_with_error(self._scopes, accounts[0], force_refresh=fresh)
            return _extract_token(answer, self.own_account)

    def sign_in_by_device(self, show: Callable[[str], None]) -> None:
        """Sign in by a code on any device, and wait until that is done. `show`: called with the instructions. Raises
        AuthRevoked."""
        with self._lock, _translate_errors(self._section), self._open_client(discards_cache=True) as client:
            flow = client.initiate_device_flow(self._scopes)
            if "user_code" not in flow:
                _extract_token(flow, self.own_account)
            show(str(flow["message"]))
            self._check_signed_in(client.acquire_token_by_device_flow(flow))

    def sign_in_by_browser(self) -> None:
        """Sign in with the browser of this machine, and wait until that is done. Raises AuthRevoked."""
        with self._lock, _translate_errors(self._section), self._open_client(discards_cache=True) as client:
            self._check_signed_in(
                client.acquire_token_interactive(self._scopes, login_hint=self.own_account, timeout=300)
            )

    def _check_signed_in(self, answer: Mapping[str, Any]) -> None:
        """Raise AuthRevoked when the sign-in failed, or another account signed in."""
        _extract_token(answer, self.own_account)
        account = str((answer.get("id_token_claims") or {}).get("preferred_username") or "").casefold()
        if account != self.own_account:
            raise AuthRevoked(f"{account or 'Somebody else'} signed in, not {self.own_account}. Nothing was kept.")

    @contextmanager
    def _open_client(self, *, discards_cache: bool = False) -> Iterator[Any]:
        """Open a client with the stored token cache, which is stored again when the block succeeds. Only one process at
        a time has it: a refresh token may be valid for one use only. `discards_cache`: start without the stored cache,
        so that signing in does not need the key that opens it."""
        with self._cache_file.hold_lock():
            cache = _msal.SerializableTokenCache()
            if not discards_cache:
                cache.deserialize(self._cache_file.read())
            yield _msal.PublicClientApplication(token_cache=cache, **_make_client_options(self._section))
            if cache.has_state_changed:
                self._cache_file.write(cache.serialize())


class TokenCacheFile:
    """The file with MSAL's token cache for an account: sealed, readable by its owner alone."""

    def __init__(self, file: Path, seal: Seal) -> None:
        self._file = file
        self._seal = seal

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Keep other processes from reading and writing the file. Raises AuthRevoked when it can't be written."""
        try:
            private_files.make_folder(self._file.parent)
            lock = self._file.with_name(f"{self._file.name}.lock")
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, private_files.FILE_MODE)
        except OSError as error:
            text = f"Nothing can be kept in {self._file.parent}: {error.strerror}. Fix `account_file`."
            raise AuthRevoked(text) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if self._file.is_dir():
                raise AuthRevoked(f"Nothing can be kept in {self._file}: it is a folder. Fix `account_file`.")
            yield
        finally:
            os.close(handle)

    def read(self) -> str:
        """Return the token cache as JSON; `{}` when there is no file yet. Raises AuthRevoked."""
        try:
            return self._seal.open(self._file.read_bytes())
        except FileNotFoundError:
            return "{}"
        except OSError as error:
            raise AuthRevoked(f"The grant in {self._file} can't be read: {error.strerror}.") from error
        except WrongKey as error:
            text = (
                f"The grant in {self._file} was sealed with another key; give that one too in LONGARC_KEY, or sign in"
            )
            raise AuthRevoked(f"{text} again. {_CONNECT_REMEDY}") from error

    def write(self, text: str) -> None:
        """Seal the token cache with the first key and write it, whole or not at all."""
        private_files.write(self._file, self._seal.close(text))

    def reseal(self) -> None:
        """Seal the file's content again, with the first key. Raises AuthRevoked."""
        with self.hold_lock():
            self.write(self.read())


# --- shared ---------------------------------------------------------------------------------------------------------


def _get_graph_root(section: Mapping[str, Any]) -> str:
    """Return Graph's URL without path and version, with which scopes begin."""
    parts = urlsplit(str(section["endpoint"]))
    return f"{parts.scheme}://{parts.netloc}"


def _make_client_options(section: Mapping[str, Any]) -> dict[str, Any]:
    authority = str(section["authority"]).rstrip("/")
    return {
        "client_id": str(section["client_id"]),
        "authority": f"{authority}/{section.get('tenant') or 'organizations'}",
        "http_client": HttpSession(float(section.get("timeout") or 30), str(section.get("ca_file") or "")),
        "instance_discovery": False,  # the operator sets the authority: sovereign clouds have their own
    }


@contextmanager
def _translate_errors(section: Mapping[str, Any]) -> Iterator[None]:
    """Raise every exception of MSAL and of its HTTP requests as a ProviderError."""
    host = urlsplit(str(section["authority"])).netloc
    try:
        yield
    except LongarcError:
        raise
    except requests.exceptions.SSLError as error:
        text = f"{host}: no safe connection (TLS); check outlook.authority and the certificates to trust."
        raise Unavailable(text) from error
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"{host} can't be reached; check outlook.authority.") from error
    except ValueError as error:  # MSAL raises it when the authority does not know the tenant
        raise AuthRevoked(f"{host} does not know this tenant. {_REMEDIES[90002]}") from error
    except (MsalError, RuntimeError, KeyError, TypeError) as error:
        raise Unavailable(f"{host} is out of order for now.") from error


def _extract_token(answer: Mapping[str, Any] | None, who: str) -> str:
    if answer and "access_token" in answer:
        return str(answer["access_token"])
    raise translate_refusal(answer or {}, who)


def translate_refusal(answer: Mapping[str, Any], who: str) -> ProviderError:
    """Return the error for MSAL's answer to a failed log-in, with a remedy."""
    codes = [int(code) for code in answer.get("error_codes") or () if str(code).isdigit()]
    error = str(answer.get("error") or "")
    if error in _TEMPORARY_ERRORS or _TEMPORARY_CODES & set(codes):
        return Unavailable(f"The log-in service can't serve {who} right now.")
    for code in codes:
        if code in _REMEDIES:
            return AuthRevoked(f"AADSTS{code}: {_REMEDIES[code]}")
    if error == "invalid_grant" or not answer:
        return AuthRevoked(f"The grant of {who} is gone. {_CONNECT_REMEDY}")
    if error in ("authorization_pending", "expired_token", "code_expired", "authorization_declined", "access_denied"):
        return AuthRevoked(f"{who} did not sign in in time, or refused. {_CONNECT_REMEDY}")
    description = " ".join(str(answer.get("error_description") or error).split())[:160]
    return AuthRevoked(f"The log-in service refuses {who}: {description}")
