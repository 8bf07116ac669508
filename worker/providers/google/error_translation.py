"""Translates the failures of requests to Google's APIs into ProviderErrors.

Google explains a refusal by an HTTP status, a reason such as `notFound`, and a message in English. Some refusals that
callers handle differently have an exception class here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
from googleapiclient.errors import BatchError, HttpError

from worker.clock import Clock
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    ProviderError,
    RateLimited,
    Unavailable,
)
from worker.providers.google.auth import parse_retry_after

_DAILY_LIMIT_WAIT = timedelta(hours=6)  #: time until the next attempt after a daily limit was exceeded
_MAX_MESSAGE_LENGTH = 300  #: characters of Google's error message that an error text repeats
# The reasons that Google gives for a rate limit, for a daily limit, for an API that is not enabled, and for a missing
# scope.
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"})
_API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"})
#: The reasons that Google gives for a request with invalid content, such as an empty mail.
_INVALID_REASONS = frozenset({"invalidArgument", "badRequest"})
#: The reasons for which Google refuses to open a channel, each with the error to raise and its text.
_CHANNEL_REFUSALS: Mapping[str, tuple[type[Permanent], str]] = {
    "webhookUrlNotHttps": (
        Forbidden,
        "Google notifies only https addresses: set `notify_url` under [sync] to one that has a trusted certificate.",
    ),
    "webhookUrlUnauthorized": (
        Forbidden,
        "Google may not notify the address in `notify_url` under [sync]: verify its domain in Google Search Console.",
    ),
    "pushNotSupportedForRequestedResource": (
        Forbidden,
        "Google does not notify us of changes to this calendar: it can only be polled.",
    ),
    "channelIdNotUnique": (Conflict, "a channel with this id was opened before: open a channel with another id."),
}
#: Finds the instant in an error message such as "Retry after 2026-11-02T09:00:00.000Z".
_RETRY_AFTER_TEXT = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT[\d:.]+Z)")


class ItemGone(NotFound):
    """The item was deleted."""


class SyncTokenExpired(Permanent):
    """The sync token has expired. Raised for an answer 400 about a sync token, and for every answer 410 whose reason is
    not `deleted`."""


class NoConference(Permanent):
    """This person's calendar offers no Meet link."""


class ApiNotEnabled(Forbidden):
    """The API is not enabled in the Cloud project."""


class NoCalendar(Forbidden):
    """This person has no Google Calendar."""


class InvalidContent(Forbidden):
    """Google finds the content of the request invalid."""


@contextmanager
def translate_errors(subject: str, *, is_write: bool, endpoint: str, clock: Clock) -> Iterator[None]:
    """Translate every exception of the client library and of the HTTP libraries into a ProviderError."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise translate_error(error, subject, is_write=is_write, endpoint=endpoint, clock=clock) from error


def translate_error(error: Exception, subject: str, *, is_write: bool, endpoint: str, clock: Clock) -> ProviderError:
    """Return a ProviderError for the exception, with a text that begins with `subject`.

    When the connection failed, the text begins with `endpoint`, the URL of the API. `is_write` says whether the request
    may have changed something. Then an error is `uncertain` when the answer was lost.
    """
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, HttpError):
        return _translate_http_error(error, subject, is_write=is_write, clock=clock)
    if isinstance(error, requests.exceptions.RequestException):
        return _translate_connection_error(error, endpoint, is_write=is_write)
    if isinstance(error, BatchError | ValueError | KeyError | TypeError):
        if is_write:  # the write may have taken effect, and only the answer may be damaged
            return Unavailable(f"{subject}: Google's answer can't be parsed.", uncertain=True)
        return InvalidResponse(f"{subject}: Google's answer can't be parsed.")
    return InvalidResponse(f"{subject}: Google's answer can't be processed ({type(error).__name__}).")


def _translate_connection_error(error: Exception, endpoint: str, *, is_write: bool) -> ProviderError:
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{endpoint}: TLS failed. Check the certificate of this server.")
    text = repr(error)
    if isinstance(error, requests.exceptions.ConnectTimeout) or "NewConnectionError" in text or "refused" in text:
        # not `uncertain`: without a connection, nothing was sent
        return Unavailable(f"{endpoint} can't be reached.")
    return Unavailable(f"{endpoint} did not answer in time, or the connection broke.", uncertain=is_write)


@dataclass(frozen=True, slots=True)
class GoogleErrorDetails:
    """The HTTP status, the reason and the message in an error answer of Google. Reason and message may be empty."""

    status: int
    reason: str = ""
    message: str = ""

    @classmethod
    def from_http_error(cls, error: HttpError) -> "GoogleErrorDetails":
        """Return the details in the JSON body of the error answer, or only the status when the body can't be read."""
        try:
            body = json.loads(error.content)["error"]
            first_error = (body.get("errors") or [{}])[0]
            reasons = [str(detail.get("reason", "")) for detail in body.get("details", ()) if isinstance(detail, dict)]
            reason = next(filter(None, reasons), "") or str(first_error.get("reason", ""))
            message = " ".join(str(body.get("message", "")).split())
            return cls(int(error.resp.status), reason, message[:_MAX_MESSAGE_LENGTH])
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(int(error.resp.status))


