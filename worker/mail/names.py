"""First names, for greetings."""

from worker.domain.model import Person
from worker.i18n.language import to_single_line

#: Languages that put the family name first. Greetings in them use the whole name.
_FAMILY_NAME_FIRST = frozenset({"hu", "ja", "ko", "vi", "zh"})


def guess_first_name(person: Person) -> str:
    """Return the first name for a greeting, guessed from the full name."""
    name = to_single_line(person.name)
    if "," in name:  # "Okafor, Sam", as some HR systems write it
        name = name.partition(",")[2].strip() or name
    if person.locale.partition("-")[0].partition("_")[0] in _FAMILY_NAME_FIRST:
        return name
    return next((word for word in name.split() if not word.endswith(".")), name)
