"""Defines `Store`, through which the rest of the program reads and writes the database."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select

from worker.seal import Seal
from worker.store import tables
from worker.store.database import Database
from worker.store.statements import PreparedStatement


class NextDue(NamedTuple):
    """The earliest time at which a calendar, a pair, an effect and a channel are due.

    A time may be past. It is None when no row of that kind has such a time.
    """

    calendar: datetime | None
    pair: datetime | None
    effect: datetime | None
    channel: datetime | None = None

    def select_due(self, now: datetime) -> "NextDue":
        """Return a copy in which every time after `now` is replaced by None."""
        return NextDue(*(due_at if due_at is not None and due_at <= now else None for due_at in self))


def _select_earliest(column: Any) -> Any:
    return select(func.min(column)).scalar_subquery()


_NEXT_DUE = PreparedStatement(
    select(
        _select_earliest(tables.calendar.c.due_at),
        _select_earliest(tables.pair.c.due_at),
        _select_earliest(tables.outbox.c.due_at),
        _select_earliest(tables.channel.c.due_at),
        _select_earliest(tables.retired_channel.c.due_at),
    )
)


class Store:
    """The database, with one attribute for each group of tables or queries."""

    def __init__(self, url: str, seal: Seal) -> None:
        # imported only now: these modules take a while to load, and some commands never open the database
        from worker.store.aliases import AliasRows
        from worker.store.attendee_copies import AttendeeCopyRows
        from worker.store.calendars import CalendarRows
        from worker.store.channels import ChannelRows
        from worker.store.content import Content
        from worker.store.erasure import ErasureRows
        from worker.store.handovers import HandoverRows
        from worker.store.heartbeats import Heartbeats
        from worker.store.learnings import Learnings
        from worker.store.mentions import MentionRows
        from worker.store.notes import NoteRows
        from worker.store.operator_actions import OperatorActionRows
        from worker.store.outbox import OutboxRows
        from worker.store.participation import ParticipationRows
        from worker.store.people import PeopleRows
        from worker.store.plans import Plans
        from worker.store.pulse import PulseRows
        from worker.store.pushed_people import PushedPeople
        from worker.store.queries import Queries
        from worker.store.restorations import Restorations
        from worker.store.third_voices import ThirdVoiceRows
        from worker.store.undo import UndoRows

        self._seal = seal
        self.database = Database(url)
        self.people = PeopleRows(self.database)
        self.aliases = AliasRows(self.database)
        self.pushed_people = PushedPeople(self.database)
        self.participation = ParticipationRows(self.database)
        self.outbox = OutboxRows(self.database, seal)
        self.undo = UndoRows(self.database)
        self.operator_actions = OperatorActionRows(self.database)
        self.erasure = ErasureRows(self.database)
        self.calendars = CalendarRows(self.database)
        self.channels = ChannelRows(self.database)
        self.content = Content(self.database, seal)
        self.learnings = Learnings(self.database, seal)
        self.notes = NoteRows(self.database, seal)
        self.mentions = MentionRows(self.database)
        self.handovers = HandoverRows(self.database, seal)
        self.third_voices = ThirdVoiceRows(self.database, seal)
        self.pulse = PulseRows(self.database, seal)
        self.plans = Plans(self.database, self.content)
        self.attendee_copies = AttendeeCopyRows(self.database)
        self.heartbeats = Heartbeats(self.database)
        self.restorations = Restorations(self.database)
        self.queries = Queries(self.database, self.content)

    def load_next_due(self) -> NextDue:
        """Return when the next calendar, pair, effect and channel are due. This takes one statement on indexes."""
        with self.database.read_once() as connection:
            calendar, pair, effect, *channel_times = _NEXT_DUE.fetch_tuples(connection)[0]
        channel = min((due_at for due_at in channel_times if due_at is not None), default=None)
        return NextDue(calendar, pair, effect, channel)

    def migrate(self) -> None:
        """Bring the schema up to date, and seal content that an older version stored unsealed.

        Raises WrongKey when content has to be sealed and no key is set.
        """
        self.database.migrate(self._seal)

    def create_tables(self) -> None:
        """Create the tables without migrations, for simulations and tests."""
        tables.metadata.create_all(self.database.engine)

    def close(self) -> None:
        """Close every connection to the database."""
        self.database.close()
