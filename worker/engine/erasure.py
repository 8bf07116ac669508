"""Erases content, which is what people wrote: for a person who asks for erasure, and for pairs that ended long ago.

The content of a pair belongs to both people, so it is erased for both. A person who has left can also be forgotten: a
pseudonym replaces that person everywhere in the database.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from worker.clock import Clock
from worker.domain.counts import format_count
from worker.domain.model import Address, CommitmentStanding, Pair, PairId
from worker.domain.planning.actions import close_commitment
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.retention import find_erasure_limit
from worker.engine.actions import Actions, Writer
from worker.errors import LongarcError, Refused
from worker.logs import Action
from worker.providers.base import CalendarProvider
from worker.settings.load import Settings
from worker.store.anonymization import Pseudonym, anonymize_person, make_pseudonym
from worker.store.erasure import erase_contents
from worker.store.store import Store
from worker.store.undo import RemainingEvent

log = logging.getLogger(__name__)

#: Name of the stored value that holds the day on which the content of ended pairs was last erased.
_DAY_VALUE_NAME = "retention"


@dataclass(frozen=True, slots=True)
class ErasurePreview:
    """What erasing the content of a person would affect."""

    pairs: tuple[Pair, ...]
    value_counts: dict[str, int]  #: the numbers of sealed values, by table
    other_people: tuple[Address, ...]  #: the other people of these pairs, whose content is erased as well
    is_listed: bool  #: whether the person is in the roster now
    remaining_events: tuple[RemainingEvent, ...]  #: events of these pairs that still have to be taken off calendars


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased."""

    value_count: int  #: the number of sealed values of pairs
    question_count: int  #: the number of questions to third persons that the person asked or was asked
    block_count: int  #: the number of private events with the text of a commitment that were taken off calendars
    #: the calendars on which such events are left, with the reason
    unreached_calendars: dict[Address, str] = field(default_factory=dict)
    pseudonym: Pseudonym | None = None  #: set when the person was forgotten
    is_compacted: bool = False  #: whether the database file was rewritten, so that no erased value is left in it


