"""The WSGI application: the URLs of all pages, and the login that each group of pages requires."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, abort, request
from werkzeug.routing import Rule

from worker.app import Worker
from worker.engine.channels import NOTIFY_PATH
from worker.errors import LongarcError, explain_missing_extra
from worker.links import Purpose
from worker.web import (
    contract,
    me,
    notifications,
    operator_actions,
    people_ops,
    pulse,
    sign_in_pages,
    status,
    team,
    third_voices,
    times,
)
from worker.web.logins import open_link, require_login, send_new_link
from worker.web.security import PATHS_FOR_PROGRAMS, install_security, log_error
from worker.web.sign_in import SignIn, current_sign_in
from worker.web.site import ASSET_TYPES, Site, current_site
from worker.web.waking import wake_worker

#: The Cache-Control header of assets. Their URL changes with their content: see `Site.make_asset_url`.
CACHE_FOREVER = "public, max-age=31536000, immutable"


class _UrlRule(Rule):
    """A URL rule that compiles its URL builders on first use.

    Werkzeug compiles two builders as soon as a rule is added, which would double the time that `make_app` takes.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = super()._compile_builder
        builder: Callable[..., tuple[str, str]] | None = None

        def build(rule: Rule, /, *values: Any, **named_values: Any) -> tuple[str, str]:
            nonlocal builder
            if builder is None:
                builder = compile_builder(append_unknown)
            return builder(rule, *values, **named_values)

        return build


class _Pages(Flask):
    """A Flask application whose URL rules are `_UrlRule`s."""

    url_rule_class = _UrlRule


def make_app(worker: Worker) -> Flask:
    """Return the WSGI application. Raises LongarcError when the setting `base_url` is missing."""
    app = _Pages(__name__, static_folder=None, template_folder=None)
    app.extensions["longarc"] = site = Site(worker)
    app.extensions["longarc.sign_in"] = SignIn(site)
    install_security(app, site)
    app.after_request(_wake_after_change)
    app.add_url_rule("/", "front", show_front)
    app.add_url_rule("/healthy", "healthy", check_health)
    app.add_url_rule("/asset/<name>", "asset", send_asset)
    app.add_url_rule("/in/<token>", "enter", open_link)
    app.add_url_rule("/in/<token>", "renew", send_new_link, methods=["POST"])
    app.register_blueprint(sign_in_pages.make_blueprint(), url_prefix="/sign-in")
    app.register_blueprint(people_ops.make_blueprint(), url_prefix="/people-ops")
    # These pages lie below the status page, but only somebody who signed in as an operator may open them.
    app.register_blueprint(operator_actions.make_blueprint(), url_prefix="/status")
    for purpose, pages in (
        (Purpose.CONTRACT, contract.make_blueprint()),
        (Purpose.TIME, times.make_blueprint()),
        (Purpose.ME, _make_me_blueprint()),
        (Purpose.TEAM, _make_team_blueprint()),
        (Purpose.PULSE, pulse.make_blueprint()),
        (Purpose.STATUS, status.make_blueprint()),
        (Purpose.VOICE, third_voices.make_blueprint()),
    ):
        require_login(pages, purpose)
        app.register_blueprint(pages, url_prefix=f"/{purpose.value}")
    if worker.channels.is_on:
        app.register_blueprint(notifications.make_blueprint(), url_prefix=NOTIFY_PATH)
    if worker.settings.roster.is_pushed:
        _serve_scim(app, site)
    return app


def _wake_after_change(response: Response) -> Response:
    """Wake a worker after each successful form submission, so that both calendars show the change within moments."""
    if request.method == "POST" and response.status_code < 400 and not request.path.startswith(PATHS_FOR_PROGRAMS):
        wake_worker()
    return response


def _serve_scim(app: Flask, site: Site) -> None:
    """Register the SCIM server, to which a directory pushes people. Raises LongarcError without its library."""
    try:
        from worker.web.scim.endpoint import SCIM_PATH, ScimEndpoint
    except ImportError as error:
        raise LongarcError(
            f"To receive people by SCIM, Longarc needs a library that is missing. {explain_missing_extra('scim')}"
        ) from error
    tokens = [token.get_secret_value() for token in site.settings.scim_tokens]
    endpoint = ScimEndpoint(site.store.pushed_people, tokens, site.settings.base_url, site.limiter, site.now, log_error)
    app.register_blueprint(endpoint.make_blueprint(), url_prefix=SCIM_PATH)


def _make_team_blueprint() -> Blueprint:
    """Return the manager's pages. Below them are the contract and time pages of all the manager's pairs."""
    pages = team.make_blueprint()
    pages.register_blueprint(contract.make_blueprint(), url_prefix="/contract")
    pages.register_blueprint(times.make_blueprint(), url_prefix="/time")
    return pages


def _make_me_blueprint() -> Blueprint:
    """Return the report's page. Below it are the time pages of the report's sessions."""
    pages = me.make_blueprint()
    pages.register_blueprint(times.make_blueprint(), url_prefix="/time")
    return pages


def show_front() -> Response:
    """Return the front page, for a browser without a link. It offers to sign in, or else says how to get a link."""
    if current_sign_in().is_offered:
        return sign_in_pages.show_home()
    return current_site().render_notice("needs-link", 200)


def check_health() -> Response:
    """Answer a health check. Raises DatabaseUnreachable when the database can't be reached."""
    current_site().store.load_next_due()
    return Response("well\n", content_type="text/plain")


def send_asset(name: str) -> Response:
    """Return the stylesheet, script or icon of that name. Aborts with 404 for any other name."""
    if name not in ASSET_TYPES:
        abort(404)
    response = Response(current_site().assets[name][0], content_type=f"{ASSET_TYPES[name]}; charset=utf-8")
    response.headers["Cache-Control"] = CACHE_FOREVER
    return response
