"""Logging in by a link: the link in a mail is exchanged for a cookie, which opens the same pages for some hours.

After the exchange, no URL that the browser opens contains the link, so it appears in no Referer header and no log.
Opening a link changes nothing that is stored, because mail scanners also open links.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from flask import Blueprint, Response, g, request, url_for
from werkzeug.exceptions import Forbidden, NotFound, TooManyRequests

from worker.domain.model import VOICE_PERIOD, Address, Effect, EffectKind, MailName, Pair, Person
from worker.domain.sign_in import Role
from worker.links import BadLink, LinkClaims, Purpose
from worker.web.sign_in import current_sign_in
from worker.web.sign_in_pages import find_own_path, show_missing_role, show_other_person, sign_out
from worker.web.site import current_site, redirect_to

#: The name of the cookie that a link is exchanged for.
COOKIE = "longarc"
#: The kinds of signed texts: a link is no valid cookie, and no text of another kind is a valid form token.
_COOKIE_KIND, _FORM_TOKEN_KIND = "visit", "form"
#: A link to the operator's page is valid for a short time only: it is printed on a terminal and used at once.
OPERATOR_LINK_LIFETIME = timedelta(hours=1)
#: The number of invalid links that one network address may try in a minute.
MAX_INVALID_LINKS_PER_MINUTE = 20
#: The person in the claims of a link to the operator's page when the settings name no operator.
UNNAMED_OPERATOR = "operator"
#: The methods of requests that change nothing. Any other request must come from a form of ours.
_READING_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Login:
    """The login of a person who followed a link or signed in. It is valid as long as the setting `pages.visit` says."""

    person: Person
    claims: LinkClaims  #: which pages the login opens
    token: str  #: sent with every form, as protection against requests from other sites
    is_signed_in: bool = False  #: whether the person signed in with the company's account, and followed no link

    @property
    def address(self) -> Address:
        return self.person.email


def current_login() -> Login:
    """Return the login of this request. Valid only in pages for which a login or a role is required."""
    login: Login = g.login
    return login


# --- following a link ---


def open_link(token: str) -> Response:
    """Set the cookie that the link is exchanged for, and redirect to the page that the link opens.

    For a link that has expired or was revoked, return a page that offers to mail a new one.
    """
    site, claims = current_site(), _read_link(token)
    if not _is_link_valid(claims):
        if claims.purpose is Purpose.VOICE:
            return site.render_notice("voice-closed", 410)
        renewal = url_for("renew", token=token) if _find_pair(claims) else ""
        return site.render_notice("gone", 410, renewal=renewal)
    response = redirect_to(_make_home_url(claims))
    lifetime = site.settings.pages.visit
    response.set_cookie(
        COOKIE,
        site.links.sign_claims(replace(claims, issued_at=site.now()), _COOKIE_KIND),
        max_age=lifetime,
        path=_make_cookie_path(claims),
        secure=site.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def send_new_link(token: str) -> Response:
    """Mail a new link to the person to whom the expired link belongs, at most once an hour."""
    site, claims = current_site(), _read_link(token)
    pair = _find_pair(claims)
    if _is_link_valid(claims) or pair is None:
        return redirect_to(url_for("enter", token=token))
    now = site.now()
    # The key contains the hour: a second mail with the same key is not stored, so at most one is sent in an hour.
    mail = Effect(
        key=f"fresh_link:{claims.person}:{pair.id}:{now:%Y-%m-%dT%H}",
        kind=EffectKind.MAIL,
        pair=pair.id,
        subject=str(pair.id),
        due_at=now,
        decided_at=now,
        name=MailName.FRESH_LINK.value,
        to=claims.person,
    )
    site.store.outbox.add_mail(mail)
    return site.render_notice("renewed", 202)


def _read_link(token: str) -> LinkClaims:
    """Return the claims of a link. Raises NotFound when we did not sign the link, or its person has left.

    Raises TooManyRequests when the network address has tried too many invalid links.
    """
    site = current_site()
    try:
        claims = _use_primary_address(site.links.read_claims(token))
    except BadLink:
        if not site.limiter.allow(f"guess {request.remote_addr}", MAX_INVALID_LINKS_PER_MINUTE):
            raise TooManyRequests from None
        raise NotFound from None
    if _find_person(claims) is None:
        raise NotFound
    return claims


def _is_link_valid(claims: LinkClaims) -> bool:
    """Return whether a link has neither expired nor been revoked."""
    is_for_operator = claims.purpose is Purpose.STATUS
    lifetime = OPERATOR_LINK_LIFETIME if is_for_operator else current_site().settings.pages.link_lifetime
    if claims.purpose is Purpose.VOICE:  # a third person's link lasts as long as the question can be answered
        lifetime = VOICE_PERIOD
    return _are_claims_valid(claims, lifetime)


def _find_pair(claims: LinkClaims) -> Pair | None:
    """Return a pair whose pages the link opens; None for operators and third persons, who are in no pair.

    For the page about a session's time, which works for both people of a pair, this is the session's pair if the person
    is in it, and otherwise any pair of the person.
    """
    if claims.purpose in (Purpose.STATUS, Purpose.VOICE):
        return None
    store = current_site().store
    if claims.purpose is Purpose.TIME:
        session = store.queries.get_session(claims.subject_id)
        pairs = [
            *store.people.list_pairs_of_manager(claims.person),
            *store.people.list_pairs_of_report(claims.person),
        ]
        pairs.sort(key=lambda pair: session is None or pair.id != session.pair)  # the session's pair comes first
    elif claims.purpose in (Purpose.ME, Purpose.PULSE):
        pairs = store.people.list_pairs_of_report(claims.person)
    else:
        pairs = store.people.list_pairs_of_manager(claims.person)
    return pairs[0] if pairs else None


def end_logins() -> Response:
    """Revoke all links and logins of the person logged in, including this login.

    For somebody who signed in with the company's account, only the sign-ins are revoked.
    """
    if current_login().is_signed_in:
        return sign_out()
    site, claims = current_site(), current_login().claims
    site.store.people.revoke_links(claims.person, site.now())
    response = site.render_notice("links-revoked", 200)
    response.delete_cookie(COOKIE, path=_make_cookie_path(claims), secure=site.is_secure, httponly=True, samesite="Lax")
    return response


def _make_home_url(claims: LinkClaims) -> str:
    """Return the URL of the page that the link opens. For every purpose, routes call the subject id `session_id`."""
    endpoint = f"{claims.purpose.value}.show"
    return url_for(endpoint, session_id=claims.subject_id) if claims.subject_id else url_for(endpoint)


def _make_cookie_path(claims: LinkClaims) -> str:
    """Return the path below which are the pages that the claims open. The browser sends the cookie to them only."""
    return f"{request.script_root}/{claims.purpose.value}" + (f"/{claims.subject_id}" if claims.subject_id else "")


# --- checking each request ---


#: The links that also need a sign-in when `pages.sign_in` is `required`. Not among them: the anonymous question, which
#: must not be connected with a sign-in (R-37), the link of a third person, who may have no account, and the operator's
#: link, which has to work while the issuer does not.
_SIGNED_IN_PURPOSES = frozenset({Purpose.CONTRACT, Purpose.TIME, Purpose.ME, Purpose.TEAM})


def require_login(pages: Blueprint, purpose: Purpose) -> None:
    """Require a login with that purpose for these pages, and the login's token in every submitted form.

    A person who signed in and has the role operator can open the operator's page without a link.
    """

    @pages.before_request
    def _check_login() -> Response | None:
        login = _find_login(purpose)
        if login is None and purpose is Purpose.STATUS and current_sign_in().is_offered:
            return _admit_role(Role.OPERATOR)
        if login is None:
            raise Forbidden
        if purpose in _SIGNED_IN_PURPOSES and current_sign_in().is_required and (response := _check_link_owner(login)):
            return response
        return _admit(login, _is_own_form)


def require_role(pages: Blueprint, role: Role) -> None:
    """Require for these pages a signed-in person who has that role, and the person's token in every form."""

    @pages.before_request
    def _check_role() -> Response | None:
        if not current_sign_in().is_offered:
            raise NotFound
        return _admit_role(role)


