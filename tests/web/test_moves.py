"""R-38, T-11: either of the two moves a session by one press on a page, which mails and their own page link to."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Event, Thread
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, Office, texts
from tests.support.web_company import LEE, WebCompany, settings, text
from worker.domain.model import FreeBusyRequest, PairId, Session, SessionKind, Span
from worker.domain.planning.moves import Press, make_time_version
from worker.engine.live_free_busy import LiveFreeBusy
from worker.errors import TimeTaken, Unavailable
from worker.links import LinkClaims, Purpose
from worker.web.team import make_url_id

MOVED = "Both calendars show it within a minute"
OUTDATED, TAKEN = "The page that you pressed on was out of date", "not to be had any more"
#: A form of the page that chooses a time.
FORM = re.compile(r'<form method="post" action="([^"]+)">\s*(<input.*?)<button', re.DOTALL)

Form = tuple[str, dict[str, str]]  #: the path to which it is sent, and its hidden fields


def list_proposed_forms(client: FlaskClient, page: str) -> list[Form]:
    """Return the forms that choose one of the times under "What fits best"."""
    html = client.get(page).get_data(as_text=True).partition("What fits best")[2]
    return list_forms(html)


def list_forms(html: str) -> list[Form]:
    """Return the forms in the HTML that choose a time."""
    forms = [(path, dict(re.findall(r'name="(\w+)" value="([^"]*)"', fields))) for path, fields in FORM.findall(html)]
    return [(path, fields) for path, fields in forms if "start" in fields]


def press(client: FlaskClient, form: Form) -> TestResponse:
    """Send a form."""
    path, fields = form
    return client.post(path, data=fields)


def read_result(client: FlaskClient, answer: TestResponse) -> str:
    """Return the text of the page that the reader sees after a press."""
    return text(client.get(answer.headers["Location"]) if answer.status_code == 303 else answer)


def read_booked_time(answer: TestResponse | str) -> str:
    """Return the time that the page names as booked on both calendars; empty if it names none."""
    html = answer if isinstance(answer, str) else answer.get_data(as_text=True)
    match = re.search(r'<p class="fact">(.*?)</p>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", match[1]).split()) if match else ""


def count_moves(company: WebCompany, session: Session) -> int:
    """Return how often somebody has chosen a time for the session."""
    lines = company.office.store.queries.list_history(session_id=session.id)
    return sum(line["reason"] == "A person chose this time." for line in lines)


def open_time_page(company: WebCompany, address: str, opened_from: str) -> tuple[FlaskClient, str]:
    """Return a browser, and the path of the page for another time.

    `opened_from`: `mail` for the link in a mail, or `own page` for that on the person's own page.
    """
    session = company.next_session()
    if opened_from == "mail":
        return company.visitor(address, Purpose.TIME, session.id), f"/time/{session.id}"
    purpose, own_page, page = (
        (Purpose.ME, "/me", f"/me/time/{session.id}")
        if address == SAM
        else (Purpose.TEAM, f"/team/person/{make_url_id(PairId(DANA, SAM))}", f"/team/time/{session.id}")
    )
    client = company.visitor(address, purpose)
    assert page in client.get(own_page).get_data(as_text=True)
    return client, page


# --- one press ---


@pytest.mark.parametrize("opened_from", ["mail", "own page"])
@pytest.mark.parametrize("address", [DANA, SAM])
def test_r38_t11_one_press_moves_a_session_without_a_deferral(
    company: WebCompany, address: str, opened_from: str
) -> None:
    """R-38, T-11: the page proposes three times with reasons; Longarc sends no mail, since calendars tell both."""
    session, mail_count = company.next_session(), len(company.office.mailer.sent)
    client, page = open_time_page(company, address, opened_from)
    forms = list_proposed_forms(client, page)
    assert len(forms) == 3
    page_text = text(client.get(page))
    assert re.search(r"It is \d+ days? (later|earlier) than now\.", page_text)
    assert "At least 15 minutes before and after it are free" in page_text
    answer = press(client, forms[1])
    _, chosen_fields = forms[1]
    assert answer.status_code == 303 and MOVED in read_result(client, answer)
    moved_session = company.next_session()
    assert moved_session.span.start.isoformat() == chosen_fields["start"]
    assert (moved_session.id, moved_session.count, moved_session.by_hand) == (session.id, session.count, True)
    company.office.tick()
    for calendar in (DANA, SAM):
        event = company.office.calendar.find(calendar, moved_session.key)
        assert event is not None and event.span == moved_session.span
    assert len(company.office.mailer.sent) == mail_count


@pytest.mark.parametrize("is_reachable", [True, False])
def test_r38_a_press_wakes_a_worker(company: WebCompany, is_reachable: bool) -> None:
    """R-38: opening the page wakes no worker; when the queue can't be reached, the press still succeeds."""
    wake_delays: list[timedelta] = []

    def wake(delay: timedelta) -> None:
        wake_delays.append(delay)
        if not is_reachable:
            raise ConnectionError("the queue is out of reach")

    company.office.worker.schedule_sync = wake
    client, page = open_time_page(company, SAM, opened_from="mail")
    form = list_proposed_forms(client, page)[0]
    assert wake_delays == []
    assert press(client, form).status_code == 303 and wake_delays == [timedelta(0)]


