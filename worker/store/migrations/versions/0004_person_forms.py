"""A table of people's aliases: other addresses, ids in a directory, and names that calendar services use."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "person_form",
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.email"], name=op.f("fk_person_form_person")),
        sa.PrimaryKeyConstraint("form", name=op.f("pk_person_form")),
    )
    op.create_index(op.f("ix_person_form_person"), "person_form", ["person"])
