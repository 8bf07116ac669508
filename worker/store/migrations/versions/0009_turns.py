"""Which sessions follow no other: a manager's pairs that have never met, or are overdue together, meet in turn."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. What is booked keeps its time: no session of before has a turn."""
    op.add_column("session", sa.Column("in_turn", sa.Boolean(), nullable=False, server_default=sa.false()))
