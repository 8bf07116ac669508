"""The pages put together: which addresses there are, and who may come there."""

from flask import Blueprint, Flask, Response, abort

from worker.app import Worker
from worker.links import Purpose
from worker.web import contract, me, status, team, times
from worker.web.security import install
from worker.web.sessions import enter, guard, renew
from worker.web.site import STATIC, Site, site

#: Files of ours change their address when they change.
FOR_EVER = "public, max-age=31536000, immutable"


def make_app(worker: Worker) -> Flask:
    """The WSGI application. Raises LongarcError when nobody said where the pages are reached."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.extensions["longarc"] = found = Site(worker)
    install(app, found)
    app.add_url_rule("/", "front", front)
    app.add_url_rule("/healthy", "healthy", healthy)
    app.add_url_rule("/asset/<name>", "asset", asset)
    app.add_url_rule("/in/<token>", "enter", enter)
    app.add_url_rule("/in/<token>", "renew", renew, methods=["POST"])
    for purpose, pages in (
        (Purpose.CONTRACT, contract.blueprint()),
        (Purpose.TIME, times.blueprint()),
        (Purpose.ME, me.blueprint()),
        (Purpose.TEAM, _team()),
        (Purpose.STATUS, status.blueprint()),
    ):
        guard(pages, purpose)
        app.register_blueprint(pages, url_prefix=f"/{purpose.value}")
    return app


def _team() -> Blueprint:
    """The manager's page, under which the contracts and the times of all the manager's pairs are found."""
    pages = team.blueprint()
    pages.register_blueprint(contract.blueprint(), url_prefix="/contract")
    pages.register_blueprint(times.blueprint(), url_prefix="/time")
    return pages


def front() -> Response:
    """Where somebody comes without a link: how to get one."""
    return site().notice("forbidden", 200)


def healthy() -> Response:
    """For whatever watches the service: that it answers, and reaches its database."""
    site().store.next_due()
    return Response("well\n", content_type="text/plain")


def asset(name: str) -> Response:
    """The stylesheet and the script."""
    if name not in STATIC:
        abort(404)
    answer = Response(site().assets[name][0], content_type=f"{STATIC[name]}; charset=utf-8")
    answer.headers["Cache-Control"] = FOR_EVER
    return answer
