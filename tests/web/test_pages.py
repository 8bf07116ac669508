"""The report's page, the manager's page, another time, the operator's page: what is there, and what it does."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, SAM, WEEK, Fails, span, texts
from tests.support.web_company import ALEX, LEE, SECRETS, SavedCompany, WebCompany, fill, send, text
from worker.domain.model import CommitmentStanding, Format, Owner, PairId, SessionState, Trigger
from worker.errors import Unavailable
from worker.links import Purpose
from worker.store import tables
from worker.store.heartbeats import Heartbeat
from worker.web.team import make_url_id

SAMS = f"/team/person/{make_url_id(PairId(DANA, SAM))}"


# --- the report ---


def test_the_reports_page_says_what_stands(company: WebCompany) -> None:
    page = text(company.visitor(SAM, Purpose.ME).get("/me"))
    for told in ("You and Dana", "Draft one page on direction", SECRETS[SAM], "What would make this the right place",
                 "career conversation", "shown to Dana and you alone"):  # fmt: skip
        assert told in page, told
    assert SECRETS[KIM] not in page


def test_a_report_ends_own_commitments_and_no_others(company: WebCompany) -> None:
    """R-18."""
    mine, hers = company.open_commitment_id("report"), company.open_commitment_id("report", DANA, KIM)
    client = company.visitor(SAM, Purpose.ME)
    assert send(client, "/me", f"/me/commitment/{mine}/done").headers["Location"] == "/me?said=done"
    found = company.office.store.queries.get_commitment(mine)
    assert found is not None and found.standing is CommitmentStanding.DONE
    assert send(client, "/me", f"/me/commitment/{hers}/done").status_code == 404
    promised = company.office.store.queries.list_commitments(PairId(DANA, SAM))
    of_manager = next(c.id for c in promised if c.owner is Owner.MANAGER)
    assert send(client, "/me", f"/me/commitment/{of_manager}/done").status_code == 404
    twice = send(client, "/me", f"/me/commitment/{mine}/done")
    assert twice.status_code == 409 and "ended already" in text(twice)


def test_a_report_may_talk_sooner_and_only_the_manager_reads_why(company: WebCompany) -> None:
    """R-6: on no page, in no file and in no mail but the manager's brief."""
    client = company.visitor(SAM, Purpose.ME)
    fields = {"trigger": "doubt", "reason": "Somebody wrote to me from <Oslo>", "at-once": "yes"}
    answer = send(client, "/me", "/me/talk", **fields)
    assert "Asked for." in text(client.get(answer.headers["Location"]))
    talk = next(one for one in company.sessions() if one.adhoc)
    assert company.office.store.content.get_trigger(talk.id) == (Trigger.DOUBT, "Somebody wrote to me from <Oslo>")
    opened = company.office.store.queries.get_session(talk.id)
    assert opened is not None and opened.urgent
    company.office.tick()
    company.office.run(4 * DAY)
    briefs = [mail for mail in company.office.mails("brief") if "Oslo" in texts([mail])]
    assert briefs and all(DANA in str(mail["To"]) for mail in briefs)
    assert "Why Sam asked for it" in texts(briefs) and "gave this reason to you" in texts(briefs)
    others = [mail for mail in company.office.mails() if mail not in briefs]
    assert "Oslo" not in texts(others)
    assert "Oslo" not in client.get("/me").get_data(as_text=True) + client.get("/me/data").get_data(as_text=True)
    assert "Oslo" in company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)


