"""Protects every request: limits its size and rate, adds security headers, renders error pages, logs no secrets."""

import logging
import traceback
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from worker.engine.channels import NOTIFY_PATH
from worker.errors import LeaseLost, LongarcError, Refused, UnknownName
from worker.logs import Action
from worker.process_metrics import count_page
from worker.store.database import DatabaseUnreachable
from worker.web.refusals import explain_refusal
from worker.web.site import Site

log = logging.getLogger(__name__)

#: Limits of a submitted form. A contract is the largest form, and far smaller than both limits.
MAX_FORM_BYTES = 256 * 1024
MAX_FORM_FIELDS = 1000
#: The rate limit of a network address is this multiple of a person's, because a whole office may share an address.
SHARED_ADDRESS_FACTOR = 10

#: The Content-Security-Policy header of pages.
PAGE_CONTENT_SECURITY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: The Content-Security-Policy header of a mail that is shown inside a page: it may use its inline styles only.
MAIL_CONTENT_SECURITY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; sandbox"
)
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: Requests whose URL rule begins with one of these are not logged. For third voices (R-30) and the pulse, the
#: anonymous question (R-37), a line would reveal when somebody asked or answered. Notifications are too many to log:
#: they are only counted.
UNLOGGED_RULES = ("/voice/", "/me/voice", "/pulse/", f"{NOTIFY_PATH}/")
#: Requests whose path begins with one of these come from programs. Their handlers check and limit them: a directory
#: pushes thousands of people from one network address, and a calendar service sends all its notifications from a few.
PATHS_FOR_PROGRAMS = ("/scim/", f"{NOTIFY_PATH}/")
#: The notice that is shown for an HTTP error.
NOTICE_BY_STATUS = {403: "needs-link", 404: "not_found", 405: "not_found", 413: "too_large"}


def install_security(app: Flask, site: Site) -> None:
    """Apply the limits, the headers and the error pages to an application."""
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES, MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES, MAX_FORM_PARTS=MAX_FORM_FIELDS
    )
    app.before_request(lambda: _check_request(site))
    app.after_request(lambda response: _add_headers(response, site))
    app.register_error_handler(Exception, lambda error: _handle_error(error, site))


def _check_request(site: Site) -> Response | None:
    """Return the error page for an invalid path, or a network address above its rate limit; None for valid requests."""
    if request.path.startswith(PATHS_FOR_PROGRAMS):
        return None
    if "\0" in request.path:  # PostgreSQL refuses text with a null character
        return site.render_notice("not_found", 404)
    if not site.limiter.allow(f"address {request.remote_addr}", site.settings.pages.per_minute * SHARED_ADDRESS_FACTOR):
        return site.render_too_many()
    return None


def _add_headers(response: Response, site: Site) -> Response:
    """Add the security headers, and log the request unless its URL rule is one of `UNLOGGED_RULES`.

    The URL rule is logged and not the path, because a path can contain the token of somebody's personal link.
    """
    response.headers.setdefault("Content-Security-Policy", PAGE_CONTENT_SECURITY)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.update(HEADERS)
    if site.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    rule = request.url_rule.rule if request.url_rule else "no such page"
    count_page(response.status_code)
    if not rule.startswith(UNLOGGED_RULES):
        log.info("%s %s %s", request.method, rule, response.status_code, extra={"action": Action.PAGE_SERVED})
    return response


def _handle_error(error: Exception, site: Site) -> Response:
    """Return the page for an error, or an empty page when rendering that page fails.

    No error may reach Flask or waitress, because they log the path, which can contain the token of a personal link.
    """
    try:
        return _render_error(error, site)
    except Exception as second_error:
        log_error(second_error)
        return Response(status=500)


def _render_error(error: Exception, site: Site) -> Response:
    """Return the page for an error, and log it unless it is an ordinary refusal.

    The page does not show the text of the error, which is written for the operator. Problems of a file, such as a
    template of the company's own, are an unexpected error here, because only the operator can repair them.
    """
    if isinstance(error, HTTPException):
        status = error.code or 500
        if status == 429:
            return site.render_too_many()
        return site.render_notice(NOTICE_BY_STATUS.get(status, "not_found" if status < 500 else "broken"), status)
    if isinstance(error, UnknownName):
        return site.render_notice("not_found", 404)
    if isinstance(error, LeaseLost | DatabaseUnreachable):
        log.warning("%s", error, extra={"action": Action.PAGE_BUSY})
        return site.render_notice("busy", 503)
    if isinstance(error, Refused):
        reason = explain_refusal(error, site.choose_language())
        return site.render_notice("explained" if reason else "refused", 409, reason)
    log_error(error)
    return site.render_notice("broken", 500)


def log_error(error: Exception) -> None:
    """Log the type and place of an unexpected error. Its text is logged only for our own error types.

    The text of any other error could quote a contract. When a template failed, the place is in the template.
    """
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if frame.filename.endswith(".j2")), frames[-1])
    text = str(error) if isinstance(error, LongarcError) else ""
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    log.error("a page failed: %s at %s %s", type(error).__name__, place, text, extra={"action": Action.PAGE_FAILED})
