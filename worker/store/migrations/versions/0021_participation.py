"""A column for whether a pair takes part, or why not."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Every pair takes part until the first tick has read the settings."""
    op.add_column("pair", sa.Column("participation", sa.String(), nullable=False, server_default=""))
