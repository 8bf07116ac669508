"""Creates the calendar and mail services that people use, and finds the service of a person."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address, Pair, Person
from worker.engine.people_import import PEOPLE_VERSION_NAME
from worker.providers import base
from worker.providers.base import CalendarProvider, Mailer, NoticeListener
from worker.providers.identities import Identities, InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.seal import Seal
from worker.settings.load import Settings
from worker.store.attendee_copies import AttendeeCopyRows
from worker.store.store import Store

log = logging.getLogger(__name__)


class Services:
    """The calendar and mail services in use. Each is created when it is first needed."""

    def __init__(
        self,
        settings: Settings,
        load_people: Callable[[], dict[Address, Person]],
        invalidate_people: Callable[[], None] = lambda: None,
        load_pairs: Callable[[], Collection[Pair]] = tuple,
        clock: Clock = utcnow,
        notify_operator: NoticeListener | None = None,
        identities: Identities | None = None,
        copies: AttendeeCopyRows | None = None,
    ) -> None:
        """`load_people` may return cached people; `invalidate_people` empties its cache. `clock` tells when a pause
        that a service asked for (Retry-After) is over. Without `identities` every address is a primary address.
        `copies` are the copies of events in guests' calendars."""
        self._settings = settings
        self._load_people = load_people
        self._invalidate_people = invalidate_people
        self._load_pairs = load_pairs
        # one for calendars and mail: their requests for a mailbox count towards the same limit
        self._limiter = Limiter(clock)
        self._notify_operator = notify_operator
        self._identities = identities or InMemoryIdentities()
        self._copies = copies
        self._calendar_overrides: dict[str, CalendarProvider] = {}
        self._calendars: dict[str, CalendarProvider] = {}
        self._people_of_calendars: dict[Address, Person] = {}  #: the people for whom `_calendars` were created
        self._mailers: dict[str, Mailer] = {}

    def use(
        self, *, calendars: dict[str, CalendarProvider] | None = None, mailers: dict[str, Mailer] | None = None
    ) -> None:
        """Use these services instead of those in the settings: a simulation's calendar, a test's double."""
        self._calendar_overrides.update(calendars or {})
        self._mailers.update(mailers or {})

    def get_calendar(self, name: str) -> CalendarProvider:
        """Return the calendar service of that name."""
        if name in self._calendar_overrides:
            return self._calendar_overrides[name]
        everybody = self._load_people()
        if everybody is not self._people_of_calendars:  # a service gets its people when it is created
            self._calendars = {}
            self._people_of_calendars = everybody
        if name not in self._calendars:
            people = [person for person in everybody.values() if person.calendar == name]
            section = self._settings.get_calendar_section(name)
            section["local"] = [person.email for person in people]
            section["zones"] = {person.email: person.zone for person in people}
            section["video"] = self._settings.event.video
            organizers = OrganizerLookup(self._load_pairs, {person.email for person in people})
            section["organizers"] = organizers
            section["guests"] = organizers.list_guests
            section.update(self._build_dependencies(), **({"copies": self._copies} if self._copies else {}))
            self._calendars[name] = base.load_factory(base.CALENDAR_FACTORIES, name)(section)
        return self._calendars[name]

    def get_mailer(self, name: str) -> Mailer:
        """Return the mail service of that name."""
        if name not in self._mailers:
            section = {**self._settings.get_mailer_section(name), **self._build_dependencies()}
            self._mailers[name] = base.load_factory(base.MAILER_FACTORIES, name)(section)
        return self._mailers[name]

    def _build_dependencies(self) -> dict[str, Any]:
        """Return what services need besides their settings: the seal for tokens, the limiter, and so on."""
        keys = [key.get_secret_value() for key in self._settings.keys]
        dependencies: dict[str, Any] = {"seal": Seal(keys) if keys else None, "notices": self._notify_operator}
        dependencies.update(limiter=self._limiter, identities=self._identities)
        return {name: dependency for name, dependency in dependencies.items() if dependency is not None}

    def find_calendar_of(self, address: Address) -> CalendarProvider | None:
        """Return the calendar service of a person; None for a stranger, and for a person who has no calendar."""
        person = self.find_person(address)
        if person is None or not person.has_calendar:
            return None
        return self.get_calendar(person.calendar)

    def group_by_service(self, addresses: Sequence[Address]) -> dict[str, tuple[CalendarProvider, list[Address]]]:
        """Group people by their calendar service: the service and its people, by the name of the service."""
        groups: dict[str, tuple[CalendarProvider, list[Address]]] = {}
        for address in addresses:
            person = self.find_person(address)
            if person is not None and person.has_calendar:
                name = person.calendar
                groups.setdefault(name, (self.get_calendar(name), []))[1].append(address)
        return groups

    def find_person(self, address: Address) -> Person | None:
        """Return a person, also one who left; None for a stranger."""
        person = self._load_people().get(address)
        if person is None:  # another process may have imported a new roster a moment ago
            self._invalidate_people()
            person = self._load_people().get(address)
        return person


class OrganizerLookup:
    """Finds the organizers and guests of our events among the people of one calendar service.

    Called with a person, it returns the organizers in whose events of ours that person may appear, as organizer or
    guest. Loads the pairs at the first call.
    """

    def __init__(self, load_pairs: Callable[[], Collection[Pair]], local: Collection[Address]) -> None:
        """`local` are the people of the calendar service."""
        self._load_pairs = load_pairs
        self._local = local
        self._organizers: dict[Address, set[Address]] | None = None

    def list_guests(self, organizer: Address) -> Collection[Address]:
        """Return the people of the service whom that organizer may have invited: the reports."""
        return {pair.report for pair in self._load_pairs() if pair.manager == organizer and pair.report in self._local}

    def __call__(self, person: Address) -> Collection[Address]:
        if self._organizers is None:
            organizers: dict[Address, set[Address]] = {}
            for pair in self._load_pairs():
                for address in (pair.manager, pair.report) if pair.manager in self._local else ():
                    organizers.setdefault(address, set()).add(pair.manager)
            self._organizers = organizers
        return self._organizers.get(person, ())


class PeopleCache:
    """Returns everybody whom a roster ever named, from memory until this or another process imports a roster.

    People who left are included: their events have to be cancelled.
    """

    CHECK_INTERVAL = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._people: dict[Address, Person] = {}
        self._version: str | None = None
        self._checked_at: datetime | None = None

    def __call__(self) -> dict[Address, Person]:
        now = self._clock()
        if self._checked_at is None or now - self._checked_at >= self.CHECK_INTERVAL:
            version = self._store.people.get_stored_value(PEOPLE_VERSION_NAME)
            if version is None or version != self._version:
                self._people = self._store.people.load_all_people()
            self._version = version
            self._checked_at = now
        return self._people

    def invalidate(self) -> None:
        """Make the next call read the people from the database."""
        self._checked_at = self._version = None
