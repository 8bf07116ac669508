"""Either of the two moves a session by one press, from a mail or from a page (R-38; T-11)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Event, Thread

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, Office, texts
from tests.support.web_company import WebCompany, settings, text
from worker.domain.model import FreeBusyRequest, PairId, Session, SessionKind, Span
from worker.domain.planning.moves import Press, make_time_version
from worker.engine.live_free_busy import LiveFreeBusy
from worker.errors import TimeTaken, Unavailable
from worker.links import LinkClaims, Purpose
from worker.web.team import make_url_id

MOVED = "Both calendars show it within a minute"
OUT_OF_DATE, TAKEN = "The page that you pressed on was out of date", "not to be had any more"
#: A form of the page that takes a time.
FORM = re.compile(r'<form method="post" action="([^"]+)">\s*(<input.*?)<button', re.DOTALL)

Form = tuple[str, dict[str, str]]


def open_page(client: FlaskClient, page: str) -> list[Form]:
    """The forms that take one of the times under "What fits best"."""
    shown = client.get(page).get_data(as_text=True).partition("What fits best")[2]
    return list_forms(shown)


def list_forms(shown: str) -> list[Form]:
    found = [
        (where, dict(re.findall(r'name="(\w+)" value="([^"]*)"', fields))) for where, fields in FORM.findall(shown)
    ]
    return [form for form in found if "start" in form[1]]


def press(client: FlaskClient, form: Form, **more: str) -> TestResponse:
    return client.post(form[0], data={**form[1], **more})


def follow(client: FlaskClient, answer: TestResponse) -> str:
    """What the reader sees after a press: one page."""
    return text(client.get(answer.headers["Location"]) if answer.status_code == 303 else answer)


def find_fact(answer: TestResponse | str) -> str:
    """The time that the page says stands on both calendars."""
    html = answer if isinstance(answer, str) else answer.get_data(as_text=True)
    found = re.search(r'<p class="fact">(.*?)</p>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else ""


def count_moves(company: WebCompany, session: Session) -> int:
    lines = company.office.store.queries.list_history(session_id=session.id)
    return sum(line["reason"] == "A person chose this time." for line in lines)


def enter(company: WebCompany, who: str, way: str) -> tuple[FlaskClient, str]:
    """A browser and the page, by a mail's link or from the reader's own page."""
    session = company.next_session()
    if way == "mail":
        return company.visitor(who, Purpose.TIME, session.id), f"/time/{session.id}"
    purpose, own, page = (
        (Purpose.ME, "/me", f"/me/time/{session.id}")
        if who == SAM
        else (Purpose.TEAM, f"/team/person/{make_url_id(PairId(DANA, SAM))}", f"/team/time/{session.id}")
    )
    client = company.visitor(who, purpose)
    assert page in client.get(own).get_data(as_text=True)
    return client, page


# --- one press ---


@pytest.mark.parametrize("way", ["mail", "page"])
@pytest.mark.parametrize("who", [DANA, SAM])
def test_r38_t11_one_press_moves_it_and_counts_as_nothing(company: WebCompany, who: str, way: str) -> None:
    """R-38, T-11: three times with reasons, one press, both calendars; no count, and no mail but the calendar's."""
    session, mails = company.next_session(), len(company.office.mailer.sent)
    client, page = enter(company, who, way)
    forms = open_page(client, page)
    assert len(forms) == 3
    shown = text(client.get(page))
    assert re.search(r"It is \d+ days? (later|earlier) than now\.", shown)
    assert "At least 15 minutes before and after it are free" in shown
    answer = press(client, forms[1])
    assert answer.status_code == 303 and MOVED in follow(client, answer)
    moved = company.next_session()
    assert moved.span.start.isoformat() == forms[1][1]["start"]
    assert (moved.id, moved.count, moved.by_hand) == (session.id, session.count, True)
    company.office.tick()
    for calendar in (DANA, SAM):
        event = company.office.calendar.find(calendar, moved.key)
        assert event is not None and event.span == moved.span
    assert len(company.office.mailer.sent) == mails


@pytest.mark.parametrize("is_reachable", [True, False])
def test_a_press_wakes_a_worker_so_that_both_calendars_show_it_at_once(company: WebCompany, is_reachable: bool) -> None:
    """R-38: looking wakes nobody; a queue that can't be reached is made up for by the next tick."""
    woken: list[timedelta] = []

    def wake(delay: timedelta) -> None:
        woken.append(delay)
        if not is_reachable:
            raise ConnectionError("the queue is out of reach")

    company.office.worker.schedule_sync = wake
    client, page = enter(company, SAM, "mail")
    form = open_page(client, page)[0]
    assert woken == []
    assert press(client, form).status_code == 303 and woken == [timedelta(0)]


