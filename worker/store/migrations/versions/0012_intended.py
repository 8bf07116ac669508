"""A column for the events at a time that a person chose for a session. Only events that come later are conflicts."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. For a session that a person has moved already, it is filled when the calendars are read next."""
    op.add_column("session", sa.Column("intended", sa.JSON()))
