"""Gets access tokens for Microsoft Graph with MSAL, for an app that acts for many people or for one person's account.

An app is an app registration in Entra. It authenticates by a certificate or a secret. A person's own account is signed
in once, by `longarc connect outlook`. MSAL's token cache of the account, which holds the refresh token, is stored in a
file, sealed (encrypted), that only the file's owner can read.
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

#: The scopes that a connected account has to grant: to its calendar, to sending mail, and to its working hours.
DELEGATED_SCOPES = ("Calendars.ReadWrite", "Mail.Send", "MailboxSettings.Read")
#: The scope that a connected account has to grant in addition where mail is sent exactly once.
EXACTLY_ONCE_SCOPE = "Mail.ReadWrite"

_msal: Any = msal  # MSAL has type annotations only in part

_BROWSER_TIMEOUT_SECONDS = 300
_MAX_DESCRIPTION_LENGTH = 160  #: characters of Microsoft's error description that an error text repeats
_CONNECT_REMEDY = "Run `longarc connect outlook`."
_RENEW_REMEDY = (
    "Create a new secret in Entra, under App registrations, Certificates & secrets, and write it into "
    "LONGARC_OUTLOOK_SECRET."
)
#: What the error codes (AADSTS) of Microsoft's sign-in service mean, and what to do about them.
_REMEDIES: Mapping[int, str] = {
    90002: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    900023: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    900021: "There is no such tenant. Fix `tenant` in [calendars.outlook].",
    700016: "The app is not known in this tenant. Fix `client_id` or `tenant` in [calendars.outlook].",
    50194: "The app is for one organization. Write its tenant as `tenant` in [calendars.outlook].",
    7000215: f"The app's secret is wrong. {_RENEW_REMEDY}",
    7000222: f"The app's secret has expired. {_RENEW_REMEDY}",
    700027: "The app does not know this certificate, or the private key does not match it. Upload the certificate in "
    "Entra, under Certificates & secrets, and write the path of the file with the certificate and its private key as "
    "`certificate` under [calendars.outlook].",
    700024: "The time in our request is wrong. Correct the clock of this machine (NTP).",
    7000112: "The app is disabled in this tenant. Have an administrator enable it.",
    65001: "Nobody has consented to the app's permissions. Have an administrator consent to them in Entra, under API "
    "permissions.",
    50076: f"The account needs a second factor. {_CONNECT_REMEDY}",
    50079: f"The account needs a second factor. {_CONNECT_REMEDY}",
    53003: "A conditional access policy blocks this sign-in. Ask an administrator, or use an app registration.",
    50105: "The account is not assigned to the app. Have an administrator assign it in Entra.",
    7000218: "The app is not a public client. Switch on `Allow public client flows` in Entra, under Authentication.",
    70043: f"The grant has expired. {_CONNECT_REMEDY}",
    700082: f"The grant has expired. {_CONNECT_REMEDY}",
    50173: f"The grant was revoked. {_CONNECT_REMEDY}",
    70000: f"The grant was revoked. {_CONNECT_REMEDY}",
    50057: "The account is disabled. Ask an administrator.",
}
#: The codes and names of errors that usually end within a minute.
_TEMPORARY_CODES = frozenset({90033, 90024, 50196, 90055})
_TEMPORARY_ERRORS = frozenset({"temporarily_unavailable", "server_error", "timeout"})


def build_tokens(section: Mapping[str, Any]) -> GraphTokens:
    """Return `AccountTokens` when the section of the settings names an account, else `AppTokens`.

    Both need the keys `endpoint`, `authority` and `client_id`. An account also needs `account`, `account_file` and
    `seal`. An app also needs `tenant`, and one of these: `certificate`, which is a PEM file with a private key and its
    certificate, where `password` is the passphrase of the private key; or `password` alone, which is the app's secret.
    Raises AuthRevoked when one of these keys is missing.
    """
    if not section.get("client_id"):
        raise AuthRevoked("The app's client id is missing. Write `client_id` under [calendars.outlook].")
    if section.get("account"):
        return AccountTokens(section)
    if not section.get("tenant"):
        raise AuthRevoked("The app's tenant is missing. Write `tenant` under [calendars.outlook].")
    return AppTokens(section)


class AppTokens:
    """GraphTokens for an app registration."""

    own_account: Address = ""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._section = section
        self._scopes = [f"{_get_graph_root(section)}/.default"]
        self._lock = Lock()
        self._client: Any = None

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section):
            if self._client is None:
                self._client = _build_app_client(self._section)
            if fresh:
                self._client.remove_tokens_for_client()
            return _extract_token(self._client.acquire_token_for_client(self._scopes), "the app")


def _build_app_client(section: Mapping[str, Any]) -> Any:
    secret = str(section.get("password") or "")
    certificate_file = section.get("certificate")
    if not certificate_file and not secret:
        raise AuthRevoked(
            "The app has neither a certificate nor a secret. Write `certificate` under [calendars.outlook], or set "
            "LONGARC_OUTLOOK_SECRET."
        )
    credential = _load_certificate(Path(str(certificate_file)), passphrase=secret) if certificate_file else secret
    return _msal.ConfidentialClientApplication(client_credential=credential, **_make_client_options(section))


def _load_certificate(file: Path, *, passphrase: str) -> Mapping[str, Any]:
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
        "private_key": key,  # an object, because MSAL would parse a text for 50 ms with each new client
        "public_certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _encode_public_key(key: Any) -> bytes:
    public_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, public_format))


class AccountTokens:
    """GraphTokens for one person's own account, to which that person has signed in."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.own_account: Address = str(section["account"]).casefold()
        self._section = section
        if "seal" not in section:
            raise AuthRevoked(
                "LONGARC_KEY is not set, so the account's tokens can't be sealed. Create a key with `longarc key`."
            )
        self._cache_file = TokenCacheFile(Path(str(section["account_file"])), section["seal"])
        self._lock = Lock()
        scope_names = list(DELEGATED_SCOPES)
        if section.get("exactly_once"):
            scope_names.append(EXACTLY_ONCE_SCOPE)
        self._scopes = [f"{_get_graph_root(section)}/{name}" for name in scope_names]

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section), self._open_client() as client:
            accounts = client.get_accounts(self.own_account)
            if not accounts:
                raise AuthRevoked(f"{self.own_account} is not signed in. {_CONNECT_REMEDY}")
            answer = client.acquire_token_silent_with_error(self._scopes, accounts[0], force_refresh=fresh)
            return _extract_token(answer, self.own_account)

    def sign_in_by_device(self, show_instructions: Callable[[str], None]) -> None:
        """Wait until the person has signed in by a code on any device. Raises AuthRevoked when the sign-in fails.

        `show_instructions` is called with the text that names the page to open and the code.
        """
        with self._lock, _translate_errors(self._section), self._open_client(discards_cache=True) as client:
            flow = client.initiate_device_flow(self._scopes)
            if "user_code" not in flow:
                raise translate_sign_in_refusal(flow, self.own_account)
            show_instructions(str(flow["message"]))
            self._check_signed_in(client.acquire_token_by_device_flow(flow))

    def sign_in_by_browser(self) -> None:
        """Open a browser on this machine and wait until the person has signed in. Raises AuthRevoked when it fails."""
        with self._lock, _translate_errors(self._section), self._open_client(discards_cache=True) as client:
            answer = client.acquire_token_interactive(
                self._scopes, login_hint=self.own_account, timeout=_BROWSER_TIMEOUT_SECONDS
            )
            self._check_signed_in(answer)

    def _check_signed_in(self, answer: Mapping[str, Any]) -> None:
        """Raise AuthRevoked when the sign-in failed or was to another account."""
        _extract_token(answer, self.own_account)
        account = str((answer.get("id_token_claims") or {}).get("preferred_username") or "").casefold()
        if account != self.own_account:
            raise AuthRevoked(f"{account or 'Somebody else'} signed in, not {self.own_account}. Nothing was stored.")

    @contextmanager
    def _open_client(self, *, discards_cache: bool = False) -> Iterator[Any]:
        """Provide an MSAL client with the stored token cache, and store the changed cache when the block succeeds.

        Only one process at a time uses the cache, because a refresh token may be valid for a single use. With
        `discards_cache` the client starts with an empty cache, so that signing in is possible without the key with
        which the stored cache was sealed.
        """
        with self._cache_file.hold_lock():
            cache = _msal.SerializableTokenCache()
            if not discards_cache:
                cache.deserialize(self._cache_file.read())
            yield _msal.PublicClientApplication(token_cache=cache, **_make_client_options(self._section))
            if cache.has_state_changed:
                self._cache_file.write(cache.serialize())