def test_r38_r23_a_look_at_the_page_changes_nothing_and_names_nobody_else(company: WebCompany) -> None:
    """R-38, R-23: mail scanners open links; with whom the manager talks besides is private.

    The page says of a time at which Dana meets Kim or Lee that she has another session, and not with whom.
    """
    assert "Kim" in text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    assert "Lee" in text(company.visitor(DANA, Purpose.ME).get("/me"))
    before, session = company.read_database(), company.next_session()
    for address in (DANA, SAM):
        client, page = company.visitor(address, Purpose.TIME, session.id), f"/time/{session.id}"
        page_texts = [text(client.get(page))]
        for other_session in (company.next_session(DANA, KIM), company.next_session(LEE, DANA)):
            start = other_session.span.start.astimezone(ZoneInfo(company.office.persons[address].zone))
            page_texts.append(text(client.get(f"{page}?day={start:%Y-%m-%d}&hour={start:%H:%M}&minutes=75")))
            assert "has another career session that day" in page_texts[-1].partition("A time of your own")[2]
        for page_text in page_texts:
            assert "What fits best" in page_text and not re.search(r"\b(Kim|Lee)\b", page_text)
    assert company.read_database() == before


def test_t10_a_time_past_the_window_is_marked_and_counts_as_a_deferral(company: WebCompany) -> None:
    """T-10: the window is the days in which the session belongs."""
    session = company.next_session()
    client, page = company.visitor(DANA, Purpose.TIME, session.id), f"/time/{session.id}"
    late_time = max(session.latest, session.span.start) + 15 * DAY
    answer = client.get(f"{page}?day={late_time:%Y-%m-%d}&hour=11:00&minutes=75")
    assert "counts as putting it off" in text(answer).partition("A time of your own")[2]
    form = list_forms(answer.get_data(as_text=True).partition('id="own"')[2])[0]
    assert press(client, form).status_code == 303
    assert company.next_session().count == session.count + 1


# --- the link in mails ---


def list_link_claims(company: WebCompany, name: str, address: str) -> list[LinkClaims]:
    """Return what the links to pages for another time say, in the mails of that name to that address."""
    signer, claims = company.app.extensions["longarc"].links, list[LinkClaims]()
    for mail in company.office.mails(name):
        if address in str(mail["To"]):
            mail_text = texts([mail])
            claims += [signer.read_claims(token) for token in re.findall(r"/in/([\w.-]+)", mail_text)]
    return [claim for claim in claims if claim.purpose is Purpose.TIME]


@pytest.mark.databases("sqlite", "postgresql")
def test_r38_mails_about_a_booked_session_link_to_the_page_for_another_time(pair_company: WebCompany) -> None:
    """R-38: each link belongs to the reader of the mail, and to open the page changes nothing."""
    session = pair_company.next_session()
    pair_company.office.run_to(session.span.start - HOUR)
    session = pair_company.office.store.queries.get_session(session.id) or session
    for name, address in (("introduction", SAM), ("reflection_prompt", SAM), ("brief", DANA)):
        claims = list_link_claims(pair_company, name, address)
        assert {(claim.person, claim.subject_id) for claim in claims} == {(address, session.id)}, name
    before = pair_company.read_database()
    for address in (DANA, SAM):
        assert "What fits best" in text(
            pair_company.visitor(address, Purpose.TIME, session.id).get(f"/time/{session.id}")
        )
    assert pair_company.read_database() == before


