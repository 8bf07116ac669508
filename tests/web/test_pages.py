"""The page of the report, of the manager, of the operator, and for another time: what each shows and changes."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, OPERATOR, SAM, WEEK, Fails, span, texts
from tests.support.web_company import ALEX, LEE, SECRETS, SavedCompany, WebCompany, fill_form, send_form, text
from worker.domain.model import CommitmentStanding, Format, Owner, PairId, SessionState, Trigger
from worker.errors import Unavailable
from worker.links import Purpose
from worker.store import tables
from worker.store.heartbeats import Heartbeat
from worker.web.team import make_url_id

#: Dana's page about Sam.
SAM_PAGE = f"/team/person/{make_url_id(PairId(DANA, SAM))}"
#: The report's commitment and the open question of every contract in this company: see `companies.contract`.
REPORTS_COMMITMENT, OPEN_QUESTION = "Draft one page on direction", "What would make this the right place"


# --- the report ---


def test_the_reports_page_shows_the_contract_and_the_commitments(company: WebCompany) -> None:
    page = text(company.visitor(SAM, Purpose.ME).get("/me"))
    for words in ("You and Dana", REPORTS_COMMITMENT, SECRETS[SAM], OPEN_QUESTION,
                 "career conversation", "shown to Dana and you alone"):  # fmt: skip
        assert words in page, words
    assert SECRETS[KIM] not in page


def test_r18_a_report_ends_only_own_commitments(company: WebCompany) -> None:
    """R-18: commitments of others are refused, and a commitment ends only once."""
    own_id, kims_id = company.open_commitment_id("report"), company.open_commitment_id("report", DANA, KIM)
    client = company.visitor(SAM, Purpose.ME)
    assert send_form(client, "/me", f"/me/commitment/{own_id}/done").headers["Location"] == "/me?said=done"
    commitment = company.office.store.queries.get_commitment(own_id)
    assert commitment is not None and commitment.standing is CommitmentStanding.DONE
    assert send_form(client, "/me", f"/me/commitment/{kims_id}/done").status_code == 404
    commitments = company.office.store.queries.list_commitments(PairId(DANA, SAM))
    managers_id = next(c.id for c in commitments if c.owner is Owner.MANAGER)
    assert send_form(client, "/me", f"/me/commitment/{managers_id}/done").status_code == 404
    second_answer = send_form(client, "/me", f"/me/commitment/{own_id}/done")
    assert second_answer.status_code == 409 and "ended already" in text(second_answer)


def test_r6_only_the_manager_reads_why_a_report_wants_to_talk(company: WebCompany) -> None:
    """R-6: the reason is in the manager's brief and file, and in no other mail, page or file."""
    client = company.visitor(SAM, Purpose.ME)
    fields = {"trigger": "doubt", "reason": "Somebody wrote to me from <Oslo>", "at-once": "yes"}
    answer = send_form(client, "/me", "/me/talk", **fields)
    assert "Asked for." in text(client.get(answer.headers["Location"]))
    adhoc_session = next(session for session in company.sessions() if session.adhoc)
    assert company.office.store.content.get_trigger(adhoc_session.id) == (
        Trigger.DOUBT,
        "Somebody wrote to me from <Oslo>",
    )
    loaded = company.office.store.queries.get_session(adhoc_session.id)
    assert loaded is not None and loaded.urgent
    company.office.tick()
    company.office.run(4 * DAY)
    briefs = [mail for mail in company.office.mails("brief") if "Oslo" in texts([mail])]
    assert briefs and all(DANA in str(mail["To"]) for mail in briefs)
    assert "Why Sam asked for it" in texts(briefs) and "gave this reason to you" in texts(briefs)
    other_mails = [mail for mail in company.office.mails() if mail not in briefs]
    assert "Oslo" not in texts(other_mails)
    assert "Oslo" not in client.get("/me").get_data(as_text=True) + client.get("/me/data").get_data(as_text=True)
    assert "Oslo" in company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)


