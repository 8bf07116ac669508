"""What an event and a mail are made of, from the state as it is now, at the moment they leave."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Effect,
    EffectProgress,
    EndReason,
    EventDraft,
    Guest,
    Owner,
    PairId,
    PairState,
    Person,
    Session,
    SessionKind,
    SessionState,
    Span,
    WrittenCommitment,
)
from worker.domain.planning import deferrals, notices
from worker.domain.planning.placement import has_same_cause
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import parse_hours
from worker.links import LinkClaims, Purpose, make_link_signer
from worker.mail.context import MailContext, ReadableCommitment
from worker.mail.kinds import KINDS, ContractLink, Sealed
from worker.settings.load import Settings

#: Commitments that ended are named in the next brief for so long.
RECENT_PERIOD = timedelta(days=120)

_BEGIN_THREADS = frozenset(kind.name for kind in KINDS.values() if kind.begins_thread)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedMaterial:
    """The sealed part of what a mail or an event says: words of contracts and promises, for one batch of messages."""

    contracts: Mapping[PairId, Contract] = field(default_factory=dict)  #: in force, by pair
    revisions: Mapping[str, Sequence[Contract]] = field(default_factory=dict)  #: all, by session
    promises: Mapping[str, WrittenCommitment] = field(default_factory=dict)  #: by commitment
    closed_commitments: Mapping[PairId, Sequence[Commitment]] = field(default_factory=dict)  #: closed lately, by pair
    contract_sessions: Mapping[PairId, str] = field(
        default_factory=dict
    )  #: the session of the contract in force, by pair
    asked_by_report: Set[str] = frozenset()  #: the sessions that the report asked for
    accesses: Mapping[str, Sequence[AccessRecord]] = field(default_factory=dict)  #: by the key of the mail about them
    alert_texts: Mapping[str, str] = field(default_factory=dict)  #: of alerts, by message key
    trigger_texts: Mapping[str, str] = field(
        default_factory=dict
    )  #: why a talk was asked for, by session; manager's mails only


class Composer:
    """Makes drafts and letters in this company's words."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
        self._event = settings.event
        self._policy = settings.policy

    # --- events ---

    def build_session_event(self, state: PairState, session: Session) -> EventDraft:
        """R-23: a neutral title, nothing said in the conversation, the report invited (R-2)."""
        subjects = {
            SessionKind.CAREER: self._event.subject,
            SessionKind.REVIEW: self._event.review_subject,
            SessionKind.CHECKIN: self._event.checkin_subject,
        }
        names = {"manager": state.manager.name, "report": state.report.name}
        return EventDraft(
            key=session.key,
            subject=subjects[session.kind].format(**names),
            body=self._event.body.format(**names),
            span=session.span,
            zone=state.manager.zone,
            organizer=Guest(state.manager.email, state.manager.name),
            guests=(Guest(state.report.email, state.report.name),),
            reminders=tuple(self._event.reminders),
            video=self._event.video,
            sequence=session.sequence,
        )

    def build_commitment_event(
        self, state: PairState, commitment: Commitment, promise: WrittenCommitment | None
    ) -> EventDraft:
        """T-8: the manager's own private block. The title is neutral; what stands inside is a setting, since delegates
        and those who administer the calendars may be able to read it."""
        if commitment.block is None:
            raise ValueError(f"commitment {commitment.id} has no block")
        body = self._choose_commitment_text(commitment, promise)
        return EventDraft(
            key=commitment.key,
            subject=self._event.commitment_subject.format(manager=state.manager.name, report=state.report.name),
            body=f"{body}\n\n{commitment.due:%Y-%m-%d}".strip(),
            span=commitment.block,
            zone=state.manager.zone,
            organizer=Guest(state.manager.email, state.manager.name),
            all_day=commitment.all_day,
            blocks_time=not commitment.all_day,
            reminders=() if commitment.all_day else tuple(self._event.reminders[:1]),
            sequence=commitment.sequence,
        )

    def _choose_commitment_text(self, commitment: Commitment, promise: WrittenCommitment | None) -> str:
        """The words of a promise, the address of its page (which opens for its owner alone), or nothing."""
        if self._event.commitment_text == "link":
            return f"{self._settings.base_url}/team/contract/{commitment.session}"
        return promise.text if promise and self._event.commitment_text == "text" else ""

    def build_invitation_event(self, state: PairState, session: Session, message: Effect) -> EventDraft:
        """What an invitation by mail carries: the event as that mail tells of it, the numbers counted by its mails."""
        start = message.start or session.span.start
        span = Span(start, start + timedelta(minutes=session.minutes))
        told = session.span if session.booked and session.key == message.event else span
        draft = self.build_session_event(state, replace(session, start=told.start, end=told.end))
        return replace(draft, key=message.event, sequence=message.number)

    # --- mails ---

    def build_mail_context(
        self, message: Effect, state: PairState | None, material: SealedMaterial, now: datetime
    ) -> MailContext:
        """Everything the mail may speak of."""
        if state is None:
            words = material.alert_texts.get(message.key, "")
            return MailContext(name=message.name, key=message.key, to=self.build_operator(), now=now, reason=words)
        session = state.session(message.subject)
        reader = state.manager if message.to == state.manager.email else state.report
        parts = self._collect_session_fields(message, state, session, material, now) if session else {}
        fields = KINDS[message.name].fields(message)
        commitments = _known_commitments(state, material, now)
        if "due" in fields:
            commitments = _due_on(fields["due"], reader, state, commitments)
        letter = MailContext(
            name=message.name,
            key=message.key,
            to=reader,
            now=now,
            manager=state.manager,
            report=state.report,
            pair=state.pair,
            thread=_find_thread_key(message, state),
            session=session or _find_next_session(state, now),
            commitments=commitments,
            links=self._build_links(
                message, state, material.contract_sessions.get(state.pair.id, ""), commitments, now
            ),
            learning=self._settings.mail.learning,
            commitment_text=self._event.commitment_text,
            accesses=tuple(material.accesses.get(message.key, ())),
            **{"contract": material.contracts.get(state.pair.id), **parts, **fields},
        )
        return _remove_content(letter) if self._settings.mail.content == "link" else letter

    def choose_sender(self, message: Effect, state: PairState) -> Address:
        """Whose mailbox the mail is to be sent from: the manager's, when the company wants it so; empty otherwise."""
        as_manager = self._settings.mail.send_as == "manager" and KINDS[message.name].may_leave_from_manager
        return state.manager.email if as_manager else ""

    def _collect_session_fields(
        self, message: Effect, state: PairState, session: Session, material: SealedMaterial, now: datetime
    ) -> dict[str, object]:
        counted = PlanBuilder(now, state, None, self._policy)
        parts: dict[str, object] = {
            "count": deferrals.count_deferrals_in_cycle(counted, session),
            "deferrals": tuple(d for d in state.deferrals if d.session == session.id),
            "options": session.options,
            "why": session.unplaceable or (),
            "also": sum(has_same_cause(session, other) for other in state.sessions),
            "unfinished": _list_unfinished_starts(state, session),
        }
        if session.held_at:
            parts["deadline"] = notices.find_contract_deadline(state.manager, session)
        if session.id in material.trigger_texts:
            parts["trigger"] = material.trigger_texts.get(session.id, "")
            parts["asked_by_report"] = session.id in material.asked_by_report
        if Sealed.REVISIONS in KINDS[message.name].opens:
            parts.update(_collect_summary_fields(message, material.revisions.get(session.id, ())))
        return parts

    def _build_links(
        self, message: Effect, state: PairState, agreed: str, commitments: Sequence[ReadableCommitment], now: datetime
    ) -> dict[str, str]:
        """Where the mail leads: addresses by what for. None when there are no pages, or no pair any more."""
        if self._links is None or state.pair.ended is not EndReason.NO:
            return {}
        due = commitments[0].commitment.session if commitments else ""
        about = message.subject if KINDS[message.name].contract_link is ContractLink.OF_SESSION else agreed
        to_report = message.to == state.report.email
        ways = _list_report_links() if to_report else _list_manager_links(message.subject, about, due)
        return {
            name: self._links.build_url(LinkClaims(person=message.to, purpose=purpose, session_id=about, issued_at=now))
            for name, (purpose, about) in ways.items()
        }

    def build_operator(self) -> Person:
        """The person who runs Longarc, as the reader of a mail."""
        return Person(
            email=self._settings.operator,
            name="Longarc operator",
            zone="UTC",
            country="US",
            hours=parse_hours("Mon-Sun 00:00-24:00"),
            locale=self._settings.locale,
            calendar="none",
            mail=self._settings.mail.operator_by,
        )


