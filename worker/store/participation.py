"""Reads and writes which pairs take part (their participation), and the rollout and the pauses in force.

`worker.domain.rollout` decides participation from the rollout and the pauses. It is decided again when the people
change, and when a later part of the rollout begins.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from worker.domain.model import Address, EndReason, Pair, PairId, Participation, Person, SessionState
from worker.domain.rollout import (
    EXCLUDED_BY_ROLLOUT,
    OperatorPauses,
    Rollout,
    decide_participation,
    find_beginning,
    resolve_aliases,
)
from worker.store import rows
from worker.store.aliases import PEOPLE_VERSION_NAME
from worker.store.database import Database
from worker.store.parameters import in_bound_list
from worker.store.plans import wake_pairs
from worker.store.statements import PreparedStatement
from worker.store.tables import (
    CHANNEL_SERVICES_NAME,
    OUTDATED_CHANNELS,
    calendar,
    pair,
    person,
    person_alias,
    session,
    stored_value,
)

#: The name of the stored value that is the rollout in force.
_ROLLOUT_NAME = "rollout"
#: The name of the stored value that is the pauses in force.
_PAUSES_NAME = "pauses"
#: The name of the stored value about the last decision on participation: the version of the people for which it was
#: made, and until when it holds.
_DECIDED_NAME = "participation"
_STORED_VALUES = PreparedStatement(
    select(stored_value.c.name, stored_value.c.value).where(in_bound_list(stored_value.c.name, "names"))
)
_STORED_VALUE_NAMES = [_ROLLOUT_NAME, _PAUSES_NAME, _DECIDED_NAME, PEOPLE_VERSION_NAME]
_SAVE_PARTICIPATION = PreparedStatement(
    update(pair).where(in_bound_list(pair.c.id, "pairs")).values(participation=bindparam("new_participation"))
)
_COUNTS = select(pair.c.participation, func.count()).where(pair.c.ended == EndReason.NO.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipationChange:
    """The difference between the stored participation of all pairs and a new decision."""

    new_participations: Mapping[PairId, Participation]  #: of each pair whose participation changes
    joining: tuple[PairId, ...]  #: pairs that begin to take part
    going_on: tuple[PairId, ...]  #: the joining pairs that are not paused one by one, as by the people file
    leaving: tuple[PairId, ...]  #: pairs that take part now, but not in the new rollout; a paused pair does not leave
    cancel_count: int  #: number of events of the leaving pairs that would be cancelled
    counts: Mapping[Participation, int]  #: number of pairs that have not ended, after the change
    current_count: int  #: number of pairs that take part before the change
    next_change_at: datetime | None  #: when the rollout next begins for more pairs; None when it never does

    @property
    def has_many_leaving(self) -> bool:
        """Whether more than a tenth of the pairs that take part, and more than one, would leave (T-17)."""
        return len(self.leaving) > max(1, self.current_count / 10)


@dataclass(frozen=True, slots=True)
class StoredParticipation:
    """The rollout and the pauses in force, and whether participation has to be decided again."""

    rollout: Rollout | None  #: None before participation was decided for the first time
    pauses: OperatorPauses
    people_version: str  #: a text that changes whenever a person or an alias is added, changed or removed
    has_changed_people: bool  #: whether people have changed since participation was decided
    next_change_at: datetime | None  #: when the rollout next begins for more pairs; None when it never does


class ParticipationRows:
    """Reads and writes the column `pair.participation`, and the stored rollout and pauses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> StoredParticipation:
        """Return the rollout and the pauses in force, with a single statement."""
        with self._database.read_once() as connection:
            return _load(connection)

    def count(self) -> dict[Participation, int]:
        """Return the number of pairs that have not ended, by participation."""
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_COUNTS.group_by(pair.c.participation))}

    def preview(self, rollout: Rollout, pauses: OperatorPauses, now: datetime) -> ParticipationChange:
        """Return what `update` would change, and write nothing."""
        with self._database.read() as connection:
            return _decide(connection, rollout, pauses, now)

    def update(
        self,
        rollout: Rollout | None,
        pauses: OperatorPauses | None,
        now: datetime,
        find_objection: Callable[[ParticipationChange], str],
        also_write: Callable[[Connection], None] = lambda _: None,
    ) -> tuple[ParticipationChange, str]:
        """Decide the participation of all pairs, store it, and make changed pairs due.

        When `rollout` or `pauses` is None, the stored one is used. `find_objection` returns a reason against the
        change, or an empty text. When there is a reason, nothing is written. `also_write` is called with the
        connection, and writes in the same transaction. Return the change and the objection.
        """
        with self._database.write() as connection:
            # the row is added if it is missing; the update changes nothing, but locks the row, so that two processes
            # decide one after the other
            no_decision = {"name": _DECIDED_NAME, "value": json.dumps({})}
            self._database.insert_new(connection, stored_value, [no_decision], ("name",))
            connection.execute(
                update(stored_value).where(stored_value.c.name == _DECIDED_NAME).values(value=stored_value.c.value)
            )
            stored = _load(connection)
            new_rollout = rollout or stored.rollout or Rollout()
            new_pauses = pauses or stored.pauses
            change = _decide(connection, new_rollout, new_pauses, now)
            objection = find_objection(change)
            if not objection:
                self._save(connection, new_rollout, new_pauses, change, now)
                also_write(connection)
        return change, objection

    def _save(
        self,
        connection: Connection,
        rollout: Rollout,
        pauses: OperatorPauses,
        change: ParticipationChange,
        now: datetime,
    ) -> None:
        """Store the rollout, the pauses and the participation that was decided, and make changed pairs due."""
        if change.new_participations:
            lock_calendars(self._database, connection)
            wake_pairs(connection, sorted(change.new_participations), now, reread_free_busy=True)
            save_participation(connection, change.new_participations)
            schedule_calendar_readings(self._database, connection, now)
        version_query = select(stored_value.c.value).where(stored_value.c.name == PEOPLE_VERSION_NAME)
        people_version = connection.execute(version_query).scalar() or ""
        until = change.next_change_at.isoformat() if change.next_change_at else ""
        decision = {"people": people_version, "until": until}
        values = {_ROLLOUT_NAME: _dump_rollout(rollout), _PAUSES_NAME: _dump_pauses(pauses), _DECIDED_NAME: decision}
        new_rows = [{"name": name, "value": json.dumps(value)} for name, value in sorted(values.items())]
        self._database.upsert(connection, stored_value, new_rows)


