"""The pages put together: which addresses there are, and who may come there."""

from flask import Blueprint, Flask, Response, abort

from worker.app import Worker
from worker.links import Purpose
from worker.web import contract, me, status, team, times
from worker.web.security import install_security
from worker.web.sessions import enter, guard, renew
from worker.web.site import ASSET_TYPES, Site, current_site

#: Files of ours change their address when they change.
CACHE_FOREVER = "public, max-age=31536000, immutable"


def make_app(worker: Worker) -> Flask:
    """The WSGI application. Raises LongarcError when nobody said where the pages are reached."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.extensions["longarc"] = found = Site(worker)
    install_security(app, found)
    app.add_url_rule("/", "front", show_front)
    app.add_url_rule("/healthy", "healthy", check_health)
    app.add_url_rule("/asset/<name>", "asset", send_asset)
    app.add_url_rule("/in/<token>", "enter", enter)
    app.add_url_rule("/in/<token>", "renew", renew, methods=["POST"])
    for purpose, pages in (
        (Purpose.CONTRACT, contract.make_blueprint()),
        (Purpose.TIME, times.make_blueprint()),
        (Purpose.ME, me.make_blueprint()),
        (Purpose.TEAM, _make_team_blueprint()),
        (Purpose.STATUS, status.make_blueprint()),
    ):
        guard(pages, purpose)
        app.register_blueprint(pages, url_prefix=f"/{purpose.value}")
    return app


def _make_team_blueprint() -> Blueprint:
    """The manager's page, under which the contracts and the times of all the manager's pairs are found."""
    pages = team.make_blueprint()
    pages.register_blueprint(contract.make_blueprint(), url_prefix="/contract")
    pages.register_blueprint(times.make_blueprint(), url_prefix="/time")
    return pages


def show_front() -> Response:
    """Where somebody comes without a link: how to get one."""
    return current_site().render_notice("forbidden", 200)


def check_health() -> Response:
    """For whatever watches the service: that it answers, and reaches its database."""
    current_site().store.next_due()
    return Response("well\n", content_type="text/plain")


def send_asset(name: str) -> Response:
    """The stylesheet and the script."""
    if name not in ASSET_TYPES:
        abort(404)
    answer = Response(current_site().assets[name][0], content_type=f"{ASSET_TYPES[name]}; charset=utf-8")
    answer.headers["Cache-Control"] = CACHE_FOREVER
    return answer