def test_looking_changes_nothing_and_no_title_is_shown(company: WebCompany) -> None:
    """R-38, R-23: mail scanners open links; what stands in a calendar is nobody's business."""
    before, session = company.read_database(), company.next_session()
    for who in (DANA, SAM):
        page = text(company.visitor(who, Purpose.TIME, session.id).get(f"/time/{session.id}"))
        assert "What fits best" in page and "Busy" not in page
    assert company.read_database() == before


def test_times_past_the_window_say_that_they_count(company: WebCompany) -> None:
    """T-10: and so does one that the reader types."""
    session = company.next_session()
    client, page = company.visitor(DANA, Purpose.TIME, session.id), f"/time/{session.id}"
    late = max(session.latest, session.span.start) + 15 * DAY
    typed = client.get(f"{page}?day={late:%Y-%m-%d}&hour=11:00&minutes=75")
    assert "counts as putting it off" in text(typed).partition("A time of your own")[2]
    form = list_forms(typed.get_data(as_text=True).partition('id="own"')[2])[0]
    assert press(client, form).status_code == 303
    assert company.next_session().count == session.count + 1


# --- the link in mails ---


def find_links(company: WebCompany, name: str, who: str) -> list[LinkClaims]:
    """The claims of the links for another time in the mails of that name to one of the two."""
    signer, found = company.app.extensions["longarc"].links, list[LinkClaims]()
    for mail in company.office.mails(name):
        if who in str(mail["To"]):
            words = texts([mail])
            found += [signer.read_token(token) for token in re.findall(r"/in/([\w.-]+)", words)]
    return [claims for claims in found if claims.purpose is Purpose.TIME]


@pytest.mark.databases("sqlite", "postgresql")
def test_mails_about_a_booked_session_link_to_other_times_for_it(two: WebCompany) -> None:
    """R-38: introduction, prompt and brief; each link is its reader's, and looking at it changes nothing."""
    session = two.next_session()
    two.office.run_to(session.span.start - HOUR)
    session = two.office.store.queries.get_session(session.id) or session
    for name, who in (("introduction", SAM), ("reflection_prompt", SAM), ("brief", DANA)):
        claims = find_links(two, name, who)
        assert {(one.person, one.subject_id) for one in claims} == {(who, session.id)}, name
    before = two.read_database()
    for who in (DANA, SAM):
        assert "What fits best" in text(two.visitor(who, Purpose.TIME, session.id).get(f"/time/{session.id}"))
    assert two.read_database() == before


# --- twice, too late, both ---


def test_pressing_twice_ends_in_one_move_and_the_same_page(company: WebCompany) -> None:
    """R-38: the form is sent again, as by a slow network or the button for back."""
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = open_page(client, page)[0]
    first, second = (follow(client, press(client, form)) for _ in range(2))
    assert first == second and MOVED in first
    assert count_moves(company, session) == 1
    company.office.tick()
    assert MOVED in follow(client, press(client, form)) and count_moves(company, session) == 1


def test_an_old_page_moves_nothing_and_says_what_holds(company: WebCompany) -> None:
    """R-38: the other one has moved it since; the page has three new times, and one more press is enough."""
    session = company.next_session()
    clients = {who: company.visitor(who, Purpose.TIME, session.id) for who in (DANA, SAM)}
    page = f"/time/{session.id}"
    forms = {who: open_page(client, page) for who, client in clients.items()}
    assert press(clients[DANA], forms[DANA][0]).status_code == 303
    stands = company.next_session()
    answer = press(clients[SAM], forms[SAM][1])
    assert answer.status_code == 409 and OUT_OF_DATE in text(answer)
    assert find_fact(answer) == find_fact(clients[SAM].get(page)) != ""
    assert company.next_session() == stands
    again = list_forms(answer.get_data(as_text=True).partition("What fits best")[2])
    assert len(again) == 3 and press(clients[SAM], again[0]).status_code == 303


def test_a_time_that_was_booked_meanwhile_is_not_taken_and_three_others_are_shown(company: WebCompany) -> None:
    """R-38: checked against both calendars at the moment of the press."""
    session = company.next_session()
    client, page = company.visitor(DANA, Purpose.TIME, session.id), f"/time/{session.id}"
    form = open_page(client, page)[0]
    start = datetime.fromisoformat(form[1]["start"])
    company.office.calendar.add(SAM, Span(start, start + HOUR))
    answer = press(client, form)
    assert answer.status_code == 409 and TAKEN in text(answer)
    others = list_forms(answer.get_data(as_text=True).partition("What fits best")[2])
    assert len(others) == 3 and form[1]["start"] not in [fields["start"] for _, fields in others]
    assert company.next_session() == session


