"""What holds for every request, whatever it is for: sizes, rates, headers, and a log that tells no secret."""

import logging
import traceback
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from worker.errors import LeaseLost, LongarcError, Problems, Refused, UnknownName
from worker.store.database import DatabaseUnreachable
from worker.web.site import Site

log = logging.getLogger(__name__)

#: A form is never larger, in bytes; a contract is short. Nor does it have more fields.
MAX_FORM_BYTES, MAX_FORM_FIELDS = 256 * 1024, 1000
#: All who come from one address together may ask so many times as often as one person.
SHARED_ADDRESS_FACTOR = 10

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: A mail shown inside a page brings its own styles, and nothing else.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; sandbox"
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
NOTICE_BY_STATUS = {403: "forbidden", 404: "not_found", 405: "not_found", 413: "too_large"}


def install_security(app: Flask, site: Site) -> None:
    """Put all of it around the pages."""
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES, MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES, MAX_FORM_PARTS=MAX_FORM_FIELDS
    )
    app.before_request(lambda: _check_request(site))
    app.after_request(lambda answer: _add_headers(answer, site))
    app.register_error_handler(Exception, lambda error: _handle_error(error, site))


def _check_request(site: Site) -> Response | None:
    if "\0" in request.path:  # no address of ours has one, and PostgreSQL takes none
        return site.render_notice("not_found", 404)
    if not site.limits.allow(f"address {request.remote_addr}", site.settings.pages.per_minute * SHARED_ADDRESS_FACTOR):
        return site.render_too_many()
    return None


def _add_headers(answer: Response, site: Site) -> Response:
    """Headers for the browser, a line for the log. An address may hold a link: only its rule is told."""
    answer.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.update(HEADERS)
    if site.secure:
        answer.headers["Strict-Transport-Security"] = "max-age=31536000"
    rule = request.url_rule.rule if request.url_rule else "no such page"
    log.info("%s %s %s", request.method, rule, answer.status_code, extra={"action": "page"})
    return answer


def _handle_error(error: Exception, site: Site) -> Response:
    """Every error as a page, or as nothing at all: whoever else hears of one logs its address, which may be a link."""
    try:
        return _render_error(error, site)
    except Exception as worse:
        _log_error(worse)
        return Response(status=500)


def _render_error(error: Exception, site: Site) -> Response:
    if isinstance(error, HTTPException):
        code = error.code or 500
        if code == 429:
            return site.render_too_many()
        return site.render_notice(NOTICE_BY_STATUS.get(code, "not_found" if code < 500 else "broken"), code)
    if isinstance(error, UnknownName):
        return site.render_notice("not_found", 404)
    if isinstance(error, LeaseLost | DatabaseUnreachable):
        log.warning("%s", error, extra={"action": "page_busy"})
        return site.render_notice("busy", 503)
    if isinstance(error, Refused | Problems):
        return site.render_notice("refused", 409, str(error))
    _log_error(error)
    return site.render_notice("broken", 500)


def _log_error(error: Exception) -> None:
    """What nobody foresaw is logged by its kind and place: its text may hold what was said."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next((one for one in reversed(frames) if one.filename.endswith(".j2")), frames[-1])
    said = str(error) if isinstance(error, LongarcError) else ""
    log.error(
        "a page failed: %s at %s:%s %s", type(error).__name__, Path(where.filename).name, where.lineno, said,
        extra={"action": "page_failed"},
    )  # fmt: skip
