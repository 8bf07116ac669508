"""Which guests have a copy of an organizer's event, where it is us who put it into their calendars."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. What was copied before is found on the events themselves, and recorded when they are read."""
    op.create_table(
        "attendee_copy",
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("guest", sa.String(), nullable=False),
        sa.Column("placed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", "id", "guest", name=op.f("pk_attendee_copy")),
    )
