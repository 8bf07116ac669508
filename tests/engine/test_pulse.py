"""R-37: the pulse, from the mail to the counts that are shown; nothing that is stored links a person to an answer."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from tests.conftest import migrate
from tests.support.companies import BASE_URL, DAY, KEY, MINUTE, Office, new_store, pair, pairs, people, settings, texts
from tests.support.notifying import OTHER_KEY
from tests.support.web_company import hidden_value, text
from worker.app import build
from worker.cli import main
from worker.domain.model import PersonAlias
from worker.domain.model.people import AliasSource
from worker.domain.planning.mail_times import divide_mails
from worker.engine.pulse import PulseStatus
from worker.errors import Refused
from worker.links import LinkClaims, Purpose
from worker.seal import Seal
from worker.store import tables
from worker.web.app import make_app
from worker.web.logins import COOKIE

#: The round of the month in which the clock of an office starts.
ROUND = "2026-09"
#: Words of the question.
QUESTION = "future here"
MANAGERS = [f"m{number}@corp.example" for number in range(3)]
REPORTS = [f"r{number:02d}@corp.example" for number in range(12)]
OCTOBER = datetime(2026, 10, 1, 9, tzinfo=UTC)


def make_office(url: str, reports: list[str] = REPORTS, **fields: Any) -> Office:
    """Return an office where three managers lead these reports: of each four, two are in the group `sales`."""
    persons = people(*MANAGERS, *reports)
    for number, report in enumerate(reports):
        persons[report] = replace(persons[report], group="sales" if number % 2 else "")
    all_pairs = pairs(*(pair(MANAGERS[number // 2 % 3], report) for number, report in enumerate(reports)))
    office = Office(url, persons, all_pairs, office_settings=settings(url, **{"base_url": BASE_URL, **fields}))
    office.tick()
    return office


@pytest.fixture(scope="module")
def database_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which a round has just begun. Tests copy it."""
    file = tmp_path_factory.mktemp("pulse") / "longarc.db"
    migrate(f"sqlite:///{file}")
    make_office(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def office(database_file: Path, tmp_path: Path) -> Iterator[Office]:
    shutil.copy(database_file, tmp_path / "longarc.db")
    running_office = make_office(f"sqlite:///{tmp_path / 'longarc.db'}")
    yield running_office
    running_office.close()


def give_answer(office: Office, report: str, *, yes: bool) -> None:
    office.worker.pulse.answer(report, ROUND, sees_future=yes)


def close_round(office: Office) -> list[tuple[str, int, int]]:
    """Let the month of the round pass, and return the name and the counts of yes and no of each cell."""
    office.clock.move_to(OCTOBER)
    office.worker.pulse.run()
    (closed_round,) = office.store.pulse.list_closed_rounds()
    return [(cell.name, cell.yes, cell.no) for cell in closed_round.cells]


def read_all_tables(office: Office) -> dict[str, list[tuple[Any, ...]]]:
    with office.store.database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in tables.metadata.sorted_tables
        }


# --- the mail with the question ---


def test_each_report_and_no_manager_gets_one_pulse_mail(office: Office) -> None:
    """R-37: no other mail contains the question."""
    office.run(3 * DAY)
    mails = office.mails("pulse")
    assert sorted(re.findall(r"<(.*?)>", " ".join(str(mail["To"]) for mail in mails))) == REPORTS
    assert QUESTION in texts(mails) and "Reply-To" not in mails[0]
    office.run(20 * DAY)
    assert len(office.mails("pulse")) == len(REPORTS)
    other_mails = [mail for key, mail in office.mailer.sent if not key.startswith("pulse:")]
    assert QUESTION not in texts(other_mails)


def test_the_question_keeps_mail_hours_and_is_not_folded_into_another_mail(office: Office) -> None:
    """T-16: the mail counts against the daily limit. A line in another mail would have no link to answer by."""
    (mail,) = [effect for effect in office.effects("pulse") if effect.to == REPORTS[0]]
    assert mail.is_limited
    division = divide_mails(office.persons[REPORTS[0]], [mail], sent_count=3, now=mail.due_at)
    assert (division.leaving, division.folded) == ((mail,), ())
    office.clock.move_to(mail.due_at.replace(hour=22))
    office.tick()
    assert office.mails("pulse") == []


