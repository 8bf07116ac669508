"""Erases what people wrote: of a person who asks for it, and of pairs that ended long ago.

What two people wrote belongs to both, so it is erased for both. A person who has left is taken out of the database as
well: a pseudonym stands in their place.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from worker.clock import Clock
from worker.domain.model import Address, CommitmentStanding, Pair, PairId
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.retention import find_erasure_limit
from worker.engine.actions import Actions, Write
from worker.errors import LongarcError, Refused
from worker.logs import Action
from worker.providers.base import CalendarProvider
from worker.settings.load import Settings
from worker.store.anonymization import Pseudonym, anonymize_person, make_pseudonym
from worker.store.erasure import erase_contents
from worker.store.store import Store
from worker.store.undo import StandingEvent

log = logging.getLogger(__name__)

#: Name of the stored value with the day on which ended pairs were last looked at.
_DAY_NAME = "retention"


@dataclass(frozen=True, slots=True)
class ErasurePreview:
    """What erasing a person's contents would erase."""

    pairs: tuple[Pair, ...]
    counts: dict[str, int]  #: sealed values, by table
    others: tuple[Address, ...]  #: the other people of these pairs, who lose the contents as well
    is_listed: bool  #: whether the roster names the person now
    standing: tuple[StandingEvent, ...]  #: events of these pairs that are still to come off calendars


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased."""

    pieces: int  #: sealed values of pairs
    questions: int  #: to third persons, by the person or to the person
    blocks: int  #: private events with the words of a commitment that were taken off
    unreached: dict[Address, str] = field(default_factory=dict)  #: calendars on which such events still stand
    pseudonym: Pseudonym | None = None
    is_compacted: bool = False


class Erasure:
    """Erases contents, and forgets people."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pair_actions: Actions,
        find_calendar: Callable[[Address], CalendarProvider | None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._actions = pair_actions
        self._find_calendar = find_calendar
        self._clock = clock

    def preview(self, person: Address) -> ErasurePreview:
        """Return what erasing this person's contents would erase. Opens nothing."""
        pairs = self._list_pairs(person)
        ids = [pair.id for pair in pairs]
        events = self._store.erasure.list_standing_events(ids, self._clock())
        return ErasurePreview(
            pairs=tuple(pairs),
            counts=self._store.erasure.count_contents(ids),
            others=tuple(sorted({who for one in ids for who in one.people} - {person})),
            is_listed=self._store.people.get_person(person) is not None,
            standing=tuple(events),
        )

    def erase_contents(self, person: Address) -> ErasureResult:
        """Erase what was written in all pairs of this person, and the questions to and by third persons.

        Open commitments are let go: a promise without words is none. Private events with the words of commitments come
        off at once; those that can't be reached are named in the result. Stopped in the middle, it is run again. Raises
        WrongKey, LeaseLost.
        """
        ids = [pair.id for pair in self._list_pairs(person)]
        counts = self._store.erasure.count_contents(ids)
        blocks, unreached = self._remove_blocks(ids)
        for pair_id in ids:
            self._actions.apply_to_pair(pair_id, self._let_go)
        names = self._store.aliases.list_names(person)
        with self._store.database.write() as connection:
            questions = self._store.third_voices.delete_questions(connection, askers=names, recipients=names)
        log.info("contents were erased for a person", extra={"action": Action.CONTENTS_ERASED})
        return ErasureResult(
            sum(counts.values()), questions, blocks, unreached, is_compacted=self._store.database.compact()
        )

    def forget(self, person: Address, *, leaves_events: bool = False) -> ErasureResult:
        """Erase a person's contents, and put a pseudonym in the person's place in every row.

        Raises Refused when the roster names the person, and when events of theirs still stand, unless `leaves_events`:
        afterwards nothing can take them off. Raises WrongKey, LeaseLost.
        """
        preview = self.preview(person)
        if preview.is_listed:
            raise Refused(f"{person} is still in the roster, and would come back with its next reading.")
        if preview.standing and not leaves_events:
            calendars = ", ".join(sorted({event.calendar for event in preview.standing})[:3])
            count = len(preview.standing)
            what = "1 event still stands" if count == 1 else f"{count:,} events still stand"
            raise Refused(f"{what} on {calendars}. A running worker takes them off; wait for it.")
        erased = self.erase_contents(person)
        if erased.unreached and not leaves_events:
            who, why = next(iter(erased.unreached.items()))
            what = "What was written is erased, but private events with words of it still stand on"
            raise Refused(f"{what} {who}: {why}")
        pseudonym, names = make_pseudonym(), self._store.aliases.list_names(person)
        with self._store.database.write() as connection:
            anonymize_person(self._store.database, connection, person, names, pseudonym)
        is_compacted = self._store.database.compact()
        return replace(erased, pseudonym=pseudonym, is_compacted=is_compacted)

    def run(self) -> None:
        """Erase the contents of pairs that ended as long ago as the settings say. Looks once a day (UTC)."""
        now, months = self._clock(), self._settings.retention.contents_after
        day = f"{now:%Y-%m-%d}"
        if self._store.people.get_stored_value(_DAY_NAME) == day:
            return
        self._store.erasure.set_missing_end_times(now)
        if months is not None:
            self._erase_ended_pairs(self._store.erasure.list_ended_pairs(find_erasure_limit(months, now.date())))
        self._store.people.set_stored_value(_DAY_NAME, day)

    def _erase_ended_pairs(self, pairs: Sequence[PairId]) -> None:
        """Erase what these pairs wrote, and the questions of those who have left. What fails is left for tomorrow."""
        count = 0
        for pair_id in pairs:
            try:
                self._actions.apply_to_pair(pair_id, self._let_go)
            except LongarcError as error:
                log.warning("%s: %s", pair_id, error, extra={"action": Action.ERASURE_FAILED})
            else:
                count += 1
        people = self._store.people.load_current_people()
        leavers = {pair_id.report for pair_id in pairs} - people.keys()
        if leavers:
            names = {name for who in leavers for name in self._store.aliases.list_names(who)}
            with self._store.database.write() as connection:
                self._store.third_voices.delete_questions(connection, askers=names)
        if count:
            log.info("contents of %s ended pairs were erased", count, extra={"action": Action.CONTENTS_ERASED})

    def _list_pairs(self, person: Address) -> list[Pair]:
        pairs = self._store.people.load_all_pairs().values()
        return sorted((pair for pair in pairs if person in pair.id.people), key=lambda pair: pair.id)

    def _let_go(self, builder: PlanBuilder) -> Write:
        """Let the open commitments of a pair go, and erase what the two wrote in the same transaction."""
        for commitment in [one for one in builder.commitments.values() if one.is_open]:
            actions.close_commitment(builder, commitment, CommitmentStanding.LET_GO)
        pair_id, now = builder.pair.id, builder.now
        return lambda connection: erase_contents(connection, [pair_id], now)

    def _remove_blocks(self, pairs: Collection[PairId]) -> tuple[int, dict[Address, str]]:
        """Take the private events that hold the words of commitments off calendars, those of the past included.

        Returns how many, and the reason by calendar for those that still stand.
        """
        count, unreached = 0, dict[Address, str]()
        for placed in self._store.erasure.list_blocks(pairs):
            who = placed.ref.calendar
            try:
                provider = self._find_calendar(who)
                if provider is None:
                    raise LongarcError(f"There is no calendar of {who} to write to.")
                provider.cancel(replace(placed.ref, etag=""), quiet=True)
            except LongarcError as error:
                unreached[who] = str(error)
            else:
                self._store.erasure.mark_gone(placed.key)
                count += 1
        return count, unreached