def test_saying_nothing_is_told_beside_the_field(company: WebCompany) -> None:
    answer = send(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", reason="just so")
    assert answer.status_code == 422
    assert 'aria-describedby="talk-wrong"' in answer.get_data(as_text=True)


def test_a_check_in_can_be_asked_for_once(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    assert send(client, "/me", "/me/talk", trigger="check-in").status_code == 303
    again = send(client, "/me", "/me/talk", trigger="check-in")
    assert again.status_code == 409 and "asked for already" in text(again)


def test_the_format_is_the_reports_choice(company: WebCompany) -> None:
    """R-4: what is booked far ahead becomes a series; the people file does not take it back."""
    client = company.visitor(SAM, Purpose.ME)
    assert 'value="combined" checked' in client.get("/me").get_data(as_text=True)
    send(client, "/me", "/me/format", format="series")
    company.office.tick()
    ahead = [one for one in company.sessions() if one.booked or one.owed]
    assert [one.topic.value for one in ahead] == ["now", "direction", "gap"]
    assert 'value="series" checked' in client.get("/me").get_data(as_text=True)
    company.office.apply()
    company.office.tick()
    assert company.office.store.people.load_all_pairs()[PairId(DANA, SAM)].format is Format.SERIES
    assert send(client, "/me", "/me/format", format="quartet").status_code == 404


def test_what_is_near_stays_as_it_is_whatever_is_chosen(company: WebCompany) -> None:
    coming = company.next_session()
    company.office.run_to(coming.span.start - 6 * DAY)
    send(company.visitor(SAM, Purpose.ME), "/me", "/me/format", format="series")
    company.office.tick()
    assert company.next_session().id == coming.id


def test_my_data_come_along(company: WebCompany) -> None:
    answer = company.visitor(SAM, Purpose.ME).get("/me/data")
    assert "attachment" in answer.headers["Content-Disposition"]
    told = json.loads(answer.get_data(as_text=True))
    assert told["about"]["email"] == SAM
    (one,) = told["pairs"]
    assert one["manager"] == DANA and one["contracts"][0]["manager"][0]["text"] == SECRETS[SAM]
    assert {"introduction", "reflection_prompt", "contract_summary"} <= {mail["mail"] for mail in one["mails"]}
    assert one["times_lost"] and one["commitments"] and one["sessions"]
    assert SECRETS[KIM] not in answer.get_data(as_text=True)


def test_both_see_that_what_they_wrote_was_erased(company: WebCompany) -> None:
    me, team = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    assert "was erased on" not in text(me.get("/me")) + text(team.get("/team"))
    company.office.worker.erasure.erase_contents(SAM)
    assert "What Dana Whitfield and you wrote down was erased on" in text(me.get("/me"))
    assert "What Sam Okafor and you wrote down was erased on" in text(team.get("/team"))
    assert SECRETS[SAM] not in text(me.get("/me"))
    assert SECRETS[KIM] in text(team.get("/team")), "what others wrote stays"
    assert "was erased on" not in text(company.visitor(ALEX, Purpose.ME).get("/me"))


def test_who_is_nobodys_report_has_a_page_that_says_so(company: WebCompany) -> None:
    client = company.visitor(LEE, Purpose.ME)
    assert "no career conversations as a report" in text(client.get("/me"))
    assert json.loads(client.get("/me/data").get_data(as_text=True))["pairs"] == []
    nobody = company.visitor(ALEX, Purpose.TEAM)
    assert "no career conversations as a manager" in text(nobody.get("/team"))


def test_r29_the_report_s_page_lists_openings_and_keeps_nothing_of_who_looks(
    saved_company: SavedCompany, tmp_path: Path
) -> None:
    """R-24: looking leaves no row behind; interest goes by the report's own mail."""
    file = tmp_path / "openings.csv"
    company = WebCompany.of(saved_company, tmp_path, openings=str(file))
    client = company.visitor(SAM, Purpose.ME)
    assert "What there is here" not in text(client.get("/me"))
    before = company.read_database()
    file.write_text(
        "title,kind,until,group,link,contact,note\n"
        "Lead <it>,project,2099-12-31,,https://x.example/1?a=b&c=d,ana@corp.example,Half the week.\n"
        "Past,path,2020-01-31,,,,\n"
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


def test_the_managers_page_shows_people_by_name_and_what_is_owed_first(company: WebCompany) -> None:
    page = text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    assert page.index("What you promised") < page.index("Kim Tran") < page.index("Sam Okafor")
    assert SECRETS[KIM] in page and "Alex" not in page
    assert page.index("Write down what you and Sam agreed on") < page.index("What you promised"), "first what to do now"
    assert "2 conversations held. 1 time put off. 1 commitment kept, 1 open." in page


def test_a_contract_that_a_later_one_took_the_place_of_is_not_asked_for(company: WebCompany) -> None:
    """R-17, R-20: an unfinished conversation is to be written down until a later one has a contract."""
    earlier, later = company.contracted_session().id, company.held_session().id
    asked = "Write down what you and Sam agreed on"

    def become(session: str, state: str) -> None:
        with company.office.store.database.write() as connection:
            connection.execute(tables.session.update().where(tables.session.c.id == session).values(state=state))

    become(earlier, "unfinished")
    assert asked in text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    become(later, "contracted")
    assert asked not in text(company.visitor(DANA, Purpose.TEAM).get("/team"))
    become(earlier, "held")
    assert asked in text(company.visitor(DANA, Purpose.TEAM).get("/team")), "its reminders still go out"


def test_there_are_no_scores_and_no_ranking(company: WebCompany) -> None:
    """R-24."""
    client = company.visitor(DANA, Purpose.TEAM)
    for where in ("/team", SAMS):
        page = text(client.get(where)).lower()
        for sign in ("score", "rank", "%", "rating", "risk", "best", "worst", "average"):
            assert sign not in page, sign


def test_a_manager_asks_to_talk_soon(company: WebCompany) -> None:
    client = company.visitor(DANA, Purpose.TEAM)
    send(client, SAMS, f"{SAMS}/talk", trigger="leaving", reason="quillwort")
    talk = next(one for one in company.sessions() if one.adhoc)
    opened = company.office.store.queries.get_session(talk.id)
    assert opened is not None and opened.urgent
    assert company.office.store.content.get_requester(talk.id) is Owner.MANAGER
    assert send(client, SAMS, f"{SAMS}/talk", trigger="boredom").status_code == 422
    company.office.run(4 * DAY)
    assert "Why you asked for it" in texts(company.office.mails("brief"))


def test_trust_is_the_managers_to_give(company: WebCompany) -> None:
    """R-12."""
    client, pair_id = company.visitor(DANA, Purpose.TEAM), PairId(DANA, SAM)
    send(client, SAMS, f"{SAMS}/trust", trust="yes")
    assert company.office.store.people.load_all_pairs()[pair_id].trust
    send(client, SAMS, f"{SAMS}/trust", trust="no")
    assert not company.office.store.people.load_all_pairs()[pair_id].trust


def test_in_transition_they_talk_more_often_until_a_day(company: WebCompany) -> None:
    """R-5: the next conversation comes nearer, and goes back when there is no transition any more."""
    client, before = company.visitor(DANA, Purpose.TEAM), company.next_session().target
    until = company.office.clock().date() + timedelta(days=200)
    assert send(client, SAMS, f"{SAMS}/transition", until=f"{until}").status_code == 303
    company.office.tick()
    assert company.next_session().target < before - 5 * WEEK
    assert company.next_session().booked
    wrong = send(client, SAMS, f"{SAMS}/transition", until="2020-01-01")
    assert wrong.status_code == 422 and 'id="until-wrong"' in wrong.get_data(as_text=True)
    assert send(client, SAMS, f"{SAMS}/transition", until="").status_code == 303
    company.office.tick()
    assert company.next_session().target > before - WEEK
    assert company.office.store.people.load_all_pairs()[PairId(DANA, SAM)].transition_until is None


def test_we_met_already_and_we_did_not_meet(company: WebCompany) -> None:
    client, held = company.visitor(DANA, Purpose.TEAM), company.held_session()
    send(client, SAMS, f"{SAMS}/session/{held.id}/not-met")
    found = company.office.store.queries.get_session(held.id)
    assert found is not None and found.state is SessionState.DEFERRED
    again = send(client, SAMS, f"{SAMS}/session/{held.id}/not-met")
    assert "That is recorded already: you did not meet." in client.get(again.headers["Location"]).get_data(as_text=True)
    send(client, SAMS, f"{SAMS}/session/{held.id}/met")
    found = company.office.store.queries.get_session(held.id)
    assert found is not None and found.state is SessionState.HELD
    theirs = company.next_session(DANA, KIM).id
    assert send(client, SAMS, f"{SAMS}/session/{theirs}/met").status_code == 404
    assert send(client, SAMS, f"{SAMS}/session/{held.id}/forgotten").status_code == 404


def test_r35_a_manager_keeps_one_sentence_of_their_own_learning_and_may_withdraw_it(company: WebCompany) -> None:
    """It stands on nobody else's page and in nobody else's file, and each manager has only their own."""
    client, sentence = company.visitor(DANA, Purpose.TEAM), "I advise before <b>I</b> have asked."
    answer = send(client, "/team", "/team/learning", learning=f" {sentence}\n")
    page = client.get(answer.headers["Location"])
    assert "Kept. It goes into the next note to each of them, once." in text(page)
    assert "&lt;b&gt;I&lt;/b&gt;" in page.get_data(as_text=True) and "It waits for the next note to: Kim, Sam." in text(
        page
    )
    assert sentence in {one["own_learning"]["text"] for one in client.get("/team/data").get_json()["pairs"]}
    for who, purpose, where in ((SAM, Purpose.ME, "/me"), (LEE, Purpose.TEAM, "/team")):
        other = company.visitor(who, purpose)
        for one in (where, f"{where}/data"):
            assert "advise before" not in other.get(one).get_data(as_text=True), one
    long = send(client, "/team", "/team/learning", learning="I " * 200)
    assert long.status_code == 422 and "at most 280 characters" in text(long)
    assert "Withdrawn." in text(client.get(send(client, "/team", "/team/learning", learning=" ").headers["Location"]))
    assert "advise before" not in client.get("/team").get_data(as_text=True)


# --- another time ---


def at(company: WebCompany, when: datetime, minutes: int = 60) -> dict[str, str]:
    local = when + timedelta(hours=1 if when.month in (11, 12, 1) else 2)  # Berlin
    assert company.office.persons[DANA].zone == "Europe/Berlin"
    return {"day": f"{local:%Y-%m-%d}", "hour": f"{local:%H:%M}", "minutes": str(minutes)}


def test_three_times_are_proposed_with_reasons_and_one_is_taken(company: WebCompany) -> None:
    session = company.next_session()
    client = company.visitor(DANA, Purpose.TIME, session.id)
    page = client.get(f"/time/{session.id}").get_data(as_text=True)
    starts = [one.split('"')[0] for one in page.split('name="start" value="')[1:]]
    ends = [one.split('"')[0] for one in page.split('name="end" value="')[1:]]
    assert len(starts) == 3 and page.count("Why this one") == 3
    assert "At least 15 minutes before and after it are free." in page
    assert session.start and session.start.isoformat() not in starts
    version = page.split('name="version" value="')[1].split('"')[0]
    fields = {"version": version, "start": starts[1], "end": ends[1]}
    answer = send(client, f"/time/{session.id}", f"/time/{session.id}", **fields)
    assert "Both calendars show it" in text(client.get(answer.headers["Location"]))
    moved = company.next_session()
    assert moved.id == session.id and moved.start == datetime.fromisoformat(starts[1])
    company.office.tick()
    assert company.office.event(moved).span == moved.span


def test_a_time_of_ones_own_is_looked_up_on_both_calendars(company: WebCompany) -> None:
    session = company.next_session()
    assert session.start is not None
    noon = session.start + DAY + HOUR
    company.office.calendar.add(SAM, span(noon))
    client = company.visitor(DANA, Purpose.TIME, session.id)
    before = company.read_database()

    def said(when: datetime, minutes: int = 60) -> str:
        return text(client.get(f"/time/{session.id}", query_string=at(company, when, minutes)))

    assert "Sam Okafor's calendar is not free then." in said(noon)
    assert "There are not 15 free minutes before and after it." in said(noon + HOUR)
    assert "Both of you are free." in said(noon + 3 * HOUR)
    evening = said(noon.replace(hour=20))
    assert "outside the working hours of Dana Whitfield" in evening and "Take it all the same" in evening
    assert "It is shorter than 60 minutes." in said(noon + 3 * HOUR, 45)
    assert company.read_database() == before, "looking changes nothing"


@pytest.mark.parametrize(
    ("query", "field", "advice"),
    [
        ({"day": "2026-13-01", "hour": "10:00"}, "day", "Give a day and a time"),
        ({"day": "2020-01-02", "hour": "10:00"}, "day", "This time has passed"),
        ({"day": "2099-01-01", "hour": "10:00"}, "day", "more than a year away"),
        ({"day": "2026-12-01", "hour": "25:00"}, "hour", "Give a day and a time"),
        ({"day": "2026-12-01", "hour": "ten"}, "hour", "Give a day and a time"),
        ({"day": "2027-03-28", "hour": "02:30"}, "hour", "the clocks are put forward"),
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "44"}, "minutes", "too short"),
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "1000"}, "minutes", "Choose a shorter time"),
        ({"day": "2026-12-01", "hour": "10:00", "minutes": "long"}, "minutes", "too short"),
    ],
)
def test_a_time_that_cant_be_is_told_beside_its_field(
    company: WebCompany, query: dict[str, str], field: str, advice: str
) -> None:
    session = company.next_session().id
    answer = company.visitor(DANA, Purpose.TIME, session).get(f"/time/{session}", query_string=query)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    (marked_field,) = re.findall(r'<(?:input|select)[^>]*name="(\w+)"[^>]*aria-describedby="pick-wrong"', page)
    assert marked_field == field
    assert advice in page


