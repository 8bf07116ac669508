"""Opens the content that the mails and events of a batch of effects show, and no other content.

Content is sealed, which means encrypted in the database; to open it is to decrypt it. A pair is a manager and one
report. A personal mail is about several pairs of its reader. A trigger is the kind of occasion for which somebody asked
for an ad hoc session; it is stored together with the requester's words.

This module also reserves mentions. A mention is a sentence that a person gets in one mail only, such as that the other
person has kept a commitment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from worker.domain.model import (
    AccessRecord,
    Commitment,
    Effect,
    EffectKind,
    Handover,
    Learning,
    Owner,
    PairId,
    PairState,
    SharedNote,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.domain.planning import notices
from worker.mail.compose import LISTED_AFTER_CLOSING, FormerPair, OpenedContent, list_mention_subjects
from worker.mail.kinds import KINDS, SealedData
from worker.store.content import Content
from worker.store.store import Store

#: A pair, and a mail that is about this pair.
_MailOfPair = tuple[PairId, Effect]

_NO_PAIRS: Mapping[str, Sequence[PairId]] = {}


def open_mail_content(
    store: Store,
    effects: Sequence[Effect],
    states: Mapping[PairId, PairState],
    now: datetime,
    pairs_by_mail: Mapping[str, Sequence[PairId]] = _NO_PAIRS,
) -> OpenedContent:
    """Return the opened content that these effects show. `KINDS` lists the content that each kind of mail shows.

    `states` holds the state of each pair. `pairs_by_mail` holds the pairs of each personal mail, by the key of the
    mail's effect. Raises WrongKey when none of the configured encryption keys opens the content.
    """
    content = store.content
    mails = [(effect.pair, effect) for effect in effects if effect.kind is EffectKind.MAIL and effect.pair is not None]
    mails += [(pair, effect) for effect in effects for pair in pairs_by_mail.get(effect.key, ())]
    pairs = {pair for pair, _ in mails}
    latest_contracts = content.get_latest_contracts(pairs) if pairs else {}
    commitment_pairs = {pair for pair, _ in _select_mails(mails, SealedData.COMMITMENTS)}
    recently_ended_commitments = (
        store.queries.list_ended_commitments(commitment_pairs, now - LISTED_AFTER_CLOSING) if commitment_pairs else {}
    )
    sessions_with_revisions = {mail.subject for _, mail in _select_mails(mails, SealedData.REVISIONS)}
    revisions = {session: content.list_revisions(session) for session in sessions_with_revisions}
    triggers, ids_asked_by_report = _open_triggers(content, mails, states)
    return OpenedContent(
        contracts={pair: recorded.contract for pair, recorded in latest_contracts.items()},
        contract_sessions={pair: recorded.session for pair, recorded in latest_contracts.items()},
        revisions={
            session: [revision.contract for revision in session_revisions]
            for session, session_revisions in revisions.items()
        },
        authors_and_reasons={
            session: [(revision.by, revision.reason) for revision in session_revisions]
            for session, session_revisions in revisions.items()
        },
        commitment_texts=_open_commitments(
            content, effects, [states[pair] for pair in commitment_pairs], recently_ended_commitments
        ),
        ended_commitments=recently_ended_commitments,
        trigger_texts={
            session: f"{trigger.value}: {reason}" if reason else trigger.value
            for session, (trigger, reason) in triggers.items()
        },
        sessions_asked_by_report=ids_asked_by_report,
        deferral_reasons=_open_deferral_reasons(content, mails, states),
        learnings=_open_learnings(store, mails),
        accesses=_open_accesses(content, mails, now),
        notes=_open_notes(store, mails),
        former_pairs=_open_handovers(store, mails, states),
    )


def reserve_mentions(
    store: Store, mail: Effect, state: PairState | None, content: OpenedContent, now: datetime
) -> frozenset[str]:
    """Reserve the mentions of a mail, so that no other mail has them, and return their subjects (R-28, R-32).

    When the mail is dropped or becomes a dead letter, the mentions are released. `state` is the state of the mail's
    pair; None for a mail to the operator.
    """
    # the name is in KINDS, since the caller has found the mail to be valid
    if state is None or not KINDS[mail.name].mentions:
        return frozenset()
    reader = state.pair.id.get_owner(mail.to)  # which of the two gets the mail
    return store.mentions.reserve(mail.key, reader, list_mention_subjects(mail, state, content, now))


def _select_mails(mails: Sequence[_MailOfPair], sealed_data: SealedData) -> list[_MailOfPair]:
    """Return the mails that show this part of the sealed content, each with its pair.

    A mail whose name this version does not know is left out: it shows nothing, and fails when it is performed.
    """
    return [(pair, mail) for pair, mail in mails if mail.name in KINDS and sealed_data in KINDS[mail.name].sealed_data]


def _open_commitments(
    content: Content,
    effects: Sequence[Effect],
    states: Sequence[PairState],
    recently_ended_commitments: Mapping[PairId, Sequence[Commitment]],
) -> Mapping[str, WrittenCommitment]:
    """Return the texts of the commitments of these pairs, and of those whose blocks the effects write, by id."""
    # some of these subjects are ids of sessions, for which `get_written_commitments` returns nothing
    commitment_ids = {effect.subject for effect in effects if effect.kind in (EffectKind.CREATE, EffectKind.UPDATE)}
    for state in states:
        commitments = (*state.commitments, *recently_ended_commitments.get(state.pair.id, ()))
        commitment_ids |= {commitment.id for commitment in commitments}
    return content.get_written_commitments(commitment_ids) if commitment_ids else {}


def _open_triggers(
    content: Content, mails: Sequence[_MailOfPair], states: Mapping[PairId, PairState]
) -> tuple[dict[str, tuple[Trigger, str]], set[str]]:
    """Return the trigger and the requester's words of each ad hoc session that a mail may mention, by session.

    Also return which of these sessions the report asked for. A mail to the report never shows the manager's words, so
    for such a mail only the triggers of the sessions that the report asked for are opened (R-27).
    """
    ids_for_managers = _list_ad_hoc_ids(mails, states, SealedData.TRIGGER)
    ids_for_reports = _list_ad_hoc_ids(mails, states, SealedData.OWN_TRIGGER)
    ad_hoc_ids = sorted(ids_for_managers | ids_for_reports)
    ids_asked_by_report = {session_id for session_id in ad_hoc_ids if content.get_requester(session_id) is Owner.REPORT}
    ids_to_open = ids_for_managers | (ids_for_reports & ids_asked_by_report)
    triggers = {
        session_id: trigger for session_id in sorted(ids_to_open) if (trigger := content.get_trigger(session_id))
    }
    return triggers, ids_asked_by_report


def _list_ad_hoc_ids(
    mails: Sequence[_MailOfPair], states: Mapping[PairId, PairState], sealed_data: SealedData
) -> set[str]:
    """Return the ids of the ad hoc sessions that the mails which show this part of the content are about."""
    sessions = [states[pair].find_session(mail.subject) for pair, mail in _select_mails(mails, sealed_data)]
    return {session.id for session in sessions if session is not None and session.adhoc}


def _open_deferral_reasons(
    content: Content, mails: Sequence[_MailOfPair], states: Mapping[PairId, PairState]
) -> Mapping[str, Mapping[int, str]]:
    """Return the report's reasons for deferrals, by the id of the session and the field `number` of the `Deferral`.

    The reasons are opened for mails to managers only (R-18).
    """
    sessions = [
        mail.subject
        for pair, mail in _select_mails(mails, SealedData.DEFERRAL_REASONS)
        if mail.to == states[pair].manager.email
    ]
    return content.load_deferral_reasons(sessions) if sessions else {}


def _open_handovers(
    store: Store, mails: Sequence[_MailOfPair], states: Mapping[PairId, PairState]
) -> dict[PairId, FormerPair]:
    """Return the report's pair with the former manager, by the report's pair with the new manager (R-36).

    A pair whose report had no manager before has no entry.
    """
    pairs = {pair for pair, _ in _select_mails(mails, SealedData.HANDOVER)}
    handovers = [states[pair].incoming_handover for pair in sorted(pairs)]  # None: the report had no manager before
    return {
        handover.pair: open_former_pair(store, handover)
        for handover in handovers
        if handover is not None and handover.pair is not None
    }


def open_former_pair(store: Store, handover: Handover) -> FormerPair:
    """Return what the report's former manager has passed on, with the number of promises that were open at the end.

    Both people of the new pair may read these. Raises WrongKey.
    """
    open_promises = [
        commitment
        for commitment in store.queries.list_commitments(handover.former_pair)
        if commitment.owner is Owner.MANAGER and commitment.was_open_at(handover.ended_at)
    ]
    manager = handover.former_pair.manager
    current_person = store.people.get_person(manager)
    return FormerPair(
        # somebody who has left is only among all people
        manager=current_person or store.people.load_all_people()[manager],
        has_manager_left=current_person is None,
        open_promise_count=len(open_promises),
        # only lines that the report has passed on
        passed_lines=store.handovers.load_content(handover.former_pair).lines,
    )


def _open_accesses(content: Content, mails: Sequence[_MailOfPair], now: datetime) -> dict[str, list[AccessRecord]]:
    """Return the accesses of operators to content that each mail reports, by the key of the mail's effect.

    A mail may have waited for its reader's working hours (T-16). So these are the accesses in the quarter-hour that
    begins at `mail.start`, in which the first access took place, and in all complete quarter-hours after it.
    """
    # The last complete quarter-hour ends where the present one starts. The accesses in the present one are in the next
    # mail. No mail is due before its first quarter-hour is complete.
    end = notices.find_access_period_start(now)
    return {
        mail.key: content.list_accesses([pair], Span(mail.start, end))
        for pair, mail in _select_mails(mails, SealedData.ACCESSES)
        if mail.start
    }


def _open_learnings(store: Store, mails: Sequence[_MailOfPair]) -> Mapping[PairId, Learning]:
    """Return the sentence of each manager about their own learning that no mail has shown to the report yet (R-35)."""
    pairs = {pair for pair, _ in _select_mails(mails, SealedData.LEARNING)}
    return store.learnings.load_waiting(pairs) if pairs else {}


def _open_notes(store: Store, mails: Sequence[_MailOfPair]) -> Mapping[PairId, Sequence[SharedNote]]:
    """Return the notes of the pairs whose mails show notes, or invite the reader to leave one."""
    pairs = {pair for pair, _ in _select_mails(mails, SealedData.NOTES)}
    return store.notes.load_notes(pairs) if pairs else {}
