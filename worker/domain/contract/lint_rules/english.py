"""The rules for English: vague words, things without a verb, and outcomes that others decide."""

import re

from worker.domain.contract.lint_rules.word_lists import compile_any_of, split_words

#: Words that are vague anywhere in a commitment.
VAGUE = split_words(
    "as soon as possible|as soon as i can|as soon as we can|as much as possible|in the near future|in due course",
    "at some point|at some stage|from time to time|now and then|going forward|when possible|where possible",
    "if possible|when there is time|when i have time|when i get time|when time allows|time permitting|some day",
    "someday|one day|sometime|eventually|later on|asap|soon|look into|looking into|think about|thinking about",
    "think over|try to|try and|see if|see whether|see what|keep in mind|keep an eye on|touch base|be more",
    "be better|get better at|more often|regularly|as needed|somehow|maybe|perhaps|possibly|hopefully|potentially",
    "ideally|i guess|explore options|explore possibilities|explore ways",
)

#: Words that are vague only at the beginning of a commitment.
VAGUE_AT_START = split_words(
    "try|explore|consider|work on|aim|hope|attempt|strive|endeavour|endeavor|investigate|help with|keep learning",
    "keep growing|keep improving|be a better|i'd like to|i would like to|i want to",
)

#: Outcomes that others decide.
OUTCOMES = split_words(
    "promotion|promotions|promoted|pay rise|pay raise|pay increase|pay bump|raise in pay|a raise|her raise",
    "his raise|their raise|your raise|salary|salaries|compensation|bonus|bonuses|stock options|equity grant",
    "headcount|head count|more pay|higher pay|higher grade|pay grade",
)

#: When one of these words follows an outcome, the outcome is only a topic of work, as in "salary review".
OUTCOME_TOPICS = split_words(
    "case|packet|pack|path|criteria|committee|panel|round|conversation|talk|document|doc|dossier|timeline|review",
    "framework|ladder|guide|guidelines|guideline|rules|rubric|band|bands|range|ranges|template|board|discussion",
    "expectations|policy|form|feedback",
)

#: Words that mean an outcome only after one of `GIVING_VERBS`, and not in phrases such as "role model".
GIVEN_OUTCOMES = split_words(
    "role|title|position|job title|job level|seniority",
)
GIVING_VERBS = split_words(
    "get|give|grant|secure|ensure|make sure|offer|land|obtain|win|approve|promise|arrange|deliver|create|award",
    "assign|change|upgrade|move|fix",
)

#: Verbs for work towards an outcome that others decide. Such work depends on its owner alone, so it can be promised.
EFFORT_VERBS = split_words(
    "advocate|argue|ask|write|prepare|draft|present|propose|nominate|recommend|discuss|talk|explain|find out",
    "clarify|describe|share|submit|put forward|put together|review|check|collect|gather|introduce|tell|meet",
    "request|send|list|show|bring|speak|set up|book|compare|read|learn|walk|coach|practise|practice|support",
    "make the case|build the case|make a case|build a case|collate|document|map|sit down|go through|invite",
    "schedule|follow up|champion|sponsor|raise the question|call|email|outline|sketch|update|help|organise",
    "organize|join|give feedback|get feedback|get clarity|get an answer|collect evidence|name",
    "state|lay out|look up|report back|take",
)

#: A commitment that begins with one of these words has no verb.
NON_VERB_STARTS = split_words(
    "more|less|fewer|greater|better|improved|ongoing|continued|additional|extra|regular|increased|stronger",
    "clearer|closer",
)

#: A commitment that begins with one of these words names only a thing, unless a verb follows.
THING_STARTS = split_words(
    "a|an|the|my|our|his|her|their|your|some|new|good|weekly|monthly|quarterly",
)
#: Nouns with one of the endings that usually name a thing or an idea, such as "introduction".
_THING_ENDING = re.compile(r"\w{3,}(?:tion|sion|ment|ness|ship|ance|ence|ility|ivity)s?")

