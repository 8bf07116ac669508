"""Suspended calendars: for how long, and the alert to the operator."""

from datetime import timedelta

from worker.domain.model import Address

SUSPENSION_LENGTH = timedelta(hours=1)


def describe_revoked_grant(who: Address, error: Exception) -> str:
    """Return the text of the alert about a revoked grant."""
    return (
        f"The grant to act for {who} is gone: {error} Nothing is booked for this person until then. "
        f"It is tried again in an hour; once it is fixed, `longarc retry {who}` tries it at once."
    )
