"""Opens the sealed words that a batch of effects has to say, and no others."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from worker.domain.model import (
    AccessRecord,
    Commitment,
    Effect,
    EffectKind,
    Owner,
    PairId,
    PairState,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.domain.planning import notices
from worker.mail.compose import RECENT_PERIOD, OpenedContent
from worker.mail.kinds import KINDS, Sealed
from worker.store.content import Content
from worker.store.store import Store

#: A mail, and the pair it is about.
_Mail = tuple[PairId, Effect]


def open_material(
    store: Store, messages: Sequence[Effect], states: Mapping[PairId, PairState], now: datetime
) -> OpenedContent:
    """What these effects need, by the table of mails; `states` are those of their pairs. Raises when a seal can't be
    opened."""
    content = store.content
    mails = [(m.pair, m) for m in messages if m.kind is EffectKind.MAIL and m.pair is not None]
    pairs = {pair for pair, _ in mails}
    latest = content.get_latest_contracts(pairs) if pairs else {}
    owing = {pair for pair, _ in _needing(mails, Sealed.COMMITMENTS)}
    ended = store.queries.list_ended_commitments(owing, now - RECENT_PERIOD) if owing else {}
    summarized = {m.subject for _, m in _needing(mails, Sealed.REVISIONS)}
    triggers = _open_triggers(content, mails, states)
    return OpenedContent(
        contracts={pair: recorded.contract for pair, recorded in latest.items()},
        contract_sessions={pair: recorded.session for pair, recorded in latest.items()},
        revisions={session: [r.contract for r in content.list_revisions(session)] for session in summarized},
        promises=_open_promises(content, messages, [states[pair] for pair in owing], ended),
        closed_commitments=ended,
        trigger_texts={s: f"{kind.value}: {words}" if words else kind.value for s, (kind, words) in triggers.items()},
        asked_by_report={session for session in triggers if content.get_requester(session) is Owner.REPORT},
        accesses=_open_accesses(content, mails),
    )


def _needing(mails: Sequence[_Mail], sealed: Sealed) -> list[_Mail]:
    return [(pair, m) for pair, m in mails if m.name in KINDS and sealed in KINDS[m.name].sealed_data]


def _open_promises(
    content: Content,
    messages: Sequence[Effect],
    owing: Sequence[PairState],
    ended: Mapping[PairId, Sequence[Commitment]],
) -> Mapping[str, WrittenCommitment]:
    """The words of the commitments that mails show, and of those whose blocks are written."""
    wanted = {m.subject for m in messages if m.kind is not EffectKind.MAIL}
    for state in owing:
        wanted |= {c.id for c in (*state.commitments, *ended.get(state.pair.id, ()))}
    return content.get_written_commitments(wanted) if wanted else {}


def _open_triggers(
    content: Content, mails: Sequence[_Mail], states: Mapping[PairId, PairState]
) -> dict[str, tuple[Trigger, str]]:
    """Why somebody asked for an ad hoc session, by session."""
    sessions = [states[pair].session(m.subject) for pair, m in _needing(mails, Sealed.TRIGGER)]
    adhoc = [session.id for session in sessions if session is not None and session.adhoc]
    return {session: trigger for session in adhoc if (trigger := content.get_trigger(session))}


def _open_accesses(content: Content, mails: Sequence[_Mail]) -> dict[str, list[AccessRecord]]:
    """What commands showed or changed in the spell that each mail speaks for, by the key of the mail."""
    return {
        mail.key: content.list_accesses([pair], Span(mail.start, mail.start + notices.ACCESS_MAIL_PERIOD))
        for pair, mail in _needing(mails, Sealed.ACCESSES)
        if mail.start
    }
