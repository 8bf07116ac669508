"""What the pages say after the contents of a pair were erased: the name of the other person, and the day."""

from dataclasses import dataclass

from worker.web.logins import current_login
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class ErasedContents:
    """The contents of a pair that were erased. Templates read its fields."""

    name: str  #: of the other person
    day: str  #: on which they were erased


def list_erased_contents() -> list[ErasedContents]:
    """Return the erased contents of the pairs of the person logged in, the latest first."""
    site, person = current_site(), current_login().person
    language, people = site.choose_language(), site.store.people.load_all_people()
    erased = []
    for pair in site.store.erasure.list_erased_pairs(person.email):
        other = next(who for who in pair.id.people if who != person.email)
        if pair.erased_at is not None:
            erased.append(ErasedContents(people[other].name, language.day(pair.erased_at.date(), True)))
    return erased
