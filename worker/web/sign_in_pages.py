"""The pages for signing in at the issuer and signing out, and those that are shown when a sign-in fails."""

import logging
from collections.abc import Sequence
from hmac import compare_digest

from flask import Blueprint, Response, abort, request, url_for
from werkzeug.exceptions import Forbidden

from worker.domain.reason_texts import N_
from worker.domain.sign_in import Role, SignInFault, identify_person
from worker.logs import Action
from worker.openid import IssuerUnfit, IssuerUnreachable, PendingSignIn, SignInRefused
from worker.web.sign_in import SignedInPerson, current_sign_in
from worker.web.site import current_site, redirect_to

log = logging.getLogger(__name__)

#: The page that each role opens: its endpoint and its name.
ROLE_PAGES = {
    Role.OPERATOR: ("status.show", N_("The operator’s page")),
    Role.PEOPLE_OPS: ("people_ops.show", N_("The page of people-ops")),
}
_ROLE_NAMES = {Role.OPERATOR: N_("operator"), Role.PEOPLE_OPS: N_("people-ops")}
#: The text of the page when the issuer's answer does not identify a person.
_FAULT_TEXTS = {
    SignInFault.NO_ADDRESS: N_("Your company’s sign-in gave no mail address."),
    SignInFault.UNVERIFIED: N_("Your company’s sign-in does not say that your mail address was verified."),
    SignInFault.FOREIGN_DOMAIN: N_("Your mail address is not one of this company’s."),
}


def make_blueprint() -> Blueprint:
    """Return the pages of signing in and out."""
    pages = Blueprint("sign_in", __name__)
    pages.before_request(_check_offered)
    pages.add_url_rule("", "begin", begin)
    pages.add_url_rule("/callback", "finish", finish)
    pages.add_url_rule("/out", "sign_out", sign_out, methods=["POST"])
    return pages


def _check_offered() -> None:
    if not current_sign_in().is_offered:
        abort(404)


def begin() -> Response:
    """Redirect to the issuer. With the URL parameter `other`, the issuer lets the person choose an account."""
    site, sign_in = current_site(), current_sign_in()
    path = sign_in.read_return_path()
    try:
        url, pending = sign_in.client.begin(site.now(), choose_account="other" in request.args)
    except (IssuerUnreachable, IssuerUnfit) as error:
        return _show_outage(error)
    response = redirect_to(url)
    sign_in.set_pending_cookie(pending, path, response)
    return response


def finish() -> Response:
    """Complete the sign-in with the issuer's answer, and redirect to the page that was requested before it."""
    sign_in = current_sign_in()
    pending_and_path = sign_in.read_pending()
    state = request.args.get("state", "")
    if pending_and_path is None or not compare_digest(pending_and_path[0].state.encode(), state.encode()):
        return _show_retry("sign-in-over", url_for("front"))
    pending, path = pending_and_path
    try:
        response = _complete_sign_in(pending, path)
    except (IssuerUnreachable, IssuerUnfit) as error:
        response = _show_outage(error)
    except SignInRefused as error:
        log.warning("A sign-in failed. %s", error, extra={"action": Action.SIGN_IN_REFUSED})
        response = _show_retry("sign-in-refused", path)
    sign_in.delete_pending_cookie(response)
    return response


def _complete_sign_in(pending: PendingSignIn, path: str) -> Response:
    """Identify the person by the issuer's answer, set the cookie, and redirect to the path.

    Raises SignInRefused, IssuerUnreachable and IssuerUnfit.
    """
    site, sign_in = current_site(), current_sign_in()
    if "error" in request.args:
        raise SignInRefused(f"The issuer says `{request.args['error'][:40]}`.")
    if request.args.get("iss", sign_in.client.issuer) != sign_in.client.issuer:  # RFC 9207: another issuer's answer
        raise SignInRefused("The answer is another issuer's.")
    policy = site.settings.sign_in.policy
    needed_claims = {policy.address_claim, policy.role_claim} - {""}  # the role claim is empty when roles list people
    claims = sign_in.client.finish(request.args.get("code", ""), pending, site.now(), needed_claims)
    identity = identify_person(claims, policy)
    if isinstance(identity, SignInFault):
        log.warning(
            "A sign-in did not identify a person: %s.", identity.value, extra={"action": Action.SIGN_IN_REFUSED}
        )
        language = site.choose_language()
        return _show_retry("sign-in-unidentified", path, language.gettext(_FAULT_TEXTS[identity]))
    response = redirect_to(path)
    sign_in.set_person_cookie(identity, response)
    return response


