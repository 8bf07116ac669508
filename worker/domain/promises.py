"""The questions asked of a promise before it is sent: is it specific, dated, near, and the promiser's to keep (R-16)?

The word lists are data and deliberately short: a question that makes no sense costs more trust than one not asked. A
question names a line and, where it has one, the word of our own list; never what was promised (R-23).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from worker.domain.model import Contract, Owner, Promise


def _words(*lines: str) -> tuple[str, ...]:
    return tuple("|".join(lines).split("|"))


#: R-21: what is due this soon is urgent.
URGENT = timedelta(days=7)

#: Vague wherever they stand. Longer ones first, so that the whole phrase is the one named.
VAGUE = _words(
    "as soon as possible|as soon as i can|as soon as we can|as much as possible|in the near future|in due course",
    "at some point|at some stage|from time to time|now and then|going forward|when possible|where possible",
    "if possible|when there is time|when i have time|when i get time|when time allows|time permitting|some day",
    "someday|one day|sometime|eventually|later on|asap|soon|look into|looking into|think about|thinking about",
    "think over|try to|try and|see if|see whether|see what|keep in mind|keep an eye on|touch base|be more",
    "be better|get better at|more often|regularly|as needed|somehow|maybe|perhaps|possibly|hopefully|potentially",
    "ideally|i guess|explore options|explore possibilities|explore ways",
)

#: Vague as the thing promised, harmless inside a sentence.
VAGUE_AT_START = _words(
    "try|explore|consider|work on|aim|hope|attempt|strive|endeavour|endeavor|investigate|help with|keep learning",
    "keep growing|keep improving|be a better|i'd like to|i would like to|i want to",
)

#: What a promise of an outcome speaks of, when the outcome is decided elsewhere.
OUTCOMES = _words(
    "promotion|promotions|promoted|pay rise|pay raise|pay increase|pay bump|raise in pay|a raise|her raise",
    "his raise|their raise|your raise|salary|salaries|compensation|bonus|bonuses|stock options|equity grant",
    "headcount|head count|more pay|higher pay|higher grade|pay grade",
)

#: After these the outcome is only what a document, a meeting or a rule is about.
ABOUT = _words(
    "case|packet|pack|path|criteria|committee|panel|round|conversation|talk|document|doc|dossier|timeline|review",
    "framework|ladder|guide|guidelines|guideline|rules|rubric|band|bands|range|ranges|template|board|discussion",
    "expectations|policy|form|feedback",
)

#: Outcomes only when they are given: "the role of", said otherwise, is harmless.
GIVEN = _words(
    "role|title|position|job title|job level|seniority",
)
GIVING = _words(
    "get|give|grant|secure|ensure|make sure|offer|land|obtain|win|approve|promise|arrange|deliver|create|award",
    "assign|change|upgrade|move|fix",
)

#: What anybody may promise to do about an outcome that is somebody else's.
WITHIN = _words(
    "advocate|argue|ask|write|prepare|draft|present|propose|nominate|recommend|discuss|talk|explain|find out",
    "clarify|describe|share|submit|put forward|put together|review|check|collect|gather|introduce|tell|meet",
    "request|send|list|show|bring|speak|set up|book|compare|read|learn|walk|coach|practise|practice|support",
    "make the case|build the case|make a case|build a case|collate|document|map|sit down|go through|invite",
    "schedule|follow up|champion|sponsor|raise the question|call|email|outline|sketch|update|help|organise",
    "organize|join|give feedback|get feedback|get clarity|get an answer|collect evidence|name",
    "state|lay out|look up|report back|take",
)

#: No commitment that says who does what begins with one of these.
NOT_A_VERB = _words(
    "more|less|fewer|greater|better|improved|ongoing|continued|additional|extra|regular|increased|stronger",
    "clearer|closer",
)

#: With one of these first a commitment is a thing, unless a verb comes later.
THING = _words(
    "a|an|the|my|our|his|her|their|your|some|new|good|weekly|monthly|quarterly",
)
_THING_ENDING = re.compile(r"\w{3,}(?:tion|sion|ment|ness|ship|ance|ence|ility|ivity)s?")

#: Common verbs of work: enough to hear one in a sentence, not a dictionary.
VERBS = frozenset(
    _words(
        "accept|add|advise|advocate|agree|analyse|announce|answer|apply|appoint|argue|arrange|ask|assign|attend",
        "automate|be|become|begin|bring|build|call|check|choose|clarify|close|coach|collect|compare|complete",
        "connect|count|create|cut|decide|define|delegate|deliver|demo|describe|design|develop|discuss|do|document",
        "draft|drop|earn|edit|email|ensure|enrol|enroll|establish|explain|extend|fill|find|finish|fix|follow",
        "forward|gather|get|give|go|hand|have|help|hire|host|identify|implement|improve|include|increase",
        "interview|introduce|invite|join|keep|know|lead|learn|leave|let|list|listen|look|make|manage|map|measure",
        "meet|mentor|merge|migrate|move|name|negotiate|nominate|observe|offer|open|organise|organize|outline|own",
        "pair|pass|pick|plan|play|practise|practice|prepare|present|propose|prove|publish|put|raise|reach|read",
        "rebuild|receive|recommend|record|recruit|reduce|refactor|refuse|rehearse|release|remove|rename|replace",
        "report|request|research|reserve|resolve|review|rewrite|rotate|run|say|schedule|see|select|send|set",
        "shadow|share|ship|show|sign|simplify|sit|sketch|solve|speak|spend|split|sponsor|stand|start|stay|step",
        "stop|submit|summarise|summarize|support|swap|switch|take|talk|teach|tell|test|track|train|translate",
        "travel|turn|understand|update|use|visit|volunteer|walk|watch|win|write|will|is|are|has|can",
    )
)

_OPENING = re.compile(r"(?:(?:i|we|you|he|she|they)(?:'ll| will| am going to)|[\w.-]+(?: [\w.-]+)? will) ")
#: Promoting a person, not somebody's work: a name or a pronoun at the end, or somebody "to" something.
_PROMOTING = re.compile(
    r"\b(?i:promote) (?:him$|her$|them$|you$|[A-Z][\w.-]*$|[\w.-]+(?: [\w.-]+)? (?:to|into) "
    r"(?!(?:an? |the )?(?:wider |whole )?(?:group|team|audience|channel|guild|forum|public)\b))"
)
_APPOINTING = re.compile(
    r"make (?:\w+ ){1,2}(?:an? )?(?:senior|staff|principal|manager|director|(?:team|tech) lead)(?!\w)"
)
_CERTAIN = re.compile(r"(?<!\w)(?:guarantee|guarantees|guaranteed|i promise|whatever it takes|no matter what)(?!\w)")
_RAISED_WITH = re.compile(r"raise .* (?:with|to|at|in) ")


def _any_of(words: Sequence[str], after: str = "") -> re.Pattern[str]:
    """Any of these words, whole; hyphens count as part of a word."""
    listed = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{listed})(?![\w-]){after}")


_VAGUE = _any_of(VAGUE, r"(?<!as soon)")
_VAGUE_AT_START = _any_of(VAGUE_AT_START)
_OUTCOME = _any_of(OUTCOMES, rf"(?!s? (?:{'|'.join(ABOUT)})\b)")
_GIVEN = _any_of(GIVEN, r"(?! (?:model|play|plays|page|description|slide)\b)")
_GIVING = _any_of(GIVING)
_WITHIN = _any_of(WITHIN)


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask of one promise before it is sent, and a better wording of the same kind."""

    line: int
    owner: Owner
    what: str
    better: str


