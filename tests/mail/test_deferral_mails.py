"""The mails about a deferral to the manager and to the report (R-10, R-11, R-38)."""

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

#: The fields of a mail with an offer.
OFFER_FIELDS: dict[str, Any] = {"options": OFFER.times, "offer": OFFER}


def render_notice(count: int, **fields: object) -> Mail:
    """Return the notice to the manager after so many deferrals of the session, unless `fields` name another reader."""
    context = replace(TO_MANAGER, name="deferral_notice", count=count, deferrals=DEFERRALS[:count])
    return render(replace(context, **fields))  # type: ignore[arg-type]


def test_deferral_notices_become_firmer_without_blame() -> None:
    """R-10, T-12: the first is plain; the second has the count; the third asks for a choice, or for an obstacle."""
    first, second, third = render_notice(1), render_notice(2), render_notice(3, **OFFER_FIELDS)
    assert first.omits("second time")
    assert first.says("It is on both your calendars now:")
    assert second.says("This is the second time it has moved.")
    assert third.headers["Subject"] == "Moved 3 times: your conversation with Sam needs you"
    assert all(third.says(f"November {day}, 10:00 – 11:15 AM") for day in (5, 10, 11))  # the times of OFFER
    assert third.says("Please choose one that will hold.")
    assert third.says("tell Sam what stands in the way")
    assert all(mail.omits(word) for mail in (first, second, third) for word in ("fault", "fail", "again and again"))


def test_the_notice_of_a_deferral_without_a_new_time_names_none() -> None:
    """R-8: both get a notice even then."""
    mail = render_notice(1, session=replace(SESSION, start=None, end=None))
    assert mail.says("There is no new time yet.")
    assert mail.headers["Subject"] == "Your conversation with Sam needs a new time"


@pytest.mark.parametrize("cause", list(DeferralCause))
def test_the_text_of_a_cause_depends_on_the_reader_and_on_who_acted(cause: DeferralCause) -> None:
    """R-8: it says `you` to the person who acted, names that person to the other, and names nobody if unknown."""
    deferral = Deferral(session=SESSION.id, number=1, at=NOW, cause=cause, who=SAM.email)
    to_other = render_notice(1, deferrals=(deferral,))
    without_person = render_notice(1, deferrals=(replace(deferral, who=""),))
    to_actor = render_notice(1, deferrals=(deferral,), to=SAM)
    assert to_actor.omits("place: Sam")
    assert without_person.omits("place: Sam")
    if cause is not DeferralCause.NOT_HELD:  # whose text names nobody
        assert len({mail.text.split("needs a new time")[1] for mail in (to_other, to_actor, without_person)}) == 3


@pytest.mark.parametrize("cause", list(DeferralCause))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_notice_to_the_report_omits_the_managers_reason(cause: DeferralCause, count: int) -> None:
    """R-38, T-12: the report reads that the time had to move, without the manager's reason, for every count."""
    deferrals = tuple(
        Deferral(session=SESSION.id, number=number, at=NOW, cause=cause, who=DANA.email, was=OPTIONS[0])
        for number in range(1, count + 1)
    )
    mail = render_notice(count, deferrals=deferrals, to=SAM, **OFFER_FIELDS)
    assert mail.says("November 10 had to move.")  # the day of OPTIONS[0]
    # the texts that name nobody, and that with Dana's name
    cause_texts = [text for text in CAUSE_TEXTS[cause] if "%" not in text] + [CAUSE_TEXTS[cause][1] % {"who": "Dana"}]
    assert all(mail.omits(text) for text in cause_texts)
    assert mail.omits("The reasons")


def test_the_notice_to_the_manager_hides_an_absence_of_the_report() -> None:
    """T-12: it says no more than free/busy shows, which is that the report is busy."""
    absence = Deferral(session=SESSION.id, number=1, at=NOW, cause=DeferralCause.OUT_OF_OFFICE, who=SAM.email)
    mail = render_notice(1, deferrals=(absence,))
    assert mail.says("that time is no longer free for Sam")
    assert mail.omits("out of the office")


