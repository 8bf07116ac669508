"""A column for cancels of which guests get no notice."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Of a cancel that is in the outbox already, guests get a notice."""
    op.add_column("message", sa.Column("quiet", sa.Boolean(), nullable=False, server_default=sa.false()))
