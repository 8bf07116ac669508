"""Tables of the notes that the two of a pair leave for both, and of mentions, which a mail says only once."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "note",
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["session.id"], name=op.f("fk_note_session")),
        sa.PrimaryKeyConstraint("session", "author", name=op.f("pk_note")),
    )
    op.create_index(op.f("ix_note_pair"), "note", ["pair"])
    op.create_table(
        "mention",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "reader", name=op.f("pk_mention")),
    )
    op.create_index(op.f("ix_mention_message"), "mention", ["message"])
