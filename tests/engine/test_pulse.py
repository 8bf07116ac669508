"""R-37: one anonymous question, from the mail to what is shown; no trace joins a person and an answer."""

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
from tests.support.companies import DAY, KEY, Office, pair, pairs, people, settings, texts
from tests.support.web_company import BASE, hidden, text
from worker.cli import main
from worker.domain.model import PersonAlias
from worker.domain.model.people import AliasSource
from worker.domain.planning.mail_times import divide_mails
from worker.engine.pulse import PulseStatus
from worker.errors import Refused
from worker.links import LinkClaims, Purpose
from worker.seal import NoSeal
from worker.store import tables
from worker.web.app import make_app

ROUND = "2026-09"
MANAGERS = [f"m{number}@corp.example" for number in range(3)]
REPORTS = [f"r{number:02d}@corp.example" for number in range(12)]
OCTOBER = datetime(2026, 10, 1, 9, tzinfo=UTC)


def office_of(url: str, reports: list[str] = REPORTS, **fields: Any) -> Office:
    """Twelve reports of three managers; every second report is in the group `sales`."""
    persons = people(*MANAGERS, *reports)
    for number, who in enumerate(reports):
        persons[who] = replace(persons[who], group="sales" if number % 2 else "")
    listed = pairs(*(pair(MANAGERS[number // 2 % 3], who) for number, who in enumerate(reports)))
    office = Office(url, persons, listed, known=settings(url, **{"base_url": BASE, **fields}))
    office.tick()
    return office


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pulse") / "longarc.db"
    migrate(f"sqlite:///{file}")
    office_of(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def office(opened: Path, tmp_path: Path) -> Iterator[Office]:
    shutil.copy(opened, tmp_path / "longarc.db")
    made = office_of(f"sqlite:///{tmp_path / 'longarc.db'}")
    yield made
    made.close()


def answer(office: Office, who: str, *, yes: bool) -> None:
    office.worker.pulse.answer(who, ROUND, sees_future=yes)


def close(office: Office) -> list[tuple[str, int, int]]:
    """Let the month pass, and return what is shown of it."""
    office.clock.move_to(OCTOBER)
    office.worker.pulse.run()
    (one,) = office.store.pulse.list_closed_rounds()
    return [(cell.name, cell.yes, cell.no) for cell in one.cells]


def everything(office: Office) -> dict[str, list[tuple[Any, ...]]]:
    with office.store.database.read() as connection:
        return {t.name: [tuple(row) for row in connection.execute(select(t))] for t in tables.metadata.sorted_tables}


# --- who is asked ---


def test_each_report_is_asked_by_one_mail_and_no_manager_is(office: Office) -> None:
    office.run(3 * DAY)
    mails = office.mails("pulse")
    assert sorted(re.findall(r"<(.*?)>", " ".join(str(mail["To"]) for mail in mails))) == REPORTS
    assert "future here" in texts(mails) and "Reply-To" not in mails[0]
    office.run(20 * DAY)
    assert len(office.mails("pulse")) == 12
    other = [mail for key, mail in office.mailer.sent if not key.startswith("pulse:")]
    assert "future here" not in texts(other)


def test_the_question_keeps_the_hours_and_counts_and_is_no_line_in_another_mail(office: Office) -> None:
    """T-16: a line about it would lead to no answer."""
    (mail,) = [m for m in office.messages("pulse") if m.to == REPORTS[0]]
    assert mail.counts
    day = divide_mails(office.persons[REPORTS[0]], [mail], 3, mail.due_at)
    assert (day.leaving, day.folded) == ((mail,), ())
    office.clock.move_to(mail.due_at.replace(hour=22))
    office.tick()
    assert office.mails("pulse") == []


def test_the_two_links_differ_in_what_no_browser_sends(office: Office) -> None:
    office.run(2 * DAY)
    urls = set(re.findall(r"https://\S+/in/[^\s\"<]+", texts(office.mails("pulse")[:1])))
    links = {url.partition("#")[2]: url.partition("#")[0] for url in urls}
    assert set(links) == {"yes", "no"} and links["yes"] == links["no"]


@pytest.mark.parametrize(
    "fields",
    [{"pulse": {"months": []}}, {"pulse": {"months": [10]}}, {"base_url": ""}],
    ids=["never", "later", "no pages"],
)
def test_nobody_is_asked_otherwise(fields: dict[str, Any]) -> None:
    office = office_of("sqlite://", **fields)
    assert office.messages("pulse") == []
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.CLOSED


def test_a_company_whose_answers_could_not_be_shown_is_not_asked() -> None:
    """Four reports; or many, of two managers."""
    office = office_of("sqlite://", REPORTS[:4])
    assert office.messages("pulse") == []
    listed = pairs(*(pair(MANAGERS[number % 2], who) for number, who in enumerate(REPORTS)))
    two = Office("sqlite://", people(*MANAGERS, *REPORTS), listed, known=settings(base_url=BASE))
    two.tick()
    assert two.messages("pulse") == []


def test_a_round_is_opened_and_closed_once(office: Office) -> None:
    before = everything(office)["pulse_round"]
    for _ in range(3):
        office.worker.pulse.run()
    office.store.people.set_stored_value("pulse", "")
    office.add_worker("second").pulse.run()
    assert everything(office)["pulse_round"] == before
    assert len(office.messages("pulse")) == 12


# --- answering ---


def test_an_answer_is_counted_once_and_for_good(office: Office) -> None:
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.OPEN
    answer(office, REPORTS[0], yes=True)
    assert office.worker.pulse.get_status(REPORTS[0], ROUND) is PulseStatus.ANSWERED
    for yes in (True, False):
        with pytest.raises(Refused):
            answer(office, REPORTS[0], yes=yes)
    with pytest.raises(Refused):
        answer(office, MANAGERS[0], yes=False)
    for who in REPORTS[1:]:
        answer(office, who, yes=False)
    assert close(office) == [("sales", 0, 6), ("others", 1, 5)]


def test_a_new_address_does_not_give_a_second_answer(office: Office) -> None:
    answer(office, REPORTS[0], yes=True)
    new = "renamed@corp.example"
    office.persons[new] = replace(office.persons.pop(REPORTS[0]), email=new)
    changed = [replace(one, report=new) if one.report == REPORTS[0] else one for one in office.pairs.values()]
    office.pairs = pairs(*changed)
    aliases = [PersonAlias(REPORTS[0], new, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)
    assert office.worker.pulse.get_status(new, ROUND) is PulseStatus.ANSWERED


def test_an_answer_leaves_the_same_trace_whatever_it_is(opened: Path, tmp_path: Path) -> None:
    """One sealed value changes, to one of the same length; no other row of any table does."""
    traces = []
    for yes in (True, False):
        file = tmp_path / f"{yes}.db"
        shutil.copy(opened, file)
        office = office_of(f"sqlite:///{file}")
        before = everything(office)
        answer(office, REPORTS[3], yes=yes)
        after = everything(office)
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {"pulse_round"}
        ((name, sealed, shown),) = after["pulse_round"]
        traces.append(
            (name, len(sealed), shown, {k: v for k, v in after.items() if k not in ("pulse_round", "fact")}.keys())
        )
        office.close()
    assert traces[0] == traces[1]


def test_even_what_is_sealed_does_not_join_a_person_and_an_answer(office: Office) -> None:
    """Opened with the key: who has answered, sorted by tokens, and counts of large cells."""
    for who in reversed(REPORTS):
        answer(office, who, yes=who in REPORTS[:5])
    with office.store.database.read() as connection:
        content = office.store.pulse.load_open_round(connection, ROUND)
        sealed = connection.execute(select(tables.pulse_round.c.sealed)).scalar_one()
    assert content is not None and content.waiting == {}
    opened_text = office.store.pulse._seal.unseal(sealed)
    assert set(json.loads(opened_text)) == {"salt", "waiting", "answered", "yes", "no"}
    assert list(content.answered) == sorted(content.answered), "in no order of time"
    assert {name: content.yes.get(name, 0) + count for name, count in content.no.items()} == {"others": 6, "sales": 6}
    assert not any(who in opened_text for who in REPORTS)


def test_no_log_line_holds_an_answer_or_a_name_or_its_time(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """R-37: a line with a time and no name would, with who was at a desk then, come near to one."""
    caplog.set_level(logging.DEBUG)
    client, page = visit(office, REPORTS[0])
    client.post(page, data={"token": hidden(client.get(page), "token"), "answer": "y"})
    assert any("/in/<token>" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if "/pulse/" in record.getMessage()]
    for record in caplog.records:
        assert REPORTS[0] not in str(record.__dict__) and ROUND not in record.getMessage(), record


# --- the page ---


def visit(office: Office, who: str) -> tuple[Any, str]:
    app = make_app(office.worker)
    claims = LinkClaims(person=who, purpose=Purpose.PULSE, subject_id=ROUND, issued_at=office.clock())
    client = app.test_client()
    found = client.get(app.extensions["longarc"].links.build_url(claims).removeprefix(BASE))
    assert found.status_code == 303
    return client, found.headers["Location"].removeprefix(BASE)


def test_looking_changes_nothing_and_both_answers_look_alike(office: Office) -> None:
    """R-37: GET changes nothing; the pages after a yes and a no are the same."""
    pages = []
    for who, choice in zip(REPORTS[:2], "yn", strict=True):
        client, page = visit(office, who)
        assert page == f"/pulse/{ROUND}", "no answer is in the address"
        before = everything(office)
        assert "final" in text(client.get(page))
        assert everything(office) == before
        token = hidden(client.get(page), "token")
        assert client.post(page, data={"token": token, "answer": "maybe"}).status_code == 404
        done = client.post(page, data={"token": token, "answer": choice})
        assert (done.status_code, done.headers["Location"]) == (303, page)
        pages.append(text(client.get(page)))
        assert client.post(page, data={"token": token, "answer": choice}).status_code == 409
    assert pages[0] == pages[1] and "Your answer is counted" in pages[0]


def test_others_have_nothing_to_answer(office: Office) -> None:
    client, page = visit(office, MANAGERS[0])
    assert "You are not asked this time" in text(client.get(page))
    client, page = visit(office, REPORTS[0])
    office.clock.move_to(OCTOBER)
    client, page = visit(office, REPORTS[0])
    assert "This round is over" in text(client.get(page))


def test_no_managers_page_tells_of_it(office: Office) -> None:
    """R-37: neither while it runs nor when it is over."""
    for who in REPORTS:
        answer(office, who, yes=True)
    close(office)
    app = make_app(office.worker)
    claims = LinkClaims(person=MANAGERS[0], purpose=Purpose.TEAM, issued_at=office.clock())
    client = app.test_client()
    client.get(app.extensions["longarc"].links.build_url(claims).removeprefix(BASE))
    for page in ("/team", "/team/data"):
        answered = client.get(page).get_data(as_text=True)
        assert "future here" not in answered and "pulse" not in answered


# --- what is shown ---


def test_a_running_round_is_shown_to_nobody(office: Office) -> None:
    for who in REPORTS:
        answer(office, who, yes=True)
        assert office.store.pulse.list_closed_rounds() == []


def test_too_few_answers_are_not_shown_and_not_kept(office: Office) -> None:
    for who in REPORTS[:4]:
        answer(office, who, yes=True)
    assert close(office) == []
    assert everything(office)["pulse_round"] == [(ROUND, None, [])]


def test_what_may_not_be_shown_is_gone_when_the_round_closes(office: Office) -> None:
    """Six of sales and two of the others: one count of eight is left, and no other, sealed or not."""
    for who in [*REPORTS[1::2], *REPORTS[:4:2]]:
        answer(office, who, yes=who in REPORTS[1::2])
    assert close(office) == [("everybody", 6, 2)]
    ((_, sealed, _),) = everything(office)["pulse_round"]
    known = json.loads(office.store.pulse._seal.unseal(sealed))
    assert set(known) == {"salt", "people"} and set(known["people"]) == {"everybody"}


def test_the_next_round_is_shown_when_it_gives_nobody_away(office: Office) -> None:
    """In March one more has joined, by another address and group of some: not shown."""
    for who in REPORTS:
        answer(office, who, yes=True)
    assert len(close(office)) == 2
    office.clock.move_to(datetime(2027, 3, 1, 9, tzinfo=UTC))
    joined = "new@corp.example"
    office.persons |= people(joined)
    office.pairs |= pairs(pair(MANAGERS[0], joined))
    office.apply()
    office.worker.pulse.run()
    for who in [*REPORTS, joined]:
        office.worker.pulse.answer(who, "2027-03", sees_future=True)
    office.clock.move_to(datetime(2027, 4, 1, 9, tzinfo=UTC))
    office.worker.pulse.run()
    newest, first = office.store.pulse.list_closed_rounds()
    assert [cell.name for cell in newest.cells] == ["sales"], "the others have one more"
    assert len(first.cells) == 2


def test_the_operator_sees_closed_rounds_by_page_and_command(office: Office, tmp_path: Path) -> None:
    for who in REPORTS:
        answer(office, who, yes=who in REPORTS[:4])
    config = tmp_path / "longarc.toml"
    config.write_text(f'database = "{office.url}"\npeople = "none.csv"\nbase_url = "{BASE}"\n')
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY}
    shown = CliRunner().invoke(main, ["coverage", "--json"], env=environment)
    assert json.loads(shown.stdout)["pulse"] == []
    close(office)
    told = CliRunner().invoke(main, ["coverage", "--json"], env={"LONGARC_CONFIG": str(config)})
    groups = [{"name": "sales", "yes": 2, "no": 4}, {"name": "others", "yes": 2, "no": 4}]
    assert json.loads(told.stdout)["pulse"] == [{"round": ROUND, "groups": groups}]
    printed = CliRunner().invoke(main, ["coverage"], env=environment).stdout
    assert "Can you see a future here?" in printed and "all of these" in printed


def test_a_lost_key_holds_up_nothing_else(office: Office) -> None:
    office.clock.move_to(OCTOBER)
    office.store.pulse._seal = NoSeal()
    office.worker.pulse.run()
    assert office.store.people.get_stored_value("pulse") == ROUND, "tried again when the key is back"