class TokenCacheFile:
    """The file with MSAL's token cache of an account. It is sealed, and only the file's owner can read it."""

    def __init__(self, file: Path, seal: Seal) -> None:
        self._file = file
        self._seal = seal

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Keep other processes from using the file inside the block. Raises AuthRevoked when it can't be written."""
        try:
            private_files.make_folder(self._file.parent)
            lock_file = self._file.with_name(f"{self._file.name}.lock")
            handle = os.open(lock_file, os.O_RDWR | os.O_CREAT, private_files.FILE_MODE)
        except OSError as error:
            message = f"No tokens can be stored in {self._file.parent}: {error.strerror}. Fix `account_file`."
            raise AuthRevoked(message) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if self._file.is_dir():
                raise AuthRevoked(f"No tokens can be stored in {self._file}: it is a folder. Fix `account_file`.")
            yield
        finally:
            os.close(handle)

    def read(self) -> str:
        """Return the token cache as JSON; `{}` when there is no file yet. Raises AuthRevoked when it can't be read."""
        try:
            return self._seal.unseal(self._file.read_bytes())
        except FileNotFoundError:
            return "{}"
        except OSError as error:
            raise AuthRevoked(f"The tokens in {self._file} can't be read: {error.strerror}.") from error
        except WrongKey as error:
            cause = f"The tokens in {self._file} were sealed with another key than those in LONGARC_KEY."
            raise AuthRevoked(f"{cause} Add that key to LONGARC_KEY, or sign in again. {_CONNECT_REMEDY}") from error

    def write(self, cache: str) -> None:
        """Seal the token cache with the first key in LONGARC_KEY, and write its file atomically."""
        private_files.write(self._file, self._seal.seal(cache))

    def reseal(self) -> None:
        """Seal the token cache again, with the first key in LONGARC_KEY. Raises AuthRevoked."""
        with self.hold_lock():
            self.write(self.read())


