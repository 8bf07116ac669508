"""What a person's page says about pairs whose contents, such as contracts, were erased: with whom, and on which day."""

from dataclasses import dataclass

from worker.web.logins import current_login
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class ErasedContents:
    """A pair whose contents were erased. Templates read its fields."""

    name: str  #: the name of the other person of the pair
    day: str  #: the day of the erasure, in the reader's language


def list_erased_contents() -> list[ErasedContents]:
    """Return the pairs of the person logged in whose contents were erased, the latest erasure first."""
    site, person = current_site(), current_login().person
    language, people = site.choose_language(), site.store.people.load_all_people()
    erased = []
    for pair in site.store.erasure.list_erased_pairs(person.email):
        other_address = next(address for address in pair.id.people if address != person.email)
        if pair.erased_at is not None:
            erased.append(
                ErasedContents(people[other_address].name, language.format_day(pair.erased_at.date(), with_year=True))
            )
    return erased
