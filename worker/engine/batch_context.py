"""Loads the data for performing a batch of effects: the states of pairs, personal mails, and opened content.

A personal mail is about several pairs of its reader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from worker.domain.model import PairId, PairState
from worker.engine.mail_content import open_mail_content
from worker.engine.personal_mails import PersonalMail, list_pairs_by_mail, load_personal_mails
from worker.mail.compose import OpenedContent
from worker.store.outbox import ClaimedEffect
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class BatchContext:
    """The data for performing a batch of effects, as of one moment."""

    loaded_at: datetime
    states: Mapping[PairId, PairState]  #: the pairs of the effects
    content: OpenedContent
    personal_mails: Mapping[str, PersonalMail] = field(default_factory=dict)  #: by the key of the mail
    problem: str = ""  #: why the data could not be loaded; empty when it was loaded


def read_batch_context(store: Store, claimed_effects: Sequence[ClaimedEffect], now: datetime) -> BatchContext:
    """Return the data for these effects. Raises WrongKey when their sealed content can't be opened."""
    effects = [claimed_effect.effect for claimed_effect in claimed_effects]
    pairs = sorted({effect.pair for effect in effects if effect.pair is not None})
    states = {state.pair.id: state for state in store.plans.load(pairs, now).states}
    personal_mails = load_personal_mails(store, effects, now)
    personal_states = {state.pair.id: state for mail in personal_mails.values() for state in mail.states}
    all_states = {**personal_states, **states}
    content = open_mail_content(store, effects, all_states, now, list_pairs_by_mail(personal_mails))
    alert_texts = {claimed_effect.effect.key: claimed_effect.alert_text for claimed_effect in claimed_effects}
    return BatchContext(now, states, replace(content, alert_texts=alert_texts), personal_mails)
