"""A column for sessions whose window comes from the turn of the pair, its place among those of the same manager."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. It is false for all stored sessions, so booked sessions keep their times."""
    op.add_column("session", sa.Column("in_turn", sa.Boolean(), nullable=False, server_default=sa.false()))
