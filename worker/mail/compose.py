"""Builds event drafts, and the contexts (the data) of mails, from the state when the outbox sends them."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from worker.domain import notes
from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Deferral,
    Effect,
    EffectProgress,
    EndReason,
    EventDraft,
    HandoverLine,
    Learning,
    MailName,
    NamedAddress,
    Opening,
    Owner,
    PairId,
    PairState,
    Person,
    Session,
    SessionKind,
    SessionState,
    SharedNote,
    Span,
    ThirdVoice,
    WrittenCommitment,
    select_openings,
)
from worker.domain.planning import contract_mails, deferrals, offers, questions
from worker.domain.planning.cadence import choose_interval
from worker.domain.planning.unplaceable import has_same_cause
from worker.domain.time.blockers import order_for_reader
from worker.domain.time.worktime import get_local_date, parse_hours
from worker.links import LinkClaims, Purpose, make_link_signer
from worker.mail.context import MailContext, ReadableCommitment, remove_content
from worker.mail.kinds import KINDS, ContractLink, Mention, SealedData
from worker.mail.news import build_news_line, find_next_career_session, list_news
from worker.mail.page_links import list_manager_links, list_report_links
from worker.mail.templates import load_default_templates
from worker.settings.load import Settings
from worker.settings.openings_file import OpeningsReader

#: Briefs list a commitment for this time after it was closed.
LISTED_AFTER_CLOSING = timedelta(days=120)

_THREAD_STARTERS = frozenset(kind.name for kind in KINDS.values() if kind.begins_thread)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerPair:
    """The report's pair with the former manager (R-36)."""

    manager: Person  #: the former manager
    has_manager_left: bool  #: whether the former manager is no longer in the roster
    open_promise_count: int  #: how many promises of the former manager were open when the pair ended
    passed_lines: Sequence[HandoverLine]  #: what the report passed on to the new manager


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedContent:
    """The decrypted data for a batch of mails and events."""

    contracts: Mapping[PairId, Contract] = field(default_factory=dict)  #: the contract in force, by pair
    revisions: Mapping[str, Sequence[Contract]] = field(default_factory=dict)  #: oldest first, by id of the session
    #: For each of `revisions`: who changed one commitment, and why; None and "" for a contract recorded as a whole.
    authors_and_reasons: Mapping[str, Sequence[tuple[Owner | None, str]]] = field(default_factory=dict)
    commitment_texts: Mapping[str, WrittenCommitment] = field(default_factory=dict)  #: by the id of the commitment
    ended_commitments: Mapping[PairId, Sequence[Commitment]] = field(default_factory=dict)  #: recently ended, by pair
    #: The id of the session of the contract in force, by pair.
    contract_sessions: Mapping[PairId, str] = field(default_factory=dict)
    sessions_asked_by_report: Set[str] = frozenset()  #: the ids of the ad hoc sessions that the report asked for
    former_pairs: Mapping[PairId, FormerPair] = field(default_factory=dict)  #: by the pair with the new manager
    accesses: Mapping[str, Sequence[AccessRecord]] = field(default_factory=dict)  #: operators' accesses, by key of mail
    notes: Mapping[PairId, Sequence[SharedNote]] = field(default_factory=dict)  #: by pair
    alert_texts: Mapping[str, str] = field(default_factory=dict)  #: by the key of the mail to the operator
    #: What a manager says about their own learning, if no reflection prompt has shown it to the report yet; by pair.
    learnings: Mapping[PairId, Learning] = field(default_factory=dict)
    trigger_texts: Mapping[str, str] = field(default_factory=dict)  #: why a session was asked for, by its id
    #: What the report said about deferrals, by the session's id and the deferral's number; only for the manager's mails
    deferral_reasons: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


