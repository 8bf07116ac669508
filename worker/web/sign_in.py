"""Signing in with the company's accounts: the way to the issuer and back, and the cookie that says who somebody is.

The cookie holds an address and what gives a role, for as long as the setting `pages.visit` says. No token of the issuer
is kept. The path to open afterwards travels signed, so that no link can send a browser to another site.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hmac import compare_digest

from flask import Response, abort, current_app, request, url_for

from worker.domain.model import Address
from worker.domain.sign_in import Identity, Role, list_roles
from worker.links import BadLink
from worker.openid import OpenIdClient, PendingSignIn
from worker.ops.sign_in_checks import make_openid_client
from worker.web.site import Site

SIGN_IN_COOKIE = "longarc-signed-in"
PENDING_COOKIE = "longarc-sign-in"
#: How long somebody may take at the issuer.
PENDING_LIFETIME = timedelta(minutes=15)
#: Signing out voids what was signed in before, under this name and the address; links in mails stay valid.
_REVOCATION_PREFIX = "sign-in "


@dataclass(frozen=True, slots=True)
class SignedInPerson:
    """Somebody who signed in, for as long as the cookie is valid."""

    address: Address  #: the primary address, if it is one of the roster
    roles: frozenset[Role]
    token: str  #: sent with every form, as protection against requests from other sites


class SignIn:
    """The sign-in of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def is_offered(self) -> bool:
        return bool(self._site.settings.sign_in.issuer)

    @property
    def is_required(self) -> bool:
        """Whether the links of managers and reports open their pages only after a sign-in."""
        return self._site.settings.pages.sign_in == "required"

    @cached_property
    def client(self) -> OpenIdClient:
        return make_openid_client(self._site.settings)

    # --- the cookie ---

    def find_person(self) -> SignedInPerson | None:
        """Return who signed in with this browser; None when nobody did, or it is over or revoked."""
        cookie = request.cookies.get(SIGN_IN_COOKIE, "")
        if not (cookie and self.is_offered):
            return None
        try:
            address, values, at = self._site.links.read_value(cookie, "signed in")
            identity, signed_in_at = Identity(address, frozenset(values)), datetime.fromtimestamp(at, UTC)
        except (BadLink, ValueError, TypeError):
            return None
        site, now = self._site, self._site.now()
        if not signed_in_at - timedelta(minutes=1) <= now < signed_in_at + site.settings.pages.visit:
            return None
        primary, names = site.store.aliases.find_listed_names(identity.address)
        for name in (primary, identity.address, f"{_REVOCATION_PREFIX}{primary}"):
            revoked_at = site.store.people.get_revocation_time(name)
            if revoked_at is not None and signed_in_at <= revoked_at:
                return None
        roles = list_roles(identity, names, site.settings.sign_in.policy)
        return SignedInPerson(primary, roles, site.links.sign_text(cookie, "form"))

    def remember(self, identity: Identity, response: Response) -> None:
        """Set the cookie that says who somebody is."""
        site = self._site
        value = [identity.address, sorted(identity.role_values), site.now().timestamp()]
        self._set_cookie(response, SIGN_IN_COOKIE, site.links.sign_value(value, "signed in"), site.settings.pages.visit)

    def forget(self, person: SignedInPerson, response: Response) -> None:
        """Sign a person out, in every browser."""
        self._site.store.people.revoke_links(f"{_REVOCATION_PREFIX}{person.address}", self._site.now())
        self._set_cookie(response, SIGN_IN_COOKIE, "", timedelta(0))

    def is_own_form(self, person: SignedInPerson) -> bool:
        """Return whether the form of this request was sent from one of our pages."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        return compare_digest(person.token.encode(), request.form.get("token", "").encode())

    # --- on the way to the issuer ---

    def keep_pending(self, pending: PendingSignIn, path: str, response: Response) -> None:
        """Keep in the browser what the issuer's answer is compared with, and where to go then."""
        value = [asdict(pending), path, self._site.now().timestamp()]
        cookie = self._site.links.sign_value(value, "pending sign-in")
        self._set_cookie(response, PENDING_COOKIE, cookie, PENDING_LIFETIME, url_for("sign_in.begin"))

    def read_pending(self) -> tuple[PendingSignIn, str] | None:
        """Return what was kept; None when this browser did not begin, or too long ago."""
        try:
            value = self._site.links.read_value(request.cookies.get(PENDING_COOKIE, ""), "pending sign-in")
            fields, path, at = value
            begun_at = datetime.fromtimestamp(at, UTC)
            pending = PendingSignIn(**fields)
        except (BadLink, ValueError, TypeError):
            return None
        is_recent = timedelta(0) <= self._site.now() - begun_at < PENDING_LIFETIME
        return (pending, str(path)) if is_recent else None

    def drop_pending(self, response: Response) -> None:
        """Remove what was kept: it is used once."""
        self._set_cookie(response, PENDING_COOKIE, "", timedelta(0), url_for("sign_in.begin"))

    def _set_cookie(self, response: Response, name: str, value: str, lifetime: timedelta, path: str = "") -> None:
        response.set_cookie(
            name,
            value,
            max_age=lifetime,
            path=path or f"{request.script_root}/",
            secure=self._site.secure,
            httponly=True,
            samesite="Lax",
        )

    def make_url(self, path: str, *, as_other: bool = False) -> str:
        """Return the URL that signs somebody in and then opens a path. `as_other`: the issuer asks for an account."""
        signed = self._site.links.sign_value(path, "return")
        return url_for("sign_in.begin", to=signed, other="1" if as_other else None)

    def read_return_path(self) -> str:
        """Return the path of ours that somebody wants to open; the front page without one. Aborts with 404 when it was
        not signed by us."""
        signed = request.args.get("to", "")
        if not signed:
            return url_for("front")
        try:
            return str(self._site.links.read_value(signed, "return"))
        except BadLink:
            abort(404)


def current_sign_in() -> SignIn:
    """Return the sign-in of the application that handles this request."""
    sign_in: SignIn = current_app.extensions["longarc.sign_in"]
    return sign_in
