"""A column for the department or team of a person, as the people file names it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Nobody has a group until the people file names one."""
    op.add_column("person", sa.Column("group", sa.String(), nullable=False, server_default=""))
