"""Revisions of a contract: commitments keep their ids, and new ones get none from before (R-18)."""

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.contract.revisions import compare_contracts, match_commitments
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment

FEBRUARY, MARCH = date(2027, 2, 15), date(2027, 3, 15)
INTRODUCTION = WrittenCommitment(text="Introduce Sam to the head of platform", due=FEBRUARY, line=4)
MENTOR_QUESTION = WrittenCommitment(text="Ask Ana about a mentor", due=FEBRUARY, line=5)
OLD_COMMITMENTS = [("c1", INTRODUCTION), ("c2", MENTOR_QUESTION)]


def test_r18_commitment_with_the_same_words_keeps_its_id_at_any_place_and_date() -> None:
    moved_commitment = replace(INTRODUCTION, text="introduce Sam to the head of Platform.", due=MARCH)
    assert match_commitments(OLD_COMMITMENTS, [MENTOR_QUESTION, moved_commitment]) == ["c2", "c1"]


def test_r18_a_reworded_commitment_keeps_its_id() -> None:
    assert match_commitments(
        OLD_COMMITMENTS, [replace(INTRODUCTION, text="Introduce Sam to the new head of platform")]
    ) == ["c1"]


def test_r18_commitment_with_other_words_keeps_its_id_at_the_same_place_and_date_only() -> None:
    other_commitment = WrittenCommitment(text="Propose a guild evening", due=FEBRUARY)
    assert match_commitments(OLD_COMMITMENTS, [other_commitment, MENTOR_QUESTION]) == ["c1", "c2"]
    assert match_commitments(OLD_COMMITMENTS, [replace(other_commitment, due=MARCH), MENTOR_QUESTION]) == [None, "c2"]


def test_exact_words_win_over_similar_words() -> None:
    similar_commitment = replace(INTRODUCTION, text="Introduce Sam to the head of security")
    assert match_commitments(OLD_COMMITMENTS, [similar_commitment, INTRODUCTION, MENTOR_QUESTION]) == [None, "c1", "c2"]


COMMITMENT_LISTS = st.lists(
    st.builds(
        WrittenCommitment,
        text=st.sampled_from(["a b c", "a b d", "x", "x y", "?", "A b c"]),
        due=st.sampled_from([FEBRUARY, MARCH]),
    ),
    max_size=6,
)


@settings(max_examples=100)
@given(COMMITMENT_LISTS, COMMITMENT_LISTS)
def test_each_old_id_is_kept_at_most_once_and_no_other_id_appears(
    old: list[WrittenCommitment], new: list[WrittenCommitment]
) -> None:
    """A contract that does not change keeps all ids."""
    ids = [f"c{number}" for number in range(len(old))]
    matched_ids = match_commitments(list(zip(ids, old, strict=True)), new)
    kept_ids = [matched_id for matched_id in matched_ids if matched_id is not None]
    assert len(matched_ids) == len(new)
    assert len(set(kept_ids)) == len(kept_ids)
    assert set(kept_ids) <= set(ids)
    assert match_commitments(list(zip(ids, old, strict=True)), old) == ids


def test_r18_comparison_names_added_changed_and_removed_entries() -> None:
    old = Contract(
        report=(INTRODUCTION, MENTOR_QUESTION),
        reviews=(ReviewPoint(month=FEBRUARY.replace(day=1), text="how it went"),),
        question="Where to?",
        progress=("the launch",),
    )
    changed_introduction = replace(INTRODUCTION, due=MARCH)
    new = Contract(
        report=(changed_introduction,),
        manager=(MENTOR_QUESTION,),
        reviews=(ReviewPoint(month=MARCH.replace(day=1), text="how it went"),),
        question="And when?",
        progress=("the launch", "the talk"),
    )
    revision = compare_contracts(old, new)
    assert (revision.report.added, revision.report.changed, revision.report.removed) == (
        (),
        ((INTRODUCTION, changed_introduction),),
        (MENTOR_QUESTION,),
    )
    assert revision.manager.added == (MENTOR_QUESTION,)
    assert revision.reviews.changed == ((old.reviews[0], new.reviews[0]),)
    assert revision.question.changed == (("Where to?", "And when?"),)
    assert (revision.progress.added, revision.progress.removed) == (("the talk",), ())
    assert revision


def test_first_question_is_an_addition_and_a_deleted_one_a_removal() -> None:
    assert compare_contracts(Contract(), Contract(question="Why?")).question.added == ("Why?",)
    assert compare_contracts(Contract(question="Why?"), Contract()).question.removed == ("Why?",)


def test_line_number_and_order_of_commitments_are_no_change() -> None:
    old_contract = Contract(manager=(INTRODUCTION, MENTOR_QUESTION))
    assert not compare_contracts(
        old_contract, Contract(manager=(replace(MENTOR_QUESTION, line=9), replace(INTRODUCTION, line=11)))
    )
    assert compare_contracts(
        old_contract, Contract(manager=(INTRODUCTION, replace(MENTOR_QUESTION, success="a date is set")))
    )
