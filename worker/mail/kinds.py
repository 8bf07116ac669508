"""The table of all kinds of mails and their properties, except their texts and the times at which they are due.

To add a mail: name it in `worker/domain/model/mails.py`, enter it here, put its templates into
`templates/emails/<name>`, and decide in `worker/domain/planning/` when it is due: `preparations` before a session,
`contract_mails` after it, `notices` the rest. Every mail is written in its reader's language and links to its reader's
own pages.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from worker.domain.model import Effect, MailName
from worker.domain.planning import invitations, mail_validity
from worker.domain.planning.preparations import PROMPT_VARIANTS
from worker.mail import news_samples, samples
from worker.mail.context import LINK_NAMES, MailContext, Reader, remove_content


class SenderName(StrEnum):
    """Whose display name is in a mail's From header."""

    PRODUCT = "product"
    MANAGER = "manager"  #: the manager's name in the mail to the report; the manager's copy has the product's name
    REPORT = "report"  #: the report's name in a mail to somebody outside the pair


class SealedData(StrEnum):
    """A part of the sealed data that a mail can show. Every mail about a pair also gets the contract in force."""

    COMMITMENTS = "commitments"  #: the texts of the pair's commitments
    REVISIONS = "revisions"  #: every revision of the session's contract
    TRIGGER = "trigger"  #: why one of the two asked for an ad hoc session
    DEFERRAL_REASONS = "deferral_reasons"  #: what the report said about the session's deferrals
    OWN_TRIGGER = "own_trigger"  #: why the report asked for an ad hoc session, but not why the manager did
    LEARNING = "learning"  #: what the manager says about their own learning
    HANDOVER = "handover"  #: the report's former manager, and what the report passed on from that pair
    ACCESSES = "accesses"  #: operators' accesses to content by commands
    NOTES = "notes"  #: the pair's notes


class Mention(StrEnum):
    """A kind of mention: an addition that a reader gets only once, in the first mail that can contain it."""

    KEPT_COMMITMENTS = "kept_commitments"  #: the commitments that the other person has done (R-32)
    NOTE_INVITATION = "note_invitation"  #: an invitation to leave a note about the last conversation (R-28)


class ContractLink(StrEnum):
    """Which contract the link in the manager's mail opens."""

    IN_FORCE = "in_force"  #: the contract in force
    OF_SESSION = "of_session"  #: the contract of the session that the mail is about


@dataclass(frozen=True, slots=True, kw_only=True)
class MailKind:
    """The properties of one kind of mail."""

    name: MailName
    readers: tuple[Reader, ...]  #: the roles for which its templates are written; planning decides who gets it
    #: Returns whether the reason for the mail still applies when it is to be sent; otherwise the mail is dropped.
    is_valid: mail_validity.ValidityCheck
    #: Yields sample mails for the check of templates, given a sample with only the basic fields.
    iter_samples: Callable[[MailContext], Iterator[MailContext]]
    sender_name: SenderName = SenderName.PRODUCT
    has_content: bool = False  #: whether it contains content of conversations, or a link to it if `content = "link"`
    shows_openings: bool = False  #: whether it lists the company's openings (R-29)
    omits_reply_to: bool = False  #: whether it has no Reply-To header with the other person's address
    is_repeatable: bool = False  #: whether it is sent again if the outcome of the first attempt is unknown
    is_personal: bool = False  #: whether it can be about several pairs of its reader
    begins_thread: bool = False  #: whether the reader's later mails about the pair are replies to it
    sealed_data: frozenset[SealedData] = frozenset()  #: the data that has to be decrypted for it
    mentions: frozenset[Mention] = frozenset()  #: the additions that it contains unless an earlier mail did
    contract_link: ContractLink = ContractLink.IN_FORCE
    calendar_method: str = ""  #: the iTIP method of its calendar part (RFC 5546); empty if it has no such part
    #: Returns the fields of the mail's context that depend only on its effect. The meaning of `Effect.number` and
    #: `Effect.start` depends on the kind of mail.
    build_effect_fields: Callable[[Effect], dict[str, Any]] = field(default=lambda _: {})

    def has_only_links(self, content_setting: str) -> bool:
        """Return whether the mail has links to pages in place of content, given the setting `mail.content`."""
        return self.has_content and content_setting == "link"

    @property
    def can_be_sent_from_manager(self) -> bool:
        """Whether the mail is sent from the manager's mailbox if `send_as = "manager"`.

        All copies of a mail with content are then in the mailboxes of the two.
        """
        return self.has_content or self.sender_name is SenderName.MANAGER


