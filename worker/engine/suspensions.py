"""How long a person rests whose grant is gone, and what the operator is told of it."""

from datetime import timedelta

from worker.domain.model import Address

SUSPENSION_LENGTH = timedelta(hours=1)


def describe_revoked_grant(who: Address, error: Exception) -> str:
    """What is wrong, what waits for it, and what to do once it is mended."""
    return (
        f"The grant to act for {who} is gone: {error} Nothing is booked for this person until then. "
        f"It is tried again in an hour; once it is mended, `longarc retry {who}` tries it at once."
    )