def test_a_missing_trigger_is_reported_beside_its_field(company: WebCompany) -> None:
    # without the field "trigger"
    answer = send_form(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", reason="just so")
    assert answer.status_code == 422
    assert 'aria-describedby="talk-wrong"' in answer.get_data(as_text=True)


def test_a_second_request_for_a_check_in_is_refused(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    assert send_form(client, "/me", "/me/talk", trigger="check-in").status_code == 303
    second_answer = send_form(client, "/me", "/me/talk", trigger="check-in")
    assert second_answer.status_code == 409 and "asked for already" in text(second_answer)


def test_r4_the_report_chooses_the_format(company: WebCompany) -> None:
    """R-4: a session booked far ahead becomes a series of three, and the next import of the people keeps the choice."""
    client = company.visitor(SAM, Purpose.ME)
    assert 'value="combined" checked' in client.get("/me").get_data(as_text=True)
    send_form(client, "/me", "/me/format", format="series")
    company.office.tick()
    sessions_ahead = [session for session in company.sessions() if session.booked or session.owed]
    assert [session.topic.value for session in sessions_ahead] == ["now", "direction", "gap"]
    assert 'value="series" checked' in client.get("/me").get_data(as_text=True)
    company.office.apply()  # in the people file, the pair still has the other format
    company.office.tick()
    assert company.office.store.people.load_all_pairs()[PairId(DANA, SAM)].format is Format.SERIES
    assert send_form(client, "/me", "/me/format", format="no-such-format").status_code == 404


def test_a_new_format_leaves_a_session_of_the_next_days_unchanged(company: WebCompany) -> None:
    """For a session within a week, the prompt may have been sent."""
    next_session = company.next_session()
    company.office.run_to(next_session.span.start - 6 * DAY)
    send_form(company.visitor(SAM, Purpose.ME), "/me", "/me/format", format="series")
    company.office.tick()
    assert company.next_session().id == next_session.id


def test_the_reports_file_holds_only_data_of_the_report(company: WebCompany) -> None:
    answer = company.visitor(SAM, Purpose.ME).get("/me/data")
    assert "attachment" in answer.headers["Content-Disposition"]
    file = json.loads(answer.get_data(as_text=True))
    assert file["about"]["email"] == SAM
    (pair,) = file["pairs"]
    assert pair["manager"] == DANA and pair["contracts"][0]["manager"][0]["text"] == SECRETS[SAM]
    assert {"introduction", "reflection_prompt", "contract_summary"} <= {mail["mail"] for mail in pair["mails"]}
    assert pair["times_lost"] and pair["commitments"] and pair["sessions"]
    assert SECRETS[KIM] not in answer.get_data(as_text=True)


def test_both_pages_show_when_the_contents_of_the_pair_were_erased(company: WebCompany) -> None:
    sam, dana = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    assert "was erased on" not in text(sam.get("/me")) + text(dana.get("/team"))
    company.office.worker.erasure.erase_contents(SAM)
    assert "What Dana Whitfield and you wrote down was erased on" in text(sam.get("/me"))
    assert "What Sam Okafor and you wrote down was erased on" in text(dana.get("/team"))
    assert SECRETS[SAM] not in text(sam.get("/me"))
    assert SECRETS[KIM] in text(dana.get("/team")), "the contents of another pair are gone"
    assert "was erased on" not in text(company.visitor(ALEX, Purpose.ME).get("/me"))


def test_the_page_of_a_person_without_pairs_has_an_explanation(company: WebCompany) -> None:
    """Lee is no report, and Alex no manager."""
    client = company.visitor(LEE, Purpose.ME)
    assert "no career conversations as a report" in text(client.get("/me"))
    assert json.loads(client.get("/me/data").get_data(as_text=True))["pairs"] == []
    alex = company.visitor(ALEX, Purpose.TEAM)
    assert "no career conversations as a manager" in text(alex.get("/team"))


def test_r29_the_reports_page_lists_openings_and_stores_nothing(saved_company: SavedCompany, tmp_path: Path) -> None:
    """R-29, R-24: opening the page writes no row; the report answers an opening with a mail of their own."""
    file = tmp_path / "openings.csv"
    company = WebCompany.of(saved_company, tmp_path, openings=str(file))
    client = company.visitor(SAM, Purpose.ME)
    assert "What there is here" not in text(client.get("/me"))
    before = company.read_database()
    file.write_text(
        "title,kind,until,group,link,contact,note\n"
        "Lead <it>,project,2099-12-31,,https://x.example/1?a=b&c=d,ana@corp.example,Half the week.\n"
        "Past,path,2020-01-31,,,,\n"  # has ended
        "Other,path,2099-12-31,,,a?bcc=eve&x%@corp.example,\n"
    )
    page = client.get("/me").get_data(as_text=True)
    assert "Lead &lt;it&gt;" in page and "Half the week." in page and "Past" not in page
    assert 'href="mailto:ana@corp.example?subject=Lead%20%3Cit%3E"' in page
    assert 'href="mailto:a%3Fbcc%3Deve%26x%25@corp.example?subject=Other"' in page
    assert 'href="https://x.example/1?a=b&amp;c=d" rel="noreferrer"' in page
    assert "Nobody sees which ones you looked at." in page
    assert company.read_database() == before
    company.office.close()


# --- the manager ---


def test_the_managers_page_begins_with_what_the_manager_has_to_do(company: WebCompany) -> None:
    page = text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    # promises come before the reports, who are sorted by name
    assert page.index("What you promised") < page.index("Kim Tran") < page.index("Sam Okafor")
    assert SECRETS[KIM] in page and "Alex" not in page  # Alex reports to Lee
    assert page.index("Write down what you and Sam agreed on") < page.index("What you promised")
    assert "2 conversations held. 1 time put off. 1 commitment kept, 1 open." in page


def test_r17_r20_the_page_asks_for_no_contract_older_than_a_later_one(company: WebCompany) -> None:
    """R-17, R-20: the page asks for the contract of an unfinished session until a later session has one."""
    earlier_id, later_id = company.contracted_session().id, company.held_session().id
    request = "Write down what you and Sam agreed on"

    def set_state(session_id: str, state: str) -> None:
        with company.office.store.database.write() as connection:
            connection.execute(tables.session.update().where(tables.session.c.id == session_id).values(state=state))

    set_state(earlier_id, "unfinished")
    assert request in text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    set_state(later_id, "contracted")
    assert request not in text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    set_state(earlier_id, "held")
    assert request in text(company.visitor(DANA, Purpose.TEAM).get("/team"))  # reminders are still sent for it


def test_r24_the_managers_pages_have_no_scores_and_no_ranking(company: WebCompany) -> None:
    """R-24: nothing on them measures or compares people."""
    client = company.visitor(DANA, Purpose.TEAM)
    for path in ("/team", SAM_PAGE):
        page = text(client.get(path)).lower()
        for word in ("score", "rank", "%", "rating", "risk", "best", "worst", "average"):
            assert word not in page, word


def test_a_manager_requests_an_urgent_ad_hoc_session(company: WebCompany) -> None:
    client = company.visitor(DANA, Purpose.TEAM)
    send_form(client, SAM_PAGE, f"{SAM_PAGE}/talk", trigger="leaving", reason="quillwort")
    adhoc_session = next(session for session in company.sessions() if session.adhoc)
    loaded = company.office.store.queries.get_session(adhoc_session.id)
    assert loaded is not None and loaded.urgent
    assert company.office.store.content.get_requester(adhoc_session.id) is Owner.MANAGER
    assert send_form(client, SAM_PAGE, f"{SAM_PAGE}/talk", trigger="boredom").status_code == 422
    company.office.run(4 * DAY)
    assert "Why you asked for it" in texts(company.office.mails("brief"))


def test_r12_the_manager_sets_and_withdraws_trust(company: WebCompany) -> None:
    """R-12: with trust, the brief suggests the hardest questions, too."""
    client, pair_id = company.visitor(DANA, Purpose.TEAM), PairId(DANA, SAM)
    send_form(client, SAM_PAGE, f"{SAM_PAGE}/trust", trust="yes")
    assert company.office.store.people.load_all_pairs()[pair_id].trust
    send_form(client, SAM_PAGE, f"{SAM_PAGE}/trust", trust="no")
    assert not company.office.store.people.load_all_pairs()[pair_id].trust


def test_r5_a_transition_moves_the_next_conversation_nearer_until_it_ends(company: WebCompany) -> None:
    """R-5: without the transition the next conversation is far away again."""
    client, target_before = company.visitor(DANA, Purpose.TEAM), company.next_session().target
    until = company.office.clock().date() + timedelta(days=200)  # well after the next conversation
    assert send_form(client, SAM_PAGE, f"{SAM_PAGE}/transition", until=f"{until}").status_code == 303
    company.office.tick()
    # in a transition, conversations are 6 weeks apart in place of 13
    assert company.next_session().target < target_before - 5 * WEEK
    assert company.next_session().booked
    past_day_answer = send_form(client, SAM_PAGE, f"{SAM_PAGE}/transition", until="2020-01-01")
    assert past_day_answer.status_code == 422 and 'id="until-wrong"' in past_day_answer.get_data(as_text=True)
    assert send_form(client, SAM_PAGE, f"{SAM_PAGE}/transition", until="").status_code == 303
    company.office.tick()
    assert company.next_session().target > target_before - WEEK
    assert company.office.store.people.load_all_pairs()[PairId(DANA, SAM)].transition_until is None


def test_a_manager_records_whether_a_conversation_took_place(company: WebCompany) -> None:
    client, session = company.visitor(DANA, Purpose.TEAM), company.held_session()
    send_form(client, SAM_PAGE, f"{SAM_PAGE}/session/{session.id}/not-met")
    loaded = company.office.store.queries.get_session(session.id)
    assert loaded is not None and loaded.state is SessionState.DEFERRED
    second_answer = send_form(client, SAM_PAGE, f"{SAM_PAGE}/session/{session.id}/not-met")
    assert "That is recorded already: you did not meet." in client.get(second_answer.headers["Location"]).get_data(
        as_text=True
    )
    send_form(client, SAM_PAGE, f"{SAM_PAGE}/session/{session.id}/met")
    loaded = company.office.store.queries.get_session(session.id)
    assert loaded is not None and loaded.state is SessionState.HELD
    kims_session_id = company.next_session(DANA, KIM).id
    assert send_form(client, SAM_PAGE, f"{SAM_PAGE}/session/{kims_session_id}/met").status_code == 404
    assert send_form(client, SAM_PAGE, f"{SAM_PAGE}/session/{session.id}/no-such-action").status_code == 404


def test_r35_a_manager_saves_and_withdraws_one_sentence_of_learning(company: WebCompany) -> None:
    """No other person's page or file shows it."""
    client, sentence = company.visitor(DANA, Purpose.TEAM), "I advise before <b>I</b> have asked."
    answer = send_form(client, "/team", "/team/learning", learning=f" {sentence}\n")
    page = client.get(answer.headers["Location"])
    assert "Kept. It goes into the next note to each of them, once." in text(page)
    assert "&lt;b&gt;I&lt;/b&gt;" in page.get_data(as_text=True) and "It waits for the next note to: Kim, Sam." in text(
        page
    )
    assert sentence in {pair["own_learning"]["text"] for pair in client.get("/team/data").get_json()["pairs"]}
    for address, purpose, path in ((SAM, Purpose.ME, "/me"), (LEE, Purpose.TEAM, "/team")):
        other = company.visitor(address, purpose)
        for page_path in (path, f"{path}/data"):
            assert "advise before" not in other.get(page_path).get_data(as_text=True), page_path
    too_long = send_form(client, "/team", "/team/learning", learning="x" * 281)
    assert too_long.status_code == 422 and "at most 280 characters" in text(too_long)
    assert "Withdrawn." in text(
        client.get(send_form(client, "/team", "/team/learning", learning=" ").headers["Location"])
    )
    assert "advise before" not in client.get("/team").get_data(as_text=True)


# --- another time ---


def make_time_query(company: WebCompany, start: datetime, minutes: int = 60) -> dict[str, str]:
    """Return the query of the form for a requested time, in Dana's local time."""
    local_start = start.astimezone(ZoneInfo(company.office.persons[DANA].zone))
    return {"day": f"{local_start:%Y-%m-%d}", "hour": f"{local_start:%H:%M}", "minutes": str(minutes)}


def test_the_page_proposes_three_times_with_reasons_and_books_one(company: WebCompany) -> None:
    session = company.next_session()
    client = company.visitor(DANA, Purpose.TIME, session.id)
    page = client.get(f"/time/{session.id}").get_data(as_text=True)
    starts = [part.split('"')[0] for part in page.split('name="start" value="')[1:]]
    ends = [part.split('"')[0] for part in page.split('name="end" value="')[1:]]
    assert len(starts) == 3 and page.count("Why this one") == 3
    assert "At least 15 minutes before and after it are free." in page
    assert session.start and session.start.isoformat() not in starts
    version = page.split('name="version" value="')[1].split('"')[0]
    fields = {"version": version, "start": starts[1], "end": ends[1]}
    answer = send_form(client, f"/time/{session.id}", f"/time/{session.id}", **fields)
    assert "Both calendars show it" in text(client.get(answer.headers["Location"]))
    rebooked = company.next_session()
    assert rebooked.id == session.id and rebooked.start == datetime.fromisoformat(starts[1])
    company.office.tick()
    assert company.office.event(rebooked).span == rebooked.span


def test_a_requested_time_is_checked_against_both_calendars(company: WebCompany) -> None:
    session = company.next_session()
    assert session.start is not None
    busy_start = session.start + DAY + HOUR
    company.office.calendar.add(SAM, span(busy_start))
    client = company.visitor(DANA, Purpose.TIME, session.id)
    before = company.read_database()

    def read_verdict(start: datetime, minutes: int = 60) -> str:
        return text(client.get(f"/time/{session.id}", query_string=make_time_query(company, start, minutes)))

    assert "Sam Okafor's calendar is not free then." in read_verdict(busy_start)
    assert "There are not 15 free minutes before and after it." in read_verdict(busy_start + HOUR)
    assert "Both of you are free." in read_verdict(busy_start + 3 * HOUR)
    evening_verdict = read_verdict(busy_start.replace(hour=20))  # in UTC: at 21:00 in Berlin
    assert (
        "outside the working hours of Dana Whitfield" in evening_verdict and "Take it all the same" in evening_verdict
    )
    assert "It is shorter than 60 minutes." in read_verdict(busy_start + 3 * HOUR, minutes=45)
    assert company.read_database() == before, "a look at a time changed something"


@pytest.mark.parametrize(
    ("query", "field", "advice"),
    [
        ({"day": "2026-13-01", "hour": "10:00"}, "day", "Give a day and a time"),
        ({"day": "2020-01-02", "hour": "10:00"}, "day", "This time has passed"),
        ({"day": "2099-01-01", "hour": "10:00"}, "day", "more than a year away"),
        ({"day": "2026-12-01", "hour": "25:00"}, "hour", "Give a day and a time"),
        ({"day": "2026-12-01", "hour": "ten"}, "hour", "Give a day and a time"),
        ({"day": "2027-03-28", "hour": "02:30"}, "hour", "the clocks are put forward"),
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "44"}, "minutes", "too short"),  # the shortest is 45
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "1000"}, "minutes", "Choose a shorter time"),
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "long"}, "minutes", "too short"),
    ],
)
def test_an_invalid_requested_time_is_reported_beside_its_field(
    company: WebCompany, query: dict[str, str], field: str, advice: str
) -> None:
    session = company.next_session().id
    answer = company.visitor(DANA, Purpose.TIME, session).get(f"/time/{session}", query_string=query)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    (marked_field,) = re.findall(r'<(?:input|select)[^>]*name="(\w+)"[^>]*aria-describedby="pick-wrong"', page)
    assert marked_field == field
    assert advice in page


