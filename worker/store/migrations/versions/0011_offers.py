"""Columns for the end and the purpose of an offer, and for whose event is at each offered time (T-11, T-12, T-14)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. They are empty for an earlier offer, which ends when the first of its times begins."""
    op.add_column("session", sa.Column("offered_until", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("offered_for", sa.String(), nullable=True))
    op.add_column("session", sa.Column("displaces", sa.JSON(), nullable=True))