def save_participation(connection: Connection, participations: Mapping[PairId, Participation]) -> None:
    """Store the participation of these pairs."""
    pairs_by_value: dict[Participation, list[PairId]] = defaultdict(list)
    for pair_id, participation in sorted(participations.items()):
        pairs_by_value[participation].append(pair_id)
    for participation, pairs in pairs_by_value.items():
        _SAVE_PARTICIPATION.execute(connection, pairs=pairs, new_participation=participation.value)


def lock_calendars(database: Database, connection: Connection) -> None:
    """Lock what `schedule_calendar_readings` writes, before the transaction locks people or pairs.

    Readings and notifications lock a calendar before its people and pairs. If this transaction locked them in the
    opposite order, the two might deadlock. The stored value that is locked also makes the next tick decide again which
    calendars are to have a channel.
    """
    # This write comes first, so that two such transactions run one after the other. A lock on the row alone would not
    # do: on an empty database there is no row yet, and each of several processes that start imports the people.
    database.upsert(connection, stored_value, [{"name": CHANNEL_SERVICES_NAME, "value": OUTDATED_CHANNELS}])
    if not database.is_sqlite:  # SQLite has one writer at a time
        connection.execute(select(calendar.c.address).order_by(calendar.c.address).with_for_update())


def schedule_calendar_readings(database: Database, connection: Connection, now: datetime) -> None:
    """Schedule the reading of the calendars of organizers of pairs that take part, and unschedule all other calendars.

    The transaction has called `lock_calendars`.
    """
    takes_part = pair.c.participation == Participation.YES.value
    organizers = set(
        connection.execute(select(pair.c.manager).where(pair.c.ended == EndReason.NO.value, takes_part)).scalars()
    )
    query = select(calendar.c.address, calendar.c.due_at)
    due_times = {row.address: row.due_at for row in connection.execute(query)}
    new_rows = [{"address": email, "due_at": now} for email in sorted(organizers) if due_times.get(email) is None]
    database.upsert(connection, calendar, new_rows)
    former_organizers = sorted(address for address, due_at in due_times.items() if due_at and address not in organizers)
    if former_organizers:
        unschedule = update(calendar).where(in_bound_list(calendar.c.address, "addresses")).values(due_at=None)
        connection.execute(unschedule, {"addresses": former_organizers})


def _load(connection: Connection) -> StoredParticipation:
    """Return the rollout and the pauses in force, and whether participation has to be decided again."""
    stored_rows = _STORED_VALUES.fetch_tuples(connection, names=_STORED_VALUE_NAMES)
    values: dict[str, str] = {row[0]: row[1] for row in stored_rows}
    people_version = values.get(PEOPLE_VERSION_NAME, "")
    last_decision = json.loads(values.get(_DECIDED_NAME, "{}"))
    until = last_decision.get("until")
    return StoredParticipation(
        rollout=_parse_rollout(json.loads(values[_ROLLOUT_NAME])) if _ROLLOUT_NAME in values else None,
        pauses=_parse_pauses(json.loads(values.get(_PAUSES_NAME, "{}"))),
        people_version=people_version,
        has_changed_people=last_decision.get("people") != people_version,
        next_change_at=datetime.fromisoformat(until) if until else None,
    )


