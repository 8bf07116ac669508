"""The suspension of calendars: after a grant was revoked, a calendar is not used for SUSPENSION_LENGTH."""

from datetime import timedelta

from worker.domain.model import Address

#: After this time the calendar is tried again, in case the grant was given again and nobody runs `longarc retry`.
SUSPENSION_LENGTH = timedelta(hours=1)


def describe_revoked_grant(person: Address, error: Exception) -> str:
    """Return the text of the alert that the grant to use a person's calendar was revoked."""
    return (
        f"The grant to act for {person} was revoked: {error} Nothing is booked for this person until it is given "
        f"again. The calendar is tried again in an hour; `longarc retry {person}` tries it at once."
    )
