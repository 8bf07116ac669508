"""Who is there, and what for: a link is changed into a cookie that opens the same pages for some hours, and no others.

The link itself then stands in no address any more, so that it is in no Referer and no log. Opening it changes nothing
that is stored: mail scanners open links, too.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from flask import Blueprint, Response, g, request, url_for
from werkzeug.exceptions import Forbidden, NotFound, TooManyRequests

from worker.domain.model import Address, MailName, Message, Pair, Person, What
from worker.links import BadLink, Pass, Purpose
from worker.web.site import go, site

COOKIE = "longarc"
#: A link to the operator's page is printed on a terminal and used at once.
OPERATORS = timedelta(hours=1)
#: Tries with links that are not ours, from one address in a minute.
GUESSES = 20
#: Who opens the operator's page, when no operator's address is set.
NOBODY = "operator"


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who came by a link."""

    person: Person
    given: Pass
    token: str  #: goes into every form, so that only our pages can send one

    @property
    def who(self) -> Address:
        return self.person.email

    @property
    def purpose(self) -> Purpose:
        return self.given.purpose


def visit() -> Visit:
    """Who is there. Only asked behind `guard`."""
    found: Visit = g.visit
    return found


# --- coming in ---


def enter(token: str) -> Response:
    """Change a link into a visit, and go where it leads."""
    here, given = site(), _read(token)
    if not _lasts(given):
        renewal = url_for("renew", token=token) if _pair(given) else ""
        return here.notice("gone", 410, renewal=renewal)
    answer = go(_home(given))
    lasts = here.settings.pages.visit
    answer.set_cookie(
        COOKIE,
        here.links.token(replace(given, issued=here.now()), "visit"),
        max_age=lasts,
        path=_place(given),
        secure=here.secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def renew(token: str) -> Response:
    """Send a new link to the one whom an old one was given, once an hour at most; nobody else gets it."""
    here, given = site(), _read(token)
    pair = _pair(given)
    if _lasts(given) or pair is None:
        return go(url_for("enter", token=token))
    now = here.now()
    mail = Message(
        key=f"fresh_link:{given.who}:{pair.id}:{now:%Y-%m-%dT%H}",
        what=What.MAIL,
        pair=pair.id,
        subject=str(pair.id),
        due_at=now,
        snapshot_at=now,
        name=MailName.FRESH_LINK.value,
        to=given.who,
    )
    here.store.outbox.add(mail)
    return here.notice("renewed", 202)


def _read(token: str) -> Pass:
    """What a link says, of somebody who is still here."""
    here = site()
    try:
        given = _of_primary(here.links.read(token))
    except BadLink:
        if not here.limits.allow(f"guess {request.remote_addr}", GUESSES):
            raise TooManyRequests from None
        raise NotFound from None
    if _person(given) is None:
        raise NotFound
    return given


def _lasts(given: Pass) -> bool:
    """Whether a link still opens anything."""
    return _holds(given, OPERATORS if given.purpose is Purpose.STATUS else site().settings.pages.link_lifetime)


def _pair(given: Pass) -> Pair | None:
    """A pair in which the one it was given to has a page: the report's own, or the manager's with all that is there."""
    if given.purpose is Purpose.STATUS:
        return None
    people = site().store.people
    found = people.reporting(given.who) if given.purpose is Purpose.ME else people.managed_by(given.who)
    return found[0] if found else None


def leave() -> Response:
    """Make every link and visit of this person void, this one included."""
    here, given = site(), visit().given
    here.store.people.revoke(given.who, here.now())
    answer = here.notice("left", 200)
    answer.delete_cookie(COOKIE, path=_place(given), secure=here.secure, httponly=True, samesite="Lax")
    return answer


def _home(given: Pass) -> str:
    endpoint = f"{given.purpose.value}.show"
    return url_for(endpoint, session=given.about) if given.about else url_for(endpoint)


def _place(given: Pass) -> str:
    """The part of the site that the visit is for: the browser sends the cookie nowhere else."""
    return f"{request.script_root}/{given.purpose.value}" + (f"/{given.about}" if given.about else "")


# --- being there ---


def guard(pages: Blueprint, purpose: Purpose) -> None:
    """Let nobody into these pages but who came by a link for them, and take forms from nowhere else."""

    @pages.before_request
    def _let_in() -> Response | None:
        found = _visiting(purpose)
        if found is None:
            raise Forbidden
        g.visit = found
        here = site()
        if not here.limits.allow(f"person {found.who}", here.settings.pages.per_minute):
            return here.too_many()
        if request.method not in ("GET", "HEAD", "OPTIONS") and not _ours(found):
            raise Forbidden
        return None


def _visiting(purpose: Purpose) -> Visit | None:
    here, cookie = site(), request.cookies.get(COOKIE, "")
    try:
        given = _of_primary(here.links.read(cookie, "visit"))
    except BadLink:
        return None
    asked = (request.view_args or {}).get("session", "") if given.about else ""
    if given.purpose is not purpose or given.about != asked or not _holds(given, here.settings.pages.visit):
        return None
    person = _person(given)
    return Visit(person, given, here.links.mark(cookie, "form")) if person else None


def _holds(given: Pass, lifetime: timedelta) -> bool:
    here = site()
    if not given.issued - timedelta(minutes=1) <= here.now() < given.issued + lifetime:
        return False
    revoked = here.store.people.get_revocation_time(given.who)
    return revoked is None or given.issued > revoked


def _of_primary(given: Pass) -> Pass:
    """The same pass for the address that its owner has now: what was sent before a change of name still opens."""
    if given.purpose is Purpose.STATUS:
        return given
    return replace(given, who=site().store.forms.owner(given.who) or given.who)


def _person(given: Pass) -> Person | None:
    """The one it was given to, if they are still here."""
    here = site()
    if given.purpose is Purpose.STATUS:
        operator = here.drafts.operator()
        return operator if given.who == (operator.email or NOBODY) else None
    return here.store.people.person(given.who)


def _ours(found: Visit) -> bool:
    """Whether a form was sent from one of our pages."""
    here = site()
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    cookie = request.cookies.get(COOKIE, "")
    return here.links.is_signed_text(cookie, "form", request.form.get("token", ""))