# --- shared ---------------------------------------------------------------------------------------------------------


def _get_graph_root(section: Mapping[str, Any]) -> str:
    """Return the beginning of Graph's scopes: its URL without path and version."""
    parts = urlsplit(str(section["endpoint"]))
    return f"{parts.scheme}://{parts.netloc}"


def _make_client_options(section: Mapping[str, Any]) -> dict[str, Any]:
    authority = str(section["authority"]).rstrip("/")
    return {
        "client_id": str(section["client_id"]),
        "authority": f"{authority}/{section.get('tenant') or 'organizations'}",  # `organizations`: that of the account
        "http_client": HttpSession(float(section.get("timeout") or 30), str(section.get("ca_file") or "")),
        "instance_discovery": False,  # MSAL would refuse the authority of a sovereign cloud that it does not know
    }


@contextmanager
def _translate_errors(section: Mapping[str, Any]) -> Iterator[None]:
    """Translate every exception of MSAL and of its HTTP requests into a ProviderError."""
    host = urlsplit(str(section["authority"])).netloc
    try:
        yield
    except LongarcError:
        raise
    except requests.exceptions.SSLError as error:
        message = f"{host}: TLS failed. Check outlook.authority, and the certificates that this machine trusts."
        raise Unavailable(message) from error
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"{host} can't be reached. Check outlook.authority.") from error
    except ValueError as error:  # MSAL raises it when the authority does not know the tenant
        raise AuthRevoked(f"{host} does not know this tenant. {_REMEDIES[90002]}") from error
    except (MsalError, RuntimeError, KeyError, TypeError) as error:
        raise Unavailable(f"{host} can't be used at present ({type(error).__name__}).") from error


def _extract_token(answer: Mapping[str, Any] | None, client_name: str) -> str:
    """Return the access token in MSAL's answer. Raises the error of `translate_sign_in_refusal` when there is none."""
    if answer and "access_token" in answer:
        return str(answer["access_token"])
    raise translate_sign_in_refusal(answer or {}, client_name)


def translate_sign_in_refusal(answer: Mapping[str, Any], client_name: str) -> ProviderError:
    """Return the error for MSAL's answer to a failed sign-in, with a remedy. Texts name the client by `client_name`."""
    codes = [int(code) for code in answer.get("error_codes") or () if str(code).isdigit()]
    error = str(answer.get("error") or "")
    if error in _TEMPORARY_ERRORS or _TEMPORARY_CODES & set(codes):
        return Unavailable(f"Microsoft's sign-in service is temporarily unavailable for {client_name}.")
    for code in codes:
        if code in _REMEDIES:
            return AuthRevoked(f"AADSTS{code}: {_REMEDIES[code]}")
    if error == "invalid_grant" or not answer:  # MSAL gives no answer when its cache holds no token of the account
        return AuthRevoked(f"The grant of {client_name} is no longer valid. {_CONNECT_REMEDY}")
    if error in ("authorization_pending", "expired_token", "code_expired", "authorization_declined", "access_denied"):
        return AuthRevoked(f"{client_name} did not sign in in time, or declined. {_CONNECT_REMEDY}")
    description = " ".join(str(answer.get("error_description") or error).split())
    return AuthRevoked(f"Microsoft's sign-in service refuses {client_name}: {description[:_MAX_DESCRIPTION_LENGTH]}")
