"""Creates the providers of the calendar and mail services in the settings, and finds the service of a person."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from worker.clock import Clock, is_recent, utcnow
from worker.domain.model import Address, Pair, Person
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.providers import base
from worker.providers.base import AlertFunction, CalendarProvider, Mailer
from worker.providers.identities import Identities, InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.seal import Seal
from worker.settings.load import Settings
from worker.store.attendee_copies import AttendeeCopyRows
from worker.store.store import Store

log = logging.getLogger(__name__)


class Services:
    """The providers of the calendar and mail services in use. Each one is created when it is first needed."""

    def __init__(
        self,
        settings: Settings,
        load_people: Callable[[], dict[Address, Person]],
        invalidate_people: Callable[[], None] = lambda: None,
        load_pairs: Callable[[], Collection[Pair]] = lambda: (),
        clock: Clock = utcnow,
        alert_operator: AlertFunction | None = None,
        identities: Identities | None = None,
        copies: AttendeeCopyRows | None = None,
    ) -> None:
        """`load_people` may return cached people, and `invalidate_people` empties that cache.

        `clock` is used for the pauses that services ask for with Retry-After. Without `identities`, every address is
        treated as a primary address. `copies` is the table of the copies of events in guests' calendars.
        """
        self._settings = settings
        self._load_people = load_people
        self._invalidate_people = invalidate_people
        self._load_pairs = load_pairs
        # calendars and mail share a limiter, since their requests for a mailbox count towards the same limit
        self._limiter = Limiter(clock)
        self._alert_operator = alert_operator
        self._identities = identities or InMemoryIdentities()
        self._copies = copies
        self._calendar_overrides: dict[str, CalendarProvider] = {}
        self._calendars: dict[str, CalendarProvider] = {}
        self._people_of_calendars: dict[Address, Person] = {}  #: the people that `_calendars` were created with
        self._mailers: dict[str, Mailer] = {}

    def use(
        self, *, calendars: dict[str, CalendarProvider] | None = None, mailers: dict[str, Mailer] | None = None
    ) -> None:
        """Use these providers, by name, instead of those in the settings. For simulations and tests."""
        self._calendar_overrides.update(calendars or {})
        self._mailers.update(mailers or {})

    def get_calendar(self, name: str) -> CalendarProvider:
        """Return the provider of the calendar service with this name."""
        if name in self._calendar_overrides:
            return self._calendar_overrides[name]
        all_people = self._load_people()
        if all_people is not self._people_of_calendars:  # providers get their people when they are created
            self._calendars = {}
            self._people_of_calendars = all_people
        if name not in self._calendars:
            people = [person for person in all_people.values() if person.calendar == name]
            section = self._settings.get_calendar_section(name)
            # providers get these values beside the settings of their section
            section["local_people"] = [person.email for person in people]
            section["zones"] = {person.email: person.zone for person in people}
            section["video"] = self._settings.event.video
            organizers = OrganizerLookup(self._load_pairs, {person.email for person in people})
            section["organizers"] = organizers
            section["guests"] = organizers.list_guests
            section.update(self._build_dependencies())
            if self._copies is not None:
                section["copies"] = self._copies
            self._calendars[name] = base.load_factory(base.CALENDAR_FACTORIES, name)(section)
        return self._calendars[name]

    def get_mailer(self, name: str) -> Mailer:
        """Return the provider of the mail service with this name."""
        if name not in self._mailers:
            section = {**self._settings.get_mailer_section(name), **self._build_dependencies()}
            self._mailers[name] = base.load_factory(base.MAILER_FACTORIES, name)(section)
        return self._mailers[name]

    def _build_dependencies(self) -> dict[str, Any]:
        """Return the objects that all providers get besides their settings, such as the seal for tokens."""
        keys = [key.get_secret_value() for key in self._settings.keys]
        dependencies: dict[str, Any] = {
            "seal": Seal(keys) if keys else None,
            "alert_operator": self._alert_operator,
            "limiter": self._limiter,
            "identities": self._identities,
        }
        return {name: dependency for name, dependency in dependencies.items() if dependency is not None}

    def find_calendar_of(self, address: Address) -> CalendarProvider | None:
        """Return the calendar service of a person; None for an unknown address, and for a person without a calendar."""
        person = self.find_person(address)
        if person is None or not person.has_calendar:
            return None
        return self.get_calendar(person.calendar)

    def group_by_service(self, addresses: Sequence[Address]) -> dict[str, tuple[CalendarProvider, list[Address]]]:
        """Group people by calendar service. Returns the service and its people, by the name of the service."""
        groups: dict[str, tuple[CalendarProvider, list[Address]]] = {}
        for address in addresses:
            person = self.find_person(address)
            if person is not None and person.has_calendar:
                name = person.calendar
                groups.setdefault(name, (self.get_calendar(name), []))[1].append(address)
        return groups

    def find_person(self, address: Address) -> Person | None:
        """Return the person with this address, even after that person has left; None when the roster never had it."""
        person = self._load_people().get(address)
        if person is None:  # the cache is outdated when another process has just imported a new roster
            self._invalidate_people()
            person = self._load_people().get(address)
        return person


class OrganizerLookup:
    """Finds the organizers and guests of our events among the people of one calendar service.

    Calling it with a person returns the organizers of all events of ours in which the person may appear, as organizer
    or as guest. It loads the pairs at the first such call, whereas `list_guests` loads them each time.
    """

    def __init__(self, load_pairs: Callable[[], Collection[Pair]], local_people: Collection[Address]) -> None:
        """`local_people` are the people of the calendar service."""
        self._load_pairs = load_pairs
        self._local_people = local_people
        self._organizers: dict[Address, set[Address]] | None = None

    def list_guests(self, organizer: Address) -> Collection[Address]:
        """Return the people of the service whom this organizer may have invited, who are the organizer's reports."""
        reports = {pair.report for pair in self._load_pairs() if pair.manager == organizer}
        return reports.intersection(self._local_people)

    def __call__(self, person: Address) -> Collection[Address]:
        if self._organizers is None:
            organizers: dict[Address, set[Address]] = {}
            for pair in self._load_pairs():
                if pair.manager in self._local_people:
                    organizers.setdefault(pair.manager, set()).add(pair.manager)
                    organizers.setdefault(pair.report, set()).add(pair.manager)
            self._organizers = organizers
        return self._organizers.get(person, ())


class PeopleCache:
    """A cache of all people in the database, by address. Calling it returns them.

    It is reloaded after this or another process has imported a roster. People who have left are included, since their
    events have to be cancelled.
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
        if self._checked_at is None or not is_recent(self._checked_at, now, self.CHECK_INTERVAL):
            version = self._store.people.get_stored_value(IMPORT_VERSION_NAME)
            # without a version, no roster was imported yet, so that no change of the version can tell of new people
            if version is None or version != self._version:
                self._people = self._store.people.load_all_people()
            self._version = version
            self._checked_at = now
        return self._people

    def invalidate(self) -> None:
        """Make the next call load the people from the database."""
        self._checked_at = self._version = None