def _decide(connection: Connection, rollout: Rollout, pauses: OperatorPauses, now: datetime) -> ParticipationChange:
    """Return how the participation of pairs changes with this rollout and these pauses. Write nothing."""
    # An ended pair counts as paused while everybody is paused, so that its remaining events are cancelled. After that
    # pause, ended pairs are read only to set their participation back to YES.
    may_change = (pair.c.ended == EndReason.NO.value) | (pair.c.participation != Participation.YES.value)
    query = select(pair) if pauses.everybody else select(pair).where(may_change)
    pairs = [rows.read_pair(row) for row in connection.execute(query).mappings()]
    people = {row["email"]: rows.read_person(row) for row in connection.execute(select(person)).mappings()}
    aliases: dict[str, Address] = {
        # the column `form` holds the alias
        row[0]: row[1]
        for row in connection.execute(select(person_alias.c.form, person_alias.c.person))
    }
    rollout = resolve_aliases(rollout, aliases)
    pauses = replace(pauses, people=frozenset(aliases.get(name, name) for name in pauses.people))
    decisions = {
        pair_.id: decide_participation(pair_, people[pair_.manager], people[pair_.report], rollout, pauses, now)
        for pair_ in pairs
    }
    new_participations = {
        pair_.id: decisions[pair_.id] for pair_ in pairs if decisions[pair_.id] != pair_.participation
    }
    current_ids = [pair_.id for pair_ in pairs if not pair_.ended]
    participant_ids = {pair_.id for pair_ in pairs if not pair_.ended and pair_.participation is Participation.YES}
    leaving = sorted(
        pair_id
        for pair_id, decision in new_participations.items()
        if pair_id in participant_ids and decision in EXCLUDED_BY_ROLLOUT
    )
    joining = sorted(pair_id for pair_id in current_ids if new_participations.get(pair_id) is Participation.YES)
    paused_ids = {pair_.id for pair_ in pairs if pair_.paused}
    return ParticipationChange(
        new_participations=new_participations,
        joining=tuple(joining),
        going_on=tuple(pair_id for pair_id in joining if pair_id not in paused_ids),
        leaving=tuple(leaving),
        cancel_count=_count_booked_sessions(connection, leaving),
        counts=Counter(decisions[pair_id] for pair_id in current_ids),
        current_count=len(participant_ids),
        next_change_at=_find_next_beginning(pairs, people, rollout, now),
    )


def _find_next_beginning(
    pairs: Sequence[Pair], people: Mapping[Address, Person], rollout: Rollout, now: datetime
) -> datetime | None:
    """Return the next time after `now` at which the rollout begins for one of these pairs; None without such a time."""
    beginnings = {find_beginning(rollout, people[pair_.manager], people[pair_.report]) for pair_ in pairs}
    return min((instant for instant in beginnings if instant is not None and instant > now), default=None)


def _count_booked_sessions(connection: Connection, pairs: Collection[PairId]) -> int:
    query = select(func.count()).where(
        in_bound_list(session.c.pair, "pairs"), session.c.state == SessionState.BOOKED.value
    )
    return int(connection.execute(query, {"pairs": list(pairs)}).scalar_one()) if pairs else 0


def _dump_rollout(rollout: Rollout) -> dict[str, Any]:
    lists = {name: getattr(rollout, name) for name in ("groups", "managers", "addresses")}
    return {**lists, "start": rollout.start.isoformat() if rollout.start else None}


def _parse_rollout(fields: Mapping[str, Any]) -> Rollout:
    lists = {
        name: None if fields[name] is None else tuple(fields[name]) for name in ("groups", "managers", "addresses")
    }
    return Rollout(**lists, start=date.fromisoformat(fields["start"]) if fields["start"] else None)


def _dump_pauses(pauses: OperatorPauses) -> dict[str, Any]:
    return {
        "everybody": pauses.everybody,
        "is_quiet": pauses.is_quiet,
        "groups": sorted(pauses.groups),
        "people": sorted(pauses.people),
    }


def _parse_pauses(fields: Mapping[str, Any]) -> OperatorPauses:
    return OperatorPauses(
        everybody=fields.get("everybody", False),
        is_quiet=fields.get("is_quiet", False),
        groups=frozenset(fields.get("groups", ())),
        people=frozenset(fields.get("people", ())),
    )
