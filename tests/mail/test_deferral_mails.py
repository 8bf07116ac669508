"""What is said of a conversation that lost its time, to each of the two (R-10, R-11, R-38)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.read_mails import TO_MANAGER, Mail, render
from worker.domain.model import (
    Deferral,
    DeferralCause,
    OfferPurpose,
    Person,
    SessionKind,
    SessionState,
)
from worker.i18n.domain_texts import CAUSE_TEXTS
from worker.mail.samples import (
    DANA,
    DEFERRALS,
    DISPLACING_OFFER,
    NO_TIME_REASONS,
    NOW,
    OFFER,
    OPTIONS,
    SAM,
    SESSION,
)

#: What a mail knows of the times that are offered.
OFFERED: dict[str, Any] = {"options": OFFER.times, "offer": OFFER}


def deferral(count: int, **fields: object) -> Mail:
    letter = replace(TO_MANAGER, name="deferral_notice", count=count, deferrals=DEFERRALS[:count])
    return render(replace(letter, **fields))  # type: ignore[arg-type]


def test_deferral_notices_grow_firmer() -> None:
    """R-10, T-12: plain; the second time; a choice, or what stands in the way."""
    first, second, third = deferral(1), deferral(2), deferral(3, **OFFERED)
    assert first.omits("second time")
    assert first.says("It is on both your calendars now:")
    assert second.says("This is the second time it has moved.")
    assert third.headers["Subject"] == "Moved 3 times: your conversation with Sam needs you"
    assert all(third.says(f"November {day}, 10:00 – 11:15 AM") for day in (5, 10, 11))
    assert third.says("Please choose one that will hold.")
    assert third.says("tell Sam what stands in the way")
    assert all(mail.omits(word) for mail in (first, second, third) for word in ("fault", "fail", "again and again"))


def test_a_deferral_without_a_new_time_says_so() -> None:
    """R-8: silence is never the outcome."""
    mail = deferral(1, session=replace(SESSION, start=None, end=None))
    assert mail.says("There is no new time yet.")
    assert mail.headers["Subject"] == "Your conversation with Sam needs a new time"


@pytest.mark.parametrize("cause", list(DeferralCause))
def test_every_cause_is_told_in_words(cause: DeferralCause) -> None:
    """R-8: to the one who acted as `you`, to the manager by name, and without a name when nobody is known."""
    told = Deferral(session=SESSION.id, number=1, at=NOW, cause=cause, who=SAM.email)
    to_other, nobody = deferral(1, deferrals=(told,)), deferral(1, deferrals=(replace(told, who=""),))
    to_actor = deferral(1, deferrals=(told,), to=SAM)
    assert to_actor.omits("place: Sam")
    assert nobody.omits("place: Sam")
    if cause is not DeferralCause.NOT_HELD:
        assert len({mail.text.split("needs a new time")[1] for mail in (to_other, to_actor, nobody)}) == 3


@pytest.mark.parametrize("cause", list(DeferralCause))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_report_is_not_told_what_kept_the_manager(cause: DeferralCause, count: int) -> None:
    """R-38, T-12: plainly, and without the other's reason, however often it moved."""
    told = tuple(
        Deferral(session=SESSION.id, number=number, at=NOW, cause=cause, who=DANA.email, was=OPTIONS[0])
        for number in range(1, count + 1)
    )
    mail = deferral(count, deferrals=told, to=SAM, **OFFERED)
    assert mail.says("November 10 had to move.")
    texts = [text for text in CAUSE_TEXTS[cause] if "%" not in text] + [CAUSE_TEXTS[cause][1] % {"who": "Dana"}]
    assert all(mail.omits(text) for text in texts)
    assert mail.omits("The reasons")


def test_the_manager_is_not_told_that_the_report_is_away() -> None:
    """T-12: no more than free/busy shows anyway."""
    away = Deferral(session=SESSION.id, number=1, at=NOW, cause=DeferralCause.OUT_OF_OFFICE, who=SAM.email)
    mail = deferral(1, deferrals=(away,))
    assert mail.says("that time is no longer free for Sam")
    assert mail.omits("out of the office")


