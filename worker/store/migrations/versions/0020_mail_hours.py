"""Columns for when people are out of office, and for which mails count for the daily limit of their reader."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Mails that are in the outbox already do not count for the limit, and are not held back."""
    op.add_column("person", sa.Column("away", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("message", sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("message", sa.Column("day", sa.Date()))
    op.add_column("message", sa.Column("told_in", sa.String()))
    op.create_index("ix_message_told_in", "message", ["told_in"])
    op.create_index("ix_message_to_name", "message", ["to", "name"])
    op.create_index("ix_message_to_day", "message", ["to", "day"])