def _remove_content(letter: MailContext) -> MailContext:
    """The letter with nothing of what the two said to each other."""
    if not KINDS[letter.name].has_content:
        return letter
    return replace(letter, by_link=True, contract=None, previous=None, commitments=())


def _known_commitments(state: PairState, material: SealedMaterial, now: datetime) -> tuple[ReadableCommitment, ...]:
    """Those whose words were opened, open or ended lately, by when they are due."""
    everything = [*state.commitments, *material.closed_commitments.get(state.pair.id, ())]
    known = {c.id: c for c in everything if c.is_open or (c.closed_at and c.closed_at > now - RECENT_PERIOD)}
    kept = [
        ReadableCommitment(commitment=c, promise=material.promises[c.id])
        for c in known.values()
        if c.id in material.promises
    ]
    return tuple(sorted(kept, key=lambda k: (k.commitment.due, k.commitment.id)))


def _due_on(
    day: date | None, reader: Person, state: PairState, kept: Sequence[ReadableCommitment]
) -> tuple[ReadableCommitment, ...]:
    """The reader's own that are open and due on that day."""
    owner = Owner.MANAGER if reader is state.manager else Owner.REPORT
    return tuple(k for k in kept if k.commitment.owner is owner and k.commitment.due == day and k.commitment.is_open)


