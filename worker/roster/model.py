"""The roster, which is made from the records of a directory, and the inputs that making it needs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from worker.domain.model import Address, Interval, Pair, PairId, Person, PersonAlias


@dataclass(frozen=True, slots=True)
class Roster:
    """Who works here and for whom."""

    persons: Mapping[Address, Person]  #: by primary address
    pairs: Mapping[PairId, Pair]
    #: By person: which of the columns `time_zone` and `working_hours` the directory leaves empty, and the person's
    #: calendar service can supply.
    unset_columns: Mapping[Address, frozenset[str]] = field(default_factory=dict)
    aliases: Sequence[PersonAlias] = ()  #: aliases and directory ids, each of one person


@dataclass(frozen=True, slots=True)
class StoredRoster:
    """The roster of earlier readings, from the database. Its values are used where the directory no longer has any."""

    persons: Mapping[Address, Person] = field(default_factory=dict)  #: everybody who was ever in the roster
    former_people: Collection[Address] = ()  #: the persons who left
    managers: Mapping[Address, Address] = field(default_factory=dict)  #: by report, for pairs that have not ended
    owners: Mapping[str, Address] = field(default_factory=dict)  #: the primary address by each address, alias and id
    directory_ids: Mapping[Address, str] = field(default_factory=dict)  #: in the form of `make_directory_alias`


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRules:
    """How the roster is made from records: the allowed values, and the defaults for missing ones."""

    today: date
    calendars: Collection[str]  #: the calendar providers that people may have
    mailers: Collection[str]  #: the mail providers that people may have
    #: by calendar provider: which of the columns `time_zone` and `working_hours` it can supply
    habit_columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    default_every: Interval = Interval(weeks=13)
    default_minutes: int = 75
    default_locale: str = "en"
    default_calendar: str = "caldav"
    default_mail: str = "smtp"
    default_zone: str = ""  #: empty when everybody must have a time zone
    default_country: str = ""  #: empty when everybody must have a country
    starts_with_hire: bool = False  #: whether a pair without `start` starts with the report's hire date
    directory_name: str = ""  #: what messages call the directory; empty for a people file
    #: A prefix that keeps ids of different directories apart when they are plain numbers; empty for a people file.
    id_namespace: str = ""
    accepts_new_ids: bool = False  #: whether the address of a former person may return with another directory id

    @property
    def is_directory(self) -> bool:
        """Whether the records are from a directory, not a people file. A fault in a directory is only reported; a fault
        in a people file refuses the whole file."""
        return bool(self.directory_name)