_BOTH = (Reader.MANAGER, Reader.REPORT)
_MANAGER, _REPORT, _OPERATOR = (Reader.MANAGER,), (Reader.REPORT,), (Reader.OPERATOR,)

KINDS: Mapping[str, MailKind] = {
    kind.name: kind
    for kind in (
        MailKind(
            name=MailName.INTRODUCTION,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_while_active,
            iter_samples=news_samples.iter_introductions,
            is_personal=True,
            begins_thread=True,
        ),
        MailKind(
            name=MailName.INVITATION,
            readers=_REPORT,
            is_valid=invitations.is_invitation_current,
            iter_samples=samples.iter_invitations,
            calendar_method="REQUEST",
            build_effect_fields=lambda mail: {"number": mail.number},
        ),
        MailKind(
            name=MailName.INVITATION_WITHDRAWN,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_withdrawn_invitations,
            calendar_method="CANCEL",
            build_effect_fields=lambda mail: {"number": mail.number, "was": mail.start},
        ),
        MailKind(
            name=MailName.REFLECTION_PROMPT,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_before_session,
            iter_samples=samples.iter_prompts,
            sender_name=SenderName.MANAGER,
            has_content=True,
            sealed_data=frozenset(
                {SealedData.OWN_TRIGGER, SealedData.LEARNING, SealedData.COMMITMENTS, SealedData.NOTES}
            ),
            mentions=frozenset(Mention),
            build_effect_fields=lambda mail: {"variant": mail.number % PROMPT_VARIANTS},
        ),
        MailKind(
            name=MailName.BRIEF,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_before_session,
            iter_samples=samples.iter_briefs,
            has_content=True,
            shows_openings=True,
            omits_reply_to=True,
            sealed_data=frozenset({SealedData.COMMITMENTS, SealedData.TRIGGER, SealedData.NOTES, SealedData.HANDOVER}),
            mentions=frozenset(Mention),
        ),
        MailKind(
            name=MailName.CONTRACT_REQUEST,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_until_contract,
            iter_samples=samples.iter_contract_requests,
            sealed_data=frozenset({SealedData.COMMITMENTS}),
            contract_link=ContractLink.OF_SESSION,
        ),
        MailKind(
            name=MailName.CONTRACT_REMINDER,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_until_contract,
            iter_samples=samples.iter_contract_reminders,
            contract_link=ContractLink.OF_SESSION,
            build_effect_fields=lambda mail: {"reminder": mail.number},
        ),
        MailKind(
            name=MailName.CONTRACT_SUMMARY,
            readers=_BOTH,
            # a recorded contract is never withdrawn, even when somebody has left
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_contract_summaries,
            sender_name=SenderName.MANAGER,
            has_content=True,
            is_repeatable=True,
            sealed_data=frozenset({SealedData.REVISIONS}),
            contract_link=ContractLink.OF_SESSION,
        ),
        MailKind(
            name=MailName.UNFINISHED,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_when_unfinished,
            iter_samples=samples.iter_unfinished,
        ),
        MailKind(
            name=MailName.DEFERRAL_NOTICE,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_after_deferral,
            iter_samples=samples.iter_deferral_notices,
            has_content=True,
            sealed_data=frozenset({SealedData.DEFERRAL_REASONS}),
        ),
        MailKind(
            name=MailName.BOOKED_OVER_WARNING,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_during_clash,
            iter_samples=samples.iter_basic_sample,
        ),
        MailKind(
            name=MailName.UNPLACEABLE,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_while_unplaceable,
            iter_samples=samples.iter_unplaceable,
        ),
        MailKind(
            name=MailName.SHORT_SESSION,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_while_time_unchanged,
            iter_samples=samples.iter_short_sessions,
        ),
        MailKind(
            name=MailName.COMMITMENT_DUE,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_while_commitment_due,
            iter_samples=samples.iter_due_commitments,
            has_content=True,
            sealed_data=frozenset({SealedData.COMMITMENTS}),
            mentions=frozenset({Mention.KEPT_COMMITMENTS}),
            build_effect_fields=lambda mail: {"due": mail.start.date() if mail.start else None},
        ),
        MailKind(
            name=MailName.REVIEW_NOTE,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_before_session,
            iter_samples=samples.iter_review_notes,
            has_content=True,
            sealed_data=frozenset({SealedData.COMMITMENTS}),
            mentions=frozenset({Mention.KEPT_COMMITMENTS}),
        ),
        MailKind(
            name=MailName.PAIR_ENDED,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_after_end,
            iter_samples=samples.iter_endings,
        ),
        MailKind(
            name=MailName.NEW_MANAGER,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_after_handover,
            iter_samples=samples.iter_new_managers,
            omits_reply_to=True,
            sealed_data=frozenset({SealedData.HANDOVER}),
        ),
        MailKind(
            name=MailName.OPEN_PROMISES,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_with_open_promises,
            iter_samples=samples.iter_open_promises,
            has_content=True,
            sealed_data=frozenset({SealedData.COMMITMENTS}),
        ),
        MailKind(
            name=MailName.PULSE,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_during_round,
            iter_samples=samples.iter_pulses,
            omits_reply_to=True,
        ),
        MailKind(
            name=MailName.FRESH_LINK,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_fresh_links,
            omits_reply_to=True,
        ),
        MailKind(
            name=MailName.CONTENT_ACCESSED,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_accesses,
            sealed_data=frozenset({SealedData.ACCESSES}),
        ),
        MailKind(
            name=MailName.THIRD_VOICE_REQUEST,
            readers=(Reader.THIRD,),
            # the mail is about no pair, and the engine drops it if the question was erased
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_voice_requests,
            sender_name=SenderName.REPORT,
        ),
        MailKind(
            name=MailName.THIRD_VOICE_ANSWERED,
            readers=_REPORT,
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_basic_sample,
            omits_reply_to=True,
        ),
        MailKind(
            name=MailName.WEEKLY,
            readers=_MANAGER,
            is_valid=mail_validity.is_valid_always,
            iter_samples=news_samples.iter_weeklies,
            has_content=True,
            omits_reply_to=True,
            is_personal=True,
            sealed_data=frozenset({SealedData.COMMITMENTS}),
        ),
        MailKind(
            name=MailName.OVERFLOW,
            readers=_BOTH,
            is_valid=mail_validity.is_valid_always,
            iter_samples=news_samples.iter_overflows,
            omits_reply_to=True,
            is_personal=True,
        ),
        MailKind(
            name=MailName.OPERATOR_ALERT,
            readers=_OPERATOR,
            is_valid=mail_validity.is_valid_always,
            iter_samples=samples.iter_alerts,
            omits_reply_to=True,
            is_repeatable=True,  # the operator learns of the problem in no other way
        ),
    )
}


def list_samples(locale: str = "en") -> Iterator[MailContext]:
    """Yield sample contexts in that language.

    They contain every mail to each of its readers, with and without optional fields, with and without links. A mail
    with content is also yielded with links in place of the content.
    """
    contexts = (
        context
        for kind in KINDS.values()
        for reader in kind.readers
        for context in kind.iter_samples(samples.make_sample(kind.name, reader, locale))
    )
    links = {name: f"https://longarc.example/{name}" for name in LINK_NAMES}
    for number, context in enumerate(contexts):
        without_links = replace(context, key=f"sample-{number}-{context.name}")
        yield without_links
        with_links = replace(without_links, key=f"{without_links.key}-linked", links=links)
        yield with_links
        if KINDS[context.name].has_content:
            key = f"{without_links.key}-by-link"
            yield replace(remove_content(with_links), key=key)
