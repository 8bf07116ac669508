"""What the pages say of contents that were erased: that somebody's were, and when."""

from dataclasses import dataclass

from worker.web.sessions import current_login
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class ErasedContents:
    """The contents of a pair that were erased. Templates read its fields."""

    name: str  #: of the other one
    day: str  #: on which they were erased


def list_erased() -> list[ErasedContents]:
    """Return the pairs of the person logged in whose contents were erased, the latest first."""
    site, person = current_site(), current_login().person
    language, people = site.choose_language(), site.store.people.load_all_people()
    found = []
    for pair in site.store.erasure.list_erased_pairs(person.email):
        other = next(who for who in pair.id.people if who != person.email)
        if pair.erased_at is not None:
            found.append(ErasedContents(people[other].name, language.day(pair.erased_at.date(), True)))
    return found
