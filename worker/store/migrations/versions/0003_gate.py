"""A table of the requests to mailboxes that any process is sending, and a column for the times that guests propose."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the column."""
    op.create_table(
        "gate",
        sa.Column("name", sa.String(), nullable=False),  # the mailbox
        sa.Column("room", sa.Integer(), nullable=False),  # which of the requests that may be sent at once
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "room", name=op.f("pk_gate")),
    )
    op.add_column("event", sa.Column("proposed", sa.JSON(), nullable=False, server_default="{}"))