class Composer:
    """Builds event drafts and mail contexts according to the company's settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link_signer = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
        self._event_settings = settings.event
        self._policy = settings.policy
        self._openings = OpeningsReader(settings.openings_file)
        self._languages = load_default_templates().languages

    # --- events ---

    def build_session_event(self, state: PairState, session: Session) -> EventDraft:
        """Return the event of a session, which invites the report (R-2) and has no content of conversations (R-23)."""
        subjects = {
            SessionKind.CAREER: self._event_settings.subject,
            SessionKind.REVIEW: self._event_settings.review_subject,
            SessionKind.CHECKIN: self._event_settings.checkin_subject,
        }
        return EventDraft(
            key=session.key,
            title=self._fill_text(state, subjects[session.kind]),
            body=self._fill_text(state, self._event_settings.body),
            span=session.span,
            zone=state.manager.zone,
            organizer=NamedAddress(state.manager.email, state.manager.name),
            guests=(NamedAddress(state.report.email, state.report.name),),
            reminders=tuple(self._event_settings.reminders),
            video=self._event_settings.video,
            sequence=session.sequence,
        )

    def build_commitment_event(
        self, state: PairState, commitment: Commitment, promise: WrittenCommitment | None
    ) -> EventDraft:
        """Return the event of a commitment's block, for the manager alone (T-8).

        The title is neutral. A setting determines the text, because a manager's delegates and administrators may be
        able to read it. Raises ValueError when the commitment has no block.
        """
        if commitment.block is None:
            raise ValueError(f"commitment {commitment.id} has no block")
        body = self._choose_commitment_text(commitment, promise)
        return EventDraft(
            key=commitment.key,
            title=self._fill_text(state, self._event_settings.commitment_subject),
            body=f"{body}\n\n{commitment.due:%Y-%m-%d}".strip(),
            span=commitment.block,
            zone=state.manager.zone,
            organizer=NamedAddress(state.manager.email, state.manager.name),
            all_day=commitment.all_day,
            blocks_time=not commitment.all_day,
            reminders=() if commitment.all_day else tuple(self._event_settings.reminders[:1]),
            sequence=commitment.sequence,
        )

    def _fill_text(self, state: PairState, text: str) -> str:
        """Return a text of the settings with the names filled in. Default texts are translated for the manager."""
        translated = self._languages.find_language(state.manager.locale).gettext(text)
        return translated.format(manager=state.manager.name, report=state.report.name)

    def _choose_commitment_text(self, commitment: Commitment, promise: WrittenCommitment | None) -> str:
        """Return the text of the block, according to the setting: the commitment, the URL of its page, or no text."""
        if self._event_settings.commitment_text == "link":
            return f"{self._settings.base_url}/team/contract/{commitment.session}"
        return promise.text if promise and self._event_settings.commitment_text == "text" else ""

    def build_invitation_event(self, state: PairState, session: Session, mail: Effect) -> EventDraft:
        """Return the event of an invitation mail. The event's sequence is the number of earlier mails about it."""
        if session.booked and session.key == mail.event:
            span = session.span
        else:  # the mail withdraws the invitation to a time or an event that the session no longer has
            start = mail.start or session.span.start  # the first: a withdrawal has the start that it withdraws
            span = Span(start, start + timedelta(minutes=session.minutes))
        draft = self.build_session_event(state, replace(session, start=span.start, end=span.end))
        return replace(draft, key=mail.event, sequence=mail.number)

    # --- mails ---

    def build_mail_context(
        self,
        mail: Effect,
        state: PairState | None,
        content: OpenedContent,
        now: datetime,
        mentions: Set[str] = frozenset(),
    ) -> MailContext:
        """Return the context of a mail. `state` is the state of the pair; it is None for a mail to the operator.

        `mentions` are those subjects of `list_mention_subjects` that are reserved for this mail: no other has them.
        """
        if state is None:
            reason = content.alert_texts.get(mail.key, "")
            return MailContext(name=mail.name, key=mail.key, to=self.build_operator(), now=now, reason=reason)
        session = state.find_session(mail.subject)
        reader = state.manager if mail.to == state.manager.email else state.report
        session_fields = self._collect_session_fields(mail, state, session, content, now) if session else {}
        effect_fields = KINDS[mail.name].build_effect_fields(mail)
        learning = self.choose_learning(mail, state, content)
        commitments = _list_readable_commitments(state, content, now)
        note_fields = _collect_note_fields(mail, state, content, commitments, mentions)
        if mail.name == MailName.OPEN_PROMISES:
            commitments = tuple(c for c in commitments if c.commitment.is_open_promise_of_manager)
        if "due" in effect_fields:  # the mail is about the commitments that are due on one day
            commitments = _list_due_commitments(effect_fields["due"], state.pair.id.get_owner(mail.to), commitments)
        context = MailContext(
            name=mail.name,
            key=mail.key,
            to=reader,
            now=now,
            manager=state.manager,
            report=state.report,
            pair=state.pair,
            every=choose_interval(state.pair, now.date(), self._policy),
            thread=_find_thread_key(mail, state),
            session=session or find_next_career_session(state, now),
            commitments=commitments,
            links=self._build_links(mail, state, content.contract_sessions.get(state.pair.id, ""), commitments, now),
            learning=learning.text if learning else "",
            openings=self.choose_openings(state.report, now) if KINDS[mail.name].shows_openings else (),
            commitment_text=self._event_settings.commitment_text,
            accesses=tuple(content.accesses.get(mail.key, ())),
            **_collect_handover_fields(state, content.former_pairs.get(state.pair.id)),
            **{"contract": content.contracts.get(state.pair.id), **session_fields, **effect_fields, **note_fields},
        )
        return remove_content(context) if KINDS[mail.name].has_only_links(self._settings.mail.content) else context

    def choose_openings(self, report: Person, now: datetime) -> tuple[Opening, ...]:
        """Return the openings to show to the report or the manager: the same for every report of a group (R-29)."""
        return select_openings(self._openings.list_openings(), report.group, get_local_date(report.zone, now))

    def choose_learning(self, mail: Effect, state: PairState, content: OpenedContent) -> Learning | None:
        """Return what this mail shows of the manager's own learning (R-35); None when it shows nothing.

        The prompt before a conversation that the report asked for is about the report alone, and shows no learning.
        """
        if mail.name not in KINDS or SealedData.LEARNING not in KINDS[mail.name].sealed_data:  # events have no name
            return None
        return None if self._choose_trigger(mail, state, content) else content.learnings.get(state.pair.id)

    def build_voice_context(
        self, mail: Effect, voice: ThirdVoice, report: Person, third: Person, now: datetime
    ) -> MailContext:
        """Return the context of a mail to or about a third voice (R-30). It has neither the question nor the answer."""
        if mail.name == MailName.THIRD_VOICE_REQUEST:
            to, link_name, page = third, "answer", (Purpose.VOICE, voice.id)
        else:
            to, link_name, page = report, "settings", (Purpose.ME, "")
        return MailContext(
            name=mail.name,
            key=mail.key,
            to=to,
            now=now,
            report=report,
            expires_at=voice.expires_at,
            links=self._sign_links(to, {link_name: page}, now),
        )

    def build_personal_context(
        self,
        mail: Effect,
        person: Person,
        states: Sequence[PairState],
        folded_mails: Sequence[Effect],
        content: OpenedContent,
        now: datetime,
    ) -> MailContext:
        """Return the context of a mail about several pairs of its reader. A mail without news must not be sent.

        `states` are the states of these pairs. `folded_mails` are the mails that were folded into an overflow mail.
        """
        has_only_links = KINDS[mail.name].has_only_links(self._settings.mail.content)
        texts = {} if has_only_links else content.commitment_texts
        lines = [
            build_news_line(person, entry, texts, partial(self._sign_links, person, now=now))
            for entry in list_news(mail, states, folded_mails, now)
        ]
        return MailContext(
            name=mail.name,
            key=mail.key,
            to=person,
            now=now,
            news=tuple(lines),
            commitment_text=self._event_settings.commitment_text,
            by_link=has_only_links,
            links=self._sign_links(person, {"settings": (Purpose.TEAM, "")}, now),
        )

    def choose_sender(self, mail: Effect, manager: Address) -> Address:
        """Return the mailbox that sends the mail: the manager's, if so configured, or empty for the default sender."""
        as_manager = self._settings.mail.send_as == "manager" and KINDS[mail.name].can_be_sent_from_manager
        return manager if as_manager else ""

    def _collect_session_fields(
        self, mail: Effect, state: PairState, session: Session, content: OpenedContent, now: datetime
    ) -> dict[str, object]:
        """Return the fields of the context that depend on the session that the mail is about."""
        reasons = content.deferral_reasons.get(session.id, {}) if mail.to == state.manager.email else {}
        move = _find_move(mail, state)
        counted_deferrals = tuple(d for d in state.deferrals if d.session == session.id and d.is_counted)
        fields: dict[str, object] = {
            "count": 0 if move else deferrals.count_deferrals_in_cycle(state.sessions, session),  # moves do not count
            "deferrals": (move,) if move else counted_deferrals,
            "deferral_reasons": reasons,
            # the keys of `reasons` are the numbers of deferrals and moves; `session.count` is that of the last deferral
            "has_deferral_reason": (move.number if move else session.count) in reasons,
            "options": (options := offers.list_open_times(session, now)),
            "offer": session.offer if options else None,
            "may_leave": questions.can_be_left_until_next_cycle(session),
            "why": order_for_reader(session.unplaceable or (), state.get_person(mail.to).name),
            "also": sum(has_same_cause(session, other) for other in state.sessions),  # False for itself
            "unfinished": _list_unfinished_starts(state, session),
        }
        if session.held_at:
            fields["deadline"] = contract_mails.find_contract_deadline(state.manager, session)
        if trigger := self._choose_trigger(mail, state, content):
            fields["trigger"] = trigger
            fields["asked_by_report"] = session.id in content.sessions_asked_by_report
        if SealedData.REVISIONS in KINDS[mail.name].sealed_data:
            fields.update(_collect_revision_fields(mail, content))
        return fields

    def _choose_trigger(self, mail: Effect, state: PairState, content: OpenedContent) -> str:
        """Return why the conversation was asked for, as far as the reader may know; empty if not at all.

        The manager gets the trigger and the text that was entered with it (R-6). The report gets the trigger alone, and
        only for a conversation that the report asked for (R-27).
        """
        trigger = content.trigger_texts.get(mail.subject, "")
        if mail.to == state.manager.email:
            return trigger
        may_know = mail.subject in content.sessions_asked_by_report and self._settings.mail.content != "link"
        return trigger.partition(":")[0] if may_know else ""  # without the text, which follows the colon

    def _build_links(
        self,
        mail: Effect,
        state: PairState,
        contract_session: str,
        commitments: Sequence[ReadableCommitment],
        now: datetime,
    ) -> dict[str, str]:
        """Return the URLs of the reader's links by name; empty without pages.

        When the pair has ended, only the mail about open promises has a link. `contract_session` is the id of the
        session of the contract in force; empty if there is no contract.
        """
        is_about_ended_pair = mail.name == MailName.OPEN_PROMISES
        if not (state.pair.ended is EndReason.NO or is_about_ended_pair):
            return {}
        if mail.name == MailName.PULSE:
            return self._build_pulse_links(mail, state.report, now)
        session = state.find_session(mail.subject) or find_next_career_session(state, now)
        session_id = session.id if session else ""
        if is_about_ended_pair:
            links = {"settings": (Purpose.TEAM, "")}
        elif mail.to == state.report.email:
            links = list_report_links(session_id)
        else:
            if KINDS[mail.name].contract_link is ContractLink.OF_SESSION:
                contract_session = mail.subject
            # `commitments` is sorted: the link opens the contract of the one with the earliest due date
            commitment_session = commitments[0].commitment.session if commitments else ""
            links = list_manager_links(session_id, contract_session, commitment_session)
        reader = state.report if mail.to == state.report.email else state.manager
        return self._sign_links(reader, links, now)

    def _sign_links(self, person: Person, links: Mapping[str, tuple[Purpose, str]], now: datetime) -> dict[str, str]:
        """Return the URLs of links by name; empty without pages. `links`: by name, a link's purpose and subject id."""
        if self._link_signer is None:
            return {}
        return {
            name: self._link_signer.build_url(
                LinkClaims(person=person.email, purpose=purpose, subject_id=subject_id, issued_at=now)
            )
            for name, (purpose, subject_id) in links.items()
        }

    def _build_pulse_links(self, mail: Effect, report: Person, now: datetime) -> dict[str, str]:
        """Return the links `yes` and `no` to the anonymous question of a round (R-37).

        The answer is the URL's fragment, which browsers don't send to the server.
        """
        # the number of the mail is 202609 for the round 2026-09 (see `make_round_number`)
        round_name = f"{mail.number // 100}-{mail.number % 100:02d}"
        links = self._sign_links(report, {"question": (Purpose.PULSE, round_name)}, now)
        # `links` has one URL, or none when there are no pages
        return {answer: f"{url}#{answer}" for url in links.values() for answer in ("yes", "no")}

    def build_operator(self) -> Person:
        """Return a `Person` for the operator, as the reader of mails and pages."""
        return Person(
            email=self._settings.operator,
            name="Longarc operator",
            zone="UTC",
            country="US",  # like the hours, required but never used: nothing waits for the operator's working time
            hours=parse_hours("Mon-Sun 00:00-24:00"),
            locale=self._settings.locale,
            calendar="none",
            mail=self._settings.mail.operator_by,
        )


