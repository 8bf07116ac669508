"""A table of handovers: what a report passes on to a new manager when the former pair ends."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Pairs that have ended already get no row, so no handover begins for them (T-19)."""
    op.create_table(
        "handover",
        sa.Column("former", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("former", name=op.f("pk_handover")),
    )
    op.create_index(op.f("ix_handover_pair"), "handover", ["pair"])
