"""When mails reach people: out of office as calendars last told, and which mails count towards a reader's day."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. A mail that was decided before counts for nothing, and leaves as it would have."""
    op.add_column("person", sa.Column("away", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("message", sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("message", sa.Column("day", sa.Date()))
    op.add_column("message", sa.Column("told_in", sa.String()))
    op.create_index("ix_message_told_in", "message", ["told_in"])
    op.create_index("ix_message_to_name", "message", ["to", "name"])
    op.create_index("ix_message_to_day", "message", ["to", "day"])
