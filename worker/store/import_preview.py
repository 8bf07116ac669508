"""Finds what the import of a roster would change: people, pairs, addresses and settings."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from worker.domain.model import Address, EndReason, Pair, PairId, Person, PersonAlias, SessionState
from worker.store import rows
from worker.store.renames import find_renames
from worker.store.tables import pair, person, session

#: The fields of a person that the roster sets, each with the column of the people file.
PERSON_SETTINGS = {
    **{name: name for name in ("name", "country", "locale", "calendar", "mail", "group")},
    "zone": "time_zone",
    "hours": "working_hours",
}
#: The fields of a pair that the roster sets, each with the column of the people file.
PAIR_SETTINGS = {
    **{name: name for name in ("start", "every", "minutes", "format", "review", "transition_until", "trust")},
    "preference": "prefer",
    **{name: name for name in ("paused", "paused_until")},
}


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A change of one setting of a person, or of the pair of a report."""

    person: Address  #: the person, or the report of the pair
    column: str  #: name of the setting's column in the people file
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What importing a roster would change. People and pairs have the addresses that they would have afterwards."""

    added_people: tuple[Address, ...]
    removed_people: tuple[Address, ...]
    returning_people: frozenset[Address]  #: those of the added people whom an earlier roster named
    added_pairs: tuple[PairId, ...]
    ended_pairs: tuple[PairId, ...]  #: with the ids that are stored now
    renames: Mapping[Address, Address]  #: the new address by the old address
    setting_changes: tuple[SettingChange, ...]  #: changes of people and pairs that stay
    booked_counts: Mapping[PairId, int]  #: the number of booked sessions of each pair that would end
    current_pair_count: int  #: number of pairs that have not ended, before the import
    current_people_count: int  #: number of people in the roster, before the import

    @property
    def cancel_count(self) -> int:
        """The number of events that would be cancelled."""
        return sum(self.booked_counts.values())

    @property
    def ends_many_pairs(self) -> bool:
        """Whether more than a tenth of the pairs, and more than one, would end (T-17)."""
        return len(self.ended_pairs) > max(1, self.current_pair_count / 10)

    @property
    def removes_many_people(self) -> bool:
        """Whether more than a tenth of the people, and more than one, would leave (T-17)."""
        return len(self.removed_people) > max(1, self.current_people_count / 10)


def preview_import(
    connection: Connection,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    aliases: Collection[PersonAlias],
) -> ImportPreview:
    """Return what an import would change. A person whose address changes is neither added nor removed."""
    renames = find_renames(connection, persons, aliases)
    people_rows = connection.execute(select(person)).mappings().all()
    current = {
        renames.get(row["email"], row["email"]): rows.read_person(row) for row in people_rows if row["left_at"] is None
    }
    former = {renames.get(row["email"], row["email"]) for row in people_rows if row["left_at"] is not None}
    pair_rows = connection.execute(select(pair).where(pair.c.ended == EndReason.NO.value)).mappings()
    stored_pairs = [rows.read_roster_pair(row) for row in pair_rows]
    current_pairs = {PairId(*(renames.get(email, email) for email in pair_.id.people)): pair_ for pair_ in stored_pairs}
    ended_pairs = tuple(sorted(pair_.id for new_id, pair_ in current_pairs.items() if new_id not in pairs))
    return ImportPreview(
        added_people=tuple(sorted(persons.keys() - current.keys())),
        removed_people=tuple(sorted(current.keys() - persons.keys())),
        returning_people=frozenset(former & persons.keys()),
        added_pairs=tuple(sorted(pairs.keys() - current_pairs.keys())),
        ended_pairs=ended_pairs,
        renames=renames,
        setting_changes=(
            *_compare(current, persons, PERSON_SETTINGS, lambda email: email),
            *_compare(current_pairs, pairs, PAIR_SETTINGS, lambda pair_id: pair_id.report),
        ),
        booked_counts=_count_booked_sessions(connection, ended_pairs),
        current_pair_count=len(current_pairs),
        current_people_count=len(current),
    )


def _compare(
    stored: Mapping[Any, Any], new: Mapping[Any, Any], settings: Mapping[str, str], get_person: Any
) -> Iterator[SettingChange]:
    """Yield the changes of these settings. `get_person` returns the person of a key that both mappings have."""
    for key in sorted(stored.keys() & new.keys()):
        for name, column in settings.items():
            before, after = getattr(stored[key], name), getattr(new[key], name)
            if before != after:
                yield SettingChange(get_person(key), column, before, after)


def _count_booked_sessions(connection: Connection, pairs: Collection[PairId]) -> dict[PairId, int]:
    """Return the number of booked sessions of these pairs, by pair. A pair without one is left out."""
    if not pairs:
        return {}
    query = select(session.c.pair, func.count()).where(session.c.state == SessionState.BOOKED.value)
    counts = {row[0]: int(row[1]) for row in connection.execute(query.group_by(session.c.pair))}
    return {pair_id: counts[pair_id] for pair_id in pairs if pair_id in counts}
