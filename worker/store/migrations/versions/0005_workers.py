"""A table of workers, and columns for failed readings of calendars and for when a session was recorded as held."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the columns."""
    op.create_table(
        "worker",
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_worker")),
    )
    op.add_column("session", sa.Column("noted_at", sa.BigInteger(), nullable=True))
    op.add_column("calendar", sa.Column("failing_since", sa.BigInteger(), nullable=True))
    op.add_column("calendar", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("calendar", sa.Column("problem", sa.String(), nullable=True))