def list_mention_subjects(mail: Effect, state: PairState, content: OpenedContent, now: datetime) -> list[str]:
    """Return the subjects that this mail can mention, if no other mail has mentioned them (R-28, R-32).

    The subjects are the ids of kept commitments. If the reader can leave a note about a session, the result of
    `make_note_mention` for that session is also a subject.
    """
    mentions, reader = KINDS[mail.name].mentions, state.pair.id.get_owner(mail.to)
    subjects: list[str] = []
    if Mention.KEPT_COMMITMENTS in mentions:
        commitments = [readable.commitment for readable in _list_readable_commitments(state, content, now)]
        subjects += [commitment.id for commitment in notes.list_kept_commitments(commitments, reader, now)]
    if Mention.NOTE_INVITATION in mentions:
        session = notes.find_session_without_note(state.sessions, content.notes.get(state.pair.id, ()), reader, now)
        subjects += [notes.make_note_mention(session)] if session else []
    return subjects


def _collect_note_fields(
    mail: Effect,
    state: PairState,
    content: OpenedContent,
    commitments: Sequence[ReadableCommitment],
    mentions: Set[str],
) -> dict[str, object]:
    """Return the context's fields about the pair's notes, and about the kept commitments and session in `mentions`."""
    fields: dict[str, object] = {}
    kept = [readable for readable in commitments if readable.commitment.id in mentions]
    kept.sort(key=lambda readable: readable.commitment.closed_at or readable.commitment.recorded_at)
    fields.update(kept_commitments=tuple(kept), has_kept_commitments=bool(kept))
    fields["noted_session"] = next((s for s in state.sessions if notes.make_note_mention(s) in mentions), None)
    if mail.name == MailName.BRIEF:
        open_notes = notes.select_open_notes(content.notes.get(state.pair.id, ()), state.sessions)
        fields.update(notes=tuple(open_notes), has_notes=bool(open_notes))
    return fields


