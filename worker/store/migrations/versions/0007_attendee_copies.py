"""A table of the copies of events that Longarc itself writes into guests' calendars."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Earlier copies are found by the events themselves, and recorded when these events are read."""
    op.create_table(
        "attendee_copy",
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("guest", sa.String(), nullable=False),
        sa.Column("placed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", "id", "guest", name=op.f("pk_attendee_copy")),
    )
