"""A column for the day on which the pause of a pair ends by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and an index by which pauses that are over are found."""
    op.add_column("pair", sa.Column("paused_until", sa.Date()))
    op.create_index("ix_pair_paused_until", "pair", ["paused_until"])
