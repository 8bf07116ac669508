"""What stood at the time that a person chose for a session, so that only what comes later is a conflict."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. What stands over a session that a person moved before is read with the next look."""
    op.add_column("session", sa.Column("intended", sa.JSON()))