def test_nonsense_is_no_time(company: WebCompany) -> None:
    session = company.next_session()
    client = company.visitor(DANA, Purpose.TIME, session.id)
    past = company.office.clock() - DAY
    far, five_days = datetime(2099, 1, 5, 10, tzinfo=UTC), datetime(2027, 1, 5, 10, tzinfo=UTC)
    for start, end in (
        ("", ""),
        ("x", "y"),
        ("2026-12-01T10:00:00", "2026-12-01T11:00:00"),
        (past.isoformat(), (past + HOUR).isoformat()),
        (five_days.isoformat(), (five_days + 5 * DAY).isoformat()),
        (far.isoformat(), (far + HOUR).isoformat()),
    ):
        answer = send(client, f"/time/{session.id}", f"/time/{session.id}", start=start, end=end)
        assert answer.status_code == 409, start
    assert company.next_session().start == session.start


def test_a_time_held_for_the_two_is_no_deferral(company: WebCompany) -> None:
    """T-12: after the third the manager chooses among three."""
    for _ in range(3):
        company.office.worker.actions.defer_session(company.next_session().id)
        company.office.tick()
    session = company.next_session()
    assert len(session.options) == 3
    client = company.visitor(DANA, Purpose.TIME, session.id)
    assert "Held for the two of you" in text(client.get(f"/time/{session.id}"))
    third = session.options[2]
    fields = {"start": third.start.isoformat(), "end": third.end.isoformat()}
    send(client, f"/time/{session.id}", f"/time/{session.id}", **fields)
    assert (company.next_session().start, company.next_session().count) == (third.start, session.count)


