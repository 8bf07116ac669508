"""The rules for German: vague words, things without a verb, and outcomes that others decide.

In German, nouns begin with a capital letter, and the verb is often the last word. So the rules distinguish capitals,
and look for a verb anywhere.
"""

import re

from worker.domain.contract.lint_rules.word_lists import compile_any_of, split_words

#: Words that are vague anywhere in a commitment.
VAGUE = split_words(
    "so bald wie möglich|sobald wie möglich|so schnell wie möglich|baldmöglichst|möglichst bald|möglichst schnell",
    "bald|demnächst|zeitnah|in nächster zeit|in absehbarer zeit|in naher zukunft|bei gelegenheit|gelegentlich",
    "irgendwann|irgendwie|irgendwas|früher oder später|zu gegebener zeit|wenn zeit ist|wenn ich zeit habe",
    "wenn zeit bleibt|wenn es die zeit erlaubt|wenn es passt|wenn möglich|falls möglich|nach möglichkeit",
    "soweit möglich|so gut es geht|so viel wie möglich|bei bedarf|nach bedarf|gegebenenfalls|ggf|evtl|eventuell",
    "vielleicht|möglicherweise|hoffentlich|idealerweise|perspektivisch|mittelfristig|langfristig|grundsätzlich",
    "regelmäßig|ab und zu|hin und wieder|von zeit zu zeit|öfter|öfter mal|häufiger|immer mal wieder",
    "mal schauen|mal sehen|mal gucken|schauen, ob|schaue, ob|sehen, ob|schauen wir|im auge behalten|im blick behalten",
    "im hinterkopf behalten|am ball bleiben|dranbleiben|darüber nachdenken|nachdenken|denke darüber nach",
    "gedanken machen|mache mir gedanken|mir überlegen|überlege mir|anstreben|strebe an|ins auge fassen|asap",
    "versuche,|versuche zu|versuche es|zu versuchen|versuchen,|werde versuchen|probiere mal|näher kennenlernen",
)

#: Words that are vague only at the beginning of a commitment.
VAGUE_AT_START = split_words(
    "hoffe|hoffen|überlege|plane irgendwann|bemühe mich|mich bemühen|sich bemühen|arbeite an|arbeite daran|arbeitet an",
    "weiter an mir arbeiten|an mir arbeiten|an sich arbeiten|mehr auf|besser werden|sichtbarer werden|versuchen",
    "ich möchte|möchte|ich würde gern|würde gern|ich will",
)
#: The vague "work on something", whose verb is the last word.
_WORK_ON = re.compile(r"an .* arbeiten$")

#: Outcomes that others decide. Compounds such as Gehaltsband (salary band) are other words, and no outcomes.
OUTCOMES = split_words(
    "beförderung|beförderungen|befördert|befördere|befördern|gehaltserhöhung|gehaltserhöhungen|gehaltssprung|gehalt",
    "gehälter|lohnerhöhung|bonus|boni|prämie|prämien|aktienoptionen|höhergruppierung|höhergruppiert|planstelle",
    "planstellen|mehr geld",
)

#: Words that mean an outcome only in a sentence with one of `GIVING_VERBS`.
GIVEN_OUTCOMES = split_words("Rolle|Stelle|Position|Titel|Teamleitung|Leitungsrolle|Leitungsstelle")
GIVING_VERBS = split_words(
    "bekommt|bekommst|kriegt|kriegst|erhält|erhältst|besorge|besorgen|verschaffe|verschaffen|sichere|sichern",
    "gebe|geben|übertrage|übertragen|schaffe|schaffen|zusichern|sichere zu|sorge dafür|stelle sicher|biete|anbieten",
)

