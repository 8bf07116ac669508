"""The data that one mail or page can show (`MailContext`).

The data of a mail is read from the database just before the mail is sent. The names of the fields are an interface:
templates of companies use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Deferral,
    HandoverLine,
    Interval,
    Offer,
    Opening,
    Owner,
    Pair,
    Person,
    Reasons,
    Session,
    SharedNote,
    Span,
    WrittenCommitment,
)

#: The keys of `MailContext.links`. `contract` opens the page of a contract, `commitment` the page of the contract with
#: the commitments in the mail, `choose` the page about the session's time, `settings` the reader's own page, `answer`
#: the page for answering as a third voice, `yes` and `no` the page of the anonymous question. Templates must also work
#: when some or all of the links are missing.
LINK_NAMES = ("contract", "choose", "commitment", "settings", "answer", "yes", "no")


class Reader(StrEnum):
    """The role of the reader of a mail."""

    MANAGER = "manager"
    REPORT = "report"
    OPERATOR = "operator"
    THIRD = "third"  #: a third voice: somebody whom the report asks a question (R-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableCommitment:
    """A commitment with its decrypted text."""

    commitment: Commitment
    promise: WrittenCommitment  #: the text of the commitment, whether it is the manager's or the report's


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsLine:
    """The data of one line in a mail about several pairs."""

    #: In a weekly mail a `NewsKind`, in an overflow mail the `MailName` of the mail that became this line, in an
    #: introduction the `MailName` of the introduction.
    kind: str
    other: Person  #: the other person of the pair, who is not the reader
    pair: Pair
    session: Session | None = None
    due: date | None = None  #: the due date of a commitment
    commitment: ReadableCommitment | None = None  #: the commitment; None in a mail without content
    deadline: datetime | None = None  #: the deadline of a contract
    link: str = ""  #: the URL of the page on which the reader can act; empty when there are no pages


@dataclass(frozen=True, slots=True, kw_only=True)
class MailContext:
    """The data that one mail or page can show. Where a comment begins with names of mails, only these use the field."""

    name: str  #: a MailName, or `page`
    key: str  #: the key of the mail's effect, from which the Message-ID is derived
    to: Person  #: the reader; in an `operator_alert`, a Person that stands for the operator
    now: datetime
    manager: Person | None = None
    report: Person | None = None
    pair: Pair | None = None
    every: Interval | None = None  #: the pair's present rhythm, which is shorter in a transition (R-5)
    thread: str = ""  #: the key of the mail that began the reader's thread about this pair; empty if there is none
    session: Session | None = None
    contract: Contract | None = None  #: contract_summary: the new contract; other mails: the contract in force
    revision: int = 1  #: contract_summary: the number of the revision
    #: contract_summary: who changed one commitment; None when the contract was recorded as a whole
    changed_by: Owner | None = None
    change_reason: str = ""  #: contract_summary: why `changed_by` changed the commitment, in that person's words
    previous: Contract | None = None  #: contract_summary: the previous revision; None for a first contract
    #: brief: all open and recently closed commitments; commitment_due: the commitments that are due
    commitments: tuple[ReadableCommitment, ...] = ()
    deferrals: tuple[Deferral, ...] = ()  #: the deferrals of this session, oldest first
    #: deferral_notice to the manager: what the report said about the deferrals, by number of the deferral (R-18)
    deferral_reasons: Mapping[int, str] = field(default_factory=dict)
    #: deferral_notice: whether the report gave a reason for the deferral; also set in a mail without content
    has_deferral_reason: bool = False
    count: int = 0  #: the number of deferrals in this cycle (T-12)
    options: tuple[Span, ...] = ()  #: the future times that are reserved for the two to choose from (T-12)
    offer: Offer | None = None  #: the offer that contains `options`; None when there is nothing to choose
    may_leave: bool = False  #: deferral_notice: whether the two can skip the session until the next quarter (T-11)
    why: Reasons = ()  #: unplaceable: why no time exists
    also: int = 0  #: unplaceable: how many more sessions of the pair have no time for the same cause
    reason: str = ""  #: operator_alert: the problem, without content of conversations
    number: int = 0  #: invitation: how many mails about this session's time were sent before
    was: datetime | None = None  #: invitation_withdrawn: the withdrawn start
    deadline: datetime | None = None  #: the deadline of the contract (T-7)
    reminder: int = 0  #: contract_reminder: 1 and 2 are sent before the deadline, 3 to 5 after it
    unfinished: tuple[datetime, ...] = ()  #: the starts of earlier sessions without a contract
    learning: str = ""  #: reflection_prompt: what the manager says about their own learning (R-35)
    due: date | None = None  #: commitment_due: the due date of the commitments
    expires_at: datetime | None = None  #: third_voice_request: until when the question can be answered
    #: brief: why one of the two asked for the session, as `kind` or `kind: text` (R-6); reflection_prompt: `kind`
    trigger: str = ""
    openings: tuple[Opening, ...] = ()  #: brief and the report's page: the company's openings (R-29)
    asked_by_report: bool = False  #: brief, reflection_prompt: whether the report asked for the session
    commitment_text: str = ""  #: introduction: the setting `event.commitment_text`: `text`, `link` or `none`
    #: brief: the notes after the last session with a contract, oldest first (R-28)
    notes: tuple[SharedNote, ...] = ()
    has_notes: bool = False  #: brief: whether there are any `notes`; also set in a mail without content
    #: reflection_prompt, brief: the session about which only this mail invites the reader to leave a note (R-28)
    noted_session: Session | None = None
    #: reflection_prompt, brief, review_note, commitment_due: the commitments that the other person has done, and that
    #: only this mail mentions to the reader (R-32)
    kept_commitments: tuple[ReadableCommitment, ...] = ()
    has_kept_commitments: bool = False  #: whether there are any `kept_commitments`; also set in a mail without content
    accesses: tuple[AccessRecord, ...] = ()  #: content_accessed: operators' accesses to content, oldest first
    former: Person | None = None  #: new_manager, brief: the report's former manager (R-36)
    former_left: bool = False  #: new_manager: whether the former manager is no longer in the roster
    former_promises: int = 0  #: new_manager: how many promises of the former manager were open when the pair ended
    passed: tuple[HandoverLine, ...] = ()  #: brief: what the report passed on from the former pair
    variant: int = 0  #: reflection_prompt: which of its wordings is used, from 0
    news: tuple[NewsLine, ...] = ()  #: introduction to the manager, weekly, overflow: the lines of the mail
    by_link: bool = False  #: whether the mail contains links to contracts and commitments in place of their text
    had_contract: bool = False  #: if `by_link`: whether there is a contract in force
    sender: Address = ""  #: the mailbox that sends the mail; empty for the mailbox in the settings
    links: Mapping[str, str] = field(default_factory=dict)  #: URLs, by one of LINK_NAMES


def remove_content(context: MailContext) -> MailContext:
    """Return the context without content, for companies whose mails contain links to the content instead."""
    return replace(
        context,
        by_link=True,
        had_contract=context.contract is not None,
        contract=None,
        previous=None,
        change_reason="",
        deferral_reasons={},
        commitments=(),
        passed=(),
        notes=(),
        kept_commitments=(),
        news=tuple(map(_remove_text, context.news)),
    )


def _remove_text(line: NewsLine) -> NewsLine:
    """Return the line without the text of its commitment."""
    readable = line.commitment
    return line if readable is None else replace(line, commitment=None, due=readable.commitment.due)
