"""The ledger told as a story: who did what when, and why, in sentences."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from examples.northlight.names import both_clocks, clock, day, first, instant, names, pair_of, talk
from examples.northlight.people import MARA, ZONES
from worker.domain.model import Cause, PairId
from worker.domain.planning.deferrals import IN_WORDS
from worker.domain.reason_texts import date_text
from worker.simulation.world import Line

#: The clock of the story's first column.
HERE = ZONES[MARA]

PROGRAM = "Longarc"
_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z0-9`])")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")

_ACTS = {
    "decline": "declines the {talk} of {when}",
    "delete": "deletes the {talk} of {when}",
    "book_over": "books something over the {talk} of {when}",
    "out_of_office": "is out of office over the {talk} of {when}",
    "no_show": "says that the {talk} of {when} did not take place",
    "ask": "asks for another time for the {talk} of {when}",
    "choose": "takes one of the three times held: {when}",
    "write_contract": "writes the contract and asks what Longarc thinks of it",
    "record_contract": "records the contract",
    "talk": "asks to talk soon",
    "check_in": "asks for a check-in",
    "complete": "ticks off {owner}, due {due}",
    "change": "gives a promise another day: {due}",
    "let_go": "lets go of {owner}, due {due}",
    "join": "joins the company",
    "put_right": "has other hours now",
}

_MAILS = {
    "introduction": "Once, as soon as the first conversation stands: what this is, and who can read what.",
    "reflection_prompt": "Three working days ahead, at nine where the report is.",
    "brief": "One working day ahead, at nine where the manager is.",
    "contract_request": "The conversation has ended; what was agreed is due within 48 hours.",
    "contract_reminder": "Nothing is written down yet.",
    "contract_summary": "Both get what was written down, at once.",
    "deferral_notice": "It moved by itself; the manager hears why, and how often.",
    "booked_over_warning": "A day to make room, then it moves.",
    "unplaceable": "Silence is never the outcome: a person is told why, and what would free a time.",
    "short_session": "Respected, and said.",
    "commitment_due": "At nine on the day, or on the working day before.",
    "review_note": "At eight on the day of the review.",
    "operator_alert": "Something needs the operator.",
    "pair_ended": "The two are no pair any more.",
    "fresh_link": "An old link was followed, and a new one asked for.",
    "content_accessed": "A command opened what the two wrote down; both are told.",
}

#: A preparation sent so shortly before was not sent at its usual hour.
_SHORT = {"reflection_prompt": timedelta(days=2, hours=12), "brief": timedelta(hours=12)}

_CAUSES = {
    Cause.DECLINED: "{who} declined.",
    Cause.DELETED: "It was taken off the calendar.",
    Cause.BOOKED_OVER: "Something else still stands over it in {who}'s calendar, a day after the warning.",
    Cause.OUT_OF_OFFICE: "{who} is out of office then.",
    Cause.NOT_HELD: "It did not take place.",
    Cause.ASKED: "Another time was asked for.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
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
        return date_text(self.at.astimezone(ZoneInfo(HERE)).date())

    @property
    def clock(self) -> str:
        return f"{self.at.astimezone(ZoneInfo(HERE)):%H:%M}"

    @property
    def month(self) -> str:
        return f"{self.at.astimezone(ZoneInfo(HERE)):%B %Y}"

    @property
    def names(self) -> str:
        return names(self.pair)

    @property
    def short(self) -> str:
        """The first sentence of why."""
        return _SENTENCE.split(self.why, maxsplit=1)[0]

    @property
    def rest(self) -> str:
        """What follows the first sentence."""
        return self.why.removeprefix(self.short).strip()


def rows(ledger: Iterable[Line], subjects: Mapping[str, str]) -> Iterator[Row]:
    """The story, in order. `subjects` are those of the mails, by Message-ID."""
    states: dict[str, str] = {}
    soon = {line["session"] for line in ledger if line.get("act") == "talk"}
    for line in ledger:
        told = _told(line, states, subjects, soon)
        if line["what"] == "session":
            states[line["session"]] = line["state"]
        if told:
            tone, who, what, why = told
            yield Row(
                at=instant(line["at"]),
                pair=pair_of(line),
                who=who,
                what=what[0].upper() + what[1:],
                why=why,
                tone=tone,
                message_id=line.get("message_id", ""),
            )


_Told = tuple[str, str, str, str]


def _told(line: Line, states: Mapping[str, str], subjects: Mapping[str, str], soon: set[str]) -> _Told | None:
    """Tone, who, what, why."""
    what = line["what"]
    if what == "human":
        return "human", first(line["who"]), _act(line, soon), _why(line)
    if what == "mail":
        subject = subjects.get(line["message_id"], line["message"])
        return "mail", PROGRAM, f"to {first(line['to'])}: “{subject}”", _mail_why(line)
    if what == "session":
        return _session(line, states.get(line["session"], ""), soon)
    if what == "unplaceable":
        return "trouble", PROGRAM, f"no time to be found for the {talk(line, soon)}", line["reason"]
    if line.get("kind") == "commitment" and what.startswith("event."):
        return "calendar", PROGRAM, *_block(line)
    return None


def _act(line: Line, soon: set[str]) -> str:
    words = {
        "talk": talk(line, soon),
        "when": both_clocks(line) if line.get("start") else "",
        "due": day(line["due"]) if line.get("due") else "",
        "owner": _owner(line),
    }
    return _ACTS.get(line["act"], "").format(**words) or _move(line, words)


def _move(line: Line, words: Mapping[str, str]) -> str:
    if line.get("kind") == "commitment":
        return f"moves the time kept for a promise to {words['when']}"
    minutes = int((instant(line["end"]) - instant(line["start"])).total_seconds() // 60)
    if minutes < 60:
        return f"shortens the {words['talk']} to {minutes} minutes"
    return f"drags the {words['talk']} to {words['when']}"


def _why(line: Line) -> str:
    return " ".join([line.get("reason", ""), *line.get("asked", ())]).strip()


def _owner(line: Line) -> str:
    pair = PairId.parse(line["pair"])
    owner = pair.manager if line.get("owner") == "manager" else pair.report
    return "a promise of their own" if owner == line["who"] else f"a promise of {first(owner)}'s"


def _mail_why(line: Line) -> str:
    number, name = line.get("number", 0), line["message"]
    if name == "contract_reminder" and number > 2:
        return "The 48 hours are over."
    if name == "contract_summary" and number > 1:
        return f"The contract changed; both get version {number}."
    if name in ("reflection_prompt", "brief") and instant(line["start"]) - instant(line["at"]) < _SHORT[name]:
        return "At once: the conversation is near."
    return _MAILS[name]


def _session(line: Line, before: str, soon: set[str]) -> _Told | None:
    state, reason, name = line["state"], line.get("reason", ""), talk(line, soon)
    if state == "owed" and not before:
        return None  # asked for by a person, and told so
    if state == "deferred":
        return "trouble", PROGRAM, f"deferred {_times(line)}, and owed: the {name}", _cause(line)
    if state == "booked":
        return "session", PROGRAM, f"{_booked(line, before)}: the {name}, {both_clocks(line)}", reason
    words = {
        "held": f"held: the {name}",
        "contracted": "the contract stands",
        "unfinished": f"no contract came: the {name} is unfinished",
        "owed": f"given up for a better day: the time of the {name}",
        "cancelled": f"off the calendar: the {name}",
    }
    return ("trouble" if state == "unfinished" else "session"), PROGRAM, words[state], reason


def _booked(line: Line, before: str) -> str:
    if line.get("cause") == "moved":
        return "kept where it was put by hand"
    if line.get("reason", "").startswith("A person chose"):
        return "kept as chosen"
    return "a new time" if before == "deferred" else "booked"


def _times(line: Line) -> str:
    return f"for the {_ORDINALS[min(line['count'], 5)]} time"


def _cause(line: Line) -> str:
    cause = Cause(line["cause"])
    return _CAUSES.get(cause, IN_WORDS[cause]).format(who=first(line.get("who", "")))


def _block(line: Line) -> tuple[str, str]:
    whose, due = first(line["calendar"]), f"It is due {day(line['due'])}."
    if line["what"] == "event.cancel":
        return f"off {whose}'s calendar: the time for a promise", "Done, or let go."
    verb = "time for a promise" if line["what"] == "event.create" else "new time for a promise"
    return f"{verb} on {whose}'s calendar: {clock(line['start'], line['calendar'])}", due