def _collect_handover_fields(state: PairState, former: FormerPair | None) -> dict[str, Any]:
    """Return the context's fields about the report's former pair; empty once the two have had a career session."""
    if former is None or any(s.held_at and s.kind is SessionKind.CAREER for s in state.sessions):
        return {}
    return {
        "former": former.manager,
        "former_left": former.has_manager_left,
        "former_promises": former.open_promise_count,
        "passed": tuple(former.passed_lines),
    }


def _list_readable_commitments(
    state: PairState, content: OpenedContent, now: datetime
) -> tuple[ReadableCommitment, ...]:
    """Return the pair's open and recently closed commitments with their decrypted texts, sorted by due date."""
    commitments = [*state.commitments, *content.ended_commitments.get(state.pair.id, ())]
    recent = {c.id: c for c in commitments if c.is_open or (c.closed_at and c.closed_at > now - LISTED_AFTER_CLOSING)}
    readable = [
        ReadableCommitment(commitment=c, promise=content.commitment_texts[c.id])
        for c in recent.values()
        if c.id in content.commitment_texts
    ]
    return tuple(sorted(readable, key=lambda item: (item.commitment.due, item.commitment.id)))


def _list_due_commitments(
    day: date | None, owner: Owner, commitments: Sequence[ReadableCommitment]
) -> tuple[ReadableCommitment, ...]:
    """Return the open commitments of one person that are due on that day."""
    return tuple(
        readable
        for readable in commitments
        if readable.commitment.owner is owner and readable.commitment.due == day and readable.commitment.is_open
    )