#: Verbs for work towards an outcome that others decide. Such work depends on its owner alone, so it can be promised.
EFFORT_VERBS = split_words(
    "spreche|sprechen|ansprechen|besprechen|bespreche|rede|reden|einsetzen|setze mich|frage|fragen|nachfragen|erfragen",
    "klären|kläre|abklären|vorschlagen|schlage|empfehlen|empfehle|vorbereiten|bereite|schreiben|schreibe|begründen",
    "begründe|vorstellen|beantragen|beantrage|einreichen|reiche|vorbringen|bringe|einbringen|argumentieren",
    "argumentiere|werben|werbe|plädieren|plädiere|erklären|erkläre|erläutern|erläutere|zeigen|zeige|vorlegen|lege",
    "sammeln|sammle|zusammenstellen|stelle zusammen|prüfen|prüfe|unterstützen|unterstütze|thematisieren|thematisiere",
    "herausfinden|finde heraus|heraussuchen|suche heraus|nominieren|nominiere|begleiten|begleite|üben|übe|nennen|nenne",
    "berichten|berichte|melden|melde|informieren|informiere|einladen|lade|feedback|rückmeldung|rückmeldungen|einblick",
    "diskutieren|diskutiere|mitteilen|teile mit|weitergeben|durchgehen|gehe|beschreiben|beschreibe|lesen|lese",
)

#: An opening: the words at the beginning that say who will act, such as "ich werde" or "Dana wird".
_OPENING = re.compile(r"(?:(?:ich|wir|du|er|sie)(?: werden?)? |[\w.-]+(?: [\w.-]+)? wird )")
_GUARANTEE = compile_any_of(
    split_words(
        "garantiere|garantieren|garantiert|verspreche|versprechen|versprochen|koste es, was es wolle|komme, was wolle",
        "auf jeden fall|auf alle fälle",
    )
)
#: A promise to appoint a person to a position, with the verb before or after the position.
_APPOINTING = re.compile(
    r"(?:mache|machen|macht|ernenne|ernennen)\b.*\bzu[mr]? (?:senior|staff|principal|\w*leit\w+|führungskraft|manager)"
    r"|\bzu[mr]? (?:senior|staff|principal|\w*leit\w+|führungskraft|manager)\w*(?: [\w-]+)? (?:machen|ernennen|mache)\b"
)
_VAGUE = compile_any_of(VAGUE)
_VAGUE_AT_START = compile_any_of(VAGUE_AT_START)
_OUTCOME = compile_any_of(OUTCOMES)
_GIVEN_OUTCOME = compile_any_of(GIVEN_OUTCOMES)
_GIVING_VERB = compile_any_of(GIVING_VERBS)
_EFFORT_VERB = compile_any_of(EFFORT_VERBS)

_FEEDBACK = compile_any_of(split_words("feedback|rückmeldung|rückmeldungen"))
_GIVING_FEEDBACK = compile_any_of(
    split_words(
        "gebe|geben|gibt|gibst|schreibe|schreiben|schreibt|schicke|schicken|schickt|teile|teilen|teilt",
        "weitergeben|übermittle|übermitteln|übermittelt",
    )
)
#: Verbs of asking for feedback. A sentence with one of them does not promise to give feedback.
_ASKING_FOR_FEEDBACK = compile_any_of(
    split_words(
        "bitte|bitten|bittet|frage|fragen|fragt|einholen|hole|holen|holt|erfragen|erfrage|erbitte|erbitten",
        "geben lassen|lasse mir|lässt sich|sammle|sammeln|sammelt",
    )
)

