"""Who is there, and what for: a link is changed into a cookie that opens the same pages for some hours, and no others.

The link itself then stands in no address any more, so that it is in no Referer and no log. Opening it changes nothing
that is stored: mail scanners open links, too.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from flask import Blueprint, Response, g, request, url_for
from werkzeug.exceptions import Forbidden, NotFound, TooManyRequests

from worker.domain.model import Address, Effect, EffectKind, MailName, Pair, Person
from worker.links import BadLink, LinkClaims, Purpose
from worker.web.site import current_site, redirect_to

COOKIE = "longarc"
#: A link to the operator's page is printed on a terminal and used at once.
OPERATOR_LINK_LIFETIME = timedelta(hours=1)
#: Tries with links that are not ours, from one address in a minute.
MAX_GUESSES = 20
#: Who opens the operator's page, when no operator's address is set.
UNNAMED_OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who came by a link."""

    person: Person
    link: LinkClaims
    token: str  #: goes into every form, so that only our pages can send one

    @property
    def who(self) -> Address:
        return self.person.email

    @property
    def purpose(self) -> Purpose:
        return self.link.purpose


def current_visit() -> Visit:
    """Who is there. Only asked behind `guard`."""
    found: Visit = g.visit
    return found


# --- coming in ---


def enter(token: str) -> Response:
    """Change a link into a visit, and go where it leads."""
    here, given = current_site(), _read_link(token)
    if not _is_link_valid(given):
        renewal = url_for("renew", token=token) if _find_pair(given) else ""
        return here.render_notice("gone", 410, renewal=renewal)
    answer = redirect_to(_make_home_url(given))
    lasts = here.settings.pages.visit
    answer.set_cookie(
        COOKIE,
        here.links.sign_claims(replace(given, issued_at=here.now()), "visit"),
        max_age=lasts,
        path=_make_cookie_path(given),
        secure=here.secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def renew(token: str) -> Response:
    """Send a new link to the one whom an old one was given, once an hour at most; nobody else gets it."""
    here, given = current_site(), _read_link(token)
    pair = _find_pair(given)
    if _is_link_valid(given) or pair is None:
        return redirect_to(url_for("enter", token=token))
    now = here.now()
    mail = Effect(
        key=f"fresh_link:{given.person}:{pair.id}:{now:%Y-%m-%dT%H}",
        kind=EffectKind.MAIL,
        pair=pair.id,
        subject=str(pair.id),
        due_at=now,
        snapshot_at=now,
        name=MailName.FRESH_LINK.value,
        to=given.person,
    )
    here.store.outbox.add_mail(mail)
    return here.render_notice("renewed", 202)


def _read_link(token: str) -> LinkClaims:
    """What a link says, of somebody who is still here."""
    here = current_site()
    try:
        given = _use_primary_address(here.links.read_token(token))
    except BadLink:
        if not here.limits.allow(f"guess {request.remote_addr}", MAX_GUESSES):
            raise TooManyRequests from None
        raise NotFound from None
    if _find_person(given) is None:
        raise NotFound
    return given


def _is_link_valid(given: LinkClaims) -> bool:
    """Whether a link still opens anything."""
    return _is_pass_valid(
        given,
        OPERATOR_LINK_LIFETIME if given.purpose is Purpose.STATUS else current_site().settings.pages.link_lifetime,
    )


def _find_pair(given: LinkClaims) -> Pair | None:
    """A pair in which the one it was given to has a page: the report's own, or the manager's with all that is there."""
    if given.purpose is Purpose.STATUS:
        return None
    people = current_site().store.people
    found = (
        people.list_pairs_of_report(given.person)
        if given.purpose is Purpose.ME
        else people.list_pairs_of_manager(given.person)
    )
    return found[0] if found else None


def leave() -> Response:
    """Make every link and visit of this person void, this one included."""
    here, given = current_site(), current_visit().link
    here.store.people.revoke_links(given.person, here.now())
    answer = here.render_notice("left", 200)
    answer.delete_cookie(COOKIE, path=_make_cookie_path(given), secure=here.secure, httponly=True, samesite="Lax")
    return answer


def _make_home_url(given: LinkClaims) -> str:
    endpoint = f"{given.purpose.value}.show"
    return url_for(endpoint, session=given.session_id) if given.session_id else url_for(endpoint)


def _make_cookie_path(given: LinkClaims) -> str:
    """The part of the site that the visit is for: the browser sends the cookie nowhere else."""
    return f"{request.script_root}/{given.purpose.value}" + (f"/{given.session_id}" if given.session_id else "")


# --- being there ---


def guard(pages: Blueprint, purpose: Purpose) -> None:
    """Let nobody into these pages but who came by a link for them, and take forms from nowhere else."""

    @pages.before_request
    def _check_visit() -> Response | None:
        found = _find_visit(purpose)
        if found is None:
            raise Forbidden
        g.visit = found
        here = current_site()
        if not here.limits.allow(f"person {found.who}", here.settings.pages.per_minute):
            return here.render_too_many()
        if request.method not in ("GET", "HEAD", "OPTIONS") and not _is_own_form(found):
            raise Forbidden
        return None


def _find_visit(purpose: Purpose) -> Visit | None:
    here, cookie = current_site(), request.cookies.get(COOKIE, "")
    try:
        given = _use_primary_address(here.links.read_token(cookie, "visit"))
    except BadLink:
        return None
    asked = (request.view_args or {}).get("session", "") if given.session_id else ""
    if (
        given.purpose is not purpose
        or given.session_id != asked
        or not _is_pass_valid(given, here.settings.pages.visit)
    ):
        return None
    person = _find_person(given)
    return Visit(person, given, here.links.sign_text(cookie, "form")) if person else None


def _is_pass_valid(given: LinkClaims, lifetime: timedelta) -> bool:
    here = current_site()
    if not given.issued_at - timedelta(minutes=1) <= here.now() < given.issued_at + lifetime:
        return False
    revoked = here.store.people.get_revocation_time(given.person)
    return revoked is None or given.issued_at > revoked


def _use_primary_address(given: LinkClaims) -> LinkClaims:
    """The same pass for the address that its owner has now: what was sent before a change of name still opens."""
    if given.purpose is Purpose.STATUS:
        return given
    return replace(given, person=current_site().store.person_forms.find_owner(given.person) or given.person)


def _find_person(given: LinkClaims) -> Person | None:
    """The one it was given to, if they are still here."""
    here = current_site()
    if given.purpose is Purpose.STATUS:
        operator = here.drafts.build_operator()
        return operator if given.person == (operator.email or UNNAMED_OPERATOR) else None
    return here.store.people.get_person(given.person)


def _is_own_form(found: Visit) -> bool:
    """Whether a form was sent from one of our pages."""
    here = current_site()
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    cookie = request.cookies.get(COOKIE, "")
    return here.links.is_signed_text(cookie, "form", request.form.get("token", ""))
