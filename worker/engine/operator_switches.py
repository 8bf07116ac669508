"""What an operator switches on a page, each with a history line that says who did it."""

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Address
from worker.domain.rollout import StandingPauses
from worker.engine.participation import ParticipationUpdate
from worker.store.operator_actions import OperatorAction, append_operator_action
from worker.store.store import Store


class OperatorSwitches:
    """Pauses, resumes and tries again, on behalf of somebody who signed in."""

    def __init__(self, store: Store, participation: ParticipationUpdate, clock: Clock) -> None:
        self._store = store
        self._participation = participation
        self._clock = clock

    def pause(self, after: StandingPauses, by: Address, group: str) -> None:
        """Put these pauses in force, by which a group is paused; everybody, when `group` is empty."""
        action = OperatorAction(self._clock(), by, "pause", group)
        self._participation.set_pauses(after, lambda connection: append_operator_action(connection, action))

    def resume(self, after: StandingPauses, by: Address, group: str) -> None:
        """Put these pauses in force, by which a group goes on; everybody, when `group` is empty."""
        action = OperatorAction(self._clock(), by, "resume", group)

        def note(connection: Connection) -> None:
            append_operator_action(connection, action)
            if not group:
                self._store.undo.end(connection)

        self._participation.set_pauses(after, note)

    def retry(self, address: Address, by: Address) -> bool:
        """Try a suspended calendar now. Returns False, and notes nothing, when it is not suspended."""
        if address not in self._store.people.load_suspensions():
            return False
        self._store.calendars.lift_suspension(address, self._clock())
        self._store.operator_actions.append(OperatorAction(self._clock(), by, "retry", address))
        return True

    def note_openings(self, by: Address) -> None:
        """Note that somebody changed the openings."""
        self._store.operator_actions.append(OperatorAction(self._clock(), by, "openings"))
