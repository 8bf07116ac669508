"""The calendar and mail services in use, and which people each of them holds."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address, Pair, Person
from worker.engine.people_import import PEOPLE_FACT
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
    """The calendar and mail services in use, each made when it is first asked for."""

    def __init__(
        self,
        settings: Settings,
        people: Callable[[], dict[Address, Person]],
        read_again: Callable[[], None] = lambda: None,
        pairs: Callable[[], Collection[Pair]] = tuple,
        clock: Clock = utcnow,
        notices: NoticeListener | None = None,
        identities: Identities | None = None,
        copies: AttendeeCopyRows | None = None,
    ) -> None:
        """`people` may remember what it read; `read_again` makes it forget. `pairs`: who may invite whom. `clock`: by
        which pauses that a service asked for end. `notices`: how a service tells the operator something. `identities`:
        who an address belongs to; without it every address is somebody's primary address. `copies`: what was copied
        into whose calendar."""
        self._settings = settings
        self._people = people
        self._read_again = read_again
        self._pairs = pairs
        self._limiter = Limiter(clock)  # calendars and mail of one mailbox share its slots
        self._notices = notices
        self._identities = identities or InMemoryIdentities()
        self._copies = copies
        self._given: dict[str, CalendarProvider] = {}
        self._made: dict[str, CalendarProvider] = {}
        self._made_for: dict[Address, Person] = {}
        self._mailers: dict[str, Mailer] = {}

    def use(
        self, *, calendars: dict[str, CalendarProvider] | None = None, mailers: dict[str, Mailer] | None = None
    ) -> None:
        """Take these instead of making them: the simulation's calendar, a test's double."""
        self._given.update(calendars or {})
        self._mailers.update(mailers or {})

    def get_calendar(self, name: str) -> CalendarProvider:
        """The calendar service of that name."""
        if name in self._given:
            return self._given[name]
        everybody = self._people()
        if everybody is not self._made_for:  # a service is told whose calendars it holds when it is made
            self._made, self._made_for = {}, everybody
        if name not in self._made:
            people = [p for p in everybody.values() if p.calendar == name]
            section = self._settings.get_calendar_section(name)
            section["local"] = [p.email for p in people]
            section["zones"] = {p.email: p.zone for p in people}
            section["video"] = self._settings.event.video
            organizing = OrganizerLookup(self._pairs, {p.email for p in people})
            section["organizers"], section["guests"] = organizing, organizing.list_guests
            section.update(self._build_dependencies(), **({"copies": self._copies} if self._copies else {}))
            self._made[name] = base.load_factory(base.CALENDAR_FACTORIES, name)(section)
        return self._made[name]

    def get_mailer(self, name: str) -> Mailer:
        """The mail service of that name."""
        if name not in self._mailers:
            section = {**self._settings.get_mailer_section(name), **self._build_dependencies()}
            self._mailers[name] = base.load_factory(base.MAILER_FACTORIES, name)(section)
        return self._mailers[name]

    def _build_dependencies(self) -> dict[str, Any]:
        """What is not a setting: what seals tokens, what limits requests, how the operator is told, who somebody is."""
        keys = [key.get_secret_value() for key in self._settings.keys]
        means: dict[str, Any] = {"seal": Seal(keys) if keys else None, "notices": self._notices}
        means.update(limiter=self._limiter, identities=self._identities)
        return {name: one for name, one in means.items() if one is not None}

    def find_calendar_of(self, address: Address) -> CalendarProvider | None:
        """The service that holds a person's calendar; None when it can't be read."""
        person = self._find_person(address)
        if person is None or not person.has_calendar:
            return None
        return self.get_calendar(person.calendar)

    def group_by_service(self, addresses: Sequence[Address]) -> dict[str, tuple[CalendarProvider, list[Address]]]:
        """People, by the service that holds their calendars."""
        found: dict[str, tuple[CalendarProvider, list[Address]]] = {}
        for address in addresses:
            person = self._find_person(address)
            if person is not None and person.has_calendar:
                name = person.calendar
                found.setdefault(name, (self.get_calendar(name), []))[1].append(address)
        return found

    def _find_person(self, address: Address) -> Person | None:
        found = self._people().get(address)
        if found is None:  # another process may have taken over a new people file a moment ago
            self._read_again()
            found = self._people().get(address)
        return found


class OrganizerLookup:
    """Tells who may have put an event of ours on one of these calendars with that person as a guest or as the owner.
    The pairs are read when it is first asked."""

    def __init__(self, pairs: Callable[[], Collection[Pair]], local: Collection[Address]) -> None:
        self._pairs, self._local = pairs, local
        self._known: dict[Address, set[Address]] | None = None

    def list_guests(self, organizer: Address) -> Collection[Address]:
        """Who has a calendar here and may have been invited by that organizer."""
        return {pair.report for pair in self._pairs() if pair.manager == organizer and pair.report in self._local}

    def __call__(self, person: Address) -> Collection[Address]:
        if self._known is None:
            known: dict[Address, set[Address]] = {}
            for pair in self._pairs():
                for who in (pair.manager, pair.report) if pair.manager in self._local else ():
                    known.setdefault(who, set()).add(pair.manager)
            self._known = known
        return self._known.get(person, ())


class PeopleCache:
    """The people, read again when the people file was taken over, by this process or another.

    Those who left are among them: what stands on their calendars has to be taken off.
    """

    CHECK_INTERVAL = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[Address, Person] = {}
        self._digest: str | None = None
        self._checked: datetime | None = None

    def __call__(self) -> dict[Address, Person]:
        now = self._clock()
        if self._checked is None or now - self._checked >= self.CHECK_INTERVAL:
            digest = self._store.people.get_fact(PEOPLE_FACT)
            if digest is None or digest != self._digest:
                self._known = self._store.people.load_all_people()
            self._digest, self._checked = digest, now
        return self._known

    def invalidate(self) -> None:
        """Read them again at the next question."""
        self._checked = self._digest = None
