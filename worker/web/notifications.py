"""The endpoints to which calendar services send notifications, each of which says that something changed on a calendar.

A notification makes its calendar due, and a worker is woken to read that calendar. A forged notification, or one of an
unknown channel, changes nothing; its response is the same, so that senders learn nothing from it.
"""

from collections.abc import Sequence

from flask import Blueprint, Response, request

from worker.process_metrics import count_notifications
from worker.providers.base import Notification
from worker.providers.google import notifications as google_notifications
from worker.providers.outlook import notifications as outlook_notifications
from worker.web.site import current_site
from worker.web.waking import wake_worker

#: The longest body, in bytes. Microsoft sends up to some hundred notifications of 700 bytes in one request.
MAX_BODY_BYTES = 256 * 1024
#: The longest validation token of Microsoft, in characters.
MAX_VALIDATION_TOKEN = 1000


def make_blueprint() -> Blueprint:
    """Return the endpoint of each service.

    They must not be rate-limited by network address, because all notifications of a service come from few addresses.
    """
    blueprint = Blueprint("notifications", __name__)
    blueprint.add_url_rule("/google", "google", receive_google, methods=["POST"])
    blueprint.add_url_rule("/outlook", "outlook", receive_outlook, methods=["POST"])
    return blueprint


def receive_google() -> Response:
    """Accept a notification from Google, which is contained in the headers of the request."""
    notification = google_notifications.read_notification(dict(request.headers))
    _accept([notification] if notification else [])
    return Response(status=204)


def receive_outlook() -> Response:
    """Accept notifications from Microsoft, or answer its validation request by repeating the token."""
    token = request.args.get("validationToken")
    if token is not None:
        if len(token) > MAX_VALIDATION_TOKEN:
            return Response(status=400)
        return Response(token, content_type="text/plain; charset=utf-8")
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        _accept(outlook_notifications.read_notifications(request.get_data(cache=False)))
    return Response(status=202)


def _accept(notifications: Sequence[Notification]) -> None:
    """Make the calendars of the notifications due, and wake a worker at each time for which a poll was scheduled."""
    site = current_site()
    results = [site.worker.channels.accept(notification) for notification in notifications]
    accepted = [result for result in results if result is not None]  # the others are forged, or of unknown channels
    count_notifications(len(accepted), len(results) - len(accepted))
    for delay in sorted({result.poll_at - site.now() for result in accepted if result.poll_at}):
        wake_worker(delay)
