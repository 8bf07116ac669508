"""A column for when the calendar service was first queried for a person's habits: the time zone and working hours."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. For everybody who is stored already, the service was queried at some unknown time."""
    op.add_column("person", sa.Column("habits_at", sa.BigInteger()))
    op.execute("UPDATE person SET habits_at = 0")
