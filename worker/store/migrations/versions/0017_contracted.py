"""A column for when the contract of a session was first recorded: the dates of its reviews follow from that day."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and fill it from the stored contracts.

    Pairs with open reviews become due (`due_at` 0 is the year 1970), so that planning ends the reviews that have no
    contract.
    """
    op.add_column("session", sa.Column("contracted_at", sa.BigInteger()))
    op.execute(
        "UPDATE session SET contracted_at = (SELECT MIN(contract.recorded_at) FROM contract"
        " WHERE contract.session = session.id) WHERE session.state = 'contracted'"
    )
    op.execute(
        "UPDATE pair SET due_at = 0 WHERE ended = '' AND id IN (SELECT session.pair FROM session"
        " WHERE session.kind = 'review' AND session.state IN ('owed', 'deferred', 'booked'))"
    )
