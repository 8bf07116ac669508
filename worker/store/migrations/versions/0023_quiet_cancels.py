"""Cancels that give guests no notice."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. What was decided before gives notice."""
    op.add_column("message", sa.Column("quiet", sa.Boolean(), nullable=False, server_default=sa.false()))