def test_an_invalid_time_in_the_form_moves_nothing(company: WebCompany) -> None:
    session = company.next_session()
    client = company.visitor(DANA, Purpose.TIME, session.id)
    past_time = company.office.clock() - DAY
    far_start, long_start = datetime(2099, 1, 5, 10, tzinfo=UTC), datetime(2027, 1, 5, 10, tzinfo=UTC)
    for start, end in (
        ("", ""),
        ("x", "y"),
        ("2026-12-01T10:00:00", "2026-12-01T11:00:00"),  # without an offset from UTC
        (past_time.isoformat(), (past_time + HOUR).isoformat()),
        (long_start.isoformat(), (long_start + 5 * DAY).isoformat()),
        (far_start.isoformat(), (far_start + HOUR).isoformat()),
    ):
        answer = send_form(client, f"/time/{session.id}", f"/time/{session.id}", start=start, end=end)
        assert answer.status_code == 409, start
    assert company.next_session().start == session.start


def test_t12_an_offered_time_is_booked_without_a_deferral(company: WebCompany) -> None:
    """T-12: after the third deferral, three times are offered to the two. The booked time is the first of them."""
    for _ in range(3):
        company.office.worker.actions.request_another_time(company.next_session().id)
        company.office.tick()
    session = company.next_session()
    assert len(session.options) == 3
    client = company.visitor(DANA, Purpose.TIME, session.id)
    assert "Held for the two of you" in text(client.get(f"/time/{session.id}"))
    last_option = session.options[-1]
    fields = {"start": last_option.start.isoformat(), "end": last_option.end.isoformat()}
    send_form(client, f"/time/{session.id}", f"/time/{session.id}", **fields)
    assert (company.next_session().start, company.next_session().count) == (last_option.start, session.count)


