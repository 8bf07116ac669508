"""Who an address belongs to, as the database knows it; and guests of our events under their primary addresses."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from worker.clock import Clock
from worker.domain.model import Address, AliasSource, Answer, CalendarChanges, Event, PersonAlias, PlacedEvent
from worker.providers.identities import Identities, InMemoryIdentities, normalize
from worker.store.person_names import PersonForms
from worker.store.store import Store

T = TypeVar("T")

_NO_FORMS = PersonForms("", {}, {}, {})
#: Parts of a mailbox name that tell who it is.
_NAME_PART = re.compile(r"[^\W\d_]{3,}")


class StoredIdentities:
    """Identities as the people file lists them and as they were learned, the same in every process.

    All forms are held in memory. At most every 30 seconds the database is asked whether they changed.
    """

    CHECK_INTERVAL = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._table = _NO_FORMS
        self._checked_at: datetime | None = None

    def primary(self, form: str) -> Address:
        name = normalize(form)
        return self._refresh_forms().owners.get(name, name)

    def list_aliases(self, person: Address) -> frozenset[str]:
        return self._refresh_forms().forms.get(person) or frozenset({person})

    def learn(self, person: Address, form: str) -> None:
        name, owners = normalize(form), self._refresh_forms().owners
        if name and name not in owners and person in owners:
            self._store.person_forms.learn(name, person)
            self._invalidate()

    def directory_id(self, person: Address) -> str | None:
        return self._refresh_forms().directory_ids.get(person)

    def _refresh_forms(self) -> PersonForms:
        now = self._clock()
        with self._lock:
            due = self._checked_at is None or not timedelta(0) <= now - self._checked_at < self.CHECK_INTERVAL
            if due and (self._table is _NO_FORMS or self._store.person_forms.get_version() != self._table.version):
                self._table = self._store.person_forms.load()
            if due:
                self._checked_at = now
            return self._table

    def _invalidate(self) -> None:
        with self._lock:
            self._checked_at = None


def build_identities(persons: Collection[Address], forms: Iterable[PersonAlias]) -> InMemoryIdentities:
    """Identities as a people file lists them."""
    aliases: dict[Address, list[str]] = {person: [] for person in persons}
    ids: dict[Address, str] = {}
    for one in forms:
        aliases[one.person].append(one.alias)
        if one.source is AliasSource.DIRECTORY:
            ids[one.person] = one.alias
    return InMemoryIdentities(aliases, ids)


# --- guests under their primary addresses ---


def resolve_changes(changes: CalendarChanges, identities: Identities) -> CalendarChanges:
    """The same changes, with everybody under the primary address."""
    return replace(changes, events=tuple(resolve_event(event, identities) for event in changes.events))


def resolve_event(event: Event, identities: Identities) -> Event:
    """The same event, with its organizer and its guests under their primary addresses."""
    organizer = identities.primary(event.organizer) if event.organizer else ""
    if organizer == event.organizer and all(identities.primary(guest) == guest for guest in event.answers):
        return event
    return replace(
        event,
        organizer=organizer,
        answers=_resolve_answers(event.answers, identities),
        proposed=_resolve_keys(event.proposed, identities),
    )


def _resolve_answers(answers: Mapping[Address, Answer], identities: Identities) -> dict[Address, Answer]:
    """Of a guest who is listed by two forms, the answer that was given counts."""
    resolved: dict[Address, Answer] = {}
    for form, answer in answers.items():
        guest = identities.primary(form)
        if resolved.get(guest, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:
            resolved[guest] = answer
    return resolved


def _resolve_keys(values: Mapping[Address, T], identities: Identities) -> dict[Address, T]:
    return {identities.primary(form): value for form, value in values.items()}


# --- learning from our own events ---


def learn_from_write(event: Event, invited: Address, identities: Identities) -> None:
    """Keep the form by which a service names the only guest of an event, told in answer to our own write."""
    stranger = _find_unknown_guest(event, invited, identities)
    if stranger:
        identities.learn(invited, stranger)


def learn_from_reading(event: Event, invited: Address, before: PlacedEvent, identities: Identities) -> None:
    """Keep the form by which a calendar names the only guest of our event, when it can't be somebody else.

    A person may have replaced the guest since we wrote. So the form has to be there since then, or be no mail address,
    or share a name with a form that is known.
    """
    stranger = _find_unknown_guest(event, invited, identities)
    if not stranger:
        return
    if (
        stranger in before.answers
        or "@" not in stranger
        or _has_common_name_part(stranger, identities.list_aliases(invited))
    ):
        identities.learn(invited, stranger)


def _find_unknown_guest(event: Event, invited: Address, identities: Identities) -> str:
    """The one guest, when it is not the invited person; empty otherwise."""
    guests = [form for form in event.answers if identities.primary(form) != invited]
    return guests[0] if len(guests) == len(event.answers) == 1 else ""


def _has_common_name_part(form: str, others: frozenset[str]) -> bool:
    """Whether two mailboxes have a part of a name in common: `sam.lee@x` and `sam.miller@y`."""
    parts = _split_name(form)
    return any(parts & _split_name(other) for other in others)


def _split_name(form: str) -> set[str]:
    return set(_NAME_PART.findall(form.partition("@")[0].casefold()))