def _find_thread_key(message: Effect, state: PairState) -> str:
    """The key of the mail that began this reader's thread about the pair; empty when none went out."""
    begun = (m for m in state.effects if m.name in _BEGIN_THREADS and m.to == message.to and m.key != message.key)
    return next((m.key for m in begun if m.progress is EffectProgress.DONE), "")


def _list_report_links() -> dict[str, tuple[Purpose, str]]:
    return dict.fromkeys(("contract", "commitment", "settings"), (Purpose.ME, ""))


def _list_manager_links(session: str, contract: str, due: str) -> dict[str, tuple[Purpose, str]]:
    """By name, the purpose and the session it is about: the mail's own, that of the contract, that of what is due."""
    ways = {"settings": (Purpose.TEAM, ""), "choose": (Purpose.TIME, session)}
    for name, about in (("contract", contract), ("commitment", due)):
        if about:
            ways[name] = (Purpose.CONTRACT, about)
    return ways


def _collect_summary_fields(message: Effect, revisions: Sequence[Contract]) -> dict[str, object]:
    number = message.number
    return {
        "contract": revisions[number - 1],
        "previous": revisions[number - 2] if number > 1 else None,
        "revision": number,
    }


def _list_unfinished_starts(state: PairState, session: Session) -> tuple[datetime, ...]:
    """R-17: when earlier conversations took place that have no contract yet."""
    open_ = [s for s in state.sessions if s.state is SessionState.UNFINISHED and s.id != session.id and s.start]
    return tuple(sorted(s.start for s in open_ if s.start))


def _find_next_session(state: PairState, now: datetime) -> Session | None:
    ahead = [s for s in state.sessions if s.booked and s.kind is SessionKind.CAREER and s.span.start > now]
    return min(ahead, key=lambda s: s.span.start, default=None)