class Erasure:
    """Erases content, and forgets people."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pair_actions: Actions,
        find_calendar_provider: Callable[[Address], CalendarProvider | None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._pair_actions = pair_actions
        self._find_calendar_provider = find_calendar_provider
        self._clock = clock

    def preview(self, person: Address) -> ErasurePreview:
        """Return what erasing the content of this person would affect. Opens no sealed content."""
        pairs = self.list_pairs(person)
        pair_ids = [pair.id for pair in pairs]
        events = self._store.erasure.list_remaining_events(pair_ids, self._clock())
        return ErasurePreview(
            pairs=tuple(pairs),
            value_counts=self._store.erasure.count_contents(pair_ids),
            other_people=tuple(sorted({address for pair_id in pair_ids for address in pair_id.people} - {person})),
            is_listed=self._store.people.get_person(person) is not None,
            remaining_events=tuple(events),
        )

    def erase_contents(self, person: Address) -> ErasureResult:
        """Erase the content of all pairs of this person, and each question that this person asked or was asked.

        Open commitments end as let go, since their texts are erased. Private events with the text of a commitment are
        taken off calendars at once, and the result names the calendars where that failed. An interrupted erasure can be
        run again. Raises WrongKey, LeaseLost.
        """
        pair_ids = [pair.id for pair in self.list_pairs(person)]
        value_counts = self._store.erasure.count_contents(pair_ids)
        block_count, unreached_calendars = self._remove_blocks(pair_ids)
        for pair_id in pair_ids:
            self._pair_actions.apply_to_pair(pair_id, self._erase_pair)
        names = self._store.aliases.list_names(person)
        with self._store.database.write() as connection:
            question_count = self._store.third_voices.delete_questions(connection, askers=names, recipients=names)
        log.info("contents were erased for a person", extra={"action": Action.CONTENTS_ERASED})
        return ErasureResult(
            value_count=sum(value_counts.values()),
            question_count=question_count,
            block_count=block_count,
            unreached_calendars=unreached_calendars,
            is_compacted=self._store.database.compact(),
        )

    def forget(self, person: Address, *, leaves_events: bool = False) -> ErasureResult:
        """Erase the content of a person, and replace the person by a pseudonym in every row.

        Raises Refused when the person is in the roster. Raises Refused also when events of the person are left on
        calendars, since nothing can take them off afterwards; `leaves_events` permits that. Raises WrongKey, LeaseLost.
        """
        preview = self.preview(person)
        if preview.is_listed:
            raise Refused(f"{person} is still in the roster, and would come back with its next reading.")
        if preview.remaining_events and not leaves_events:
            calendars = ", ".join(sorted({event.calendar for event in preview.remaining_events})[:3])
            count = len(preview.remaining_events)
            events = "1 event is" if count == 1 else f"{count:,} events are"
            raise Refused(f"{events} still on {calendars}. A running worker takes them off: wait for it.")
        erased = self.erase_contents(person)
        if erased.unreached_calendars and not leaves_events:
            calendar, reason = next(iter(erased.unreached_calendars.items()))
            problem = "but private events with the texts of commitments are still on the calendar of"
            raise Refused(f"The content is erased, {problem} {calendar}: {reason}")
        pseudonym, names = make_pseudonym(), self._store.aliases.list_names(person)
        with self._store.database.write() as connection:
            anonymize_person(self._store.database, connection, person, names, pseudonym)
        is_compacted = self._store.database.compact()
        return replace(erased, pseudonym=pseudonym, is_compacted=is_compacted)

    def run(self) -> None:
        """Erase the content of the pairs whose retention has ended. Later calls on the same day (UTC) do nothing."""
        now, months = self._clock(), self._settings.retention.contents_after
        day = f"{now:%Y-%m-%d}"
        if self._store.people.get_stored_value(_DAY_VALUE_NAME) == day:
            return
        self._store.erasure.set_missing_end_times(now)  # of pairs that ended under an older version
        if months is not None:
            self._erase_ended_pairs(self._store.erasure.list_ended_pairs(find_erasure_limit(months, now.date())))
        self._store.people.set_stored_value(_DAY_VALUE_NAME, day)

    def _erase_ended_pairs(self, pairs: Sequence[PairId]) -> None:
        """Erase the content of these pairs, and the questions of their reports who have left.

        A pair whose content could not be erased is tried again the next day.
        """
        count = 0
        for pair_id in pairs:
            try:
                self._pair_actions.apply_to_pair(pair_id, self._erase_pair)
            except LongarcError as error:
                log.warning("%s: %s", pair_id, error, extra={"action": Action.ERASURE_FAILED})
            else:
                count += 1
        people = self._store.people.load_current_people()
        leavers = {pair_id.report for pair_id in pairs} - people.keys()
        if leavers:
            names = {name for leaver in leavers for name in self._store.aliases.list_names(leaver)}
            with self._store.database.write() as connection:
                self._store.third_voices.delete_questions(connection, askers=names)
        if count:
            pair_count = format_count(count, "ended pair")
            log.info("contents of %s were erased", pair_count, extra={"action": Action.CONTENTS_ERASED})

    def list_pairs(self, person: Address) -> list[Pair]:
        """Return all pairs of this person, including those that have ended, in order of id."""
        pairs = self._store.people.load_all_pairs().values()
        return sorted((pair for pair in pairs if person in pair.id.people), key=lambda pair: pair.id)

    def _erase_pair(self, builder: PlanBuilder) -> Writer:
        """End the open commitments of a pair as let go, and return the writer that erases its content."""
        for commitment in [commitment for commitment in builder.commitments.values() if commitment.is_open]:
            close_commitment(builder, commitment, CommitmentStanding.LET_GO)
        pair_id, now = builder.pair.id, builder.now
        return lambda connection: erase_contents(connection, [pair_id], now)

    def _remove_blocks(self, pairs: Collection[PairId]) -> tuple[int, dict[Address, str]]:
        """Take the private events with the texts of commitments off calendars, including past events.

        Returns the number of removed events, and the calendars where that failed, each with the reason.
        """
        count, unreached_calendars = 0, dict[Address, str]()
        for placed in self._store.erasure.list_blocks(pairs):
            owner = placed.ref.calendar
            try:
                provider = self._find_calendar_provider(owner)
                if provider is None:
                    raise LongarcError(f"There is no calendar of {owner} to write to.")
                # without an etag, the event is cancelled even if somebody has changed it since it was read
                provider.cancel(replace(placed.ref, etag=""), quiet=True)
            except LongarcError as error:
                unreached_calendars[owner] = str(error)
            else:
                self._store.erasure.mark_gone(placed.key)
                count += 1
        return count, unreached_calendars