# --- the operator ---


def test_the_operator_sees_whether_it_works_and_groups_of_five(company: WebCompany) -> None:
    """R-22: counts and calendars; no pair, no person's conversations, no word."""
    company.office.store.outbox.alert(
        "calendar", "The calendar refused a write.", company.office.clock(), "ops@corp.example"
    )
    page = text(company.operator().get("/status"))
    assert "active pairs 4" in page and "The calendar refused a write." in page
    assert "4 pairs are in smaller groups and counted nowhere" in page
    for name in (*SECRETS.values(), "Sam", "Kim", "zephyrine", ">"):
        assert name not in page, name


def test_the_operator_sees_who_works_and_which_calendars_are_unreachable(company: WebCompany) -> None:
    office = company.office
    assert "No worker is running" in text(company.operator().get("/status"))
    office.calendar.fail = Fails(lambda: Unavailable("It does not answer."), "changes")
    office.run(8 * DAY)  # by then it was to be polled
    now = office.clock()
    for host, seen_at in (("one.corp.example", now), ("two.corp.example", now - 10 * MINUTE)):
        office.store.heartbeats.save_heartbeat(Heartbeat(host, host, 4711, now - DAY, seen_at, "1.0"))
    page = text(company.operator().get("/status"))
    assert "at work 1" in page and "No worker is running" not in page
    assert "two.corp.example (4711): not heard of since" in page
    assert f"The calendar of {DANA} has not been read since" in page and "It does not answer." in page
    assert "“longarc check” tries the connection and says what to change" in page
    assert "Nothing to do." not in page