def _admit(login: Login, is_own_form: Callable[[], bool]) -> Response | None:
    """Make this login the current one, and return None. Above the rate limit, return the error page instead.

    Raises Forbidden for a form of another site. `is_own_form` returns whether the form comes from one of our pages.
    """
    g.login = login
    site = current_site()
    if not site.limiter.allow(f"person {login.address}", site.settings.pages.per_minute):
        return site.render_too_many()
    if request.method not in _READING_METHODS and not is_own_form():
        raise Forbidden
    return None


def _admit_role(role: Role) -> Response | None:
    """Return None when the signed-in person has that role, and make that login the current one.

    Otherwise return a redirect to the sign-in, or the page that says which role is missing.
    """
    site, sign_in = current_site(), current_sign_in()
    signed_in = sign_in.find_person()
    if signed_in is None:
        return _ask_for_sign_in()
    if role not in signed_in.roles:
        return show_missing_role(signed_in, role)
    person = site.store.people.get_person(signed_in.address)
    if person is None:  # somebody outside the roster can have a role; the browser then chooses the language
        address, locale = signed_in.address, site.choose_language().tag
        person = replace(site.composer.build_operator(), email=address, name=address, locale=locale)
    # A login holds claims, but these are not from a link, and no page reads them.
    claims = LinkClaims(person=person.email, purpose=Purpose.STATUS, issued_at=site.now())
    return _admit(Login(person, claims, signed_in.token, is_signed_in=True), lambda: sign_in.is_own_form(signed_in))


