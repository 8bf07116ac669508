"""Identities from the database: whom an address belongs to. Replaces aliases of guests by primary addresses."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from worker.clock import Clock
from worker.domain.model import Address, AliasSource, Answer, CalendarChanges, Event, PersonAlias, PlacedEvent
from worker.providers.identities import Identities, InMemoryIdentities, normalize
from worker.store.aliases import KnownAliases, index_aliases
from worker.store.store import Store

T = TypeVar("T")

_NO_ALIASES = KnownAliases("", {}, {}, {})
#: A part of a mailbox name that is long enough to be a part of a person's name.
_NAME_PART = re.compile(r"[^\W\d_]{3,}")


class StoredIdentities:
    """Implements `Identities` with the stored aliases: those that the people file lists, and those that were learned.

    All aliases are in memory. At most every `CHECK_INTERVAL` the database is queried for a newer version.
    """

    CHECK_INTERVAL = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._known = _NO_ALIASES
        self._expected = _NO_ALIASES
        self._checked_at: datetime | None = None

    def expect(self, aliases: Collection[PersonAlias]) -> None:
        """Know these aliases too, those of people who are about to be imported: their calendars are read before the
        database has them."""
        self._expected = index_aliases(aliases)

    def find_primary(self, alias: str) -> Address:
        name = normalize(alias)
        return self._refresh_aliases().owners.get(name) or self._expected.owners.get(name, name)

    def list_aliases(self, person: Address) -> frozenset[str]:
        known = self._refresh_aliases().names.get(person) or self._expected.names.get(person)
        return known or frozenset({person})

    def learn(self, person: Address, alias: str) -> None:
        name, owners = normalize(alias), self._refresh_aliases().owners
        if name and name not in owners and person in owners:
            self._store.aliases.learn(name, person)
            self._invalidate()

    def find_directory_id(self, person: Address) -> str | None:
        return self._refresh_aliases().directory_ids.get(person) or self._expected.directory_ids.get(person)

    def _refresh_aliases(self) -> KnownAliases:
        now = self._clock()
        with self._lock:
            is_due = self._checked_at is None or not timedelta(0) <= now - self._checked_at < self.CHECK_INTERVAL
            if is_due and (self._known is _NO_ALIASES or self._store.aliases.get_version() != self._known.version):
                self._known = self._store.aliases.load()
            if is_due:
                self._checked_at = now
            return self._known

    def _invalidate(self) -> None:
        with self._lock:
            self._checked_at = None


def build_identities(persons: Collection[Address], listed: Iterable[PersonAlias]) -> InMemoryIdentities:
    """Build identities from the aliases and directory ids that a people file lists."""
    aliases: dict[Address, list[str]] = {person: [] for person in persons}
    directory_ids: dict[Address, str] = {}
    for alias in listed:
        aliases[alias.person].append(alias.alias)
        if alias.source is AliasSource.DIRECTORY:
            directory_ids[alias.person] = alias.alias
    return InMemoryIdentities(aliases, directory_ids)


# --- guests under their primary addresses ---


def resolve_changes(changes: CalendarChanges, identities: Identities) -> CalendarChanges:
    """Return the changes with every organizer and guest under the primary address."""
    return replace(changes, events=tuple(resolve_event(event, identities) for event in changes.events))


def resolve_event(event: Event, identities: Identities) -> Event:
    """Return the event with its organizer and guests under their primary addresses."""
    organizer = identities.find_primary(event.organizer) if event.organizer else ""
    if organizer == event.organizer and all(identities.find_primary(guest) == guest for guest in event.answers):
        return event
    return replace(
        event,
        organizer=organizer,
        answers=_resolve_answers(event.answers, identities),
        proposed=_resolve_keys(event.proposed, identities),
    )


def _resolve_answers(answers: Mapping[Address, Answer], identities: Identities) -> dict[Address, Answer]:
    """Replace aliases by primary addresses. Of a guest who is listed twice, the answer that was given counts."""
    resolved: dict[Address, Answer] = {}
    for name, answer in answers.items():
        guest = identities.find_primary(name)
        if resolved.get(guest, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:
            resolved[guest] = answer
    return resolved


def _resolve_keys(values: Mapping[Address, T], identities: Identities) -> dict[Address, T]:
    return {identities.find_primary(name): value for name, value in values.items()}


# --- learning from our own events ---


def learn_from_write(event: Event, invited: Address, identities: Identities) -> None:
    """Store the name by which a service lists the only guest of an event, in its response to our own write."""
    name = _find_unknown_guest(event, invited, identities)
    if name:
        identities.learn(invited, name)


def learn_from_reading(event: Event, invited: Address, earlier: PlacedEvent, identities: Identities) -> None:
    """Store the name by which a calendar lists the only guest of our event, when it can't be somebody else.

    Somebody may have replaced the guest since we wrote the event. So the name has to be there since the write, or not
    be a mail address, or have a part in common with a known name of the guest.
    """
    name = _find_unknown_guest(event, invited, identities)
    if not name:
        return
    if name in earlier.answers or "@" not in name or _has_common_name_part(name, identities.list_aliases(invited)):
        identities.learn(invited, name)


def _find_unknown_guest(event: Event, invited: Address, identities: Identities) -> str:
    """Return the name of the only guest when it is not known as the invited person's; empty otherwise."""
    unknown = [name for name in event.answers if identities.find_primary(name) != invited]
    return unknown[0] if len(unknown) == len(event.answers) == 1 else ""


def _has_common_name_part(name: str, known_names: frozenset[str]) -> bool:
    """Return whether two mailboxes have a part of a name in common, as `sam.lee@x` and `sam.miller@y`."""
    parts = _split_name(name)
    return any(parts & _split_name(known_name) for known_name in known_names)


def _split_name(name: str) -> set[str]:
    return set(_NAME_PART.findall(name.partition("@")[0].casefold()))
