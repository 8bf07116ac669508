"""The id of a pair, and its text."""

import json

import pytest

from tests.support.pairs import DANA, SAM, pair_of
from worker.domain.model import Owner, PairId

PAIR_ID = PairId("dana@corp.example", "sam@corp.example")


def test_pair_id_holds_the_addresses_of_manager_and_report() -> None:
    assert pair_of().id == PairId(DANA.email, SAM.email)
    assert PAIR_ID.people == ("dana@corp.example", "sam@corp.example")


def test_text_of_pair_id_is_parsed_to_the_same_id() -> None:
    assert str(PAIR_ID) == f"{PAIR_ID}" == "dana@corp.example>sam@corp.example"
    assert PairId.parse("dana@corp.example>sam@corp.example") == PAIR_ID
    assert hash(PairId.parse(str(PAIR_ID))) == hash(PAIR_ID)


@pytest.mark.parametrize("text", ["", ">", "dana@corp.example", "dana@corp.example>", ">sam@corp.example", "a>b>c"])
def test_text_without_two_addresses_is_no_pair_id(text: str) -> None:
    with pytest.raises(ValueError, match="manager>report"):
        PairId.parse(text)


def test_pair_ids_are_ordered_by_manager_then_report() -> None:
    first, second, third = PairId("a", "b"), PairId("a", "c"), PairId("b", "a")
    assert sorted([third, second, first]) == [first, second, third]


def test_json_refuses_a_pair_id() -> None:
    """A pair id has to be written as text. A tuple would become a list without an error."""
    with pytest.raises(TypeError):
        json.dumps(PAIR_ID)


@pytest.mark.parametrize("owner", Owner)
def test_owner_of_an_address_selects_that_address_again(owner: Owner) -> None:
    assert PAIR_ID.get_owner(owner.select(PAIR_ID.manager, PAIR_ID.report)) is owner
