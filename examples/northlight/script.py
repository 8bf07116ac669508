"""The script of the demo as data: for each pair a thread of beats, which people play in order.

The time of a beat is a date, or relative to a session. The script says only what people do; Longarc decides the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from examples.northlight.people import ARJUN, EMILY, GRACE, HELEN, LIAM, MARA, NOAH
from worker.domain.model import Address, PairId


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatTime:
    """The time of a beat, in the zone of its person: on a day, or relative to the start or the end of a session."""

    at: str = ""  #: local time; when empty, `minutes` after the anchor counts
    on: str = ""  #: a date, as YYYY-MM-DD
    days: int = 0  #: weekdays: before the start when negative, after the end otherwise
    minutes: int = 0

    @property
    def is_ahead(self) -> bool:
        """Whether the time is before the start of a session."""
        return self.days < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSelector:
    """Selects one session of a pair."""

    kind: str = "career"
    cycle: int = 1
    topic: str = ""  #: empty for any topic
    adhoc: bool = False  #: an ad hoc session; its cycle doesn't matter
    number: int = 0  #: index among the matching sessions, by time: 0 for the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One action of one person: `act` names a method of ScriptedHumans, `arguments` are passed to it."""

    who: Address
    act: str
    pair: PairId
    when: BeatTime
    about: SessionSelector = SessionSelector()  #: the session, for a time relative to one
    why: str = ""  #: the person's reason or remark, for the story
    arguments: Mapping[str, Any] = field(default_factory=dict)


Thread = tuple[Beat, ...]  #: beats that are played in this order


def _days_before(days: int, at: str) -> BeatTime:
    """Return a time `days` weekdays before the start of the session."""
    return BeatTime(days=-days, at=at)


def _minutes_after(minutes: int) -> BeatTime:
    """Return a time `minutes` after the end of the session."""
    return BeatTime(minutes=minutes)


def _days_after(days: int, at: str) -> BeatTime:
    """Return a time `days` weekdays after the end of the session."""
    return BeatTime(days=days, at=at)


def _on(day: str, at: str) -> BeatTime:
    return BeatTime(on=day, at=at)


class _PairScript:
    """Creates the beats of one pair."""

    def __init__(self, manager: Address, report: Address) -> None:
        self.id = PairId(manager, report)

    def does(
        self,
        who: Address,
        act: str,
        when: BeatTime,
        why: str = "",
        about: SessionSelector | None = None,
        **arguments: Any,
    ) -> Beat:
        """Return the beat in which this person performs the action."""
        return Beat(
            who=who, act=act, pair=self.id, when=when, about=about or SessionSelector(), why=why, arguments=arguments
        )


def list_threads() -> list[Thread]:
    """Return all threads of the script. The beats of a thread are played in order; threads are independent.

    The groups `*(…)` in the calls below have no meaning: without them the formatter would write each argument on a line
    of its own.
    """
    return [
        *_helen_and_mara(),
        *_helen_and_emily(),
        *_mara_and_arjun(),
        *_mara_and_grace(),
        *_helen_and_grace(),
        *_mara_and_noah(),
        *_liam(),
    ]


def _helen_and_mara() -> list[Thread]:
    pair = _PairScript(HELEN, MARA)
    review, second = SessionSelector(kind="review"), SessionSelector(cycle=2)
    return [
        (
            pair.does(HELEN, "move", _days_before(4, "16:20"), "The board wants that morning.", days=1, at="14:00"),
            pair.does(HELEN, "record_contract", _minutes_after(95), contract="mara-1"),
            pair.does(
                *(HELEN, "move_block", _days_after(1, "09:05")),
                "She would rather write it before lunch.",
                text="Introduce Mara",
                days=-1,
                at="11:15",
            ),
            pair.does(
                HELEN, "complete", _days_after(4, "16:40"), "The three of them had coffee.", text="Introduce Mara"
            ),
            pair.does(
                HELEN, "complete", _days_after(14, "17:05"), "Two pages, and a walk.", text="Write Mara feedback"
            ),
            pair.does(
                *(HELEN, "change", _days_after(17, "12:30")),
                "The November meeting of the executive team was called off.",
                text="Ask the executive team",
                days=21,
            ),
            pair.does(HELEN, "complete", _days_after(38, "15:00"), "Mara has the slot.", text="Ask the executive team"),
        ),
        (
            pair.does(MARA, "complete", _days_after(12, "11:20"), "Both said yes.", text="Ask two heads"),
            pair.does(
                *(MARA, "let_go", _days_after(20, "10:10")),
                "The book club folded, and nobody misses it.",
                text="Finish the course",
            ),
            pair.does(MARA, "complete", _days_after(30, "16:10"), text="Draft one page"),
        ),
        (
            pair.does(
                *(HELEN, "ask", _days_before(2, "15:30")),
                "The auditors need her at nine that day.",
                replace(review, number=1),  # the second review
            ),
        ),
        (
            pair.does(HELEN, "record_contract", _minutes_after(70), about=second, contract="mara-2"),
            pair.does(MARA, "complete", _days_after(7, "10:20"), "He would.", second, text="Ask Arjun"),
            pair.does(HELEN, "complete", _days_after(9, "12:10"), about=second, text="Speak to Oskar"),
        ),
    ]


