"""Columns for the sealed reason that a report gives for a deferral."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("deferral", sa.Column("explained_at", sa.BigInteger()))
    op.add_column("deferral", sa.Column("sealed", sa.LargeBinary()))
