"""Loads what performing a batch of effects needs: pairs, the mails about several of them, and opened content."""

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
    """What performing a batch of effects needs, as of one moment."""

    loaded_at: datetime
    states: Mapping[PairId, PairState]
    content: OpenedContent
    personal: Mapping[str, PersonalMail] = field(default_factory=dict)  #: mails about several pairs, by key
    problem: str = ""  #: why it could not be loaded


def read_batch_context(store: Store, claimed: Sequence[ClaimedEffect], now: datetime) -> BatchContext:
    """Return what these effects need. Raises WrongKey when sealed content of theirs can't be opened."""
    effects = [one.effect for one in claimed]
    pairs = sorted({effect.pair for effect in effects if effect.pair is not None})
    states = {state.pair.id: state for state in store.plans.load(pairs, now).states}
    personal = load_personal_mails(store, effects, now)
    all_states = {**{state.pair.id: state for one in personal.values() for state in one.states}, **states}
    content = open_mail_content(store, effects, all_states, now, list_pairs_by_mail(personal))
    content = replace(content, alert_texts={one.effect.key: one.alert_text for one in claimed})
    return BatchContext(now, states, content, personal)
