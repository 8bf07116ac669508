"""Signing in with a company account at the issuer (OpenID Connect), and the cookies that this needs.

After a sign-in, a cookie holds the person's address and the values of the issuer's role claim that give a role. It is
valid as long as the setting `pages.visit` says. No token of the issuer is kept. The path to open after the sign-in is
signed, so that no link can redirect a browser to another site.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hmac import compare_digest

from flask import Response, abort, current_app, request, url_for

from worker.clock import is_recent
from worker.domain.model import Address
from worker.domain.sign_in import Identity, Role, list_roles
from worker.links import BadLink
from worker.openid import OpenIdClient, PendingSignIn
from worker.ops.sign_in_checks import make_openid_client
from worker.web.site import Site

#: The cookie of a person who has signed in.
SIGN_IN_COOKIE = "longarc-signed-in"
#: The cookie of a browser that was sent to the issuer and has not returned yet.
PENDING_COOKIE = "longarc-sign-in"
#: How long the person may take to sign in at the issuer.
PENDING_LIFETIME = timedelta(minutes=15)
#: Signing out revokes earlier sign-ins. The revocation is stored under this prefix and the address, apart from that of
#: the person's links, so that links in mails stay valid.
_REVOCATION_PREFIX = "sign-in "


@dataclass(frozen=True, slots=True)
class SignedInPerson:
    """A person who signed in. The sign-in lasts as long as the cookie is valid."""

    address: Address  #: the primary address of a person in the roster; for anybody else, the address from the issuer
    roles: frozenset[Role]
    token: str  #: sent with every form, as protection against requests from other sites


class SignIn:
    """The sign-in of one site: its settings, and its cookies in the request that is being handled."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def is_offered(self) -> bool:
        """Whether the settings name an issuer, so that people can sign in."""
        return bool(self._site.settings.sign_in.issuer)

    @property
    def is_required(self) -> bool:
        """Whether the links of managers and reports open their pages only after a sign-in."""
        return self._site.settings.pages.sign_in == "required"

    @cached_property
    def client(self) -> OpenIdClient:
        return make_openid_client(self._site.settings)

    # --- the cookie of a person who signed in ---

    def find_person(self) -> SignedInPerson | None:
        """Return the person who signed in with this browser; None without a sign-in that is still valid."""
        cookie = request.cookies.get(SIGN_IN_COOKIE, "")
        if not (cookie and self.is_offered):
            return None
        try:
            address, role_values, timestamp = self._site.links.read_value(cookie, "signed in")
            identity, signed_in_at = Identity(address, frozenset(role_values)), datetime.fromtimestamp(timestamp, UTC)
        except (BadLink, ValueError, TypeError):
            return None
        site, now = self._site, self._site.now()
        # Clocks of several machines may differ by a minute.
        if not signed_in_at - timedelta(minutes=1) <= now < signed_in_at + site.settings.pages.visit:
            return None
        # The sign-in also ends when links are revoked, for the primary address or for the address that signed in.
        # `all_addresses` are those from the roster; an alias that was learned from an answer gives nobody a role
        primary, all_addresses = site.store.aliases.find_listed_names(identity.address)
        for revoked in (primary, identity.address, f"{_REVOCATION_PREFIX}{primary}"):
            revoked_at = site.store.people.get_revocation_time(revoked)
            if revoked_at is not None and signed_in_at <= revoked_at:
                return None
        roles = list_roles(identity, all_addresses, site.settings.sign_in.policy)
        return SignedInPerson(primary, roles, site.links.sign_text(cookie, "form"))

    def set_person_cookie(self, identity: Identity, response: Response) -> None:
        """Set the cookie of a person who has signed in."""
        site = self._site
        value = [identity.address, sorted(identity.role_values), site.now().timestamp()]
        self._set_cookie(response, SIGN_IN_COOKIE, site.links.sign_value(value, "signed in"), site.settings.pages.visit)

    def sign_out_everywhere(self, person: SignedInPerson, response: Response) -> None:
        """Revoke all sign-ins of a person so far, and delete the cookie of this browser."""
        self._site.store.people.revoke_links(f"{_REVOCATION_PREFIX}{person.address}", self._site.now())
        self._set_cookie(response, SIGN_IN_COOKIE, "", timedelta(0))

    def is_own_form(self, person: SignedInPerson) -> bool:
        """Return whether the submitted form comes from one of our pages."""
        # Browsers say in this header which site has sent the form: see `worker.web.logins`.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        return compare_digest(person.token.encode(), request.form.get("token", "").encode())

    # --- the cookie of a sign-in that has begun ---

    def set_pending_cookie(self, pending: PendingSignIn, path: str, response: Response) -> None:
        """Set the cookie that holds the begun sign-in, which verifies the issuer's answer, and the path to open."""
        value = [asdict(pending), path, self._site.now().timestamp()]
        cookie = self._site.links.sign_value(value, "pending sign-in")
        self._set_cookie(response, PENDING_COOKIE, cookie, PENDING_LIFETIME, url_for("sign_in.begin"))

    def read_pending(self) -> tuple[PendingSignIn, str] | None:
        """Return the begun sign-in and the path to open; None when this browser began no sign-in, or too long ago."""
        try:
            value = self._site.links.read_value(request.cookies.get(PENDING_COOKIE, ""), "pending sign-in")
            fields, path, timestamp = value
            begun_at = datetime.fromtimestamp(timestamp, UTC)
            pending = PendingSignIn(**fields)
        except (BadLink, ValueError, TypeError):
            return None
        return (pending, str(path)) if is_recent(begun_at, self._site.now(), PENDING_LIFETIME) else None

    def delete_pending_cookie(self, response: Response) -> None:
        """Delete the cookie of the begun sign-in, which can be used once."""
        self._set_cookie(response, PENDING_COOKIE, "", timedelta(0), url_for("sign_in.begin"))

    def _set_cookie(self, response: Response, name: str, value: str, lifetime: timedelta, path: str = "") -> None:
        response.set_cookie(
            name,
            value,
            max_age=lifetime,
            path=path or f"{request.script_root}/",
            secure=self._site.is_secure,
            httponly=True,
            samesite="Lax",
        )

    def make_url(self, path: str, *, as_other: bool = False) -> str:
        """Return the URL on our site that begins a sign-in and opens `path` afterwards.

        With `as_other`, the issuer lets the person choose another account.
        """
        signed_path = self._site.links.sign_value(path, "return")
        return url_for("sign_in.begin", to=signed_path, other="1" if as_other else None)

    def read_return_path(self) -> str:
        """Return the path to open after the sign-in; without one, the path of the front page.

        Aborts with 404 when we did not sign the path.
        """
        signed_path = request.args.get("to", "")
        if not signed_path:
            return url_for("front")
        try:
            return str(self._site.links.read_value(signed_path, "return"))
        except BadLink:
            abort(404)


def current_sign_in() -> SignIn:
    """Return the sign-in of the application that handles this request."""
    sign_in: SignIn = current_app.extensions["longarc.sign_in"]
    return sign_in
