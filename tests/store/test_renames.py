"""Recognizing a person with a new address by the directory id or by an alias."""

import pytest

from tests.support.companies import DANA, DAY, KIM, SAM, START, Office, pair, pairs, people
from worker.domain.model import Address, AliasSource, PersonAlias

NEW_ADDRESS = "sam.moreau@corp.example"


def make_directory_ids(**by_name: Address) -> list[PersonAlias]:
    """Return aliases of people that are their ids in the directory."""
    return [PersonAlias(name, person, AliasSource.DIRECTORY) for name, person in by_name.items()]


@pytest.fixture
def company(office: Office) -> Office:
    """Dana manages Sam and Kim. The directory has ids of all three."""
    persons, company_pairs = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    office.store.people.apply_import(persons, company_pairs, START, make_directory_ids(i1=DANA, i2=SAM, i3=KIM))
    return office


def find_renames(office: Office, persons: list[Address], aliases: list[PersonAlias]) -> dict[Address, Address]:
    roster_persons = people(*persons)
    return dict(office.store.people.preview_import(roster_persons, {}, aliases).renames)


def test_new_address_with_a_known_id_is_a_rename(company: Office) -> None:
    assert find_renames(company, [DANA, NEW_ADDRESS, KIM], make_directory_ids(i1=DANA, i2=NEW_ADDRESS, i3=KIM)) == {
        SAM: NEW_ADDRESS
    }


def test_new_address_with_a_new_id_is_a_new_person(company: Office) -> None:
    assert find_renames(company, [DANA, NEW_ADDRESS, KIM], make_directory_ids(i1=DANA, i9=NEW_ADDRESS, i3=KIM)) == {}


def test_ids_that_changed_between_people_who_stay_show_no_rename(company: Office) -> None:
    """Dana's and Kim's ids are exchanged. When so many ids belong to others, they are of another directory."""
    assert find_renames(company, [DANA, NEW_ADDRESS, KIM], make_directory_ids(i3=DANA, i2=NEW_ADDRESS, i1=KIM)) == {}


def test_address_that_two_people_would_take_is_no_rename(company: Office) -> None:
    aliases = [*make_directory_ids(i2=NEW_ADDRESS), PersonAlias(KIM, NEW_ADDRESS, AliasSource.PEOPLE_FILE)]
    assert find_renames(company, [DANA, NEW_ADDRESS], aliases) == {}


def test_id_of_a_person_who_left_is_kept_and_the_alias_is_not(company: Office) -> None:
    store = company.store
    alias = PersonAlias("s.okafor@corp.example", SAM, AliasSource.PEOPLE_FILE)
    store.people.apply_import(people(DANA, SAM, KIM), {}, START, [*make_directory_ids(i1=DANA, i2=SAM, i3=KIM), alias])
    store.people.apply_import(people(DANA, KIM), {}, START + DAY, make_directory_ids(i1=DANA, i3=KIM))
    assert store.aliases.find_owner("i2") == SAM and store.aliases.find_owner(alias.alias) is None
    store.people.apply_import(people(DANA, KIM), {}, START + DAY, make_directory_ids(i1=DANA))
    assert store.aliases.find_owner("i3") is None  # Kim is still there, but no longer under that id
