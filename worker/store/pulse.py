"""Reads and writes the rounds of the pulse, which asks each report one anonymous question with the answers yes and no.

The whole content of an open round is sealed in one value. So nobody can tell from a row, the order of rows or a time
who answered what (R-37). When a round closes, the counts that may not be shown are deleted.

A round is named after its month, such as `2026-09`. It is open while its column `shown` is null. A cell is a group of
reports whose answers are counted together. A token stands for a person, and is computed from the person's address.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, update

from worker.domain.pulse import PulseCell
from worker.seal import Seal
from worker.store.database import Database
from worker.store.tables import pulse_round


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """A report who is asked."""

    cell: str  #: the name of the cell in which the report's answer is counted
    manager: str  #: the token of the report's manager


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRound:
    """The content of an open round. Nothing in it links a person to an answer."""

    #: The secret with which tokens are computed. It is kept from round to round, so that a person keeps the same token.
    salt: str
    waiting: Mapping[str, Voter]  #: the reports who have not answered yet, by token
    answered: Mapping[str, Voter] = field(default_factory=dict)  #: the reports who have answered, by token
    yes: Mapping[str, int] = field(default_factory=dict)  #: the number of answers yes, by cell
    no: Mapping[str, int] = field(default_factory=dict)  #: the number of answers no, by cell


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRound:
    """A closed round."""

    round: str  #: the name of the round
    cells: tuple[PulseCell, ...]  #: the cells that are shown; there may be none
    #: the secret with which tokens were computed; empty when no cell is shown, or the sealed value was not opened
    salt: str = ""


class PulseRows:
    """Reads and writes the table `pulse_round`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def list_open_rounds(self, connection: Connection) -> list[str]:
        """Return the names of the open rounds, oldest first."""
        query = select(pulse_round.c.round).where(pulse_round.c.shown.is_(None)).order_by(pulse_round.c.round)
        return [str(row[0]) for row in connection.execute(query)]

    def add_round(self, connection: Connection, name: str, content: OpenRound) -> bool:
        """Store a new round. Return False when another process has stored a round with this name."""
        sealed = self._seal_round(content)
        self._database.insert_new(connection, pulse_round, [{"round": name, "sealed": sealed}], unique=("round",))
        query = select(pulse_round.c.sealed).where(pulse_round.c.round == name)
        # sealing the same content twice gives different bytes, so equal bytes were stored by this call
        return connection.execute(query).scalar() == sealed

    def load_open_round(self, connection: Connection, name: str, *, for_change: bool = False) -> OpenRound | None:
        """Return an open round; None when no round has this name, or the round is closed. Raises WrongKey.

        With `for_change`, lock the row until the end of the transaction.
        """
        query = select(pulse_round.c.sealed).where(pulse_round.c.round == name, pulse_round.c.shown.is_(None))
        if for_change:
            query = query.with_for_update()
        sealed = connection.execute(query).scalar()
        return _parse_round(json.loads(self._seal.unseal(sealed))) if sealed else None

    def save_open_round(self, connection: Connection, name: str, content: OpenRound) -> None:
        """Replace the content of an open round."""
        values = {"sealed": self._seal_round(content)}
        connection.execute(update(pulse_round).where(pulse_round.c.round == name).values(**values))

    def close_round(self, connection: Connection, name: str, salt: str, cells: Sequence[PulseCell]) -> None:
        """Close a round. `cells` are the cells that are shown. Only their counts and, sealed, their people are kept.

        `salt` is sealed with the people, because the next round computes its tokens with the same salt.
        """
        # for each cell, a mapping from the token of a person to the token of the person's manager
        people = {cell.name: dict(sorted(cell.people.items())) for cell in cells}
        content = json.dumps({"salt": salt, "people": people})
        sealed = self._seal.seal_padded(content) if cells else None
        shown = [{"name": cell.name, "yes": cell.yes, "no": cell.no} for cell in cells]
        closing = update(pulse_round).where(pulse_round.c.round == name)
        connection.execute(closing.values(sealed=sealed, shown=shown))

    def load_closed_rounds(self, connection: Connection) -> list[ClosedRound]:
        """Return the closed rounds with the people of their cells, oldest first. Raises WrongKey.

        The people are needed to open and to close rounds. Pages use `list_closed_rounds`.
        """
        query = select(pulse_round).where(pulse_round.c.shown.is_not(None)).order_by(pulse_round.c.round)
        closed_rounds = []
        for row in connection.execute(query).mappings():
            fields: dict[str, Any] = {"salt": "", "people": {}}
            fields |= json.loads(self._seal.unseal(row["sealed"])) if row["sealed"] else {}
            cells = tuple(PulseCell(**cell, people=fields["people"][cell["name"]]) for cell in row["shown"])
            closed_rounds.append(ClosedRound(round=row["round"], cells=cells, salt=fields["salt"]))
        return closed_rounds

    def list_closed_rounds(self) -> list[ClosedRound]:
        """Return the closed rounds without the people of their cells, newest first.

        No sealed value is opened, so pages can call this without a key.
        """
        query = select(pulse_round.c.round, pulse_round.c.shown).where(pulse_round.c.shown.is_not(None))
        with self._database.read() as connection:
            round_rows = connection.execute(query.order_by(pulse_round.c.round.desc())).all()
        return [
            ClosedRound(round=name, cells=tuple(PulseCell(**cell, people={}) for cell in cells))
            for name, cells in round_rows
        ]

    def _seal_round(self, content: OpenRound) -> bytes:
        return self._seal.seal_padded(json.dumps(_dump_round(content), sort_keys=True))


def _dump_round(content: OpenRound) -> dict[str, Any]:
    return {
        "salt": content.salt,
        "waiting": {token: [voter.cell, voter.manager] for token, voter in content.waiting.items()},
        "answered": {token: [voter.cell, voter.manager] for token, voter in content.answered.items()},
        "yes": dict(content.yes),
        "no": dict(content.no),
    }


def _parse_round(fields: Mapping[str, Any]) -> OpenRound:
    return OpenRound(
        salt=fields["salt"],
        waiting={token: Voter(cell=cell, manager=manager) for token, (cell, manager) in fields["waiting"].items()},
        answered={token: Voter(cell=cell, manager=manager) for token, (cell, manager) in fields["answered"].items()},
        yes=fields["yes"],
        no=fields["no"],
    )
