"""Resolves aliases: finds the person whom an address belongs to, by the aliases in the database.

A person has one primary address and any number of aliases: other mail addresses, or names under which a calendar
service lists the person. Organizers and guests of events that were read are replaced by their primary addresses, and
new aliases are learned from our own events.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from worker.clock import Clock, is_recent
from worker.domain.model import Address, AliasSource, Answer, CalendarChanges, Event, PersonAlias, PlacedEvent
from worker.providers.identities import Identities, InMemoryIdentities, normalize_alias
from worker.store.aliases import KnownAliases, index_aliases
from worker.store.store import Store

T = TypeVar("T")

_NO_ALIASES = KnownAliases(version="", owners={}, names={}, directory_ids={})
#: Matches a part of a mailbox name that is long enough to be a part of a person's name: three letters or more, such as
#: `sam` and `lee` in `sam.lee2`.
_NAME_PART = re.compile(r"[^\W\d_]{3,}")


class StoredIdentities:
    """Implements `Identities` with the aliases in the database: those of the roster, and those that were learned.

    All aliases are cached in memory. After `CHECK_INTERVAL` the database is queried for a newer version.
    """

    CHECK_INTERVAL = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._stored_aliases = _NO_ALIASES
        self._expected_aliases = _NO_ALIASES
        self._checked_at: datetime | None = None

    def expect_aliases(self, aliases: Collection[PersonAlias]) -> None:
        """From now on, also use the aliases of a roster that is about to be imported.

        The import reads calendars of new people before their aliases are in the database.
        """
        self._expected_aliases = index_aliases(aliases)

    def find_primary(self, alias: str) -> Address:
        name = normalize_alias(alias)
        return self._refresh_aliases().owners.get(name) or self._expected_aliases.owners.get(name, name)

    def list_aliases(self, person: Address) -> frozenset[str]:
        names = self._refresh_aliases().names.get(person) or self._expected_aliases.names.get(person)
        return names or frozenset({person})

    def learn(self, person: Address, alias: str) -> None:
        name, owners = normalize_alias(alias), self._refresh_aliases().owners
        is_stored_person = person in owners  # `owners` has primary addresses, too
        if name and name not in owners and is_stored_person:
            self._store.aliases.learn(name, person)
            self._invalidate()

    def find_directory_id(self, person: Address) -> str | None:
        return self._refresh_aliases().directory_ids.get(person) or self._expected_aliases.directory_ids.get(person)

    def _refresh_aliases(self) -> KnownAliases:
        """Return the aliases in the database, from the cache while it is current."""
        now = self._clock()
        with self._lock:
            if self._checked_at is None or not is_recent(self._checked_at, now, self.CHECK_INTERVAL):
                if self._stored_aliases is _NO_ALIASES or self._has_newer_version():
                    self._stored_aliases = self._store.aliases.load()
                self._checked_at = now
            return self._stored_aliases

    def _has_newer_version(self) -> bool:
        return self._store.aliases.get_version() != self._stored_aliases.version

    def _invalidate(self) -> None:
        with self._lock:
            self._checked_at = None


def build_identities(persons: Collection[Address], person_aliases: Iterable[PersonAlias]) -> InMemoryIdentities:
    """Return identities for the aliases and directory ids of a roster that is not in the database."""
    aliases: dict[Address, list[str]] = {person: [] for person in persons}
    directory_ids: dict[Address, str] = {}
    for alias in person_aliases:
        aliases[alias.person].append(alias.alias)
        if alias.source is AliasSource.DIRECTORY:
            directory_ids[alias.person] = alias.alias  # with this source, the alias is the id in the directory
    return InMemoryIdentities(aliases, directory_ids)


# --- replacing aliases by primary addresses ---


def resolve_changes(changes: CalendarChanges, identities: Identities) -> CalendarChanges:
    """Return the changes with the aliases of organizers and guests replaced by their primary addresses."""
    return replace(changes, events=tuple(resolve_event(event, identities) for event in changes.events))


def resolve_event(event: Event, identities: Identities) -> Event:
    """Return the event with the aliases of its organizer and guests replaced by their primary addresses."""
    organizer = identities.find_primary(event.organizer) if event.organizer else ""
    are_guests_primary = all(identities.find_primary(guest) == guest for guest in event.answers)
    if organizer == event.organizer and are_guests_primary:
        return event
    return replace(
        event,
        organizer=organizer,
        answers=_resolve_answers(event.answers, identities),
        proposed=_resolve_keys(event.proposed, identities),
    )


def _resolve_answers(answers: Mapping[Address, Answer], identities: Identities) -> dict[Address, Answer]:
    """Return the answers by primary address. When a guest is listed twice, an answer has precedence over none."""
    resolved: dict[Address, Answer] = {}
    for name, answer in answers.items():
        guest = identities.find_primary(name)
        if resolved.get(guest, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:
            resolved[guest] = answer
    return resolved


def _resolve_keys(values: Mapping[Address, T], identities: Identities) -> dict[Address, T]:
    return {identities.find_primary(name): value for name, value in values.items()}


# --- learning from our own events ---


def learn_from_write(event: Event, invited_person: Address, identities: Identities) -> None:
    """Learn the alias of the only guest from the event that a service returned when we wrote it.

    `invited_person` is the primary address that we invited.
    """
    name = _find_unknown_guest(event, invited_person, identities)
    if name:
        identities.learn(invited_person, name)


def learn_from_reading(event: Event, invited_person: Address, placed: PlacedEvent, identities: Identities) -> None:
    """Learn the alias of the only guest from an event of ours that was read, unless it may be another person's.

    Somebody may have replaced the guest since we wrote the event. So a name is learned only when it is already in the
    stored event `placed`, or is not a mail address, or shares a part with a known alias of the invited person.
    """
    name = _find_unknown_guest(event, invited_person, identities)
    if not name:
        return
    is_stored_guest, is_mail_address = name in placed.answers, "@" in name
    if is_stored_guest or not is_mail_address or _has_common_name_part(name, identities.list_aliases(invited_person)):
        identities.learn(invited_person, name)


def _find_unknown_guest(event: Event, invited_person: Address, identities: Identities) -> str:
    """Return the name of the only guest if it is not a known alias of the invited person; otherwise an empty text."""
    unknown_names = [name for name in event.answers if identities.find_primary(name) != invited_person]
    return unknown_names[0] if len(unknown_names) == len(event.answers) == 1 else ""


def _has_common_name_part(name: str, known_names: frozenset[str]) -> bool:
    """Return whether a mailbox shares a part of its name with a known name, as `sam.lee@x` with `sam.miller@y`."""
    parts = _list_name_parts(name)
    return any(parts & _list_name_parts(known_name) for known_name in known_names)


def _list_name_parts(name: str) -> set[str]:
    return set(_NAME_PART.findall(name.partition("@")[0].casefold()))
