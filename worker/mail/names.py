"""Guesses the first names of people, for greetings."""

from worker.domain.model import Person
from worker.i18n.language import to_single_line

#: Languages in which the family name comes first. Greetings use the whole name of people with these languages.
_FAMILY_NAME_FIRST = frozenset({"hu", "ja", "ko", "vi", "zh"})


def guess_first_name(person: Person) -> str:
    """Return the first name for a greeting, guessed from the full name."""
    name = to_single_line(person.name)
    if "," in name:  # some HR systems write "Okafor, Sam"
        name = name.partition(",")[2].strip() or name
    if person.locale.partition("-")[0].partition("_")[0] in _FAMILY_NAME_FIRST:
        return name
    # a word with a full stop at its end is a title or an initial, such as "Dr."
    return next((word for word in name.split() if not word.endswith(".")), name)
