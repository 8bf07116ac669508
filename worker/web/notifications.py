"""Where calendar services tell of changes. A notification is only a hint: nothing is read here, and nothing answered.

Whoever posts here learns nothing: what is forged, or of an unknown channel, is answered as a service expects, and
changes nothing. A notification makes its calendar due, and a worker is woken to read it.
"""

from collections.abc import Sequence

from flask import Blueprint, Response, request

from worker.metrics import count_notifications
from worker.providers.base import Notification
from worker.providers.google.notifications import read_notification
from worker.providers.outlook.notifications import read_notifications
from worker.web.site import current_site
from worker.web.waking import wake_worker

#: The longest body, in bytes: Microsoft puts up to some hundred notifications of 700 bytes into one.
MAX_BODY_BYTES = 256 * 1024
#: The longest token of a handshake, in characters.
MAX_HANDSHAKE = 1000


def make_blueprint() -> Blueprint:
    """Return the addresses of the services, which must not be limited by the network address: a service has few."""
    blueprint = Blueprint("notifications", __name__)
    blueprint.add_url_rule("/google", "google", take_google, methods=["POST"])
    blueprint.add_url_rule("/outlook", "outlook", take_outlook, methods=["POST"])
    return blueprint


def take_google() -> Response:
    """Take a notification of Google's, which has everything in its headers."""
    notification = read_notification(dict(request.headers))
    _take([notification] if notification else [])
    return Response(status=204)


def take_outlook() -> Response:
    """Take notifications of Microsoft's; or show, in a handshake, that this address wants them."""
    token = request.args.get("validationToken")
    if token is not None:
        if len(token) > MAX_HANDSHAKE:
            return Response(status=400)
        return Response(token, content_type="text/plain; charset=utf-8")
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        _take(read_notifications(request.get_data(cache=False)))
    return Response(status=202)


def _take(notifications: Sequence[Notification]) -> None:
    """Store what came, and wake a worker for each look that was not asked for before."""
    site = current_site()
    hints = [site.worker.channels.accept(notification) for notification in notifications]
    refused = sum(hint is None for hint in hints)
    count_notifications(len(hints) - refused, refused)
    for delay in sorted({hint.look_at - site.now() for hint in hints if hint and hint.look_at}):
        wake_worker(delay)
