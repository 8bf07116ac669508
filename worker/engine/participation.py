"""Keeps up to date who takes part: by the rollout in the settings, the operator's pauses, the people, and the day.

A process brings the rollout of its settings once, when it starts; from then on the stored one is in force. So while
processes are restarted one after the other with new settings, those with the old ones don't take it back.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Address, Pair, Participation, Person
from worker.domain.rollout import Rollout, StandingPauses, decide_participation
from worker.logs import Action
from worker.settings.load import Settings
from worker.store.participation import ParticipationChange, StoredParticipation
from worker.store.store import Store

log = logging.getLogger(__name__)


class ParticipationUpdate:
    """Decides anew who takes part when something changed that it depends on."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        #: the rollout of the settings; None once it is in force
        self._new_rollout: Rollout | None = settings.rollout.build_rollout()
        self._replaced_rollout: Rollout | None = None  #: the one that was in force when that was refused
        #: the people at the time of a refusal, by what was refused: the settings, or the rollout in force
        self._refused_versions: dict[str, str] = {}

    def run(self, *, force: bool = False) -> bool:
        """Decide anew who takes part, if the settings, the people or the day changed. True when that changed a pair.

        A change that takes many pairs out of the rollout is refused, and the operator told, unless `force` (T-17).
        While the rollout of the settings is refused, the one in force goes on.
        """
        now, stored = self._clock(), self._store.participation.load()
        in_force = stored.rollout or Rollout()
        is_outdated = self._replaced_rollout not in (None, in_force)  # another process brought a newer one
        if self._new_rollout == stored.rollout or is_outdated:
            self._new_rollout = None
        if self._new_rollout and (force or self._is_undecided("settings", stored)):
            has_changed = self._decide("settings", self._new_rollout, stored, now, force=force)
            if has_changed is not None:
                self._new_rollout = None
                return has_changed
            self._replaced_rollout = in_force
        has_begun_since = stored.next_change_at is not None and stored.next_change_at <= now
        has_new_people = stored.has_new_people and self._is_undecided("people", stored)
        if not (force or has_new_people or has_begun_since):
            return False
        return bool(self._decide("people", None, stored, now, force=force))

    def _is_undecided(self, what: str, stored: StoredParticipation) -> bool:
        """Return whether this was not refused yet for these people."""
        return self._refused_versions.get(what) != stored.people_version

    def _decide(
        self, what: str, rollout: Rollout | None, stored: StoredParticipation, now: datetime, *, force: bool
    ) -> bool | None:
        """Decide who takes part by this rollout; None stands for the one in force. Returns whether that changed a pair,
        and None when it was refused."""
        change, objection = self._store.participation.update(
            rollout, None, now, lambda found: "" if force else self.find_objection(found)
        )
        if objection:
            self._refused_versions[what] = stored.people_version
            self._report_refusal(str(rollout or change.leaving), objection, now)
            return None
        self._refused_versions.pop(what, None)
        _log_change(change)
        return bool(change.changed)

    def preview(self) -> ParticipationChange:
        """Return what the rollout of the settings would change now. Writes nothing."""
        pauses = self._store.participation.load().pauses
        return self._store.participation.preview(self._settings.rollout.build_rollout(), pauses, self._clock())

    def find_objection(self, change: ParticipationChange) -> str:
        """Return why the operator has to confirm this change; empty when it needs no confirmation (T-17)."""
        limit = self._settings.policy.max_cancels
        if change.leaves_many and change.cancel_count:  # of pairs with nothing on a calendar nobody notices
            return f"{len(change.leaving):,} of {change.current_count:,} pairs would leave the rollout."
        if change.cancel_count > limit:
            return (
                f"{len(change.leaving):,} pairs would leave the rollout, and {change.cancel_count:,} of their events "
                f"would be cancelled, more than the {limit:,} allowed at once."
            )
        return ""

    def make_rule(self, people: Mapping[Address, Person]) -> Callable[[Pair], Participation]:
        """Return the function that says of a new pair of these people whether it takes part."""
        now, stored = self._clock(), self._store.participation.load()
        rollout = self._find_waiting_rollout(stored) or stored.rollout or Rollout()
        return lambda pair: decide_participation(
            pair, people[pair.manager], people[pair.report], rollout, stored.pauses, now
        )

    def is_rollout_waiting(self) -> bool:
        """Return whether a rollout of the settings is to come in force with the next `run`, and was not refused."""
        stored = self._store.participation.load()
        return self._find_waiting_rollout(stored) not in (None, stored.rollout)

    def _find_waiting_rollout(self, stored: StoredParticipation) -> Rollout | None:
        return self._new_rollout if self._is_undecided("settings", stored) else None

    # --- pauses ---

    def preview_pauses(self, pauses: StandingPauses) -> ParticipationChange:
        """Return which pairs these pauses would pause or resume. Writes nothing."""
        rollout = self._store.participation.load().rollout or Rollout()
        return self._store.participation.preview(rollout, pauses, self._clock())

    def set_pauses(
        self, pauses: StandingPauses, also: Callable[[Connection], None] = lambda _: None
    ) -> ParticipationChange:
        """Put these pauses in force, in place of those before. They were asked for, so T-17 does not object.

        An undo is over unless everybody stays paused. `also` writes in the same transaction.
        """

        def write(connection: Connection) -> None:
            if pauses.is_undo_over:
                self._store.undo.end(connection)
            also(connection)

        change, _ = self._store.participation.update(None, pauses, self._clock(), lambda _: "", write)
        _log_change(change)
        return change

    def _report_refusal(self, cause: str, objection: str, now: datetime) -> None:
        """Alert the operator, once for each cause: the rollout of the settings, or the pairs that would leave."""
        remedy = "Nothing was changed. If that is right, run `longarc rollout --accept`; if not, fix the settings."
        key = f"rollout:{sha256(cause.encode()).hexdigest()[:16]}"
        self._store.outbox.alert(key, f"{objection} {remedy}", now, self._settings.operator)


def _log_change(change: ParticipationChange) -> None:
    if change.changed:
        count = change.counts.get(Participation.YES, 0)
        log.info("%s pairs take part", count, extra={"action": Action.PARTICIPATION_CHANGED})