def _check_link_owner(login: Login) -> Response | None:
    """Return None when the person of the link has signed in.

    Otherwise return a redirect to the sign-in; when another person has signed in, a page that says so.
    """
    signed_in = current_sign_in().find_person()
    if signed_in is None:
        return _ask_for_sign_in()
    return None if signed_in.address == login.address else show_other_person(signed_in)


def _ask_for_sign_in() -> Response:
    """Return a redirect to the sign-in, which then redirects back to this page.

    For a submitted form, return a notice instead, because a redirect would lose the content of the form.
    """
    if request.method not in _READING_METHODS:
        return current_site().render_notice("signed-out", 403)
    return redirect_to(current_sign_in().make_url(find_own_path()))


def _find_login(purpose: Purpose) -> Login | None:
    """Return the login that the cookie proves; None when the cookie is invalid, expired, revoked or for other pages."""
    site, cookie = current_site(), request.cookies.get(COOKIE, "")
    try:
        claims = _use_primary_address(site.links.read_claims(cookie, _COOKIE_KIND))
    except BadLink:
        return None
    # Claims without a session open the pages about all sessions of the person, below the page of the purpose.
    session_in_url = (request.view_args or {}).get("session_id", "") if claims.subject_id else ""
    if claims.purpose is not purpose or claims.subject_id != session_in_url:
        return None
    if not _are_claims_valid(claims, site.settings.pages.visit):
        return None
    person = _find_person(claims)
    return Login(person, claims, site.links.sign_text(cookie, _FORM_TOKEN_KIND)) if person else None


def _are_claims_valid(claims: LinkClaims, lifetime: timedelta) -> bool:
    """Return whether the claims are younger than `lifetime` and not revoked. Clocks may differ by a minute."""
    site = current_site()
    if not claims.issued_at - timedelta(minutes=1) <= site.now() < claims.issued_at + lifetime:
        return False
    revoked_at = site.store.people.get_revocation_time(claims.person)
    return revoked_at is None or claims.issued_at > revoked_at


def _use_primary_address(claims: LinkClaims) -> LinkClaims:
    """Return the claims with the person's current address, so that links still work after a change of address."""
    if claims.purpose is Purpose.STATUS:
        return claims
    return replace(claims, person=current_site().store.aliases.find_primary(claims.person))


def _find_person(claims: LinkClaims) -> Person | None:
    """Return the person to whom the link belongs; None when that person has left the roster.

    A third person need not be in the roster, but the question and the report who asked it must still exist.
    """
    site = current_site()
    if claims.purpose is Purpose.STATUS:
        operator = site.composer.build_operator()
        return operator if claims.person == (operator.email or UNNAMED_OPERATOR) else None
    if claims.purpose is Purpose.VOICE:
        parties = site.worker.third_voices.find_parties(claims.subject_id)
        return parties.third_person if parties else None
    return site.store.people.get_person(claims.person)


def _is_own_form() -> bool:
    """Return whether the submitted form comes from one of the pages of the login whose cookie the request has."""
    site = current_site()
    # In this header, browsers say from which site the form comes. Old ones leave it out. `none`: from no page.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    cookie = request.cookies.get(COOKIE, "")
    return site.links.is_signed_text(cookie, _FORM_TOKEN_KIND, request.form.get("token", ""))
