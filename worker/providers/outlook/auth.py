"""Tokens for Microsoft Graph, by MSAL: as an app that acts for many people, or as one manager's own account.

An app proves itself by a certificate, or by a secret. An account signs in once (`longarc connect outlook`); what MSAL
keeps of it is sealed, written whole or not at all, and readable by its owner alone.
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

#: What an own account is asked for: its calendar, its mail going out, its working hours.
DELEGATED_SCOPES = ("Calendars.ReadWrite", "Mail.Send", "MailboxSettings.Read")
EXACTLY_ONCE_SCOPE = "Mail.ReadWrite"

_msal: Any = msal  # it is typed in part only

_CONNECT_REMEDY = "Run `longarc connect outlook`."
_RENEW_REMEDY = (
    "Make a new one in Entra, under App registrations, Certificates & secrets, and give it as LONGARC_OUTLOOK_SECRET."
)
#: What the log-in service means by its numbers, and what to do.
_REMEDIES: Mapping[int, str] = {
    90002: "There is no such tenant. Mend `tenant` in [calendars.outlook].",
    900023: "There is no such tenant. Mend `tenant` in [calendars.outlook].",
    900021: "There is no such tenant. Mend `tenant` in [calendars.outlook].",
    700016: "The app is not known in this tenant. Mend `client_id` or `tenant` in [calendars.outlook].",
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
#: It may go well a minute later.
_TEMPORARY_CODES = frozenset({90033, 90024, 50196, 90055})
_TEMPORARY_ERRORS = frozenset({"temporarily_unavailable", "server_error", "timeout"})


def build_tokens(section: Mapping[str, Any]) -> GraphTokens:
    """Those of an app, or of an account when one is named. `endpoint`, `authority`, `tenant`, `client_id`; for an app
    `certificate` (a PEM file with key and certificate; `password` opens the key) or `password` (a secret); for an
    account `account`, `account_file` and `seal`. Raises AuthRevoked when they don't suffice."""
    if not section.get("client_id"):
        raise AuthRevoked("Nobody said which app to be. Write `client_id` under [calendars.outlook].")
    if section.get("account"):
        return AccountTokens(section)
    if not section.get("tenant"):
        raise AuthRevoked("An app belongs to a tenant. Write `tenant` under [calendars.outlook].")
    return AppTokens(section)


class AppTokens:
    """Tokens of an app registration."""

    own: Address = ""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._section = section
        self._scopes = [f"{_get_graph_root(section)}/.default"]
        self._lock = Lock()
        self._open_client: Any = None

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section):
            client = self._open_client = self._open_client or _build_app_client(self._section)
            if fresh:
                client.remove_tokens_for_client()
            return _extract_token(client.acquire_token_for_client(self._scopes), "the app")


def _build_app_client(section: Mapping[str, Any]) -> Any:
    secret = str(section.get("password") or "")
    file = section.get("certificate")
    if not file and not secret:
        words = "The app has neither a certificate nor a secret. Name `certificate` in [calendars.outlook], or give "
        raise AuthRevoked(f"{words}LONGARC_OUTLOOK_SECRET.")
    proof = _load_certificate(Path(str(file)), secret) if file else secret
    return _msal.ConfidentialClientApplication(client_credential=proof, **_make_client_options(section))


def _load_certificate(file: Path, passphrase: str) -> Mapping[str, str]:
    """What MSAL wants of a PEM file with a private key and its certificate."""
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
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return {
        "private_key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode(),
        "public_certificate": certificate.public_bytes(pem).decode(),
    }


def _encode_public_key(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, form))