def test_r18_a_notice_about_a_move_by_hand_quotes_the_report_and_has_no_count() -> None:
    """R-18, T-11: a move by hand does not count as a deferral. Moves have negative numbers of their own."""
    move = Deferral(session=SESSION.id, number=-1, at=NOW, cause=DeferralCause.MOVED, who=SAM.email, was=OPTIONS[0])
    mail = render_notice(
        0, deferrals=(move,), deferral_reasons={-1: "School starts that week."}, has_deferral_reason=True
    )
    assert mail.says("Sam has moved your career conversation of Tuesday, November 10.")
    assert mail.says("Sam says about the move: “School starts that week.”")
    assert mail.omits("time it has moved") and mail.omits("needs a new time")


def test_the_notice_offers_two_other_times_to_both() -> None:
    """R-38, T-12: the offer ends at 16:20 UTC, in the reader's time zone; the booked time is not offered again."""
    links = {"choose": "https://longarc.example/choose"}
    to_manager, to_report = (
        render_notice(1, **OFFER_FIELDS, links=links),
        render_notice(1, **OFFER_FIELDS, links=links, to=SAM),
    )
    for mail, end in ((to_manager, "November 5, 11:20 AM"), (to_report, "November 5, 5:20 PM")):
        assert mail.says(f"held for the two of you until Thursday, {end}")
        assert mail.says("does not count as another move")
        assert mail.text.count("November 10") == 1 and mail.text.count("November 11") == 1
        assert mail.says("https://longarc.example/choose")
    assert render_notice(1).omits("held for the two of you")


def test_other_times_are_in_order_and_a_single_time_is_in_the_singular() -> None:
    """R-38, T-12: the first time is booked; the others are sorted by date."""
    first, second, third = OFFER.times
    mail = render_notice(1, options=(first, third, second), offer=OFFER)
    assert mail.text.index("November 10") < mail.text.index("November 11")
    assert mail.says("take one of these")
    single = render_notice(1, options=(first, second), offer=OFFER)
    assert single.says("this one is held for the two of you") and single.omits("one of these")


def test_the_third_notice_tells_the_report_that_the_manager_has_to_choose() -> None:
    """T-12, R-10: the report does not have to choose."""
    mail = render_notice(3, **OFFER_FIELDS, to=SAM)
    assert mail.says("Dana has been asked to choose a time that holds")
    assert mail.headers["Subject"] == "Moved 3 times: your conversation with Dana"


@pytest.mark.parametrize("to", [DANA, SAM])
def test_the_third_deferral_within_a_week_asks_both_which_time_will_hold(to: Person) -> None:
    """T-11: three times to choose from, or the next quarter where that is possible. The first is booked meanwhile."""
    question = replace(OFFER, purpose=OfferPurpose.QUESTION)
    links = {"choose": "https://longarc.example/choose"}
    mail = render_notice(3, options=OFFER.times, offer=question, links=links, to=to, may_leave=True)
    without_leaving = render_notice(3, options=OFFER.times, offer=question, links=links, to=to)
    other = "Sam" if to is DANA else "Dana"
    assert mail.headers["Subject"] == f"Which time will hold for your conversation with {other}?"
    assert mail.says("a question to you both: which time will hold?")
    assert mail.says("it stays if neither of you answers by then")
    assert mail.says("leave it until the next quarter") and without_leaving.omits("next quarter")


@pytest.mark.parametrize("to", [DANA, SAM])
def test_an_offer_names_whose_calendar_holds_a_displaced_event(to: Person) -> None:
    """T-14: it does not name the event. Each of the three times displaces an event of one of the two, or of both."""
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


def test_the_notice_of_a_deferred_review_says_contract_review() -> None:
    assert render_notice(1, session=replace(SESSION, kind=SessionKind.REVIEW)).says("Your contract review with Sam")
