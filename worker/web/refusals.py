"""Says to managers, reports and people-ops why something was refused, in their language.

The text of an error is written for the operator: it is in English, and names ids and commands. No page shows it. The
type of the error decides what a page says, and for a type without a sentence a page shows the general notice.
"""

from collections.abc import Mapping

from worker.domain.reason_texts import N_
from worker.errors import (
    CalendarMissing,
    CommitmentEnded,
    ContractRecorded,
    DraftChanged,
    HandoverClosed,
    NoContractSession,
    NotBegun,
    NotesNotTaken,
    NotHeldYet,
    NothingToAnswer,
    NothingToExplain,
    NoTimeChosen,
    Overtaken,
    PairInactive,
    QuestionClosed,
    Refused,
    RoundOver,
    SessionOver,
    TalkRequested,
    TimeBeforeEarlierPart,
    TimePast,
    TimeTooFar,
    TimeTooLong,
    TimeTooShort,
)
from worker.i18n.language import Language
from worker.settings.openings_edit import OpeningsChanged, TooManyOpenings

#: The sentence for people, by the type of the error.
REFUSALS: Mapping[type[Refused], str] = {
    # conversations
    PairInactive: N_(
        "Longarc plans no conversations for the two of you just now: they are paused, have ended, or begin later."
    ),
    CalendarMissing: N_(
        "The manager’s calendar is not connected, so there is nowhere to put a conversation. The one who looks after "
        "Longarc where you work can connect it."
    ),
    TalkRequested: N_("Such a conversation has been asked for already. It has a time, or gets one soon."),
    NotBegun: N_("This conversation has not begun yet. If the time does not suit you, choose another one."),
    ContractRecorded: N_("The two of you have a contract from this conversation, so it took place."),
    SessionOver: N_("This conversation is over; there is nothing to move."),
    QuestionClosed: N_("Whether to leave this until the next quarter is not an open question any more."),
    NothingToExplain: N_("There is no move of this conversation for you to explain, or it is over."),
    # times
    NoTimeChosen: N_("Choose a time first."),
    TimePast: N_("This time has passed. Choose one that is still to come."),
    TimeTooFar: N_("This time is more than a year away. Choose an earlier one."),
    TimeBeforeEarlierPart: N_("An earlier part of this conversation ends after that. Choose a later time."),
    TimeTooShort: N_("This is too short for your conversation. Choose a longer time."),
    TimeTooLong: N_("This is longer than a conversation may be. Choose a shorter time."),
    # contracts, commitments and notes
    DraftChanged: N_("This draft was changed in another window since."),
    Overtaken: N_("One of you changed the contract while you were writing. Look at what is different, then send it."),
    NotHeldYet: N_("You have not met yet, so there is nothing to record. Your draft is kept."),
    NoContractSession: N_("No contract belongs to this conversation."),
    CommitmentEnded: N_(
        "This has ended already: it was marked as done, changed, or let go. Go back and load the page again to see how "
        "it stands."
    ),
    NotesNotTaken: N_("Notes belong to a conversation that took place and has no contract. This one takes none."),
    HandoverClosed: N_("You and your new manager have begun to talk: say yourself what is worth taking along."),
    # the pulse
    RoundOver: N_("This round is over. Thank you for looking in."),
    NothingToAnswer: N_("You have answered already, or you are not asked this time. An answer counts once."),
    # openings
    OpeningsChanged: N_(
        "Somebody else has changed the openings meanwhile. Go back, load the page again, and then change them."
    ),
    TooManyOpenings: N_("The list of openings is full. Take out some that are over, and then add this one."),
}


def explain_refusal(error: Refused, language: Language) -> str:
    """Return the sentence for people about that error, in the language; empty when its type has none."""
    return language.gettext(REFUSALS.get(type(error), ""))