# --- repeated, outdated and simultaneous presses ---


def test_r38_two_presses_of_one_form_make_one_move(company: WebCompany) -> None:
    """R-38: a form is sent again when the network is slow or somebody goes back and presses again."""
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = list_proposed_forms(client, page)[0]
    first, second = (read_result(client, press(client, form)) for _ in range(2))
    assert first == second and MOVED in first
    assert count_moves(company, session) == 1
    company.office.tick()
    assert MOVED in read_result(client, press(client, form)) and count_moves(company, session) == 1


def test_r38_an_outdated_form_moves_nothing_and_shows_the_booked_time(company: WebCompany) -> None:
    """R-38: the other person has moved the session; the answer proposes three new times, one more press takes one."""
    session = company.next_session()
    clients = {address: company.visitor(address, Purpose.TIME, session.id) for address in (DANA, SAM)}
    page = f"/time/{session.id}"
    forms = {address: list_proposed_forms(client, page) for address, client in clients.items()}
    assert press(clients[DANA], forms[DANA][0]).status_code == 303
    booked_session = company.next_session()
    answer = press(clients[SAM], forms[SAM][1])
    assert answer.status_code == 409 and OUTDATED in text(answer)
    assert read_booked_time(answer) == read_booked_time(clients[SAM].get(page)) != ""
    assert company.next_session() == booked_session
    new_forms = list_forms(answer.get_data(as_text=True).partition("What fits best")[2])
    assert len(new_forms) == 3 and press(clients[SAM], new_forms[0]).status_code == 303


def test_r38_a_busy_time_is_refused_and_three_others_are_proposed(company: WebCompany) -> None:
    """R-38: both calendars are read again at the moment of the press."""
    session = company.next_session()
    client, page = company.visitor(DANA, Purpose.TIME, session.id), f"/time/{session.id}"
    form = list_proposed_forms(client, page)[0]
    _, fields = form
    start = datetime.fromisoformat(fields["start"])
    company.office.calendar.add(SAM, Span(start, start + HOUR))
    answer = press(client, form)
    assert answer.status_code == 409 and TAKEN in text(answer)
    other_forms = list_forms(answer.get_data(as_text=True).partition("What fits best")[2])
    assert len(other_forms) == 3 and fields["start"] not in [other["start"] for _, other in other_forms]
    assert company.next_session() == session


def test_r38_t2_two_pairs_of_a_manager_cannot_take_the_same_time(company: WebCompany) -> None:
    """R-38, T-2: the second pair is refused although its calendars were read before the first pair moved."""
    sams_session, kims_session = company.next_session(DANA, SAM), company.next_session(DANA, KIM)
    client = company.visitor(DANA, Purpose.TIME, sams_session.id)
    _, fields = list_proposed_forms(client, f"/time/{sams_session.id}")[0]
    span = Span(*(datetime.fromisoformat(fields[name]) for name in ("start", "end")))
    worker = company.office.worker
    free_busy = worker.live_free_busy.read(FreeBusyRequest((DANA, SAM, KIM), Span(span.start - DAY, span.end + DAY)))
    worker.actions.move_session(kims_session.id, Press(span, DANA, make_time_version(kims_session)), free_busy)
    with pytest.raises(TimeTaken):
        worker.actions.move_session(sams_session.id, Press(span, DANA, make_time_version(sams_session)), free_busy)
    assert company.next_session(DANA, SAM) == sams_session and company.next_session(DANA, KIM).span == span


@pytest.fixture
def pair_company(database_url: str) -> Iterator[WebCompany]:
    """Dana and Sam with a booked session, and their pages, on the database of this test."""
    office = Office(database_url, office_settings=settings(database_url))
    office.tick()
    yield WebCompany(office)
    office.close()


