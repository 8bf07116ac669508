"""The texts of the page about a quarter for each kind of mail and each kind of concern."""

from collections.abc import Mapping

from worker.domain.model import MailName
from worker.domain.reason_texts import N_, NN_
from worker.ops.preview.concerns import ConcernKind

#: The title and the purpose of each kind of mail, in the order in which the mails of a day are shown.
MAIL_TEXTS: Mapping[str, tuple[str, str]] = {
    MailName.INTRODUCTION: (
        N_("introduction"),
        N_("Once, when the first conversation stands: what this is, who can read what, and how to change it."),
    ),
    MailName.INVITATION: (
        N_("invitation"),
        N_("For reports whom the manager’s calendar does not invite by itself: the time, to be answered."),
    ),
    MailName.UNPLACEABLE: (N_("no time found"), N_("Why there is no time, and what would help.")),
    MailName.REFLECTION_PROMPT: (
        N_("thoughts ahead"),
        N_("Some days before a conversation, in the manager’s name. There is nothing to fill in."),
    ),
    MailName.BRIEF: (N_("brief"), N_("The working day before a conversation.")),
    MailName.CONTRACT_REQUEST: (
        N_("what did you agree?"),
        N_("When a conversation ends: the manager writes down what the two agreed on."),
    ),
    MailName.CONTRACT_SUMMARY: (
        N_("what we agreed"),
        N_("The same words to both, minutes after the manager has written them down."),
    ),
    MailName.REVIEW_NOTE: (N_("note before a review"), N_("Shortly before the monthly review.")),
    MailName.WEEKLY: (
        N_("the week"),
        N_("On the first working day of a week, for managers of three and more, when something waits for them."),
    ),
    MailName.PULSE: (N_("one question"), N_("Now and then, one question that is answered anonymously.")),
}

#: The heading above the concerns of each kind.
CONCERN_TITLES: Mapping[ConcernKind, str] = {
    ConcernKind.FAILED: N_("Could not be planned"),
    ConcernKind.NO_CALENDAR: N_("Without a calendar"),
    ConcernKind.UNREADABLE: N_("A calendar can’t be read"),
    ConcernKind.NO_FREE_BUSY: N_("Calendars did not answer"),
    ConcernKind.HOURS_APART: N_("Never at work at the same time"),
    ConcernKind.FULL: N_("No time that both have free"),
    ConcernKind.NO_ZONE: N_("No time zone is known"),
    ConcernKind.MANY_REPORTS: N_("More than ten reports"),
}
#: What can be done about the concerns of each kind.
REMEDIES: Mapping[ConcernKind, str] = {
    ConcernKind.FAILED: N_("Whoever runs Longarc finds the reason in the log. It is tried again every hour."),
    ConcernKind.NO_CALENDAR: N_(
        "Conversations stand on the manager’s calendar. Name a calendar that Longarc can write to in the people file."
    ),
    ConcernKind.UNREADABLE: N_("Time that is not known is never taken for free. “longarc check” says what to change."),
    ConcernKind.NO_FREE_BUSY: N_(
        "Nothing is known of these pairs. Run “longarc check”, then make this page once more."
    ),
    ConcernKind.HOURS_APART: N_(
        "Correct hours and time zones in the people file, or ask the two for an hour that both can keep free."
    ),
    ConcernKind.FULL: N_(
        "The two are told which appointment, if it moved, would make room. Each day Longarc looks for a time again."
    ),
    ConcernKind.NO_ZONE: N_(
        "Their days may be other hours than those taken here. Write the zone into the people file."
    ),
    ConcernKind.MANY_REPORTS: N_(
        "That is about a conversation a week, besides all other meetings. Think about whether each of them really has"
        " this manager to talk to."
    ),
}
#: The line of a concern about a person: for one pair, and for several pairs.
PERSON_CONCERNS: Mapping[ConcernKind, tuple[str, str]] = {
    ConcernKind.NO_CALENDAR: NN_("%(name)s: one pair", "%(name)s: %(count)s pairs"),
    ConcernKind.UNREADABLE: NN_("%(name)s: one pair has no time", "%(name)s: %(count)s pairs have no time"),
    ConcernKind.NO_FREE_BUSY: NN_("%(name)s: one pair", "%(name)s: %(count)s pairs"),
    ConcernKind.MANY_REPORTS: NN_("%(name)s: one report", "%(name)s: %(count)s reports"),
}