class AccountTokens:
    """Tokens of one person's own account, signed in by that person."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.own: Address = str(section["account"]).casefold()
        self._section = section
        if "seal" not in section:
            raise AuthRevoked("Without LONGARC_KEY nothing can be kept of an account. Make one with `longarc key`.")
        self._kept = TokenCacheFile(Path(str(section["account_file"])), section["seal"])
        self._lock = Lock()
        names = (*DELEGATED_SCOPES, *((EXACTLY_ONCE_SCOPE,) if section.get("exactly_once") else ()))
        self._scopes = [f"{_get_graph_root(section)}/{name}" for name in names]

    def get_token(self, *, fresh: bool = False) -> str:
        with self._lock, _translate_errors(self._section), self._open_client() as client:
            known = client.get_accounts(self.own)
            if not known:
                raise AuthRevoked(f"{self.own} has not signed in, or signed out. {_CONNECT_REMEDY}")
            found = client.acquire_token_silent_with_error(self._scopes, known[0], force_refresh=fresh)
            return _extract_token(found, self.own)

    def sign_in_by_device(self, show: Callable[[str], None]) -> None:
        """Sign in on any device, by the code that `show` is given words about. Waits for it. Raises AuthRevoked."""
        with self._lock, _translate_errors(self._section), self._open_client(anew=True) as client:
            flow = client.initiate_device_flow(self._scopes)
            if "user_code" not in flow:
                _extract_token(flow, self.own)
            show(str(flow["message"]))
            self._check_signed_in(client.acquire_token_by_device_flow(flow))

    def sign_in_by_browser(self) -> None:
        """Sign in with the browser of this machine. Waits for it. Raises AuthRevoked."""
        with self._lock, _translate_errors(self._section), self._open_client(anew=True) as client:
            self._check_signed_in(client.acquire_token_interactive(self._scopes, login_hint=self.own, timeout=300))

    def _check_signed_in(self, found: Mapping[str, Any]) -> None:
        _extract_token(found, self.own)
        who = str((found.get("id_token_claims") or {}).get("preferred_username") or "").casefold()
        if who != self.own:
            raise AuthRevoked(f"{who or 'Somebody else'} signed in, not {self.own}. Nothing was kept.")

    @contextmanager
    def _open_client(self, *, anew: bool = False) -> Iterator[Any]:
        """A client with what is kept of the account; what changed is kept when all went well. One at a time, whatever
        the process: a refresh token may be good for one use only. `anew` asks for nothing of what was kept before:
        whoever signs in needs no key that fits it."""
        with self._kept.hold_lock():
            cache = _msal.SerializableTokenCache()
            if not anew:
                cache.deserialize(self._kept.read())
            yield _msal.PublicClientApplication(token_cache=cache, **_make_client_options(self._section))
            if cache.has_state_changed:
                self._kept.write(cache.serialize())


class TokenCacheFile:
    """What MSAL keeps of an account, in a file: sealed, for its owner's eyes alone."""

    def __init__(self, file: Path, seal: Seal) -> None:
        self._file = file
        self._seal = seal

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Nobody else reads or writes it meanwhile. Raises AuthRevoked where nothing can be kept."""
        try:
            private_files.make_folder(self._file.parent)
            lock = self._file.with_name(f"{self._file.name}.lock")
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, private_files.FILE_MODE)
        except OSError as error:
            words = f"Nothing can be kept in {self._file.parent}: {error.strerror}. Mend `account_file`."
            raise AuthRevoked(words) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if self._file.is_dir():
                raise AuthRevoked(f"Nothing can be kept in {self._file}: it is a folder. Mend `account_file`.")
            yield
        finally:
            os.close(handle)

    def read(self) -> str:
        """What there is, `{}` when there is nothing yet. Raises AuthRevoked."""
        try:
            return self._seal.open(self._file.read_bytes())
        except FileNotFoundError:
            return "{}"
        except OSError as error:
            raise AuthRevoked(f"The grant in {self._file} can't be read: {error.strerror}.") from error
        except WrongKey as error:
            words = f"The grant in {self._file} was sealed with another key"
            raise AuthRevoked(
                f"{words}; give that one too in LONGARC_KEY, or sign in again. {_CONNECT_REMEDY}"
            ) from error

    def write(self, text: str) -> None:
        """Whole or not at all, sealed with the first key."""
        private_files.write(self._file, self._seal.close(text))

    def reseal(self) -> None:
        """Seal it anew with the first key. Raises AuthRevoked."""
        with self.hold_lock():
            self.write(self.read())


# --- what both have -------------------------------------------------------------------------------------------------


def _get_graph_root(section: Mapping[str, Any]) -> str:
    """Graph without its version: what permissions are asked for at."""
    parts = urlsplit(str(section["endpoint"]))
    return f"{parts.scheme}://{parts.netloc}"


def _make_client_options(section: Mapping[str, Any]) -> dict[str, Any]:
    authority = str(section["authority"]).rstrip("/")
    return {
        "client_id": str(section["client_id"]),
        "authority": f"{authority}/{section.get('tenant') or 'organizations'}",
        "http_client": HttpSession(float(section.get("timeout") or 30), str(section.get("ca_file") or "")),
        "instance_discovery": False,  # the address is the operator's to say: sovereign clouds have their own
    }


@contextmanager
def _translate_errors(section: Mapping[str, Any]) -> Iterator[None]:
    """What MSAL raises, as ours."""
    place = urlsplit(str(section["authority"])).netloc
    try:
        yield
    except LongarcError:
        raise
    except requests.exceptions.SSLError as error:
        words = f"{place}: no safe connection (TLS); check outlook.authority and the certificates to trust."
        raise Unavailable(words) from error
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"{place} can't be reached; check outlook.authority.") from error
    except ValueError as error:  # so it says that the authority does not know the tenant
        raise AuthRevoked(f"{place} does not know this tenant. {_REMEDIES[90002]}") from error
    except (MsalError, RuntimeError, KeyError, TypeError) as error:
        raise Unavailable(f"{place} is out of order for now.") from error


def _extract_token(found: Mapping[str, Any] | None, who: str) -> str:
    if found and "access_token" in found:
        return str(found["access_token"])
    raise translate_refusal(found or {}, who)


def translate_refusal(found: Mapping[str, Any], who: str) -> ProviderError:
    """What a failed log-in means, in one line with what to do."""
    codes = [int(code) for code in found.get("error_codes") or () if str(code).isdigit()]
    error = str(found.get("error") or "")
    if error in _TEMPORARY_ERRORS or _TEMPORARY_CODES & set(codes):
        return Unavailable(f"The log-in service has no time for {who} just now.")
    for code in codes:
        if code in _REMEDIES:
            return AuthRevoked(f"AADSTS{code}: {_REMEDIES[code]}")
    if error == "invalid_grant" or not found:
        return AuthRevoked(f"The grant of {who} is gone. {_CONNECT_REMEDY}")
    if error in ("authorization_pending", "expired_token", "code_expired", "authorization_declined", "access_denied"):
        return AuthRevoked(f"{who} did not sign in in time, or said no. {_CONNECT_REMEDY}")
    said = " ".join(str(found.get("error_description") or error).split())[:160]
    return AuthRevoked(f"The log-in service refuses {who}: {said}")
