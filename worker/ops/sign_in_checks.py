"""Checks of the company's sign-in: the issuer's metadata and clock, and the redirect address to register there.

The issuer is the company's OpenID Connect server.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from worker.domain.counts import format_count
from worker.errors import LongarcError
from worker.openid import IssuerUnfit, IssuerUnreachable, OpenIdClient
from worker.providers.base import Finding
from worker.settings.load import Settings
from worker.settings.sign_in_section import make_redirect_uri

#: Above this difference between the two clocks, sign-ins are about to fail.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=1)
#: The page that each role opens, by the key of the role in the section `[sign_in]`.
_ROLE_TEXTS = {"operators": "the operator's page", "people_ops": "the page of people-ops"}


def make_openid_client(settings: Settings) -> OpenIdClient:
    """Return the client for the issuer in the settings, which must name one."""
    section, secret = settings.sign_in, settings.passwords["sign_in"].get_secret_value()
    ca_file = str(section.ca_file) if section.ca_file else None
    return OpenIdClient(section.issuer, section.client_id, secret, make_redirect_uri(settings.base_url), ca_file)


def check_sign_in(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield findings on the sign-in; nothing when the settings name no issuer."""
    section = settings.sign_in
    if not section.issuer:
        return
    client = make_openid_client(settings)
    statement = f"The sign-in of {section.issuer} can be used"
    try:
        client.read_metadata(now)
        yield Finding(statement, ok=True)
        yield from _check_clock(client.read_clock_difference(now))
    except IssuerUnreachable as error:
        remedy = "Open that address in a browser. Fix `sign_in.issuer`, or let this machine reach it."
        yield Finding(f"{statement}: {error}", ok=False, remedy=remedy)
    except IssuerUnfit as error:
        yield Finding(f"{statement}: {error}", ok=False, remedy="Fix `sign_in.issuer`, or ask who runs the issuer.")
    except (LongarcError, OSError) as error:
        yield Finding(f"{statement}: {error}", ok=False, remedy="Fix `sign_in.ca_file`.")
    # whether it is registered, only a sign-in can prove
    statement = "Sign-ins come back to this redirect address, which has to be registered at the issuer, word for word"
    yield Finding(f"{statement}: {client.redirect_uri}", ok=True)
    for key, page in _ROLE_TEXTS.items():
        count = len(getattr(section, key))
        kind = f"values of the claim `{section.role_claim}`" if section.role_claim else "addresses"
        remedy = "" if count else f"To let somebody open that page, add them to `sign_in.{key}`."
        yield Finding(f"{count} {kind} can open {page} (sign_in.{key})", ok=True, remedy=remedy)
    if settings.pages.sign_in == "required":
        yield Finding("Links to the pages of managers and reports also require a sign-in (pages.sign_in)", ok=True)


def _check_clock(difference: timedelta | None) -> Iterator[Finding]:
    if difference is None:
        return
    seconds = round(difference.total_seconds())
    is_close = abs(difference) <= MAX_CLOCK_DIFFERENCE
    remedy = "" if is_close else "Synchronize this machine's clock by NTP: sign-ins fail when clocks differ much."
    yield Finding(
        f"The clock of the issuer and that of this machine differ by {format_count(abs(seconds), 'second')}",
        ok=is_close,
        remedy=remedy,
    )