def press_at_once(
    company: WebCompany, forms: dict[str, Form], clients: dict[str, FlaskClient]
) -> dict[str, TestResponse]:
    """Send these forms at once, so that each request reads the calendars before either writes. Return the answers."""
    both_have_read, answers = Barrier(len(forms)), dict[str, TestResponse]()
    waits_left = [object()] * len(forms)  # one for the first reading of each request; later readings do not wait

    def wait_for_the_others(operation: str) -> None:
        if operation == "free_busy" and waits_left:
            waits_left.pop()
            both_have_read.wait(timeout=30)

    def send(address: str) -> None:
        answers[address] = press(clients[address], forms[address])

    company.office.calendar.fail = wait_for_the_others
    threads = [Thread(target=send, args=(address,)) for address in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    company.office.calendar.fail = None
    return answers


@pytest.mark.databases("sqlite", "postgresql")
def test_r38_of_two_simultaneous_presses_one_moves_the_session(pair_company: WebCompany) -> None:
    """R-38: the other person reads that the page was outdated, and both pages show the same time."""
    session, page = pair_company.next_session(), f"/time/{pair_company.next_session().id}"
    clients = {address: pair_company.visitor(address, Purpose.TIME, session.id) for address in (DANA, SAM)}
    # each of the two chooses another time
    forms = {address: list_proposed_forms(clients[address], page)[number] for number, address in enumerate(clients)}
    answers = press_at_once(pair_company, forms, clients)
    assert sorted(answer.status_code for answer in answers.values()) == [303, 409]
    winner = next(address for address, answer in answers.items() if answer.status_code == 303)
    loser = next(address for address in answers if address != winner)
    booked_session = pair_company.next_session()
    _, winning_fields = forms[winner]
    assert booked_session.span.start.isoformat() == winning_fields["start"] and booked_session.count == 0
    assert MOVED in read_result(clients[winner], answers[winner]) and OUTDATED in text(answers[loser])
    assert read_booked_time(answers[loser]) == read_booked_time(clients[loser].get(page))
    assert count_moves(pair_company, session) == 1
    pair_company.office.tick()
    event = pair_company.office.calendar.find(DANA, booked_session.key)
    assert event is not None and event.span == booked_session.span


@pytest.mark.databases("sqlite", "postgresql")
def test_simultaneous_presses_of_the_same_time_both_succeed(pair_company: WebCompany) -> None:
    session, page = pair_company.next_session(), f"/time/{pair_company.next_session().id}"
    clients = {address: pair_company.visitor(address, Purpose.TIME, session.id) for address in (DANA, SAM)}
    forms = {address: list_proposed_forms(clients[address], page)[0] for address in clients}
    answers = press_at_once(pair_company, forms, clients)
    assert [answer.status_code for answer in answers.values()] == [303, 303]
    assert all(MOVED in read_result(clients[address], answers[address]) for address in clients)
    assert count_moves(pair_company, session) == 1


# --- old mails, and sessions that can't be moved ---


@pytest.mark.parametrize(
    ("time_before_start", "sentence"),
    [(timedelta(minutes=59), "It begins within the hour"), (timedelta(minutes=-5), "It has begun")],
)
def test_r38_a_session_within_the_hour_or_begun_cannot_be_moved(
    company: WebCompany, time_before_start: timedelta, sentence: str
) -> None:
    """R-38: the page gives the reason and proposes no time, and an earlier form moves nothing."""
    session = company.next_session()
    page = f"/time/{session.id}"
    company.office.clock.move_to(session.span.start - timedelta(minutes=61))
    client = company.visitor(SAM, Purpose.TIME, session.id)
    form = list_proposed_forms(client, page)[0]  # while the session could still be moved
    company.office.clock.move_to(session.span.start - time_before_start)
    page_answer = client.get(page)
    assert sentence in text(page_answer) and list_forms(page_answer.get_data(as_text=True)) == []
    answer = press(client, form)
    assert answer.status_code == 409 and company.next_session().span == session.span


def test_r38_the_link_of_an_old_mail_names_the_next_conversation(company: WebCompany) -> None:
    """R-38: the session of the mail was held; the reader's own pages link to the next one."""
    held_session, next_session = company.held_session(), company.next_session()
    for address in (DANA, SAM):
        page = company.visitor(address, Purpose.TIME, held_session.id).get(f"/time/{held_session.id}")
        page_text = text(page)
        assert "This conversation is over; there is nothing to move. The next one is on " in page_text
        assert list_forms(page.get_data(as_text=True)) == []
        assert next_session.id not in page.get_data(as_text=True)
    own_page = company.visitor(SAM, Purpose.ME).get(f"/me/time/{held_session.id}").get_data(as_text=True)
    assert f"/me/time/{next_session.id}" in own_page


def test_a_press_for_a_cancelled_session_is_refused_with_an_explanation(company: WebCompany) -> None:
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = list_proposed_forms(client, page)[0]
    pair = PairId(DANA, SAM)
    company.office.pairs[pair] = replace(company.office.pairs[pair], paused=True)
    company.office.apply()
    company.office.tick()  # cancels the session
    answer = press(client, form)
    assert answer.status_code == 409
    assert "taken off both calendars; there is nothing to move" in text(answer)


# --- calendars that can't be read ---


def test_r38_an_unreadable_calendar_is_named_and_nothing_moves(company: WebCompany) -> None:
    """R-38: the page is in the reader's language, and the reader can still insist on a requested time."""
    session = company.next_session()
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    form = list_proposed_forms(client, page)[0]
    german_browser = company.browser()
    company.office.persons[DANA] = replace(company.office.persons[DANA], locale="de_DE")
    company.office.apply()
    german_browser.get(company.link(DANA, Purpose.TIME, session.id))

    def fail(operation: str) -> None:
        if operation == "free_busy":
            raise Unavailable("It is out of order.")

    company.office.calendar.fail = fail
    page_text = text(client.get(page))
    assert "can’t be read just now" in page_text and "Look again" in page_text and "Take it" not in page_text
    assert "Die Kalender von Dana Whitfield, Sam Okafor lassen sich gerade nicht lesen" in text(
        german_browser.get(page)
    )
    answer = press(client, form)
    assert answer.status_code == 503 and "Nothing was changed" in text(answer)
    assert company.next_session() == session
    day = session.span.start + DAY
    own_time_answer = client.get(f"{page}?day={day:%Y-%m-%d}&hour=11:00&minutes=75")
    assert "calendar can't be read just now" in text(own_time_answer)
    assert press(client, list_forms(own_time_answer.get_data(as_text=True))[0]).status_code == 303
    assert company.next_session().by_hand


def test_r38_a_calendar_service_that_hangs_counts_as_unreadable(company: WebCompany) -> None:
    """R-38: the page waits for an answer only so long."""
    session, release = company.next_session(), Event()

    def hang(operation: str) -> None:
        release.wait(30)

    company.office.calendar.fail = hang
    worker = company.office.worker
    seconds_to_wait = 0.01  # for the answer of a calendar service
    worker.live_free_busy = LiveFreeBusy(worker.sweep.read_free_busy, worker.services.group_by_service, seconds_to_wait)
    page_text = text(company.visitor(SAM, Purpose.TIME, session.id).get(f"/time/{session.id}"))
    release.set()
    assert "can’t be read just now" in page_text


# --- reasons, and other kinds of sessions ---


def test_r18_only_the_report_is_asked_for_a_reason_after_a_move(company: WebCompany) -> None:
    """R-18: the manager is told of the report's reason, and gives none."""
    session = company.next_session()
    page = f"/time/{session.id}"
    for address, has_reason_form in ((DANA, False), (SAM, True)):
        client = company.visitor(address, Purpose.TIME, session.id)
        result = read_result(client, press(client, list_proposed_forms(client, page)[0]))
        assert ("What should Dana know?" in result) is has_reason_form
    assert company.next_session().count == session.count


def test_r38_a_review_moves_by_one_press(company: WebCompany) -> None:
    """R-38: every session with a time of its own can be moved."""
    reviews = [s for s in company.office.store.queries.list_sessions(PairId(DANA, KIM)) if s.kind is SessionKind.REVIEW]
    review = next(review_session for review_session in reviews if review_session.booked)
    client, page = company.visitor(KIM, Purpose.TIME, review.id), f"/time/{review.id}"
    assert press(client, list_proposed_forms(client, page)[0]).status_code == 303
    loaded = company.office.store.queries.get_session(review.id)
    assert (
        loaded is not None and loaded.by_hand and loaded.span != review.span and loaded.span.minutes == review.minutes
    )
