"""A table of accesses to content by commands, and a column that seals the urgency of ad hoc sessions.

Rows of older versions are sealed as well.
"""

import json

import sqlalchemy as sa
from alembic import context, op

from worker.errors import WrongKey
from worker.seal import NoSeal, Seal

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: The tables as they are at this version of the schema.
SESSION = sa.table(
    "session",
    sa.column("id", sa.String),
    sa.column("adhoc", sa.Boolean),
    sa.column("closed", sa.Boolean),
    sa.column("urgent", sa.Boolean),
    sa.column("earliest", sa.BigInteger),
    sa.column("latest", sa.BigInteger),
    sa.column("unplaceable", sa.String),
    sa.column("sealed", sa.LargeBinary),
    sa.column("sealed_plan", sa.LargeBinary),  # how soon an ad hoc session has to be, and why no time for it exists
)
HISTORY = sa.table(
    "history",
    sa.column("session", sa.String),
    sa.column("what", sa.String),  # the kind of line
    sa.column("reason", sa.String),
)
#: The tables that have a column `sealed` at this version, each with its primary key.
SEALED = {
    "contract": ("session", "revision"),
    "commitment": ("id",),
    "session": ("id",),
    "sketch": ("session",),  # drafts of contracts
}
#: The placeholder in the column `latest` of an ad hoc session is `earliest` plus this number of seconds.
WINDOW = 7 * 24 * 3600
#: The placeholder in the column `unplaceable` of an ad hoc session for which no time exists.
NO_TIME = json.dumps([["verbatim", {"words": "No time for it exists just now."}]])
#: Reasons in the history that are the same for every session, and so tell nothing about an ad hoc one. They are kept.
ALIKE = (
    "A person asked to talk soon.", "A person chose this time.", "Somebody said that it took place.",
    "The contract was recorded, within its 48 hours.", "The contract was recorded, after its 48 hours.",
)  # fmt: skip
#: Replaces the other reasons in the history of ad hoc sessions.
NOT_KEPT = "The reason is not kept."


def upgrade() -> None:
    """Add the column, create the table, and seal what is stored unsealed. Raises WrongKey when no key is set."""
    op.add_column("session", sa.Column("sealed_plan", sa.LargeBinary(), nullable=True))
    op.create_table(
        "access",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),  # the operator's reason
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access")),
    )
    op.create_index("ix_access_pair_at", "access", ["pair", "at"])
    connection = op.get_bind()
    attributes = context.config.attributes
    if _seal_all(connection, attributes.get("seal")):
        attributes["vacuum"] = True  # `Database.migrate` then rewrites the file, so that no free page has old values


def _seal_all(connection: sa.Connection, seal: Seal | None) -> bool:
    """Seal the rows of older versions, and pad sealed values. Return whether there were any such rows or values."""
    ad_hoc = connection.execute(sa.select(SESSION).where(SESSION.c.adhoc.is_(True))).mappings().all()
    sealed_rows = {name: _list_sealed_rows(connection, name, keys) for name, keys in SEALED.items()}
    if not ad_hoc and not any(sealed_rows.values()):
        return False
    if seal is None or isinstance(seal, NoSeal):
        raise WrongKey("This upgrade seals what older versions left readable. Set LONGARC_KEY for it, then try again.")
    for row in ad_hoc:
        connection.execute(
            sa.update(SESSION).where(SESSION.c.id == row["id"]).values(**_build_neutral_columns(row, seal))
        )
    is_of_ad_hoc = HISTORY.c.session.in_([row["id"] for row in ad_hoc])
    has_reason = HISTORY.c.what.in_(["session", "unplaceable"])  # the kinds of lines that tell why a session changed
    is_telling = sa.and_(is_of_ad_hoc, has_reason, HISTORY.c.reason.not_in(ALIKE))
    connection.execute(sa.update(HISTORY).where(is_telling).values(reason=NOT_KEPT))
    for name, rows in sealed_rows.items():
        for row in rows:
            _pad(connection, name, SEALED[name], row, seal)
    return True


def _build_neutral_columns(row: sa.RowMapping, seal: Seal) -> dict[str, object]:
    """Return the changed columns of an ad hoc session: placeholders, and the replaced values in `sealed_plan`.

    The values of a closed session are not kept.
    """
    plan = {"urgent": bool(row["urgent"]), "latest": row["latest"], "unplaceable": row["unplaceable"]}
    return {
        "urgent": False,
        "latest": row["earliest"] + WINDOW,
        "unplaceable": NO_TIME if row["unplaceable"] else None,
        "sealed_plan": None if row["closed"] else seal.seal_padded(json.dumps(plan)),
    }


def _make_table(name: str, keys: tuple[str, ...]) -> sa.TableClause:
    return sa.table(name, *(sa.column(key) for key in keys), sa.column("sealed", sa.LargeBinary))


def _list_sealed_rows(connection: sa.Connection, name: str, keys: tuple[str, ...]) -> list[sa.RowMapping]:
    table = _make_table(name, keys)
    return list(connection.execute(sa.select(table).where(table.c.sealed.is_not(None))).mappings())


def _pad(connection: sa.Connection, name: str, keys: tuple[str, ...], row: sa.RowMapping, seal: Seal) -> None:
    """Seal the value of a row again, padded, so that its length does not show the length of the text.

    A value that no key opens stays unchanged. `longarc check` reports such values.
    """
    table = _make_table(name, keys)
    try:
        padded = seal.seal_padded(seal.unseal(row["sealed"]))
    except WrongKey:
        return
    has_key = [table.c[key] == row[key] for key in keys]
    connection.execute(sa.update(table).where(*has_key).values(sealed=padded))