def test_nothing_but_the_operators_page_is_reached_from_it(company: WebCompany) -> None:
    page = company.operator().get("/status").get_data(as_text=True)
    ways = {one.split('"')[0] for one in page.replace("action=", "href=").split('href="')[1:]}
    assert {one for one in ways if not one.startswith(("/asset/", "#"))} == {"/status/leave", "/status/quarter"}


# --- the reader's language ---


def test_pages_speak_the_readers_language_with_its_dates(company: WebCompany) -> None:
    """Words and dates from the same catalogue as the mails, and promises heard in that language (R-16)."""
    company.office.persons = {**company.office.persons, DANA: replace(company.office.persons[DANA], locale="de")}
    company.office.apply()
    page = company.visitor(DANA, Purpose.TEAM).get("/team")
    assert 'lang="de"' in page.get_data(as_text=True) and page.headers["Content-Language"] == "de"
    assert "Was du zugesagt hast" in text(page) and "Nächstes: Mittwoch, 13. Januar 2027, 10:00" in text(page)
    client, form = company.open_contract_form()
    fill(client, form, "keep", **{"manager-0-text": "Bald eine Beförderung besorgen"})
    assert "bald“ lässt offen" in text(client.get(form)).lower()
    coming = company.next_session().id
    assert "Warum dieser" in text(company.visitor(DANA, Purpose.TIME, coming).get(f"/time/{coming}"))
    stranger = {"Accept-Language": "de-CH, en;q=0.5"}
    assert "Bitte komm über den Link" in text(company.browser().get("/team", headers=stranger))


