"""People and pairs, and the wishes of a pair for its sessions."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, TypeVar

from worker.domain.model.time import Address, Interval, Span, WorkingHours

T = TypeVar("T")

#: In place of a provider's name: the person has no calendar that we can read. Working hours count as free, and answers
#: come by mail.
NO_CALENDAR = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person, as the roster describes them."""

    email: Address
    name: str
    zone: str  #: IANA name
    country: str  #: ISO 3166-1, with a subdivision when there is one: `DE`, `DE-BY`
    hours: WorkingHours
    locale: str = "en"
    calendar: str = "caldav"  #: provider's name, or `none`
    mail: str = "smtp"  #: mailer's name
    group: str = ""  #: department or team, as HR names it; empty when nobody tells it
    away: tuple[Span, ...] = ()  #: out of office, as far as the calendar told when it was last read (T-16)

    @property
    def has_calendar(self) -> bool:
        """True when the person has a calendar that we can read and write."""
        return self.calendar != NO_CALENDAR


class AliasSource(StrEnum):
    """Where an alias comes from."""

    PEOPLE_FILE = "people_file"  #: an alias that the people file or a directory lists
    DIRECTORY = "directory"  #: the person's id in a directory
    LEARNED = "learned"  #: how a calendar service named an attendee of one of our events


@dataclass(frozen=True, slots=True)
class PersonAlias:
    """Another name of a person: an address, the id in a directory, or an X.500 name; in lower case, without blanks
    around it."""

    alias: str
    person: Address  #: the primary address
    source: AliasSource


class Format(StrEnum):
    """R-4: one session with three phases, or a series of three sessions."""

    COMBINED = "combined"
    SERIES = "series"


class ReviewMode(StrEnum):
    """R-7: the monthly review as an event of its own, inside the existing 1:1, or not at all."""

    ALONE = "alone"
    IN_1ON1 = "in_1on1"
    NONE = "none"


class EndReason(StrEnum):
    """The reason why a pair has ended."""

    NO = ""  #: the pair has not ended
    REPORT_LEFT = "report_left"
    MANAGER_LEFT = "manager_left"
    BOTH_LEFT = "both_left"
    CHANGED = "changed"  #: the report has another manager

    @property
    def begins_handover(self) -> bool:
        """True when the report stays, and may take along what the two agreed (R-36)."""
        return self in (EndReason.CHANGED, EndReason.MANAGER_LEFT)


class Participation(StrEnum):
    """Whether a pair takes part, or the reason why not (`worker.domain.rollout` decides it)."""

    YES = ""
    NOT_CHOSEN = "not_chosen"  #: the rollout is not for this pair
    NOT_BEGUN = "not_begun"  #: the rollout begins on a later day
    EVERYBODY_PAUSED = "everybody_paused"  #: the operator paused all pairs
    WITHDRAWN_QUIETLY = "withdrawn_quietly"  #: everybody is paused, and guests get no notice that events come off
    GROUP_PAUSED = "group_paused"  #: the group of the report is paused
    PERSON_PAUSED = "person_paused"  #: one of the two is paused, with all their pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """The weekday and time at which a pair prefers to meet, in the report's zone; None where it has no preference."""

    weekday: int | None = None  #: 0 is Monday
    minute: int | None = None  #: after local midnight


class Owner(StrEnum):
    """One of the two of a pair: whose a commitment, a note or a request is."""

    MANAGER = "manager"
    REPORT = "report"

    def select(self, of_manager: T, of_report: T) -> T:
        """Return that of the two values which is of this one."""
        return of_manager if self is Owner.MANAGER else of_report


@dataclass(frozen=True, slots=True, order=True)
class PairId:
    """The id of a pair: the addresses of the two. As text it is `manager>report`."""

    SEPARATOR: ClassVar[str] = ">"

    manager: Address
    report: Address

    @classmethod
    def parse(cls, text: str) -> "PairId":
        """Return the pair that a text names. Raises ValueError when the text is not `manager>report`."""
        manager, _, report = text.partition(cls.SEPARATOR)
        if not manager or not report or cls.SEPARATOR in report:
            raise ValueError(f"{text!r} is not manager{cls.SEPARATOR}report")
        return cls(manager, report)

    @property
    def people(self) -> tuple[Address, Address]:
        """The manager and the report."""
        return self.manager, self.report

    def get_owner(self, address: Address) -> Owner:
        """Return which of the two has that address; the report, when it is not the manager's."""
        return Owner.MANAGER if address == self.manager else Owner.REPORT

    def __str__(self) -> str:
        return f"{self.manager}{self.SEPARATOR}{self.report}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A manager and one report, and their settings for sessions."""

    manager: Address
    report: Address
    first_seen: date  #: the day on which the roster first named the pair
    start: date | None = None  #: the first session is not before this day
    every: Interval = Interval(weeks=13)  #: between career sessions
    minutes: int = 75  #: length of a career session
    format: Format = Format.COMBINED
    review: ReviewMode = ReviewMode.ALONE
    transition_until: date | None = None  #: until this day, sessions are more frequent
    preference: Preference = Preference()
    trust: bool = False  #: the hardest questions may appear in the brief
    paused: bool = False
    paused_until: date | None = None  #: on this day a pause ends by itself (T-18)
    is_paused_by_operator: bool = False  #: the operator paused this pair alone; then `paused` is true, too
    participation: Participation = Participation.YES
    ended: EndReason = EndReason.NO
    erased_at: datetime | None = None  #: when what the two wrote was erased

    @property
    def id(self) -> PairId:
        return PairId(self.manager, self.report)

    @property
    def is_active(self) -> bool:
        """True when the pair takes part, and is neither paused nor ended."""
        return not (self.paused or self.participation or self.ended)

    @property
    def is_held_back(self) -> bool:
        """True when the operator or the rollout keeps it from being planned. It was asked for, so T-17 allows it."""
        return self.is_paused_by_operator or self.participation is not Participation.YES