def test_r18_why_the_report_moved_it_by_hand_counts_nothing() -> None:
    """R-18, T-11: the manager hears what the report says about it, and no number."""
    told = Deferral(session=SESSION.id, number=-1, at=NOW, cause=DeferralCause.MOVED, who=SAM.email, was=OPTIONS[0])
    mail = deferral(0, deferrals=(told,), deferral_reasons={-1: "School starts that week."}, has_deferral_reason=True)
    assert mail.says("Sam has moved your career conversation of Tuesday, November 10.")
    assert mail.says("Sam says about the move: “School starts that week.”")
    assert mail.omits("time it has moved") and mail.omits("needs a new time")


def test_both_may_take_another_of_three_times() -> None:
    """R-38, T-12: until when they are held, in each reader's own time; the one that stands is not offered again."""
    links = {"choose": "https://longarc.example/choose"}
    to_manager, to_report = deferral(1, **OFFERED, links=links), deferral(1, **OFFERED, links=links, to=SAM)
    for mail, until in ((to_manager, "November 5, 11:20 AM"), (to_report, "November 5, 5:20 PM")):
        assert mail.says(f"held for the two of you until Thursday, {until}")
        assert mail.says("does not count as another move")
        assert mail.text.count("November 10") == 1 and mail.text.count("November 11") == 1
        assert mail.says("https://longarc.example/choose")
    assert deferral(1).omits("held for the two of you")


def test_other_times_are_in_order_and_a_single_one_is_named_as_one() -> None:
    """R-38, T-12: the best one is on the calendar; among the others nobody has to search."""
    first, second, third = OFFER.times
    mail = deferral(1, options=(first, third, second), offer=OFFER)
    assert mail.text.index("November 10") < mail.text.index("November 11")
    assert mail.says("take one of these")
    single = deferral(1, options=(first, second), offer=OFFER)
    assert single.says("this one is held for the two of you") and single.omits("one of these")


def test_from_the_third_on_the_report_hears_that_the_manager_was_asked() -> None:
    """T-12, R-10."""
    mail = deferral(3, **OFFERED, to=SAM)
    assert mail.says("Dana has been asked to choose a time that holds")
    assert mail.headers["Subject"] == "Moved 3 times: your conversation with Dana"


@pytest.mark.parametrize("to", [DANA, SAM])
def test_the_third_move_within_a_week_is_a_question(to: Person) -> None:
    """T-11: which of three, or leave it until the next quarter, where that is possible; the first stands meanwhile."""
    question = replace(OFFER, purpose=OfferPurpose.QUESTION)
    links = {"choose": "https://longarc.example/choose"}
    mail = deferral(3, options=OFFER.times, offer=question, links=links, to=to, may_leave=True)
    ad_hoc = deferral(3, options=OFFER.times, offer=question, links=links, to=to)
    other = "Sam" if to is DANA else "Dana"
    assert mail.headers["Subject"] == f"Which time will hold for your conversation with {other}?"
    assert mail.says("a question to you both: which time will hold?")
    assert mail.says("it stays if neither of you answers by then")
    assert mail.says("leave it until the next quarter") and ad_hoc.omits("next quarter")


@pytest.mark.parametrize("to", [DANA, SAM])
def test_a_time_that_displaces_something_says_whose_hour_it_takes(to: Person) -> None:
    """T-14: whose, never what."""
    mail = render(
        replace(
            TO_MANAGER,
            name="unplaceable",
            to=to,
            session=replace(SESSION, state=SessionState.DEFERRED, start=None, end=None),
            options=OPTIONS,
            offer=DISPLACING_OFFER,
            why=NO_TIME_REASONS,
        )
    )
    other = "Sam" if to is DANA else "Dana"
    assert mail.says("takes the place of something on your calendar")
    assert mail.says(f"takes the place of something on the calendar of {other}")
    assert mail.says("takes the place of something on both calendars")


def test_a_deferred_review_is_called_a_review() -> None:
    assert deferral(1, session=replace(SESSION, kind=SessionKind.REVIEW)).says("Your contract review with Sam")
