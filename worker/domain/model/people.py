"""People, pairs (a manager and one report), and the wishes of a pair for its sessions, such as weekday and length."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, TypeVar

from worker.domain.model.time import Address, Interval, Span, WorkingHours

T = TypeVar("T")

#: The value of `Person.calendar` for a person whose calendar is in no connected service. That person's working hours
#: count as free, and answers to invitations come by mail.
NO_CALENDAR = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person of the roster."""

    email: Address  #: the primary address
    name: str
    zone: str  #: the IANA name of the time zone
    country: str  #: the ISO 3166-1 code, or the ISO 3166-2 code of a subdivision: `DE`, `DE-BY`
    hours: WorkingHours
    locale: str = "en"
    calendar: str = "caldav"  #: the name of the calendar provider, or NO_CALENDAR
    mail: str = "smtp"  #: the name of the mail provider
    group: str = ""  #: the department or team, as HR calls it; empty if unknown
    absences: tuple[Span, ...] = ()  #: the spans out of office, as of the last time the calendar was read (T-16)

    @property
    def has_calendar(self) -> bool:
        """Whether the person's calendar is in a connected service, so that we can read and write it."""
        return self.calendar != NO_CALENDAR


class AliasSource(StrEnum):
    """Where an alias comes from."""

    PEOPLE_FILE = "people_file"  #: the people file lists the alias, or a directory lists it as an address of the person
    DIRECTORY = "directory"  #: the alias is the person's id in a directory
    LEARNED = "learned"  #: a calendar service used the alias for an attendee of one of our events


@dataclass(frozen=True, slots=True)
class PersonAlias:
    """Another identifier of a person: another address, the id in a directory, or an X.500 name."""

    alias: str  #: in lower case, without surrounding blanks
    person: Address  #: the person's primary address
    source: AliasSource


class Format(StrEnum):
    """The format of a pair's career conversation (R-4)."""

    COMBINED = "combined"  #: one session with three phases
    SERIES = "series"  #: a series of three sessions


class ReviewMode(StrEnum):
    """How a pair reviews its contract each month (R-7)."""

    ALONE = "alone"  #: in an event of its own
    IN_1ON1 = "in_1on1"  #: inside the existing recurring meeting of the two
    NONE = "none"  #: not at all


class EndReason(StrEnum):
    """The reason why a pair has ended."""

    NO = ""  #: the pair has not ended; the only value that counts as false
    REPORT_LEFT = "report_left"
    MANAGER_LEFT = "manager_left"
    BOTH_LEFT = "both_left"
    CHANGED = "changed"  #: the report has another manager

    @property
    def begins_handover(self) -> bool:
        """Whether the report stays in the company, and may choose what passes on to a new manager (R-36)."""
        return self in (EndReason.CHANGED, EndReason.MANAGER_LEFT)


class Participation(StrEnum):
    """Whether a pair takes part, or the reason why not. `worker.domain.rollout` decides it."""

    YES = ""  #: the pair takes part; the only value that counts as false
    NOT_CHOSEN = "not_chosen"  #: the rollout does not include this pair
    NOT_BEGUN = "not_begun"  #: the rollout begins on a later day
    EVERYBODY_PAUSED = "everybody_paused"  #: the operator paused all pairs
    WITHDRAWN_QUIETLY = "withdrawn_quietly"  #: the operator paused all pairs, and guests get no notice of cancellations
    GROUP_PAUSED = "group_paused"  #: the operator paused the report's group
    PERSON_PAUSED = "person_paused"  #: the operator paused all pairs of the manager or of the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """The weekday and time at which a pair prefers to meet, in the report's zone. None means no preference."""

    weekday: int | None = None  #: 0 is Monday
    minute: int | None = None  #: minutes after local midnight


class Owner(StrEnum):
    """The person of a pair, manager or report, to whom a commitment, a note or a request belongs."""

    MANAGER = "manager"
    REPORT = "report"

    def select(self, of_manager: T, of_report: T) -> T:
        """Return the first argument for the manager, and the second for the report."""
        return of_manager if self is Owner.MANAGER else of_report


@dataclass(frozen=True, slots=True, order=True)
class PairId:
    """The id of a pair, which consists of the addresses of the two. Its text form is `manager>report`."""

    SEPARATOR: ClassVar[str] = ">"

    manager: Address
    report: Address

    @classmethod
    def parse(cls, text: str) -> "PairId":
        """Return the id from its text form. Raises ValueError when the text is not `manager>report`."""
        manager, _, report = text.partition(cls.SEPARATOR)
        if not manager or not report or cls.SEPARATOR in report:
            raise ValueError(f"{text!r} is not manager{cls.SEPARATOR}report")
        return cls(manager, report)

    @property
    def people(self) -> tuple[Address, Address]:
        """The addresses of the manager and of the report."""
        return self.manager, self.report

    def get_owner(self, address: Address) -> Owner:
        """Return which of the two has the address: the manager if it is the manager's address, else the report."""
        return Owner.MANAGER if address == self.manager else Owner.REPORT

    def __str__(self) -> str:
        return f"{self.manager}{self.SEPARATOR}{self.report}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A manager and one report, and their settings for sessions."""

    manager: Address
    report: Address
    first_seen: date  #: the day on which the roster first contained the pair
    start: date | None = None  #: the first session does not take place before this day
    every: Interval = Interval(weeks=13)  #: the rhythm: the interval between career sessions
    minutes: int = 75  #: the length of a career session
    format: Format = Format.COMBINED
    review: ReviewMode = ReviewMode.ALONE
    transition_until: date | None = None  #: until this day, career sessions are more frequent
    preference: Preference = Preference()
    #: Whether manager and report trust each other enough for the hardest questions, which the brief then suggests.
    trust: bool = False
    paused: bool = False  #: whether the roster or the operator pauses this pair
    paused_until: date | None = None  #: the day on which the pause ends automatically (T-18)
    is_paused_by_operator: bool = False  #: whether the operator paused only this pair; then `paused` is true as well
    participation: Participation = Participation.YES
    ended: EndReason = EndReason.NO
    erased_at: datetime | None = None  #: when the content of the pair was erased

    @property
    def id(self) -> PairId:
        return PairId(self.manager, self.report)

    @property
    def is_active(self) -> bool:
        """Whether the pair takes part and is neither paused nor ended."""
        takes_part = self.participation is Participation.YES
        return takes_part and not self.paused and self.ended is EndReason.NO

    @property
    def is_held_back(self) -> bool:
        """Whether the operator or the rollout excludes the pair from planning.

        Cancelling the events of such a pair is intended. The limit on the number of events that one sweep may cancel
        (`Policy.max_cancels`, T-17) does not apply to them.
        """
        return self.is_paused_by_operator or self.participation is not Participation.YES
