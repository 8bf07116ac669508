"""R-18: a contract changes without blame; what goes on keeps its id, what is new gets one."""

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.contract.revisions import compare_contracts, match_commitments
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment

FEB, MAR = date(2027, 2, 15), date(2027, 3, 15)
INTRO = WrittenCommitment(text="Introduce Sam to the head of platform", due=FEB, line=4)
TALK = WrittenCommitment(text="Ask Ana about a mentor", due=FEB, line=5)
OLD = [("c1", INTRO), ("c2", TALK)]


def test_r18_the_same_words_are_the_same_promise_wherever_they_stand_and_whenever_due() -> None:
    moved = replace(INTRO, text="introduce Sam to the head of Platform.", due=MAR)
    assert match_commitments(OLD, [TALK, moved]) == ["c2", "c1"]


def test_r18_a_promise_reworded_goes_on() -> None:
    assert match_commitments(OLD, [replace(INTRO, text="Introduce Sam to the new head of platform")]) == ["c1"]


def test_r18_the_same_place_and_date_go_on_and_another_promise_does_not() -> None:
    other = WrittenCommitment(text="Propose a guild evening", due=FEB)
    assert match_commitments(OLD, [other, TALK]) == ["c1", "c2"]
    assert match_commitments(OLD, [replace(other, due=MAR), TALK]) == [None, "c2"]


def test_the_exact_words_win_over_similar_ones() -> None:
    near = replace(INTRO, text="Introduce Sam to the head of security")
    assert match_commitments(OLD, [near, INTRO, TALK]) == [None, "c1", "c2"]


PROMISES = st.lists(
    st.builds(
        WrittenCommitment,
        text=st.sampled_from(["a b c", "a b d", "x", "x y", "?", "A b c"]),
        due=st.sampled_from([FEB, MAR]),
    ),
    max_size=6,
)


@settings(max_examples=100)
@given(PROMISES, PROMISES)
def test_no_id_is_carried_twice_and_none_is_made_up(old: list[WrittenCommitment], new: list[WrittenCommitment]) -> None:
    ids = [f"c{number}" for number in range(len(old))]
    carried = match_commitments(list(zip(ids, old, strict=True)), new)
    given_out = [one for one in carried if one is not None]
    assert len(carried) == len(new)
    assert len(set(given_out)) == len(given_out)
    assert set(given_out) <= set(ids)
    assert match_commitments(list(zip(ids, old, strict=True)), old) == ids


def test_r18_a_revision_tells_what_was_added_changed_and_removed() -> None:
    old = Contract(
        report=(INTRO, TALK),
        reviews=(ReviewPoint(month=FEB.replace(day=1), text="how it went"),),
        question="Where to?",
        progress=("the launch",),
    )
    later = replace(INTRO, due=MAR)
    new = Contract(
        report=(later,),
        manager=(TALK,),
        reviews=(ReviewPoint(month=MAR.replace(day=1), text="how it went"),),
        question="And when?",
        progress=("the launch", "the talk"),
    )
    revision = compare_contracts(old, new)
    assert (revision.report.added, revision.report.changed, revision.report.removed) == ((), ((INTRO, later),), (TALK,))
    assert revision.manager.added == (TALK,)
    assert revision.reviews.changed == ((old.reviews[0], new.reviews[0]),)
    assert revision.question.changed == (("Where to?", "And when?"),)
    assert (revision.progress.added, revision.progress.removed) == (("the talk",), ())
    assert revision


def test_a_question_comes_and_goes() -> None:
    assert compare_contracts(Contract(), Contract(question="Why?")).question.added == ("Why?",)
    assert compare_contracts(Contract(question="Why?"), Contract()).question.removed == ("Why?",)


def test_the_line_a_promise_stands_in_is_no_change() -> None:
    old = Contract(manager=(INTRO, TALK))
    assert not compare_contracts(old, Contract(manager=(replace(TALK, line=9), replace(INTRO, line=11))))
    assert compare_contracts(old, Contract(manager=(INTRO, replace(TALK, success="a date is set"))))
