"""Carries out the actions of a signed-in operator on the pages: pausing, resuming and retrying.

Each action adds a history line that names the operator.
"""

from worker.clock import Clock
from worker.domain.model import Address
from worker.domain.rollout import OperatorPauses, PauseScope
from worker.engine.participation import ParticipationUpdate
from worker.store.operator_actions import OperatorAction, append_operator_action
from worker.store.participation import ParticipationChange
from worker.store.store import Store


class OperatorSwitches:
    """Pauses and resumes groups of pairs, and retries suspended calendars, on behalf of a signed-in operator."""

    def __init__(self, store: Store, participation: ParticipationUpdate, clock: Clock) -> None:
        self._store = store
        self._participation = participation
        self._clock = clock

    def preview(self, scope: PauseScope, *, should_pause: bool) -> ParticipationChange | None:
        """Return the pairs that pausing or resuming `scope` would affect. Writes nothing.

        Returns None when `scope` is paused or resumed already.
        """
        new_pauses = self._find_new_pauses(scope, should_pause=should_pause)
        return self._participation.preview_pauses(new_pauses) if new_pauses else None

    def switch(self, scope: PauseScope, by: Address, *, should_pause: bool) -> bool:
        """Pause or resume `scope`, a group or everybody. Returns False, and records nothing, when nothing changes."""
        new_pauses = self._find_new_pauses(scope, should_pause=should_pause)
        if new_pauses is None:
            return False
        action = OperatorAction(self._clock(), by, "pause" if should_pause else "resume", scope.group)
        self._participation.set_pauses(new_pauses, lambda connection: append_operator_action(connection, action))
        return True

    def _find_new_pauses(self, scope: PauseScope, *, should_pause: bool) -> OperatorPauses | None:
        """Return all pauses as they will be afterwards; None when nothing changes."""
        current_pauses = self._store.participation.load().pauses
        new_pauses = current_pauses.pause(scope) if should_pause else current_pauses.resume(scope)
        return new_pauses if new_pauses != current_pauses else None

    def retry(self, address: Address, by: Address) -> bool:
        """Make a suspended calendar due now. Returns False, and records nothing, when it is not suspended."""
        if address not in self._store.people.load_suspensions():
            return False
        self._store.calendars.lift_suspension(address, self._clock())
        self._store.operator_actions.append(OperatorAction(self._clock(), by, "retry", address))
        return True

    def record_openings_change(self, by: Address) -> None:
        """Record that somebody changed the company's list of job openings."""
        self._store.operator_actions.append(OperatorAction(self._clock(), by, "openings"))
