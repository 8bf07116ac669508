"""Whom a roster means by a new address: by the directory id, by an alias, and never by a guess."""

import pytest

from tests.support.companies import DANA, DAY, KIM, SAM, START, Office, pair, pairs, people
from worker.domain.model import Address, AliasSource, PersonAlias

NEW = "sam.moreau@corp.example"


def ids(**by_name: Address) -> list[PersonAlias]:
    """The directory ids of people."""
    return [PersonAlias(name, person, AliasSource.DIRECTORY) for name, person in by_name.items()]


@pytest.fixture
def company(office: Office) -> Office:
    """Dana manages Sam and Kim, and the directory has ids of all three."""
    persons, listed = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    office.store.people.apply_import(persons, listed, START, ids(i1=DANA, i2=SAM, i3=KIM))
    return office


def find_renames(office: Office, persons: list[Address], aliases: list[PersonAlias]) -> dict[Address, Address]:
    known = people(*persons)
    return dict(office.store.people.preview_import(known, {}, aliases).renames)


def test_a_new_address_with_a_known_id_is_a_rename(company: Office) -> None:
    assert find_renames(company, [DANA, NEW, KIM], ids(i1=DANA, i2=NEW, i3=KIM)) == {SAM: NEW}


def test_a_new_address_with_a_new_id_is_a_new_person(company: Office) -> None:
    assert find_renames(company, [DANA, NEW, KIM], ids(i1=DANA, i9=NEW, i3=KIM)) == {}


def test_ids_that_moved_between_people_who_stayed_are_those_of_another_directory(company: Office) -> None:
    """Numbers were given anew: that Sam's number is now a newcomer's makes nobody the same person."""
    assert find_renames(company, [DANA, NEW, KIM], ids(i3=DANA, i2=NEW, i1=KIM)) == {}


def test_two_people_who_would_take_one_address_are_no_rename(company: Office) -> None:
    aliases = [*ids(i2=NEW), PersonAlias(KIM, NEW, AliasSource.PEOPLE_FILE)]
    assert find_renames(company, [DANA, NEW], aliases) == {}


def test_the_id_of_somebody_who_left_is_kept_and_an_alias_is_not(company: Office) -> None:
    store = company.store
    alias = PersonAlias("s.okafor@corp.example", SAM, AliasSource.PEOPLE_FILE)
    store.people.apply_import(people(DANA, SAM, KIM), {}, START, [*ids(i1=DANA, i2=SAM, i3=KIM), alias])
    store.people.apply_import(people(DANA, KIM), {}, START + DAY, ids(i1=DANA, i3=KIM))
    assert store.aliases.find_owner("i2") == SAM and store.aliases.find_owner(alias.alias) is None
    store.people.apply_import(people(DANA, KIM), {}, START + DAY, ids(i1=DANA))
    assert store.aliases.find_owner("i3") is None
