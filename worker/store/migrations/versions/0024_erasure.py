"""Columns for when a pair ended, and for when its content was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns.

    When the pairs that have ended already did so is not known. `ErasureRows.set_missing_end_times` sets a time later.
    """
    op.add_column("pair", sa.Column("ended_at", sa.BigInteger()))
    op.add_column("pair", sa.Column("erased_at", sa.BigInteger()))
    op.create_index("ix_pair_ended_at", "pair", ["ended_at"])