def _helen_and_emily() -> list[Thread]:
    pair = _PairScript(HELEN, EMILY)
    talk = SessionSelector(adhoc=True)
    return [
        (
            pair.does(
                EMILY, "decline", _days_before(5, "09:40"), "A customer in Boston that day.", visit="Boston, all day"
            ),
            pair.does(HELEN, "delete", _days_before(1, "16:10"), "Quarter end: she clears the whole afternoon."),
            pair.does(HELEN, "no_show", _minutes_after(25), "Helen was held up in a customer's crisis call."),
            pair.does(HELEN, "choose", _days_before(1, "10:00"), "She takes the second of the three times.", option=1),
        ),
        (
            pair.does(
                *(HELEN, "talk", _on("2026-11-16", "16:30")),
                "Emily told her that a competitor has called.",
                trigger="leaving",
            ),
            pair.does(
                HELEN, "record_contract", _minutes_after(50), about=talk, contract="emily-talk-draft", check_only=True
            ),
            pair.does(
                *(HELEN, "record_contract", _minutes_after(75)),
                "She has written anew what was questioned.",
                talk,
                contract="emily-talk",
            ),
            pair.does(HELEN, "complete", _days_after(3, "17:10"), about=talk, text="Introduce Emily"),
            pair.does(EMILY, "complete", _days_after(6, "15:45"), about=talk, text="Write down"),
            pair.does(
                *(HELEN, "complete", _days_after(14, "12:20")),
                "Advocated for; the answer comes in January.",
                talk,
                text="Put the case",
            ),
            pair.does(HELEN, "complete", _days_after(17, "14:30"), about=talk, text="Give Emily"),
        ),
        (pair.does(HELEN, "record_contract", _minutes_after(60), about=SessionSelector(cycle=2), contract="emily-2"),),
    ]


def _mara_and_arjun() -> list[Thread]:
    pair = _PairScript(MARA, ARJUN)
    gap = SessionSelector(topic="gap")
    return [
        (
            pair.does(
                *(ARJUN, "out_of_office", _days_before(3, "17:10")),
                "His sister's wedding in Jaipur was brought forward.",
                SessionSelector(topic="direction"),
                title="Wedding in Jaipur",
                days=3,
            ),
            # "I don't know" is an answer, and it stands in the brief of the part that follows.
            pair.does(
                *(ARJUN, "leave_note", _minutes_after(120)),
                "“I don't know yet” is an answer.",
                SessionSelector(topic="direction"),
                lines=(
                    "Staff engineer or engineering manager: I don't know yet.",
                    "It draws me when ten people can build on a design. A week without any code repels me.",
                ),
            ),
            pair.does(MARA, "record_contract", _days_after(1, "11:40"), about=gap, contract="arjun-1"),
            pair.does(MARA, "complete", _days_after(9, "16:30"), "Ada has said yes.", gap, text="Find Arjun"),
            pair.does(ARJUN, "complete", _days_after(24, "18:10"), about=gap, text="Run the design review"),
            pair.does(
                ARJUN, "complete", _days_after(25, "12:15"), "One of them answered at length.", gap, text="Write to two"
            ),
            pair.does(
                MARA,
                "complete",
                _days_after(37, "17:00"),
                "The plan has his name on it.",
                gap,
                text="Give Arjun the lead",
            ),
        ),
    ]


