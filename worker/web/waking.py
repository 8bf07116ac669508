"""Wakes a worker after a page has stored a change, so that the change takes effect before the next tick."""

from datetime import timedelta

from worker.web.security import log_error
from worker.web.site import current_site


def wake_worker(delay: timedelta = timedelta(0)) -> None:
    """Wake a worker after a delay, so that it handles what is due. Without Huey's queue, the next tick does."""
    try:
        current_site().worker.schedule_sync(delay)
    except Exception as error:  # when the queue can't be reached, the next tick finds what is due
        log_error(error)