# --- what the report changes ---


@pytest.mark.parametrize("deed", ["let-go", "change"])
def test_r18_what_the_report_changes_is_told_to_the_manager_in_the_reports_words(
    company: WebCompany, deed: str
) -> None:
    """R-18: in the mail that both get anyway, on both pages and in both files."""
    own = company.open_commitment_id("report")
    client, session = company.visitor(SAM, Purpose.ME), company.contracted_session().id
    fields = {"reason": "The toadflax team needs me.", "text": "Shadow one review", "due": "2027-01-29"}
    sent = len(company.office.mails("contract_summary"))
    assert send(client, "/me", f"/me/commitment/{own}/{deed}", **fields).status_code == 303
    company.office.tick()
    told = " ".join(texts(company.office.mails("contract_summary")[sent:]).split())
    assert "Sam changed it and says: “The toadflax team needs me.”" in told
    assert "You changed it and said: “The toadflax team needs me.”" in told
    page = f"/contract/{session}"
    manager = company.visitor(DANA, Purpose.CONTRACT, session)
    assert "Sam changed it and says: “The toadflax team needs me.”" in text(manager.get(page))
    assert "You changed it and said: “The toadflax team needs me.”" in text(client.get("/me"))
    assert "toadflax" in company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)


def test_r38_the_reports_file_leaves_out_what_kept_the_manager(company: WebCompany) -> None:
    """R-38, T-12: the count is theirs, the cause is not."""
    company.office.worker.actions.defer_session(company.next_session().id, by=DANA)
    company.office.tick()
    lost = json.loads(company.visitor(SAM, Purpose.ME).get("/me/data").get_data(as_text=True))["pairs"][0]["times_lost"]
    assert lost and not any(one.get("who") == DANA for one in lost)
    managed = json.loads(company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True))["pairs"]
    assert any(one.get("who") == DANA for pair in managed for one in pair["times_lost"])
