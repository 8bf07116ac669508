"""What an operator switches on a page, each with a history line that says who did it."""

from worker.clock import Clock
from worker.domain.model import Address
from worker.domain.rollout import PauseScope, StandingPauses
from worker.engine.participation import ParticipationUpdate
from worker.store.operator_actions import OperatorAction, append_operator_action
from worker.store.participation import ParticipationChange
from worker.store.store import Store


class OperatorSwitches:
    """Pauses, resumes and tries again, on behalf of somebody who signed in."""

    def __init__(self, store: Store, participation: ParticipationUpdate, clock: Clock) -> None:
        self._store = store
        self._participation = participation
        self._clock = clock

    def preview(self, scope: PauseScope, *, should_pause: bool) -> ParticipationChange | None:
        """Return which pairs that would pause or resume; None when it is done already. Writes nothing."""
        after = self._find_pauses(scope, should_pause=should_pause)
        return self._participation.preview_pauses(after) if after else None

    def switch(self, scope: PauseScope, by: Address, *, should_pause: bool) -> bool:
        """Pause or resume these. Returns False, and notes nothing, when it is done already."""
        after = self._find_pauses(scope, should_pause=should_pause)
        if after is None:
            return False
        action = OperatorAction(self._clock(), by, "pause" if should_pause else "resume", scope.group)
        self._participation.set_pauses(after, lambda connection: append_operator_action(connection, action))
        return True

    def _find_pauses(self, scope: PauseScope, *, should_pause: bool) -> StandingPauses | None:
        """Return the pauses afterwards; None when they are in force."""
        before = self._store.participation.load().pauses
        after = before.pause(scope) if should_pause else before.resume(scope)
        return after if after != before else None

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
