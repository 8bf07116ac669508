"""Tables of channels, by which calendar services notify us of changes, and a column for a calendar's last change."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_INSTANTS = ("opened_at", "renew_at", "expires_at", "proven_at", "notified_at", "hinted_at", "awaiting_since")


def upgrade() -> None:
    """Create the tables, and add the column."""
    op.add_column("calendar", sa.Column("changed_at", sa.BigInteger()))
    op.create_table(
        "channel",
        sa.Column("calendar", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False, server_default="") for name in ("id", "remote_id", "next_id")),
        *(sa.Column(name, sa.BigInteger()) for name in _INSTANTS),
        sa.Column("has_told", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.Integer(), nullable=False, server_default="0") for name in ("looks", "failures")),
        sa.Column("problem", sa.String(), nullable=False, server_default=""),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.PrimaryKeyConstraint("calendar", name="pk_channel"),
    )
    for name in ("id", "next_id", "due_at"):
        op.create_index(f"ix_channel_{name}", "channel", [name])
    op.create_table(
        "retired_channel",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "calendar", "service", "remote_id")),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_retired_channel"),
    )
    op.create_index("ix_retired_channel_due_at", "retired_channel", ["due_at"])
