"""Why and how soon an ad hoc conversation was asked for is sealed, old ones included; commands that open content."""

import json

import sqlalchemy as sa
from alembic import context, op

from worker.errors import WrongKey
from worker.seal import NoSeal, Seal

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: As the tables are at this version.
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
    sa.column("sealed_plan", sa.LargeBinary),
)
HISTORY = sa.table(
    "history",
    sa.column("session", sa.String),
    sa.column("what", sa.String),
    sa.column("reason", sa.String),
)
SEALED = {
    "contract": ("session", "revision"),
    "commitment": ("id",),
    "session": ("id",),
    "sketch": ("session",),
}
WINDOW = 7 * 24 * 3600
NO_TIME = json.dumps([["verbatim", {"words": "No time for it exists just now."}]])
#: What was said of every conversation alike.
ALIKE = (
    "A person asked to talk soon.", "A person chose this time.", "Somebody said that it took place.",
    "The contract was recorded, within its 48 hours.", "The contract was recorded, after its 48 hours.",
)  # fmt: skip
NOT_KEPT = "The reason is not kept."


def upgrade() -> None:
    """Make the column and the table, and seal what stands in the clear. Raises WrongKey without the key."""
    op.add_column("session", sa.Column("sealed_plan", sa.LargeBinary(), nullable=True))
    op.create_table(
        "access",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access")),
    )
    op.create_index("ix_access_pair_at", "access", ["pair", "at"])
    connection = op.get_bind()
    attributes = context.config.attributes
    if _seal_all(connection, attributes.get("seal")):
        attributes["vacuum"] = True


def _seal_all(connection: sa.Connection, given: Seal | None) -> bool:
    """Whether there was anything to seal."""
    ad_hoc = connection.execute(sa.select(SESSION).where(SESSION.c.adhoc.is_(True))).mappings().all()
    sealed = {name: _sealed_rows(connection, name, keys) for name, keys in SEALED.items()}
    if not ad_hoc and not any(sealed.values()):
        return False
    if given is None or isinstance(given, NoSeal):
        raise WrongKey("This upgrade seals what older versions left readable. Set LONGARC_KEY for it, then try again.")
    for row in ad_hoc:
        connection.execute(sa.update(SESSION).where(SESSION.c.id == row["id"]).values(**_neutral(row, given)))
    reasons = HISTORY.c.session.in_([row["id"] for row in ad_hoc])
    telling = sa.and_(reasons, HISTORY.c.what.in_(["session", "unplaceable"]), HISTORY.c.reason.not_in(ALIKE))
    connection.execute(sa.update(HISTORY).where(telling).values(reason=NOT_KEPT))
    for name, found in sealed.items():
        for one in found:
            _pad(connection, name, SEALED[name], one, given)
    return True


def _neutral(row: sa.RowMapping, seal: Seal) -> dict[str, object]:
    plan = {"urgent": bool(row["urgent"]), "latest": row["latest"], "unplaceable": row["unplaceable"]}
    return {
        "urgent": False,
        "latest": row["earliest"] + WINDOW,
        "unplaceable": NO_TIME if row["unplaceable"] else None,
        "sealed_plan": None if row["closed"] else seal.close_padded(json.dumps(plan)),
    }


def _table(name: str, keys: tuple[str, ...]) -> sa.TableClause:
    return sa.table(name, *(sa.column(key) for key in keys), sa.column("sealed", sa.LargeBinary))


def _sealed_rows(connection: sa.Connection, name: str, keys: tuple[str, ...]) -> list[sa.RowMapping]:
    table = _table(name, keys)
    return list(connection.execute(sa.select(table).where(table.c.sealed.is_not(None))).mappings())


def _pad(connection: sa.Connection, name: str, keys: tuple[str, ...], row: sa.RowMapping, seal: Seal) -> None:
    """Seal it anew, so that its length tells little. What the keys don't open stays as it is: `check` tells of it."""
    table = _table(name, keys)
    try:
        again = seal.close_padded(seal.open(row["sealed"]))
    except WrongKey:
        return
    same = [table.c[key] == row[key] for key in keys]
    connection.execute(sa.update(table).where(*same).values(sealed=again))