def _find_thread_key(mail: Effect, state: PairState) -> str:
    """Return the key of the mail that began this reader's thread about the pair; empty if there is no thread."""
    starters = (e for e in state.effects if e.name in _THREAD_STARTERS and e.to == mail.to)
    keys = (starter.key for starter in starters if starter.progress is EffectProgress.DONE)
    return next((key for key in keys if key != mail.key), "")  # a mail that begins a thread is no reply to itself


def _find_move(mail: Effect, state: PairState) -> Deferral | None:
    """Return the move by hand, a deferral with a negative number, that a deferral notice is about (R-18), or None."""
    if mail.name != MailName.DEFERRAL_NOTICE or mail.number >= 0:
        return None
    return next((d for d in state.deferrals if (d.session, d.number) == (mail.subject, mail.number)), None)


def _collect_revision_fields(mail: Effect, content: OpenedContent) -> dict[str, object]:
    """Return the fields of a mail about one revision of a contract. The mail's number is the revision's number."""
    number, revisions = mail.number, content.revisions.get(mail.subject, ())
    authors_and_reasons = content.authors_and_reasons.get(mail.subject, ())
    author, reason = authors_and_reasons[number - 1] if number <= len(authors_and_reasons) else (None, "")
    return {
        "contract": revisions[number - 1],
        "previous": revisions[number - 2] if number > 1 else None,
        "changed_by": author,
        "change_reason": reason,
        "revision": number,
    }


def _list_unfinished_starts(state: PairState, session: Session) -> tuple[datetime, ...]:
    """Return the starts of other sessions that still have no contract (R-17), sorted."""
    unfinished = [s for s in state.sessions if s.state is SessionState.UNFINISHED and s.id != session.id and s.start]
    return tuple(sorted(s.start for s in unfinished if s.start))