def test_the_two_links_differ_only_after_the_hash_sign(office: Office) -> None:
    """Browsers don't send that part of an address, so no log of requests shows which link a person opened."""
    office.run(2 * DAY)
    urls = set(re.findall(r"https://\S+/in/[^\s\"<]+", texts(office.mails("pulse")[:1])))
    addresses = {url.partition("#")[2]: url.partition("#")[0] for url in urls}
    assert set(addresses) == {"yes", "no"} and addresses["yes"] == addresses["no"]


@pytest.mark.parametrize(
    "fields",
    [{"pulse": {"months": []}}, {"pulse": {"months": [10]}}, {"base_url": ""}],
    ids=["never", "in another month", "no pages"],
)
def test_no_question_is_sent_outside_its_months_or_without_pages(fields: dict[str, Any]) -> None:
    office = make_office("sqlite://", **fields)
    assert office.effects("pulse") == []
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.CLOSED


def test_no_question_is_sent_when_the_answers_could_never_be_shown() -> None:
    """One company has four reports, and the other has twelve reports of two managers."""
    office = make_office("sqlite://", REPORTS[:4])
    assert office.effects("pulse") == []
    pairs_of_two_managers = pairs(*(pair(MANAGERS[number % 2], report) for number, report in enumerate(REPORTS)))
    office_of_two_managers = Office(
        "sqlite://", people(*MANAGERS, *REPORTS), pairs_of_two_managers, office_settings=settings(base_url=BASE_URL)
    )
    office_of_two_managers.tick()
    assert office_of_two_managers.effects("pulse") == []


def test_a_round_is_opened_once(office: Office) -> None:
    round_before = read_all_tables(office)["pulse_round"]
    for _ in range(3):
        office.worker.pulse.run()
    office.store.people.set_stored_value("pulse", "")  # as if no process had looked at this month yet
    office.add_worker("second").pulse.run()
    assert read_all_tables(office)["pulse_round"] == round_before
    assert len(office.effects("pulse")) == len(REPORTS)


# --- answers ---


def test_a_report_answers_once_and_cannot_change_the_answer(office: Office) -> None:
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.OPEN
    give_answer(office, REPORTS[0], yes=True)
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.ANSWERED
    for yes in (True, False):
        with pytest.raises(Refused):
            give_answer(office, REPORTS[0], yes=yes)
    with pytest.raises(Refused):
        give_answer(office, MANAGERS[0], yes=False)
    for report in REPORTS[1:]:
        give_answer(office, report, yes=False)
    assert close_round(office) == [("sales", 0, 6), ("others", 1, 5)]


