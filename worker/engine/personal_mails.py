"""Loads the data for personal mails, which are about several pairs of their reader.

Two examples are a manager's introduction, and the overflow mail, into which mails over a reader's daily limit are
folded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.domain.model import Effect, MailName, PairId, PairState, Person
from worker.mail.kinds import KINDS
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class PersonalMail:
    """The data for a mail about several pairs of its reader."""

    person: Person  #: the reader
    states: tuple[PairState, ...]
    folded_mails: tuple[Effect, ...] = ()  #: the mails that were folded into an overflow mail


def is_personal(effect: Effect) -> bool:
    """Return whether the effect is a mail about several pairs of its reader.

    Of the introductions, only those to managers are personal. An introduction to a report is about one pair, which its
    effect names. Effects that an older version has written name a pair in introductions to managers, too.
    """
    if effect.name not in KINDS or not KINDS[effect.name].is_personal:
        return False
    return effect.pair is None or effect.to == effect.pair.manager


def load_personal_mails(store: Store, effects: Sequence[Effect], now: datetime) -> dict[str, PersonalMail]:
    """Return the data for the personal mails among these effects, by key, without mails to people who have left."""
    mails = [effect for effect in effects if is_personal(effect)]
    all_folded = store.outbox.list_folded_mails([mail.key for mail in mails if mail.name == MailName.OVERFLOW])
    personal_mails: dict[str, PersonalMail] = {}
    for mail in mails:
        person = store.people.get_person(mail.to)
        if person is not None:
            folded_mails = tuple(all_folded.get(mail.key, ()))
            pairs = _list_pairs(store, mail, folded_mails)
            personal_mails[mail.key] = PersonalMail(person, store.plans.load(pairs, now).states, folded_mails)
    return personal_mails


def _list_pairs(store: Store, mail: Effect, folded_mails: Sequence[Effect]) -> list[PairId]:
    """Return the pairs of the folded mails for an overflow mail, and otherwise all pairs of the manager."""
    if mail.name == MailName.OVERFLOW:
        return sorted({folded_mail.pair for folded_mail in folded_mails if folded_mail.pair is not None})
    return [pair.id for pair in store.people.list_pairs_of_manager(mail.to)]


def list_pairs_by_mail(personal_mails: Mapping[str, PersonalMail]) -> dict[str, tuple[PairId, ...]]:
    """Return the pairs that each mail is about, by the key of the mail."""
    return {key: tuple(state.pair.id for state in mail.states) for key, mail in personal_mails.items()}