# --- the operator ---


def test_r22_the_operators_page_shows_alerts_and_counts_and_no_names(company: WebCompany) -> None:
    """R-22: pairs of groups that are too small are not counted by group."""
    company.office.store.outbox.alert(
        "calendar", "The calendar refused a write.", company.office.clock(), operator=OPERATOR
    )
    page = text(company.operator().get("/status"))
    assert "active pairs 4" in page and "The calendar refused a write." in page
    assert "4 pairs are in smaller groups and counted nowhere" in page
    for words in (*SECRETS.values(), "Sam", "Kim", "zephyrine", ">"):  # ">" is in the name of each pair
        assert words not in page, words


def test_the_operators_page_shows_workers_and_unreachable_calendars(company: WebCompany) -> None:
    office = company.office
    assert "No worker is running" in text(company.operator().get("/status"))
    office.calendar.fail = Fails(lambda: Unavailable("It does not answer."), "changes")
    office.run(8 * DAY)  # long enough for a poll of the calendar to become due
    now = office.clock()
    for host, seen_at in (("one.corp.example", now), ("two.corp.example", now - 10 * MINUTE)):
        # a worker that was not heard of for two minutes counts as gone
        heartbeat = Heartbeat(holder=host, host=host, pid=4711, started_at=now - DAY, seen_at=seen_at, version="1.0")
        office.store.heartbeats.save_heartbeat(heartbeat)
    page = text(company.operator().get("/status"))
    assert "at work 1" in page and "No worker is running" not in page
    assert "two.corp.example (4711): not heard of since" in page
    assert f"The calendar of {DANA} has not been read since" in page and "It does not answer." in page
    assert "“longarc check” tries the connection and says what to change" in page
    assert "Nothing to do." not in page


