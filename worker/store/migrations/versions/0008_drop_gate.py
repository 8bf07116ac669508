"""Drops the table of requests to mailboxes, because each process now limits its own requests alone."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the table. Its rows were leases that ended after minutes, so nothing is lost."""
    op.drop_table("gate")