def test_an_hour_goes_to_one_of_two_pairs(company: WebCompany) -> None:
    """R-38, T-2: what another pair of the manager's took after the calendars were read is seen all the same."""
    one, two = company.next_session(DANA, SAM), company.next_session(DANA, KIM)
    client = company.visitor(DANA, Purpose.TIME, one.id)
    fields = open_page(client, f"/time/{one.id}")[0][1]
    span = Span(*(datetime.fromisoformat(fields[name]) for name in ("start", "end")))
    worker = company.office.worker
    seen = worker.live_free_busy.read(FreeBusyRequest((DANA, SAM, KIM), Span(span.start - DAY, span.end + DAY)))
    worker.actions.move_session(two.id, Press(span, DANA, make_time_version(two)), seen)
    with pytest.raises(TimeTaken):
        worker.actions.move_session(one.id, Press(span, DANA, make_time_version(one)), seen)
    assert company.next_session(DANA, SAM) == one and company.next_session(DANA, KIM).span == span


@pytest.fixture
def two(database_url: str) -> Iterator[WebCompany]:
    """Dana and Sam with a session ahead, and their pages, on either database."""
    office = Office(database_url, known=settings(database_url))
    office.tick()
    yield WebCompany(office)
    office.close()


def race(company: WebCompany, forms: dict[str, Form], clients: dict[str, FlaskClient]) -> dict[str, TestResponse]:
    """Send these forms at one moment: each has read the calendars before either is written."""
    both_have_read, answers = Barrier(len(forms)), dict[str, TestResponse]()
    waiting = [object()] * len(forms)

    def meet(operation: str) -> None:
        if operation == "free_busy" and waiting:
            waiting.pop()
            both_have_read.wait(timeout=30)

    def send(who: str) -> None:
        answers[who] = press(clients[who], forms[who])

    company.office.calendar.fail = meet
    threads = [Thread(target=send, args=(who,)) for who in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    company.office.calendar.fail = None
    return answers


@pytest.mark.databases("sqlite", "postgresql")
def test_both_press_at_once_and_one_time_holds(two: WebCompany) -> None:
    """R-38: two threads, two transactions; one is told that the page was out of date, and both see the same time."""
    session, page = two.next_session(), f"/time/{two.next_session().id}"
    clients = {who: two.visitor(who, Purpose.TIME, session.id) for who in (DANA, SAM)}
    forms = {who: open_page(clients[who], page)[number] for number, who in enumerate(clients)}
    answers = race(two, forms, clients)
    assert sorted(answer.status_code for answer in answers.values()) == [303, 409]
    winner = next(who for who, answer in answers.items() if answer.status_code == 303)
    loser = next(who for who in answers if who != winner)
    moved = two.next_session()
    assert moved.span.start.isoformat() == forms[winner][1]["start"] and moved.count == 0
    assert MOVED in follow(clients[winner], answers[winner]) and OUT_OF_DATE in text(answers[loser])
    assert find_fact(answers[loser]) == find_fact(clients[loser].get(page))
    assert count_moves(two, session) == 1
    two.office.tick()
    event = two.office.calendar.find(DANA, moved.key)
    assert event is not None and event.span == moved.span


@pytest.mark.databases("sqlite", "postgresql")
def test_both_press_the_same_time_at_once_and_both_have_it(two: WebCompany) -> None:
    session, page = two.next_session(), f"/time/{two.next_session().id}"
    clients = {who: two.visitor(who, Purpose.TIME, session.id) for who in (DANA, SAM)}
    forms = {who: open_page(clients[who], page)[0] for who in clients}
    answers = race(two, forms, clients)
    assert [answer.status_code for answer in answers.values()] == [303, 303]
    assert all(MOVED in follow(clients[who], answers[who]) for who in clients)
    assert count_moves(two, session) == 1


# --- old mails, and what can't be moved ---


@pytest.mark.parametrize(
    ("before", "sentence"),
    [(timedelta(minutes=59), "It begins within the hour"), (timedelta(minutes=-5), "It has begun")],
)
def test_what_is_near_or_under_way_stays(company: WebCompany, before: timedelta, sentence: str) -> None:
    """R-38: one clear sentence, no time to press, and an old page moves nothing."""
    session = company.next_session()
    page = f"/time/{session.id}"
    company.office.clock.move_to(session.span.start - timedelta(minutes=61))
    client = company.visitor(SAM, Purpose.TIME, session.id)
    form = open_page(client, page)[0]
    company.office.clock.move_to(session.span.start - before)
    shown = client.get(page)
    assert sentence in text(shown) and list_forms(shown.get_data(as_text=True)) == []
    answer = press(client, form)
    assert answer.status_code == 409 and company.next_session().span == session.span


def test_the_link_of_an_old_mail_says_what_holds_now(company: WebCompany) -> None:
    """R-38: it was held long ago; the page names the next one, and its own pages lead there."""
    held, following = company.held_session(), company.next_session()
    for who in (DANA, SAM):
        shown = company.visitor(who, Purpose.TIME, held.id).get(f"/time/{held.id}")
        told = text(shown)
        assert "This conversation is over; there is nothing to move. The next one is on " in told
        assert list_forms(shown.get_data(as_text=True)) == []
        assert following.id not in shown.get_data(as_text=True)
    own = company.visitor(SAM, Purpose.ME).get(f"/me/time/{held.id}").get_data(as_text=True)
    assert f"/me/time/{following.id}" in own


def test_a_press_on_what_is_over_or_cancelled_says_so(company: WebCompany) -> None:
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = open_page(client, page)[0]
    pair = PairId(DANA, SAM)
    company.office.pairs[pair] = replace(company.office.pairs[pair], paused=True)
    company.office.apply()
    company.office.tick()
    answer = press(client, form)
    assert answer.status_code == 409
    assert "taken off both calendars; there is nothing to move" in text(answer)


# --- calendars that can't be read ---


def test_a_calendar_that_can_not_be_read_is_named_and_nothing_moves(company: WebCompany) -> None:
    """R-38: what can be done is said; a time of one's own is taken all the same when the reader says so."""
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = open_page(client, page)[0]
    german = company.browser()
    company.office.persons[DANA] = replace(company.office.persons[DANA], locale="de_DE")
    company.office.apply()
    german.get(company.link(DANA, Purpose.TIME, session.id))

    def fail(operation: str) -> None:
        if operation == "free_busy":
            raise Unavailable("It is out of order.")

    company.office.calendar.fail = fail
    shown = text(client.get(page))
    assert "can’t be read just now" in shown and "Look again" in shown and "Take it" not in shown
    assert "Die Kalender von Dana Whitfield, Sam Okafor lassen sich gerade nicht lesen" in text(german.get(page))
    answer = press(client, form)
    assert answer.status_code == 503 and "Nothing was changed" in text(answer)
    assert company.next_session() == session
    day = session.span.start + DAY
    typed = client.get(f"{page}?day={day:%Y-%m-%d}&hour=11:00&minutes=75")
    assert "calendar can't be read just now" in text(typed)
    assert press(client, list_forms(typed.get_data(as_text=True))[0]).status_code == 303
    assert company.next_session().by_hand


def test_a_calendar_that_does_not_answer_is_waited_for_seconds_and_no_longer(company: WebCompany) -> None:
    """R-38: a service that hangs is one that can't be read just now."""
    session, answered = company.next_session(), Event()

    def hang(operation: str) -> None:
        answered.wait(30)

    company.office.calendar.fail = hang
    worker = company.office.worker
    worker.live_free_busy = LiveFreeBusy(worker.sweep.read_free_busy, worker.services.group_by_service, 0.01)
    shown = text(company.visitor(SAM, Purpose.TIME, session.id).get(f"/time/{session.id}"))
    answered.set()
    assert "can’t be read just now" in shown


# --- why (R-18) ---


def test_r18_after_the_own_press_the_report_is_asked_why_and_the_manager_is_not(company: WebCompany) -> None:
    session = company.next_session()
    page = f"/time/{session.id}"
    for who, asked in ((DANA, False), (SAM, True)):
        client = company.visitor(who, Purpose.TIME, session.id)
        after = follow(client, press(client, open_page(client, page)[0]))
        assert ("What should Dana know?" in after) is asked
    assert company.next_session().count == session.count


def test_checkins_and_reviews_move_by_one_press_too(company: WebCompany) -> None:
    """R-38: whatever has a time of its own."""
    found = [s for s in company.office.store.queries.list_sessions(PairId(DANA, KIM)) if s.kind is SessionKind.REVIEW]
    review = next(one for one in found if one.booked)
    client, page = company.visitor(KIM, Purpose.TIME, review.id), f"/time/{review.id}"
    assert press(client, open_page(client, page)[0]).status_code == 303
    moved = company.office.store.queries.get_session(review.id)
    assert moved is not None and moved.by_hand and moved.span != review.span and moved.span.minutes == review.minutes