#: Common verbs. They are enough to recognize most sentences.
VERBS = frozenset(
    split_words(
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

#: A promise to give feedback, at the beginning or after "and": "give Sam feedback", but not "write the feedback form".
_FEEDBACK = re.compile(
    r"(?:^|\band )(?:give|gives|offer|share|provide|write|send|deliver|pass on|tell|bring)\b[^.;:]*?"
    r"\bfeedback\b(?! (?:form|forms|process|round|rounds|survey|surveys|tool|tools|training|culture|template)\b)"
)
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
#: An opening: the words at the beginning that say who will act, such as "I will" or "Dana will".
_OPENING = re.compile(r"(?:(?:i|we|you|he|she|they)(?:'ll| will| am going to)|[\w.-]+(?: [\w.-]+)? will) ")
#: A promise to promote a person, and not to promote work: "promote" with a name or pronoun at the end, or with "to" or
#: "into" a position.
_PROMOTING = re.compile(
    r"\b(?i:promote) (?:him$|her$|them$|you$|[A-Z][\w.-]*$|[\w.-]+(?: [\w.-]+)? (?:to|into) "
    r"(?!(?:an? |the )?(?:wider |whole )?(?:group|team|audience|channel|guild|forum|public)\b))"
)
#: A promise to appoint a person to a position, such as "make her a staff engineer".
_APPOINTING = re.compile(
    r"make (?:\w+ ){1,2}(?:an? )?(?:senior|staff|principal|manager|director|(?:team|tech) lead)(?!\w)"
)
_GUARANTEE = re.compile(r"(?<!\w)(?:guarantee|guarantees|guaranteed|i promise|whatever it takes|no matter what)(?!\w)")
#: Raising something "with" or "to" somebody, or "at" or "in" a meeting, means mentioning it, and not increasing it.
_RAISED_WITH = re.compile(r"raise .* (?:with|to|at|in) ")


# The word "soon" is not vague in "as soon as the budget is approved".
_VAGUE = compile_any_of(VAGUE, r"(?<!as soon)")
_VAGUE_AT_START = compile_any_of(VAGUE_AT_START)
_OUTCOME = compile_any_of(OUTCOMES, rf"(?!s? (?:{'|'.join(OUTCOME_TOPICS)})\b)")
_GIVEN_OUTCOME = compile_any_of(GIVEN_OUTCOMES, r"(?! (?:model|play|plays|page|description|slide)\b)")
_GIVING_VERB = compile_any_of(GIVING_VERBS)
_EFFORT_VERB = compile_any_of(EFFORT_VERBS)


def find_vague_word(sentence: str) -> str:
    """Return the listed word or phrase that leaves open what will be done; empty if there is none."""
    text, _, predicate = _split_opening(sentence)
    match = _VAGUE_AT_START.match(predicate) or _VAGUE.search(text)
    return match[0] if match else ""


def is_thing_only(sentence: str) -> bool:
    """Return whether the sentence names a thing, but no action."""
    _, has_opening, predicate = _split_opening(sentence)
    return not has_opening and not _has_likely_verb(predicate)


def has_verb(sentence: str) -> bool:
    """Return whether the sentence certainly has an English verb."""
    _, has_opening, predicate = _split_opening(sentence)
    return has_opening or any(_is_verb(word) for word in _WORD.findall(predicate))


def is_promised_outcome(sentence: str) -> bool:
    """Return whether the sentence promises an outcome that others decide, and not just work towards it."""
    text, _, predicate = _split_opening(sentence)
    if _GUARANTEE.search(text) or _PROMOTING.search(sentence) or _APPOINTING.match(predicate):
        return True
    # "Raise her salary in March" means an increase all the same.
    if _RAISED_WITH.match(predicate) and not re.match(r"raise [\w']+ (?:salary|pay|bonus)", predicate):
        return False
    if _EFFORT_VERB.match(predicate):
        return False
    return bool(_OUTCOME.search(predicate) or (_GIVING_VERB.match(predicate) and _GIVEN_OUTCOME.search(predicate)))


def is_promised_feedback(sentence: str) -> bool:
    """Return whether the sentence promises to give feedback."""
    _, _, predicate = _split_opening(sentence)
    return bool(_FEEDBACK.search(predicate))


def _split_opening(sentence: str) -> tuple[str, bool, str]:
    """Return the sentence in lower case, whether it has an opening (see `_OPENING`), and the text after it."""
    text = sentence.casefold()
    opening = _OPENING.match(text)
    return text, opening is not None, text[opening.end() :] if opening else text


def _has_likely_verb(predicate: str) -> bool:
    """Return False if the phrase clearly has no verb; True in case of doubt."""
    words = _WORD.findall(predicate)
    if not words or words[0] in NON_VERB_STARTS:
        return False
    if any(_is_verb(word) for word in words):
        return True
    # No listed verb was found. A phrase of one or two words is then taken for a thing.
    is_long_enough = len(words) > 2 or not predicate.isascii()  # a text that is not ASCII may be in another language
    begins_like_thing = words[0] in THING_STARTS or _THING_ENDING.fullmatch(words[0])
    return is_long_enough and not begins_like_thing


def _is_verb(word: str) -> bool:
    """Return whether the word is a common verb, in its base form or with the ending "s" or "es"."""
    stem = word.removesuffix("s")
    return bool({word, stem, stem.removesuffix("e")} & VERBS)
