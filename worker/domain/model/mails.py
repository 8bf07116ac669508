"""The names of the mails. The table in `worker/mail/kinds.py` has their other properties."""

from enum import StrEnum


class MailName(StrEnum):
    """The name of a mail, which is also the name of its template folder. The outbox, history and ledger store it."""

    INTRODUCTION = "introduction"
    INVITATION = "invitation"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    REFLECTION_PROMPT = "reflection_prompt"
    BRIEF = "brief"
    CONTRACT_REQUEST = "contract_request"
    CONTRACT_REMINDER = "contract_reminder"
    CONTRACT_SUMMARY = "contract_summary"
    UNFINISHED = "unfinished"
    DEFERRAL_NOTICE = "deferral_notice"
    BOOKED_OVER_WARNING = "booked_over_warning"
    UNPLACEABLE = "unplaceable"
    SHORT_SESSION = "short_session"
    COMMITMENT_DUE = "commitment_due"
    REVIEW_NOTE = "review_note"
    PAIR_ENDED = "pair_ended"
    NEW_MANAGER = "new_manager"
    OPEN_PROMISES = "open_promises"
    PULSE = "pulse"
    FRESH_LINK = "fresh_link"
    CONTENT_ACCESSED = "content_accessed"
    THIRD_VOICE_REQUEST = "third_voice_request"
    THIRD_VOICE_ANSWERED = "third_voice_answered"
    OPERATOR_ALERT = "operator_alert"
    WEEKLY = "weekly"
    OVERFLOW = "overflow"


#: Mails that a pair gets once. Planning reads the effects of these mails however old they are, and the effects of other
#: mails only for some weeks.
ONCE_PER_PAIR_MAILS = (MailName.INTRODUCTION, MailName.PAIR_ENDED, MailName.NEW_MANAGER, MailName.OPEN_PROMISES)
#: Mails that appear neither in the history nor in the ledger, the log or anything that the operator sees (R-30). Their
#: rows in the outbox name nobody.
UNRECORDED_MAILS = (MailName.THIRD_VOICE_REQUEST, MailName.THIRD_VOICE_ANSWERED)
