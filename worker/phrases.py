"""The words for what the domain calls by a name, marked here and translated for whoever reads them."""

from collections.abc import Mapping

from worker.domain.model import Cause, Kind, Trigger
from worker.words import N_

#: Why a session lost its time: to the one who acted, to the other one, and when there is nobody to name. Plain and
#: without blame (R-10).
CAUSES: Mapping[Cause, tuple[str, str, str]] = {
    Cause.DECLINED: (
        N_("you could not make it"),
        N_("%(who)s could not make it"),
        N_("the invitation was declined"),
    ),
    Cause.DELETED: (
        N_("you took it off the calendar"),
        N_("%(who)s took it off the calendar"),
        N_("it was taken off the calendar"),
    ),
    Cause.MOVED_OUT: (
        N_("you moved it to a time that is too short or too late"),
        N_("%(who)s moved it to a time that is too short or too late"),
        N_("it was moved to a time that is too short or too late"),
    ),
    Cause.BOOKED_OVER: (
        N_("something else was booked over it on your calendar"),
        N_("something else was booked over it on the calendar of %(who)s"),
        N_("something else was booked over it"),
    ),
    Cause.OUT_OF_OFFICE: (
        N_("you are out of the office that day"),
        N_("%(who)s is out of the office that day"),
        N_("one of you is out of the office that day"),
    ),
    Cause.HOLIDAY: (
        N_("it is a holiday where you are"),
        N_("it is a holiday where %(who)s is"),
        N_("it is a public holiday"),
    ),
    Cause.NOT_HELD: (N_("it did not take place"), N_("it did not take place"), N_("it did not take place")),
    Cause.ASKED: (
        N_("you asked for another time"),
        N_("%(who)s asked for another time"),
        N_("another time was asked for"),
    ),
}


TALKS: Mapping[Kind, str] = {
    Kind.CAREER: N_("career conversation"),
    Kind.REVIEW: N_("contract review"),
    Kind.CHECKIN: N_("check-in"),
}

#: Why a manager asks for a conversation out of turn (R-6): what they said, never a guess (R-24).
TRIGGERS: Mapping[Trigger, str] = {
    Trigger.LEAVING: N_("another employer, or a thought of leaving"),
    Trigger.DOUBT: N_("a doubt whether this is the right place"),
    Trigger.MOTIVATION: N_("motivation that has dropped"),
    Trigger.STALLED: N_("a promotion that was talked about and stands still"),
    Trigger.CHANGE: N_("a new role or a new team"),
    Trigger.MILESTONE: N_("a milestone just passed"),
}
