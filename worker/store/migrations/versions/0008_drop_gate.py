"""Requests to a mailbox are limited by each process alone: the table of those under way in all processes goes."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the table. Its rows were leases of minutes."""
    op.drop_table("gate")