def test_the_operators_page_links_only_to_operators_pages(company: WebCompany) -> None:
    page = company.operator().get("/status").get_data(as_text=True)
    targets = {target.split('"')[0] for target in page.replace("action=", "href=").split('href="')[1:]}
    assert {target for target in targets if not target.startswith(("/asset/", "#"))} == {
        "/status/leave",
        "/status/quarter",
    }


# --- the reader's language ---


def test_r16_pages_words_dates_and_lint_are_in_the_readers_language(company: WebCompany) -> None:
    """R-16: the page questions a promise in that language, too."""
    company.office.persons = {**company.office.persons, DANA: replace(company.office.persons[DANA], locale="de")}
    company.office.apply()
    page = company.visitor(DANA, Purpose.TEAM).get("/team")
    assert 'lang="de"' in page.get_data(as_text=True) and page.headers["Content-Language"] == "de"
    assert "Was du zugesagt hast" in text(page) and "Nächstes: Mittwoch, 13. Januar 2027, 10:00" in text(page)
    client, form = company.open_contract_form()
    fill_form(client, form, "keep", **{"manager-0-text": "Bald eine Beförderung besorgen"})
    assert "bald“ lässt offen" in text(client.get(form)).lower()
    next_id = company.next_session().id
    assert "Warum dieser" in text(company.visitor(DANA, Purpose.TIME, next_id).get(f"/time/{next_id}"))
    german_browser = {"Accept-Language": "de-CH, en;q=0.5"}  # for readers whom no link identifies
    assert "Bitte komm über den Link" in text(company.browser().get("/team", headers=german_browser))


