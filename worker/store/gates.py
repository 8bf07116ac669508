"""Who has a request under way where only a few may: leases that outlive a process by a little, never for long."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from worker.store.database import Database
from worker.store.tables import gate

#: Not a room, but the sign on the door.
DOOR = 0


class Gates:
    """The table `gate`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, name: str, rooms: int, holder: str, now: datetime, until: datetime) -> tuple[int, datetime | None]:
        """Take a room until then: its number from 1 on, or 0 when there is none. Besides, until when the door is
        closed."""
        mine = gate.c.name == name
        with self._database.write() as connection:
            connection.execute(delete(gate).where(mine, gate.c.held_until <= now))
            found = connection.execute(select(gate.c.room, gate.c.held_until).where(mine))
            held = {row.room: row.held_until for row in found}
            room = next((n for n in range(1, rooms + 1) if n not in held), 0)
            if room and DOOR not in held:
                row = {"name": name, "room": room, "holder": holder, "held_until": until}
                self._database.insert_new(connection, gate, [row], ["name", "room"])
                taken = select(gate.c.holder).where(mine, gate.c.room == room)
                room = room if connection.execute(taken).scalar() == holder else 0
        return (0 if DOOR in held else room), held.get(DOOR)

    def leave(self, name: str, room: int, holder: str) -> None:
        """Give the room back."""
        mine = (gate.c.name == name, gate.c.room == room, gate.c.holder == holder)
        with self._database.write() as connection:
            connection.execute(delete(gate).where(*mine))

    def close(self, name: str, until: datetime) -> None:
        """Nobody comes in until then."""
        row = {"name": name, "room": DOOR, "holder": "", "held_until": until}
        with self._database.write() as connection:
            self._database.upsert(connection, gate, [row])

    def inside(self, name: str, now: datetime) -> Sequence[int]:
        """The rooms that are taken."""
        query = select(gate.c.room).where(gate.c.name == name, gate.c.held_until > now, gate.c.room != DOOR)
        with self._database.read() as connection:
            return connection.execute(query.order_by(gate.c.room)).scalars().all()
