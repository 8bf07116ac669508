"""Loads what mails about several pairs are made of: their reader, the pairs, and the mails that they stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.domain.model import Effect, MailName, PairId, PairState, Person
from worker.mail.kinds import KINDS
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class PersonalMail:
    """What a mail about several pairs is made of."""

    person: Person
    states: tuple[PairState, ...]
    told: tuple[Effect, ...] = ()  #: the mails that it stands for


def is_personal(effect: Effect) -> bool:
    """True for a mail about several pairs of its reader. A manager's introduction decided before is one too."""
    if effect.name not in KINDS or not KINDS[effect.name].is_personal:
        return False
    return effect.pair is None or effect.to == effect.pair.manager


def load_personal_mails(store: Store, effects: Sequence[Effect], now: datetime) -> dict[str, PersonalMail]:
    """Return what these mails are made of, by key. A mail whose reader has left is not among them."""
    mails = [effect for effect in effects if is_personal(effect)]
    told = store.outbox.list_folded_mails([mail.key for mail in mails if mail.name == MailName.OVERFLOW])
    found: dict[str, PersonalMail] = {}
    for mail in mails:
        person = store.people.get_person(mail.to)
        if person is not None:
            mine = tuple(told.get(mail.key, ()))
            pairs = _list_pairs(store, mail, mine)
            found[mail.key] = PersonalMail(person, store.plans.load(pairs, now).states, mine)
    return found


def _list_pairs(store: Store, mail: Effect, told: Sequence[Effect]) -> list[PairId]:
    if mail.name == MailName.OVERFLOW:
        return sorted({one.pair for one in told if one.pair is not None})
    return [pair.id for pair in store.people.list_pairs_of_manager(mail.to)]


def list_pairs_by_mail(personal: Mapping[str, PersonalMail]) -> dict[str, tuple[PairId, ...]]:
    """Return the pairs that each mail is about, by key."""
    return {key: tuple(state.pair.id for state in one.states) for key, one in personal.items()}