# --- changes by the report, and the files of both ---


@pytest.mark.parametrize("action", ["let-go", "change"])
def test_r18_the_manager_reads_the_reports_reason_for_a_changed_commitment(company: WebCompany, action: str) -> None:
    """R-18: in the contract summary to both, on both pages and in the manager's file."""
    own_id = company.open_commitment_id("report")
    client, session_id = company.visitor(SAM, Purpose.ME), company.contracted_session().id
    fields = {"reason": "The toadflax team needs me.", "text": "Shadow one review", "due": "2027-01-29"}
    mails_before = len(company.office.mails("contract_summary"))
    assert send_form(client, "/me", f"/me/commitment/{own_id}/{action}", **fields).status_code == 303
    company.office.tick()
    new_mails = " ".join(texts(company.office.mails("contract_summary")[mails_before:]).split())
    assert "Sam changed it and says: “The toadflax team needs me.”" in new_mails
    assert "You changed it and said: “The toadflax team needs me.”" in new_mails
    page = f"/contract/{session_id}"
    manager = company.visitor(DANA, Purpose.CONTRACT, session_id)
    assert "Sam changed it and says: “The toadflax team needs me.”" in text(manager.get(page))
    assert "You changed it and said: “The toadflax team needs me.”" in text(client.get("/me"))
    assert "toadflax" in company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)


def test_r38_the_reports_file_has_no_reason_of_the_manager(company: WebCompany) -> None:
    """R-38, T-12: the report's file lists the lost times; only the manager's file names the manager as their cause."""
    company.office.worker.actions.request_another_time(company.next_session().id, by=DANA)
    company.office.tick()
    (sams_pair,) = json.loads(company.visitor(SAM, Purpose.ME).get("/me/data").get_data(as_text=True))["pairs"]
    losses = sams_pair["times_lost"]
    assert losses and not any(loss.get("who") == DANA for loss in losses)
    managers_pairs = json.loads(company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True))["pairs"]
    assert any(loss.get("who") == DANA for pair in managers_pairs for loss in pair["times_lost"])