#: A commitment that begins with one of these words has no verb.
NON_VERB_STARTS = frozenset(
    split_words(
        "mehr|weniger|bessere|besseres|besserer|stärkere|stärkeres|größere|größeres|klarere|weitere|zusätzliche",
        "kontinuierliche|regelmäßige|verbesserte",
    )
)
#: A commitment that begins with one of these words names only a thing, unless it has a verb.
THING_STARTS = frozenset(
    split_words(
        "ein|eine|einen|der|die|das|den|mein|meine|meinen|dein|deine|deinen|ihr|ihre|ihren|sein|seine|seinen|unser",
        "unsere|neue|neuer|neues|wöchentliche|monatliche|gute|guter|gutes",
    )
)
#: Nouns with one of the endings that usually name a thing or an idea, such as "Einführung".
_THING_ENDING = re.compile(r"\w{3,}(?:ung|heit|keit|schaft|tion|ment|nahme|ing)(?:en|s)?")
#: Words that end like verbs, but are none.
VERB_LOOKALIKES = frozenset(
    split_words(
        "den|einen|meinen|deinen|seinen|ihren|unseren|keinen|jeden|diesen|neuen|ersten|zweiten|dritten|nächsten|letzten",
        "der|einer|meiner|deiner|seiner|ihrer|unserer|jeder|dieser|eine|meine|deine|seine|ihre|unsere|keine|jede|diese",
        "die|wie|alle|beide|neue|erste|zweite|nächste|gute|große|kleine|mit|seit|nicht|zwischen|neben|gegen|wegen|hinten",
        "oben|unten|außen|innen|zwei|drei|bitte|heute|gerne|ohne|unter|über|hinter|oder|aber|immer|wieder|andere|anderen",
        "weitere|weiteren|externen|internen|offenen|gemeinsamen|technischen|nächster|erster",
    )
)
_WORD = re.compile(r"[^\W\d_]+")
_VERB_ENDING = re.compile(r"\w{2,}(?:en|ern|eln|e|t|st)")


def find_vague_word(sentence: str) -> str:
    """Return the listed word or phrase that leaves open what will be done; empty if there is none."""
    text, _, predicate = _split_opening(sentence)
    # Some phrases of `VAGUE_AT_START` include the opening, such as "ich möchte". Hence the match with the whole text.
    match = _VAGUE_AT_START.match(predicate) or _VAGUE.search(text) or _VAGUE_AT_START.match(text)
    if match:
        return match[0].rstrip(",")
    return "arbeiten" if _WORK_ON.match(predicate) else ""


def is_thing_only(sentence: str) -> bool:
    """Return whether the sentence names a thing, but no action."""
    words = _WORD.findall(sentence)
    if not words or words[0].lower() in NON_VERB_STARTS:
        return True
    first = words[0].lower()
    begins_like_thing = first in THING_STARTS or bool(_THING_ENDING.fullmatch(first))
    return not has_verb(sentence) and (len(words) < 3 or begins_like_thing)


def has_verb(sentence: str) -> bool:
    """Return whether the sentence certainly has a German verb.

    The first word may be a verb although it has a capital letter, unless it is the only word or begins a thing.
    """
    _, has_opening, _ = _split_opening(sentence)
    first, *others = _WORD.findall(sentence) or [""]
    first = first.lower()
    begins_like_thing = first in NON_VERB_STARTS or first in THING_STARTS or _THING_ENDING.fullmatch(first)
    first_may_be_verb = bool(others) and not begins_like_thing
    candidates = [first, *others] if first_may_be_verb else others
    return has_opening or any(_is_verb(word) for word in candidates)


def _is_verb(word: str) -> bool:
    """Return whether the word is in lower case and ends like a German verb."""
    return word.islower() and word not in VERB_LOOKALIKES and bool(_VERB_ENDING.fullmatch(word))


def is_promised_outcome(sentence: str) -> bool:
    """Return whether the sentence promises an outcome that others decide, and not just work towards it."""
    text, _, _ = _split_opening(sentence)
    if _GUARANTEE.search(text) or _APPOINTING.search(text):
        return True
    if _EFFORT_VERB.search(text):
        return False
    # `_GIVEN_OUTCOME` holds nouns with their capital letter. The search skips the first letter of the sentence, because
    # that letter is a capital for any kind of word.
    return bool(_OUTCOME.search(text) or (_GIVING_VERB.search(text) and _GIVEN_OUTCOME.search(sentence, 1)))


def is_promised_feedback(sentence: str) -> bool:
    """Return whether the sentence promises to give feedback."""
    text = sentence.lower()
    is_asked_for = _ASKING_FOR_FEEDBACK.search(text)
    return not is_asked_for and bool(_FEEDBACK.search(text) and _GIVING_FEEDBACK.search(text))


def _split_opening(sentence: str) -> tuple[str, bool, str]:
    """Return the sentence in lower case, whether it has an opening (see `_OPENING`), and the text after it."""
    text = sentence.lower()
    opening = _OPENING.match(text)
    return text, opening is not None, text[opening.end() :] if opening else text
