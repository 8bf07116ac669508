"""A table of learnings: sentences of managers about their own learning, one for each report."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "learning",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["pair"], ["pair.id"], name=op.f("fk_learning_pair")),
        sa.PrimaryKeyConstraint("pair", name=op.f("pk_learning")),
    )
