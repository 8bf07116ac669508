"""Has a worker act at once on what a page has just stored, without waiting for the next tick."""

from datetime import timedelta

from worker.web.security import log_error
from worker.web.site import current_site


def wake_worker(delay: timedelta = timedelta(0)) -> None:
    """Have a worker look at what is due, after a delay. Without a queue, the next tick does."""
    try:
        current_site().worker.wake(delay)
    except Exception as error:  # the queue can't be reached: the next tick finds what is due
        log_error(error)