def test_a_new_address_does_not_give_a_second_answer(office: Office) -> None:
    give_answer(office, REPORTS[0], yes=True)
    new_address = "renamed@corp.example"
    office.persons[new_address] = replace(office.persons.pop(REPORTS[0]), email=new_address)
    changed_pairs = [
        replace(pair_, report=new_address) if pair_.report == REPORTS[0] else pair_ for pair_ in office.pairs.values()
    ]
    office.pairs = pairs(*changed_pairs)
    aliases = [PersonAlias(REPORTS[0], new_address, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)
    assert office.worker.pulse.get_status(new_address, ROUND) is PulseStatus.ANSWERED


def test_yes_and_no_leave_the_same_trace_in_the_database(database_file: Path, tmp_path: Path) -> None:
    """One sealed value changes, and the new values of a yes and a no have the same length. No other row of any table
    changes."""
    traces = []
    for yes in (True, False):
        file = tmp_path / f"{yes}.db"
        shutil.copy(database_file, file)
        office = make_office(f"sqlite:///{file}")
        before = read_all_tables(office)
        give_answer(office, REPORTS[3], yes=yes)
        after = read_all_tables(office)
        changed_tables = {name for name in after if after[name] != before[name]}
        assert changed_tables == {"pulse_round"}
        ((name, sealed, cells),) = after["pulse_round"]
        # the table of stored values has a random one, which is new at each change of people
        other_tables = {table: rows for table, rows in after.items() if table not in ("pulse_round", "fact")}
        traces.append((name, len(sealed), cells, other_tables))
        office.close()
    assert traces[0] == traces[1]


def test_the_opened_round_connects_no_person_with_an_answer(office: Office) -> None:
    """The opened value contains the tokens of the people who have answered, in order of the tokens, and the counts of
    large cells."""
    for report in reversed(REPORTS):
        give_answer(office, report, yes=report in REPORTS[:5])
    with office.store.database.read() as connection:
        content = office.store.pulse.load_open_round(connection, ROUND)
        sealed = connection.execute(select(tables.pulse_round.c.sealed)).scalar_one()
    assert content is not None and content.waiting == {}  # nobody who was asked is left
    opened_text = Seal([KEY]).unseal(sealed)
    assert set(json.loads(opened_text)) == {"salt", "waiting", "answered", "yes", "no"}
    assert list(content.answered) == sorted(content.answered), "the order shows the times of the answers"
    assert {name: content.yes.get(name, 0) + count for name, count in content.no.items()} == {"others": 6, "sales": 6}
    assert not any(report in opened_text for report in REPORTS)


def test_no_log_line_shows_an_answer_or_its_time_or_a_name(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """R-37: the time of an answer could show who gave it, to a reader who knows who was at work then."""
    caplog.set_level(logging.DEBUG)
    client, page = open_question_page(office, REPORTS[0])
    client.post(page, data={"token": hidden_value(client.get(page), "token"), "answer": "y"})
    assert any("/in/<token>" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if "/pulse/" in record.getMessage()]
    for record in caplog.records:
        assert REPORTS[0] not in str(record.__dict__) and ROUND not in record.getMessage(), record


# --- the page ---


def open_question_page(office: Office, person: str) -> tuple[Any, str]:
    """Open the link of a mail to that person; return the signed-in client and the path of the page."""
    app = make_app(office.worker)
    claims = LinkClaims(person=person, purpose=Purpose.PULSE, subject_id=ROUND, issued_at=office.clock())
    client = app.test_client()
    response = client.get(app.extensions["longarc"].links.build_url(claims).removeprefix(BASE_URL))
    assert response.status_code == 303
    return client, response.headers["Location"].removeprefix(BASE_URL)


def test_opening_the_page_changes_nothing_and_both_answers_show_the_same_page(office: Office) -> None:
    """R-37: a program that opens links in mails gives no answer, and the page never shows which answer was given."""
    pages = []
    for report, answer in zip(REPORTS[:2], "yn", strict=True):
        client, page = open_question_page(office, report)
        assert page == f"/pulse/{ROUND}", "the address contains an answer"
        before = read_all_tables(office)
        assert "final" in text(client.get(page))
        assert read_all_tables(office) == before
        token = hidden_value(client.get(page), "token")
        assert client.post(page, data={"token": token, "answer": "maybe"}).status_code == 404
        response = client.post(page, data={"token": token, "answer": answer})
        assert (response.status_code, response.headers["Location"]) == (303, page)
        pages.append(text(client.get(page)))
        assert client.post(page, data={"token": token, "answer": answer}).status_code == 409
    assert pages[0] == pages[1] and "Your answer is counted" in pages[0]


def test_the_page_offers_no_answer_to_managers_or_after_the_round(office: Office) -> None:
    client, page = open_question_page(office, MANAGERS[0])
    response = client.get(page)
    assert "You are not asked this time" in text(response) and "<form" not in response.get_data(as_text=True)
    cookie = client.get_cookie(COOKIE, path=page)
    assert cookie is not None
    token = client.application.extensions["longarc"].links.sign_text(cookie.value, "form")
    assert client.post(page, data={"token": token, "answer": "y"}).status_code == 409
    midnight = OCTOBER.replace(hour=0)
    office.clock.move_to(midnight - MINUTE)
    client, page = open_question_page(office, REPORTS[0])
    token = hidden_value(client.get(page), "token")
    office.clock.move_to(midnight)
    assert client.post(page, data={"token": token, "answer": "y"}).status_code == 409
    client, page = open_question_page(office, REPORTS[0])
    response = client.get(page)
    assert "This round is over" in text(response) and "<form" not in response.get_data(as_text=True)
    assert close_round(office) == []


def test_no_page_of_a_manager_mentions_the_pulse(office: Office) -> None:
    """R-37: checked while the round runs, and after it, when the operator can see its counts."""
    assert_no_page_mentions_the_pulse(office, MANAGERS[0])
    for report in REPORTS:
        give_answer(office, report, yes=True)
    assert_no_page_mentions_the_pulse(office, MANAGERS[0])
    assert close_round(office) != []
    assert_no_page_mentions_the_pulse(office, MANAGERS[0])


def assert_no_page_mentions_the_pulse(office: Office, manager: str) -> None:
    app = make_app(office.worker)
    claims = LinkClaims(person=manager, purpose=Purpose.TEAM, issued_at=office.clock())
    client = app.test_client()
    client.get(app.extensions["longarc"].links.build_url(claims).removeprefix(BASE_URL))
    for page in ("/team", "/team/data"):
        response = client.get(page)
        page_text = response.get_data(as_text=True).lower()
        assert response.status_code == 200 and REPORTS[0].partition("@")[0] in page_text
        assert QUESTION not in page_text and "pulse" not in page_text


# --- the counts that are shown ---


def test_a_running_round_is_shown_to_nobody(office: Office) -> None:
    for report in REPORTS:
        give_answer(office, report, yes=True)
        assert office.store.pulse.list_closed_rounds() == []


def test_too_few_answers_are_neither_shown_nor_kept(office: Office) -> None:
    for report in REPORTS[:4]:
        give_answer(office, report, yes=True)
    assert close_round(office) == []
    assert read_all_tables(office)["pulse_round"] == [(ROUND, None, [])]


def test_a_closing_round_deletes_the_counts_of_small_groups(office: Office) -> None:
    """Six reports of sales and two others answer. Only the count of all eight is kept, and no other count is stored,
    sealed or not."""
    sales, two_others = REPORTS[1::2], REPORTS[:4:2]
    for report in [*sales, *two_others]:
        give_answer(office, report, yes=report in sales)
    assert close_round(office) == [("everybody", 6, 2)]
    ((_, sealed, _),) = read_all_tables(office)["pulse_round"]
    opened = json.loads(Seal([KEY]).unseal(sealed))
    assert set(opened) == {"salt", "people"} and set(opened["people"]) == {"everybody"}


def test_a_round_hides_a_group_that_one_person_has_joined(office: Office) -> None:
    """The next round is in March. The two counts of that group would differ by the answer of the new report."""
    for report in REPORTS:
        give_answer(office, report, yes=True)
    assert len(close_round(office)) == 2
    office.clock.move_to(datetime(2027, 3, 1, 9, tzinfo=UTC))
    new_report = "new@corp.example"
    office.persons |= people(new_report)
    office.pairs |= pairs(pair(MANAGERS[0], new_report))
    office.apply()
    office.worker.pulse.run()
    for report in [*REPORTS, new_report]:
        office.worker.pulse.answer(report, "2027-03", sees_future=True)
    office.clock.move_to(datetime(2027, 4, 1, 9, tzinfo=UTC))
    office.worker.pulse.run()
    second_round, first_round = office.store.pulse.list_closed_rounds()
    assert [cell.name for cell in second_round.cells] == ["sales"]  # the group of the others has a new report
    assert len(first_round.cells) == 2


def test_longarc_coverage_shows_closed_rounds_only(office: Office, tmp_path: Path) -> None:
    for report in REPORTS:
        give_answer(office, report, yes=report in REPORTS[:4])
    config = tmp_path / "longarc.toml"
    config.write_text(f'database = "{office.url}"\npeople = "none.csv"\nbase_url = "{BASE_URL}"\n')
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY}
    result_before = CliRunner().invoke(main, ["coverage", "--json"], env=environment)
    assert json.loads(result_before.stdout)["pulse"] == []
    close_round(office)
    # without the key: the counts of a closed round are not sealed
    result_after = CliRunner().invoke(main, ["coverage", "--json"], env={"LONGARC_CONFIG": str(config)})
    groups = [{"name": "sales", "yes": 2, "no": 4}, {"name": "others", "yes": 2, "no": 4}]
    assert json.loads(result_after.stdout)["pulse"] == [{"round": ROUND, "groups": groups}]
    printed_text = CliRunner().invoke(main, ["coverage"], env=environment).stdout
    assert "Can you see a future here?" in printed_text and "all of these" in printed_text


def test_with_a_lost_key_a_round_stays_to_be_closed_later(office: Office) -> None:
    for report in REPORTS:
        give_answer(office, report, yes=True)
    office.clock.move_to(OCTOBER)
    store = new_store(office.url, OTHER_KEY)
    worker = build(settings(office.url, OTHER_KEY, base_url=BASE_URL), office.clock, store=store)
    worker.pulse.run()
    assert store.pulse.list_closed_rounds() == []
    worker.close()
    assert office.store.people.get_stored_value("pulse") == ROUND, "October is stored as done"
    assert close_round(office) == [("sales", 6, 0), ("others", 6, 0)]
