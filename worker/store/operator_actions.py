"""Reads and writes the history lines about what operators did on their page. A line never contains content."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, String, select, type_coerce

from worker.domain.model import Address
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.tables import history

#: The value of `history.what` for these lines.
OPERATOR_ACTION = "operator_action"


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One action on the page of operators."""

    at: datetime
    by: Address  #: the operator
    name: str  #: `pause`, `resume`, `retry` or `openings` (a change of the openings file)
    whom: str = ""  #: the group or the address that the action concerns; empty for everybody


def append_operator_action(connection: Connection, action: OperatorAction) -> None:
    """Append the history line of an action within a transaction."""
    fields = {"by": action.by, "name": action.name, "whom": action.whom}
    append_history(connection, [HistoryLine(at=action.at, what=OPERATOR_ACTION, pair=None, fields=fields)])


class OperatorActionRows:
    """Reads and writes the history lines of operators' actions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, action: OperatorAction) -> None:
        """Append the history line of an action."""
        with self._database.write() as connection:
            append_operator_action(connection, action)

    def list_latest(self, limit: int) -> list[OperatorAction]:
        """Return up to `limit` actions, the newest first."""
        # this condition makes the database use the index on `pair`, because few lines concern no pair
        has_no_pair = type_coerce(history.c.pair, String) == ""
        query = select(history.c.at, history.c.fields).where(has_no_pair, history.c.what == OPERATOR_ACTION)
        with self._database.read() as connection:
            lines = connection.execute(query.order_by(history.c.id.desc()).limit(limit)).all()
        return [OperatorAction(at, fields["by"], fields["name"], fields["whom"]) for at, fields in lines]
