"""When a pair ended, and when what the two wrote was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. When pairs ended that have ended is not known: the first look takes its own day for it."""
    op.add_column("pair", sa.Column("ended_at", sa.BigInteger()))
    op.add_column("pair", sa.Column("erased_at", sa.BigInteger()))
    op.create_index("ix_pair_ended_at", "pair", ["ended_at"])
