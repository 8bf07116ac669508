"""Tables for drafts of contracts and for revoked links, and a column for the settings that a pair chose itself."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and a column."""
    op.create_table(
        "sketch",
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["session.id"], name=op.f("fk_sketch_session")),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_sketch")),
    )
    op.create_table(
        "revocation",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_revocation")),
    )
    op.add_column("pair", sa.Column("chosen", sa.JSON(), nullable=True))