def sign_out() -> Response:
    """Sign the person out of Longarc in every browser, but not out of the company's account."""
    sign_in = current_sign_in()
    person = sign_in.find_person()
    if person is None:
        return redirect_to(url_for("front"))
    if not sign_in.is_own_form(person):
        raise Forbidden
    response = current_site().render_notice("sign-out", 200)
    sign_in.sign_out_everywhere(person, response)
    return response


# --- pages that consist of a message ---


def show_home() -> Response:
    """Return the front page: with links to the pages of the signed-in person's roles, or with a link to sign in."""
    site, person = current_site(), current_sign_in().find_person()
    language = site.choose_language()
    if person is None:
        links = [(url_for("sign_in.begin"), language.gettext(N_("Sign in")))]
        return _show_message("front", 200, links=links)
    pages = [ROLE_PAGES[role] for role in sorted(person.roles)]
    links = [(url_for(endpoint), language.gettext(name)) for endpoint, name in pages]
    return _show_message("signed-in", 200, _describe_person(person), links, person.token)


def show_missing_role(person: SignedInPerson, role: Role) -> Response:
    """Return the page for a person who lacks a role. It names the person, the role, and whom to ask for the role."""
    site = current_site()
    language = site.choose_language()
    role_name = language.gettext(_ROLE_NAMES[role])
    missing = language.gettext(
        N_("This page is for the role “%(role)s”, which this address does not have."), role=role_name
    )
    whom_to_ask = language.gettext(N_("If it should, ask %(who)s."), who=site.settings.operator)
    details = [*_describe_person(person), missing, *([whom_to_ask] if site.settings.operator else [])]
    return _show_message("role-missing", 403, details, [_offer_other_account()], person.token)


def show_other_person(person: SignedInPerson) -> Response:
    """Return the page for a signed-in person who followed another person's link. It does not name that other person."""
    return _show_message("other-person", 403, _describe_person(person), [_offer_other_account()], person.token)


def _describe_person(person: SignedInPerson) -> list[str]:
    return [current_site().choose_language().gettext(N_("You are signed in as %(who)s."), who=person.address)]


def _offer_other_account() -> tuple[str, str]:
    url = current_sign_in().make_url(find_own_path(), as_other=True)
    return url, current_site().choose_language().gettext(N_("Sign in with another account"))


def find_own_path() -> str:
    """Return the path of the requested page. It is built from the route, and not the text that the browser sent."""
    return url_for(request.endpoint, **(request.view_args or {})) if request.endpoint else url_for("front")


def _show_retry(name: str, path: str, detail: str = "") -> Response:
    """Return one of NOTICES for a sign-in that failed, with a link to sign in again and then open `path`."""
    sign_in, language = current_sign_in(), current_site().choose_language()
    links = [(sign_in.make_url(path, as_other=True), language.gettext(N_("Sign in again")))]
    return _show_message(name, 403, [detail] if detail else [], links)


def _show_outage(error: IssuerUnreachable | IssuerUnfit) -> Response:
    log.error("Nobody can sign in. %s", error, extra={"action": Action.SIGN_IN_OUTAGE})
    return current_site().render_notice("sign-in-outage", 503)


def _show_message(
    name: str,
    status: int,
    details: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
    token: str = "",
) -> Response:
    """Return the page with one of NOTICES.

    `details` are sentences below the notice, and `links` pairs of a URL and a text. With a `token`, which is the form
    token of the signed-in person, the page has a button to sign out.
    """
    site = current_site()
    values = {**site.describe_notice(name), "details": details, "links": links, "token": token}
    return site.render_page("sign_in", site.choose_language(), values, status)
