"""Recognizes the headings of a contract file, in every language, and what a misspelled one may mean."""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher, get_close_matches

from worker.domain.contract.languages import CONTRACT_LANGUAGES, ENGLISH, ContractLanguage, ContractPart

#: The least similarity of an unknown heading to a known one, from 0 to 1, so that the known one is suggested.
MIN_SIMILARITY = 0.6
#: The least similarity of each word to the one that was meant, when an unknown heading is a slip in its spelling.
MIN_SIMILARITY_OF_WORDS = 0.75
COMMITMENT_PARTS = (ContractPart.REPORT, ContractPart.MANAGER)

#: A line that may be a heading: `## The open question`. The groups are the `#` signs, the space after and the name.
_HEADING = re.compile(r"(#{1,6})(\s*)(.*?)[\s#:]*")


def _normalize(text: str) -> str:
    """Return the heading in lower case, with only its letters, digits and blanks."""
    return "".join(character for character in text.casefold() if character.isalnum() or character == " ").strip()


#: The part and the language of each heading, by the normalized heading.
_PARTS_BY_HEADING: Mapping[str, tuple[ContractPart, ContractLanguage]] = {
    _normalize(name): (part, language)
    for language in CONTRACT_LANGUAGES.values()
    for name, part in (*((name, part) for part, name in language.headings.items()), *language.other_headings.items())
}


def parse_heading(text: str) -> tuple[ContractPart | None, int] | None:
    """Return the part of a heading (None if the heading is unknown) and its level; None if the line is no heading."""
    match = _HEADING.fullmatch(text)
    if match is None:
        return None
    level, space, name = len(match[1]), match[2], _normalize(match[3])
    part = _PARTS_BY_HEADING[name][0] if name in _PARTS_BY_HEADING else None
    # `#word` is a heading only if it is known. `##` alone is an unknown heading.
    return (part, level) if part or space or not name else None


def detect_language(lines: Iterable[str]) -> ContractLanguage:
    """Return the language of the first heading that is known; English when no heading is."""
    names = (_normalize(match[3]) for line in lines if (match := _HEADING.fullmatch(line.strip())))
    return next((_PARTS_BY_HEADING[name][1] for name in names if name in _PARTS_BY_HEADING), ENGLISH)


def find_similar_parts(line: str) -> Mapping[ContractPart, str]:
    """Return the parts that an unknown heading may mean, with their right headings; empty when it is like none.

    A heading that is only roughly like one of the two about commitments may mean either: `Sam's commitments` is as like
    the manager's as the report's. To take the one for the other would give everybody the promises of the other.
    """
    heading = _normalize(line)
    similar = get_close_matches(heading, _PARTS_BY_HEADING, n=1, cutoff=MIN_SIMILARITY)
    if not similar:
        return {}
    part, language = _PARTS_BY_HEADING[similar[0]]
    parts = (part,) if part not in COMMITMENT_PARTS else _find_parts_of_slip(heading)
    return {part: language.headings[part] for part in parts}


def _find_parts_of_slip(heading: str) -> tuple[ContractPart, ...]:
    """Return the one part about commitments of which this is a misspelled heading; both when that is not certain.

    `Deine Zusagen` is as near to `Meine Zusagen` as to `Seine Zusagen`.
    """
    parts = {part for known, (part, _) in _PARTS_BY_HEADING.items() if _is_slip(heading, known)}
    return tuple(parts) if len(parts) == 1 else COMMITMENT_PARTS


def _is_slip(heading: str, known: str) -> bool:
    words, known_words = heading.split(), known.split()
    return len(words) == len(known_words) and all(
        SequenceMatcher(None, word, known_word).ratio() >= MIN_SIMILARITY_OF_WORDS
        for word, known_word in zip(words, known_words, strict=True)
    )
