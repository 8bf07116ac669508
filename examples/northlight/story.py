"""Turn the ledger into the rows of the story: who did what, when and why, in sentences."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from examples.northlight.names import (
    describe_session,
    format_both_times,
    format_day,
    format_local_time,
    format_pair,
    get_first_name,
    get_pair,
    parse_instant,
)
from examples.northlight.people import MARA, ZONES
from worker.domain.model import DeferralCause, PairId
from worker.domain.planning.deferrals import CAUSE_NAMES
from worker.domain.reason_texts import format_short_date
from worker.simulation.world import LedgerLine

#: The zone of the times in the story.
STORY_ZONE = ZONES[MARA]

PROGRAM = "Longarc"
#: The blank between two sentences: `It moved.| Both hear of it.`
_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z0-9`])")
#: By the count of deferrals, which is at least 1.
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")

#: What a person does, by `act` of the ledger line.
_ACTS = {
    "decline": "declines the {talk} of {when}",
    "delete": "deletes the {talk} of {when}",
    "book_over": "books something over the {talk} of {when}",
    "out_of_office": "is out of office over the {talk} of {when}",
    "no_show": "says that the {talk} of {when} did not take place",
    "ask": "asks for another time for the {talk} of {when}",
    "choose": "takes one of the three reserved times: {when}",
    "write_contract": "writes the contract and asks what Longarc thinks of it",
    "record_contract": "records the contract",
    "talk": "asks to talk soon",
    "check_in": "asks for a check-in",
    "complete": "ticks off {owner}, due {due}",
    "change": "gives a promise another day: {due}",
    "let_go": "lets go of {owner}, due {due}",
    "join": "joins the company",
    "put_right": "has other hours now",
    "leave_note": "leaves a note for both after the {talk}",
    "ask_third_voice": "asks a colleague one question",
    "answer_third_voice": "answers the question, for {report} alone",
    "change_manager": "has another manager now: {manager}",
    "pass_on": "chooses two lines that go on to {manager}",
    "keep_promise": "keeps {owner} to a former report, due {due}",
}

#: Why Longarc sends a mail, by mail template.
_MAILS = {
    "introduction": "Once, as soon as the first conversation stands: what this is, and who can read what.",
    "reflection_prompt": "At least two days ahead, at the start of the report's working day.",
    "brief": "On the manager's working day before.",
    "contract_request": "The conversation has ended; what was agreed is due within 48 hours.",
    "contract_reminder": "Nothing is written down yet.",
    "contract_summary": "Both get what was written down, at once.",
    "unfinished": "No contract came; the report hears it once, kindly.",
    "deferral_notice": "It moved by itself; both hear of it, and may choose among three times.",
    "booked_over_warning": "A day to make room, then it moves.",
    "unplaceable": "Silence is never the outcome: a person is told why, and what would free a time.",
    "short_session": "Respected, and said.",
    "commitment_due": "At the start of the day, or of the working day before.",
    "review_note": "At the start of the day of the review.",
    "weekly": "One mail a week for a manager of three and more: what the week holds, and what waits.",
    "overflow": "The rest of a day, in a line each.",
    "operator_alert": "Something needs the operator.",
    "pair_ended": "The two are no pair any more.",
    "new_manager": "The report hears of a new manager, and chooses what goes on to them.",
    "pulse": "Each report is asked one question, for an anonymous yes or no.",
    "open_promises": "The old manager is asked what becomes of each promise still open.",
    "third_voice_request": "The question stands on a page of its own; the mail holds nothing of it.",
    "third_voice_answered": "The answer stands on the report's page, for the report alone.",
    "fresh_link": "An old link was followed, and a new one asked for.",
    "content_accessed": "A command opened what the two wrote down; both are told.",
}

#: A preparation mail sent closer to the session than this was late, not at its usual hour.
_LATE_PREPARATIONS = {"reflection_prompt": timedelta(days=1, hours=12), "brief": timedelta(hours=4)}

#: Why a session lost its time. Other causes have the text of `CAUSE_NAMES`.
_CAUSES = {
    DeferralCause.DECLINED: "{who} declined.",
    DeferralCause.DELETED: "It was taken off the calendar.",
    DeferralCause.BOOKED_OVER: "Something else still stands over it in {who}'s calendar, a day after the warning.",
    DeferralCause.OUT_OF_OFFICE: "{who} is out of office then.",
    DeferralCause.NOT_HELD: "It did not take place.",
    DeferralCause.ASKED: "Another time was asked for.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryRow:
    """A line of the story. `tone` is `human`, `session`, `trouble`, `calendar` or `mail`."""

    at: datetime
    pair: PairId | None
    who: str
    what: str
    why: str
    tone: str
    message_id: str = ""

    @property
    def date(self) -> str:
        return format_short_date(self.at.astimezone(ZoneInfo(STORY_ZONE)).date())

    @property
    def clock(self) -> str:
        return f"{self.at.astimezone(ZoneInfo(STORY_ZONE)):%H:%M}"

    @property
    def month(self) -> str:
        return f"{self.at.astimezone(ZoneInfo(STORY_ZONE)):%B %Y}"

    @property
    def names(self) -> str:
        return format_pair(self.pair)

    @property
    def short(self) -> str:
        """The first sentence of `why`."""
        return _SENTENCE.split(self.why, maxsplit=1)[0]

    @property
    def rest(self) -> str:
        """The sentences of `why` after the first."""
        return self.why.removeprefix(self.short).strip()


def list_rows(ledger: Iterable[LedgerLine], subjects: Mapping[str, str]) -> Iterator[StoryRow]:
    """Yield the rows of the story, in order. `subjects`: the subject of each mail by Message-ID."""
    states: dict[str, str] = {}
    requested_ids = {line["session"] for line in ledger if line.get("act") == "talk"}
    for line in ledger:
        description = _describe_line(line, states, subjects, requested_ids)
        if line["what"] == "session":
            states[line["session"]] = line["state"]
        if description:
            tone, who, what, why = description
            yield StoryRow(
                at=parse_instant(line["at"]),
                pair=get_pair(line),
                who=who,
                what=what[0].upper() + what[1:],
                why=why,
                tone=tone,
                message_id=line.get("message_id", ""),
            )


#: Tone, who, what and why of a row.
_Description = tuple[str, str, str, str]


def _describe_line(
    line: LedgerLine, states: Mapping[str, str], subjects: Mapping[str, str], requested_ids: set[str]
) -> _Description | None:
    """Return the description of a line; None for a line that the story leaves out."""
    what = line["what"]
    if what == "human":
        return "human", get_first_name(line["who"]), _describe_act(line, requested_ids), _explain_act(line)
    if what == "mail":
        subject = subjects.get(line["message_id"], line["message"])
        return "mail", PROGRAM, f"to {get_first_name(line['to'])}: “{subject}”", _explain_mail(line)
    if what == "session":
        return _describe_session(line, states.get(line["session"], ""), requested_ids)
    if what == "unplaceable":
        return (
            "trouble",
            PROGRAM,
            f"no time to be found for the {describe_session(line, requested_ids)}",
            line["reason"],
        )
    if line.get("kind") == "commitment" and what.startswith("event."):
        return "calendar", PROGRAM, *_describe_block(line)
    return None


def _describe_act(line: LedgerLine, requested_ids: set[str]) -> str:
    texts = {
        "talk": describe_session(line, requested_ids),
        "when": format_both_times(line) if line.get("start") else "",
        "due": format_day(line["due"]) if line.get("due") else "",
        "owner": _describe_owner(line),
        "manager": get_first_name(PairId.parse(line["pair"]).manager),
        "report": get_first_name(PairId.parse(line["pair"]).report),
    }
    return _ACTS.get(line["act"], "").format(**texts) or _describe_move(line, texts)


def _describe_move(line: LedgerLine, texts: Mapping[str, str]) -> str:
    """Return the text for the act `move`, which also stands for a shortened session. `texts` are those of `_ACTS`."""
    if line.get("kind") == "commitment":
        return f"moves the time kept for a promise to {texts['when']}"
    minutes = int((parse_instant(line["end"]) - parse_instant(line["start"])).total_seconds() // 60)
    if minutes < 60:
        return f"shortens the {texts['talk']} to {minutes} minutes"
    return f"drags the {texts['talk']} to {texts['when']}"


def _explain_act(line: LedgerLine) -> str:
    return " ".join([line.get("reason", ""), *line.get("asked", ())]).strip()


def _describe_owner(line: LedgerLine) -> str:
    pair = PairId.parse(line["pair"])
    owner = pair.manager if line.get("owner") == "manager" else pair.report
    return "a promise of their own" if owner == line["who"] else f"a promise of {get_first_name(owner)}'s"


def _explain_mail(line: LedgerLine) -> str:
    number, name = line.get("number", 0), line["message"]
    if name == "contract_reminder" and number > 2:  # the first two come before the deadline
        return "The 48 hours are over."
    if name == "contract_summary" and number > 1:
        return f"The contract changed; both get version {number}."
    if (
        name in ("reflection_prompt", "brief")
        and parse_instant(line["start"]) - parse_instant(line["at"]) < _LATE_PREPARATIONS[name]
    ):
        return "At once: the conversation is near."
    return _MAILS[name]


def _describe_session(line: LedgerLine, previous_state: str, requested_ids: set[str]) -> _Description | None:
    state, reason, name = line["state"], line.get("reason", ""), describe_session(line, requested_ids)
    if state == "owed" and not previous_state:
        return None  # the row of the person who asked for it says this already
    if state == "deferred":
        return "trouble", PROGRAM, f"deferred {_format_ordinal(line)}, and owed: the {name}", _explain_cause(line)
    if state == "booked":
        return (
            "session",
            PROGRAM,
            f"{_describe_booking(line, previous_state)}: the {name}, {format_both_times(line)}",
            reason,
        )
    texts = {
        "held": f"held: the {name}",
        "contracted": "the contract stands",
        "unfinished": f"no contract came: the {name} is unfinished",
        "owed": f"given up for a better day: the time of the {name}",
        "cancelled": f"off the calendar: the {name}",
    }
    return ("trouble" if state == "unfinished" else "session"), PROGRAM, texts[state], reason


def _describe_booking(line: LedgerLine, previous_state: str) -> str:
    if line.get("cause") == "moved":
        return "kept where it was put by hand"
    if line.get("reason", "").startswith("A person chose"):
        return "kept as chosen"
    return "a new time" if previous_state == "deferred" else "booked"


def _format_ordinal(line: LedgerLine) -> str:
    return f"for the {_ORDINALS[min(line['count'], 5)]} time"


def _explain_cause(line: LedgerLine) -> str:
    cause = DeferralCause(line["cause"])
    return _CAUSES.get(cause, CAUSE_NAMES[cause]).format(who=get_first_name(line.get("who", "")))


def _describe_block(line: LedgerLine) -> tuple[str, str]:
    whose, due = get_first_name(line["calendar"]), f"It is due {format_day(line['due'])}."
    if line["what"] == "event.cancel":
        return f"off {whose}'s calendar: the time for a promise", "Done, or let go."
    verb = "time for a promise" if line["what"] == "event.create" else "new time for a promise"
    return f"{verb} on {whose}'s calendar: {format_local_time(line['start'], line['calendar'])}", due
