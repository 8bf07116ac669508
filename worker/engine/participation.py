"""Decides which pairs take part, and stores it: by the rollout, the operator's pauses, the people, and the day.

The rollout says which pairs take part, and from which day. Each process puts the rollout of its settings into force
once, after its start; from then on, the stored rollout is in force. So when processes are restarted one after the other
with new settings, those that still have the old settings don't restore the old rollout.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.counts import format_count
from worker.domain.model import Address, Pair, Participation, Person
from worker.domain.rollout import OperatorPauses, Rollout, decide_participation
from worker.logs import Action
from worker.settings.load import Settings
from worker.store.participation import ParticipationChange, StoredParticipation
from worker.store.store import Store

log = logging.getLogger(__name__)


class ParticipationUpdate:
    """Decides again which pairs take part when the rollout, the people or the day have changed."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        #: the rollout of the settings until it is in force; then None
        self._new_rollout: Rollout | None = settings.rollout.build_rollout()
        #: the rollout that was in force when the rollout of the settings was refused
        self._rollout_at_refusal: Rollout | None = None
        #: the version of the people for which a change was last refused, by the cause of the change: `settings` for the
        #: rollout of the settings, `people` for new people in the rollout in force
        self._refused_versions: dict[str, str] = {}

    def update(self, *, force: bool = False) -> bool:
        """Decide which pairs take part if the settings, the people or the day have changed.

        Returns whether that changed a pair. A change that takes many pairs out of the rollout is refused with an alert
        to the operator, unless `force` (T-17). As long as the rollout of the settings is refused, the stored one stays
        in force.
        """
        now, stored = self._clock(), self._store.participation.load()
        rollout_in_force = stored.rollout or Rollout()
        # since the refusal, another process may have put a newer rollout into force; then this one is given up
        is_outdated = self._rollout_at_refusal not in (None, rollout_in_force)
        if self._new_rollout == stored.rollout or is_outdated:
            self._new_rollout = None
        if self._new_rollout and (force or not self._was_refused("settings", stored)):
            has_changed = self._decide("settings", self._new_rollout, stored, now, force=force)
            if has_changed is not None:
                self._new_rollout = None
                return has_changed
            self._rollout_at_refusal = rollout_in_force
        is_change_due = stored.next_change_at is not None and stored.next_change_at <= now
        has_changed_people = stored.has_changed_people and not self._was_refused("people", stored)
        if not (force or has_changed_people or is_change_due):
            return False
        return bool(self._decide("people", None, stored, now, force=force))

    def _was_refused(self, cause: str, stored: StoredParticipation) -> bool:
        """Return whether a change with this cause, `settings` or `people`, was refused for the people as stored now."""
        return self._refused_versions.get(cause) == stored.people_version

    def _decide(
        self, cause: str, rollout: Rollout | None, stored: StoredParticipation, now: datetime, *, force: bool
    ) -> bool | None:
        """Decide and store which pairs take part by a rollout; None stands for the rollout in force.

        Returns whether that changed a pair, and None when the change was refused.
        """
        change, objection = self._store.participation.update(
            rollout,
            pauses=None,  # the stored pauses stay in force
            now=now,
            find_objection=lambda proposed_change: "" if force else self.find_objection(proposed_change),
        )
        if objection:
            self._refused_versions[cause] = stored.people_version
            self._report_refusal(str(rollout or change.leaving), objection, now)
            return None
        self._refused_versions.pop(cause, None)
        _log_change(change)
        return bool(change.new_participations)

    def preview(self) -> ParticipationChange:
        """Return what the rollout of the settings would change if it were put into force now. Writes nothing."""
        pauses = self._store.participation.load().pauses
        return self._store.participation.preview(self._settings.rollout.build_rollout(), pauses, self._clock())

    def find_objection(self, change: ParticipationChange) -> str:
        """Return why the operator has to confirm this change; empty when it needs no confirmation (T-17)."""
        limit = self._settings.policy.max_cancels
        # pairs without an event on a calendar leave without anybody noticing
        if change.has_many_leaving and change.cancel_count:
            return f"{len(change.leaving):,} of {change.current_count:,} pairs would leave the rollout."
        if change.cancel_count > limit:
            pairs = format_count(len(change.leaving), "pair")
            return (
                f"{pairs} would leave the rollout, and {change.cancel_count:,} of their events "
                f"would be cancelled, more than the {limit:,} allowed at once."
            )
        return ""

    def make_rule(self, people: Mapping[Address, Person]) -> Callable[[Pair], Participation]:
        """Return a function that decides whether a pair of these people takes part, for pairs not in the database."""
        now, stored = self._clock(), self._store.participation.load()
        rollout = self._find_waiting_rollout(stored) or stored.rollout or Rollout()
        return lambda pair: decide_participation(
            pair, people[pair.manager], people[pair.report], rollout, stored.pauses, now
        )

    def is_rollout_waiting(self) -> bool:
        """Return whether the next `update` will put the rollout of the settings into force, as it was not refused."""
        stored = self._store.participation.load()
        return self._find_waiting_rollout(stored) not in (None, stored.rollout)

    def _find_waiting_rollout(self, stored: StoredParticipation) -> Rollout | None:
        return None if self._was_refused("settings", stored) else self._new_rollout

    # --- pauses ---

    def preview_pauses(self, pauses: OperatorPauses) -> ParticipationChange:
        """Return the change if these pauses were put into force. Writes nothing."""
        rollout = self._store.participation.load().rollout or Rollout()
        return self._store.participation.preview(rollout, pauses, self._clock())

    def set_pauses(
        self, pauses: OperatorPauses, also_write: Callable[[Connection], None] = lambda _: None
    ) -> ParticipationChange:
        """Put these pauses into force, in place of the current ones, and return the change.

        The change is never refused, since the operator asked for it. Unless everybody stays paused, an undo in progress
        ends. `also_write` writes more rows in the same transaction.
        """

        def write(connection: Connection) -> None:
            if pauses.is_undo_over:
                self._store.undo.delete_state(connection)
            also_write(connection)

        change, _ = self._store.participation.update(
            rollout=None,  # the stored rollout stays in force
            pauses=pauses,
            now=self._clock(),
            find_objection=lambda _: "",
            also_write=write,
        )
        _log_change(change)
        return change

    def _report_refusal(self, cause: str, objection: str, now: datetime) -> None:
        """Alert the operator that a change was refused, once for each `cause`.

        The cause is the text of the refused rollout, or of the pairs that would leave the rollout in force.
        """
        remedy = "Nothing was changed. If that is right, run `longarc rollout --accept`; if not, correct the settings."
        key = f"rollout:{sha256(cause.encode()).hexdigest()[:16]}"
        self._store.outbox.alert(key, f"{objection} {remedy}", now, self._settings.operator)


def _log_change(change: ParticipationChange) -> None:
    if change.new_participations:
        count = change.counts.get(Participation.YES, 0)
        log.info("taking part: %s", format_count(count, "pair"), extra={"action": Action.PARTICIPATION_CHANGED})
