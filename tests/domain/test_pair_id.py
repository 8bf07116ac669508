"""The id of a pair, and its text."""

import json

import pytest

from tests.support.pairs import DANA, SAM, pair_of
from worker.domain.model import Owner, PairId

ID = PairId("dana@corp.example", "sam@corp.example")


def test_pair_id_names_the_two() -> None:
    assert pair_of().id == PairId(DANA.email, SAM.email)
    assert ID.people == ("dana@corp.example", "sam@corp.example")


def test_text_of_pair_id_leads_back_to_it() -> None:
    assert str(ID) == f"{ID}" == "dana@corp.example>sam@corp.example"
    assert PairId.parse("dana@corp.example>sam@corp.example") == ID
    assert hash(PairId.parse(str(ID))) == hash(ID)


@pytest.mark.parametrize("text", ["", ">", "dana@corp.example", "dana@corp.example>", ">sam@corp.example", "a>b>c"])
def test_other_text_is_no_pair_id(text: str) -> None:
    with pytest.raises(ValueError, match="manager>report"):
        PairId.parse(text)


def test_pair_ids_are_ordered_by_manager_then_report() -> None:
    first, second, third = PairId("a", "b"), PairId("a", "c"), PairId("b", "a")
    assert sorted([third, second, first]) == [first, second, third]


def test_json_does_not_take_pair_id_for_a_list() -> None:
    """It has to be written as its text; a tuple would become a list without anybody's notice."""
    with pytest.raises(TypeError):
        json.dumps(ID)


@pytest.mark.parametrize("owner", Owner)
def test_owner_is_found_by_address_and_leads_back_to_it(owner: Owner) -> None:
    assert ID.get_owner(owner.select(ID.manager, ID.report)) is owner