def question(contract: Contract, recorded_on: date) -> tuple[Question, ...]:
    """Every question R-16 asks, in the order of the lines. `recorded_on` is the day in the manager's zone."""
    asked = [
        Question(promise.line, owner, what, better)
        for owner, promises in ((Owner.REPORT, contract.report), (Owner.MANAGER, contract.manager))
        for promise in promises
        for what, better in _asked(promise, owner, recorded_on)
    ]
    return tuple(sorted(asked, key=lambda one: one.line))


def urgent(due: date, recorded_on: date) -> bool:
    """R-21: due within seven days of being recorded (or overdue already)."""
    return due - recorded_on <= URGENT


def _asked(promise: Promise, owner: Owner, recorded_on: date) -> Iterator[tuple[str, str]]:
    said = " ".join(promise.text.replace("\u2019", "'").split()).rstrip(".!")
    text = said.casefold()
    opening = _OPENING.match(text)
    deed = text[opening.end() :] if opening else text
    vague = _VAGUE_AT_START.match(deed) or _VAGUE.search(text)
    if vague:
        yield (
            f"`{vague[0]}` leaves open what will be done.",
            "Say the first thing that can be seen: a verb, and its result.",
        )
    elif not opening and not _has_verb(deed):
        yield "It names a thing, but not what somebody does.", "Begin with a verb: introduce, write, ask, lead, show."
    yield from _asked_of_date(promise.due, recorded_on)
    if owner is Owner.MANAGER and _beyond_authority(said, text, deed):
        yield (
            "It promises an outcome that others decide.",
            "Promise your part: I can advocate for it and tell you what I hear by that day; the outcome is not mine.",
        )


def _asked_of_date(due: date | None, recorded_on: date) -> Iterator[tuple[str, str]]:
    if due is None:
        yield "It has no date.", "Say by which day; a guess that is moved later is better than none."
    elif due < recorded_on:
        yield "Its date has passed.", "Give it a day to come, or name it under progress when it is done."
    elif (due.year - 1, due.month, due.day) > (recorded_on.year, recorded_on.month, recorded_on.day):
        yield "It is due more than a year from now.", "Promise the first step of it, within a few months."


def _has_verb(deed: str) -> bool:
    """Whether a verb can be heard. In doubt there is one: only a phrase that shows it is a thing is called one."""
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", deed)
    if not words or words[0] in NOT_A_VERB:
        return False
    if any(_is_verb(word) for word in words):
        return True
    return (len(words) > 2 or not deed.isascii()) and words[0] not in THING and not _THING_ENDING.fullmatch(words[0])


def _is_verb(word: str) -> bool:
    stem = word.removesuffix("s")
    return bool({word, stem, stem.removesuffix("e")} & VERBS)


def _beyond_authority(said: str, text: str, deed: str) -> bool:
    """Whether an outcome is promised, rather than work towards it."""
    if _CERTAIN.search(text) or _PROMOTING.search(said) or _APPOINTING.match(deed):
        return True
    if _RAISED_WITH.match(deed) and not re.match(r"raise [\w']+ (?:salary|pay|bonus)", deed):
        return False
    if _WITHIN.match(deed):
        return False
    return bool(_OUTCOME.search(deed) or (_GIVING.match(deed) and _GIVEN.search(deed)))