def _translate_http_error(error: HttpError, subject: str, *, is_write: bool, clock: Clock) -> ProviderError:
    details = GoogleErrorDetails.from_http_error(error)
    wait = parse_retry_after(error.resp) or _parse_retry_text(details.message, clock)
    if details.status == 429 or details.reason in _RATE_REASONS:
        return RateLimited(f"{subject}: Google limits the rate of requests.", retry_after=wait)
    if details.reason in _QUOTA_REASONS:
        return RateLimited(
            f"{subject}: a daily limit of Google is exceeded ({details.reason}).",
            retry_after=wait or _DAILY_LIMIT_WAIT,
        )
    if details.status >= 500:
        return Unavailable(
            f"{subject}: Google failed with HTTP status {details.status}.", retry_after=wait, uncertain=is_write
        )
    if not details.reason and not details.message:
        return InvalidResponse(f"{subject}: the answer is not that of Google's API (HTTP status {details.status}).")
    channel_reason = details.reason.removeprefix("push.")
    if channel_reason in _CHANNEL_REFUSALS:
        error_class, text = _CHANNEL_REFUSALS[channel_reason]
        return error_class(f"{subject}: {text}")
    return _translate_refusal(details, subject)


def _translate_refusal(details: GoogleErrorDetails, subject: str) -> ProviderError:
    """Return the error for an answer in which Google says that it refuses the request."""
    error_class: Callable[[str], ProviderError]
    if details.status == 401:
        return AuthRevoked(f"{subject}: Google no longer accepts the grant.")
    if details.status == 410:
        return _translate_gone(details, subject)
    if details.status == 404:
        return NotFound(f"{subject}: Google does not find the item, or may not show it to us.")
    if details.status in (409, 412):
        return Conflict(f"{subject}: somebody else changed the item, or its id is in use ({details.reason}).")
    # For these two refusals, Google's reason is `invalid`. Only the message says which value is invalid.
    if details.status == 400 and "sync token" in details.message.lower():
        return SyncTokenExpired(f"{subject}: the sync token is no longer valid.")
    if details.status == 400 and "conference type" in details.message.lower():
        return NoConference(f"{subject}: Google offers no Meet link to this person.")
    if details.status == 400 and details.reason == "failedPrecondition":
        return Forbidden(f"{subject}: Gmail is not switched on for this account: switch it on in the admin console.")
    if details.reason == "notACalendarUser":
        return NoCalendar(f"{subject}: this account has no Google Calendar.")
    if details.reason in _API_OFF_REASONS:
        return ApiNotEnabled(f"{subject}: the API is not enabled in this Cloud project. {details.message}")
    if details.reason in _SCOPE_REASONS:
        return AuthRevoked(f"{subject}: the grant lacks a scope ({details.message})")
    if details.reason == "forbiddenForServiceAccounts":
        return Forbidden(f"{subject}: the service account has no domain-wide delegation, so it may not invite anybody.")
    is_invalid = details.status == 400 and details.reason in _INVALID_REASONS
    error_class = InvalidContent if is_invalid else Forbidden
    return error_class(f"{subject}: Google refuses this: {details.reason} {details.message}".rstrip())


def _translate_gone(details: GoogleErrorDetails, subject: str) -> ItemGone | SyncTokenExpired:
    """Return the error for an answer 410 (Gone), which concerns an item or a sync token."""
    if details.reason == "deleted":
        return ItemGone(f"{subject}: this item no longer exists at Google.")
    return SyncTokenExpired(f"{subject}: the sync token is no longer valid ({details.reason}).")


def _parse_retry_text(message: str, clock: Clock) -> timedelta | None:
    """Return the time until the instant that an error message names; None when the message names no instant."""
    match = _RETRY_AFTER_TEXT.search(message)
    if not match:
        return None
    try:
        return max(datetime.fromisoformat(match[1].replace("Z", "+00:00")) - clock(), timedelta())
    except ValueError:
        return None
