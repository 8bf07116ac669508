"""The roster: persons, pairs and aliases, as made from the records of a directory; and what making it needs to know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from worker.domain.model import Address, Interval, Pair, PairId, Person, PersonAlias


@dataclass(frozen=True, slots=True)
class Roster:
    """Who works here and for whom: persons by primary address, pairs by id."""

    persons: Mapping[Address, Person]
    pairs: Mapping[PairId, Pair]
    #: by person: what nobody told (time zone, working hours) and the calendar can supply
    unset_columns: Mapping[Address, frozenset[str]] = field(default_factory=dict)
    #: aliases and directory ids, each of one person
    aliases: Sequence[PersonAlias] = ()


@dataclass(frozen=True, slots=True)
class StoredRoster:
    """What the database has of earlier readings. It fills in for what a directory tells no longer."""

    persons: Mapping[Address, Person] = field(default_factory=dict)  #: everybody ever listed
    former: Collection[Address] = ()  #: those of them who left
    managers: Mapping[Address, Address] = field(default_factory=dict)  #: by report, of pairs that have not ended
    owners: Mapping[str, Address] = field(default_factory=dict)  #: primary addresses by every name of each person
    directory_ids: Mapping[Address, str] = field(default_factory=dict)  #: as `make_directory_alias` returns them


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRules:
    """How records are read: what is allowed, and what fills in for what nobody told."""

    today: date
    calendars: Collection[str]  #: names of calendar services that people may have
    mailers: Collection[str]
    #: by service: the columns, of time zone and working hours, that a person's calendar supplies
    calendar_columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    default_every: Interval = Interval(weeks=13)
    default_minutes: int = 75
    default_locale: str = "en"
    default_calendar: str = "caldav"
    default_mail: str = "smtp"
    default_zone: str = ""  #: empty: everybody's time zone has to be told
    default_country: str = ""
    starts_with_hire: bool = False  #: whether the hire date is the `start` of pairs that have none
    #: what messages call the directory; empty for a people file, in which every fault is a problem
    directory: str = ""
    id_namespace: str = ""  #: keeps the ids of directories apart that count from one; empty for a people file
    accepts_new_ids: bool = False  #: whether a former address may come back with another directory id

    @property
    def is_directory(self) -> bool:
        """Whether faults are reported, instead of refusing the whole roster."""
        return bool(self.directory)