def _mara_and_grace() -> list[Thread]:
    pair = _PairScript(MARA, GRACE)
    return [
        (
            pair.does(
                *(MARA, "book_over", _days_before(6, "11:50")),
                "The customer moved the steering committee.",
                title="Steering committee",
                minutes=90,
            ),
            # T-12: the report hears of it, too, and picks one of the times that are reserved.
            pair.does(GRACE, "choose", _days_before(4, "12:10"), "A Monday suits her better.", option=1),
            pair.does(
                *(MARA, "record_contract", _days_after(3, "15:20")),
                "It was a full week.",
                contract="grace-1",
            ),
            pair.does(GRACE, "complete", _days_after(15, "12:00"), text="Ask Priya"),
            pair.does(MARA, "complete", _days_after(18, "16:45"), text="Give Grace the lead"),
            # Grace has another manager by now; what Mara promised stays Mara's.
            pair.does(
                *(MARA, "keep_promise", _on("2026-11-18", "16:10")),
                "She promised it, so she still does it.",
                text="Invite Grace",
            ),
            pair.does(
                MARA, "complete", _on("2026-11-20", "11:40"), "Grace had a question for the board.", text="Invite"
            ),
        ),
    ]


def _helen_and_grace() -> list[Thread]:
    pair = _PairScript(HELEN, GRACE)
    return [
        (
            pair.does(
                *(GRACE, "change_manager", _on("2026-11-16", "08:40")),
                "She designs for both products now; HR changes her row.",
            ),
            pair.does(
                *(GRACE, "pass_on", _on("2026-11-18", "12:30")),
                "The rest stays between her and Mara.",
                lines=("what Priya and Tom said", "How much of the craft"),
            ),
            pair.does(HELEN, "record_contract", _minutes_after(60), contract="grace-2"),
            pair.does(HELEN, "complete", _days_after(5, "16:05"), text="Introduce Grace"),
        ),
    ]


def _mara_and_noah() -> list[Thread]:
    pair = _PairScript(MARA, NOAH)
    second, third = SessionSelector(cycle=2), SessionSelector(cycle=3)
    return [
        (
            pair.does(MARA, "record_contract", _minutes_after(300), contract="noah-1"),
            pair.does(MARA, "complete", _days_after(5, "10:00"), "On the first try.", text="Agree with Finn"),
            pair.does(NOAH, "complete", _days_after(16, "16:20"), text="Take the on-call"),
            pair.does(NOAH, "complete", _days_after(21, "15:10"), text="Pair with Ada"),
        ),
        (
            pair.does(NOAH, "check_in", _on("2026-10-12", "09:40"), "Daycare starts; he wants ten minutes."),
            pair.does(
                MARA, "delete", _days_before(2, "17:15"), "She takes it for a leftover while tidying up.", second
            ),
            pair.does(MARA, "no_show", _minutes_after(30), "Noah was at home with a sick child.", second),
            pair.does(MARA, "record_contract", _minutes_after(300), about=second, contract="noah-2"),
            pair.does(MARA, "complete", _days_after(6, "09:50"), about=second, text="Send Noah"),
            pair.does(NOAH, "complete", _days_after(14, "16:00"), about=second, text="Show the team"),
            pair.does(MARA, "shorten", _days_before(2, "12:10"), "It is the week before Christmas.", third, minutes=45),
            pair.does(MARA, "record_contract", _days_after(1, "10:30"), about=third, contract="noah-3"),
            pair.does(
                MARA, "complete", _days_after(28, "10:10"), "Late; the brief had it first.", second, text="Speak for"
            ),
        ),
        # neither Mara nor anybody else learns that he asked.
        (
            pair.does(
                *(NOAH, "ask_third_voice", _on("2026-11-09", "10:20")),
                "One question, and the answer reaches him alone.",
                to=GRACE,
                question="You saw me run the alerts work. What should I do more of when I lead, and what less?",
            ),
            pair.does(
                *(GRACE, "answer_third_voice", _on("2026-11-12", "15:40")),
                "A few honest sentences are plenty.",
                answer=(
                    "More of the way you let people find the fault themselves; I learned most in those hours.\n"
                    "Less of taking the hard shift because nobody else would. Ask; somebody would have."
                ),
            ),
        ),
    ]


def _liam() -> list[Thread]:
    pair = _PairScript(MARA, LIAM)
    return [
        (
            pair.does(LIAM, "join", _on("2026-11-23", "14:00"), "He starts in Sydney; HR adds his row."),
            pair.does(
                LIAM, "put_right", _on("2026-11-25", "19:30"), "HR puts the hours he really works into the people file."
            ),
            pair.does(MARA, "record_contract", _minutes_after(240), contract="liam-1"),
            pair.does(MARA, "complete", _days_after(22, "16:20"), text="Introduce Liam"),
            pair.does(
                LIAM,
                "complete",
                _days_after(27, "20:10"),
                "Two pages, one question the docs never answered.",
                text="Write a note",
            ),
        ),
    ]
