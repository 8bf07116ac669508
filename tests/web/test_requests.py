"""Whatever a request holds, it is answered in words: never an error that nobody foresaw; and two presses are one."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support.companies import DANA, OPERATOR, SAM
from tests.support.proof import FULL
from tests.support.web_company import FILLED, PRIYA, SavedCompany, WebCompany, hidden, send_fields, text
from tests.web.test_security import Who, cookie_of, pages_of
from worker import web
from worker.domain.model import Contract
from worker.engine.contracts import RecordResult
from worker.links import Purpose
from worker.web.contract_form import ContractForm, parse_day, parse_instant, parse_number
from worker.web.logins import COOKIE

ROUNDS = 60 if FULL else 6  #: how often each page is asked with other fields
#: What no form of ours sends.
HOSTILE = (
    "²", "٣", "５", "9" * 5000, "-1", "+1", "1_0", " 1", "1e9", "0x1", "\0", "a\0b", "\ud800", "�", "", " ",
    "9999-12-31", "0001-01-01", "2026-02-30", "٢٠٢٦-01-01", "24:00", "99:99", "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-10-01T10:00", "drop-manager-²", "drop-report-99999999", "add-manager-" * 50,
    "a" * 3000, "\r\n" * 50, "{}", "[]", "null", "../..", "%00", "<script>", "{{ 7*7 }}", "\u202e", "😀" * 700,
)  # fmt: skip
#: What the forms mean, so that what is hostile meets the code behind the first check.
PLAUSIBLE = ("1", "0", "2026-10-20", "2026-11", "10:00", "60", "leaving", "check-in", "series", "yes", "preview",
             "keep", "add-manager", "drop-report-0", "2026-10-20T08:00+00:00", "2026-10-20T09:00+00:00")  # fmt: skip


def parameters() -> list[str]:
    """Every name that a page reads from a form or an address, as its source says."""
    sources = "".join(path.read_text() for path in sorted(Path(str(web.__file__)).parent.glob("*.py")))
    read = set(re.findall(r"request\.(?:form|args)\.get\(\s*\"([\w-]+)\"", sources))
    assert {"version", "do", "due", "text", "reason", "trigger", "said", "start"} <= read
    return sorted((read - {"token"}) | {"day", "hour", "minutes", "at-once", "question", "after", *FILLED})


def percent(value: str) -> str:
    return quote(value, safe="", errors="surrogatepass")


def encoded(fields: list[tuple[str, str]]) -> str:
    return "&".join(f"{percent(name)}={percent(value)}" for name, value in fields)


def fields_of(dice: random.Random, names: list[str]) -> list[tuple[str, str]]:
    """Some fields: hostile, plausible, and some of them twice."""
    picked = dice.choices(names, k=dice.randint(3, len(names)))
    return [(name, dice.choice(HOSTILE if dice.random() < 0.5 else PLAUSIBLE)) for name in picked]


@pytest.fixture
def open_company(saved_company: SavedCompany, tmp_path: Path) -> Iterator[WebCompany]:
    """Nobody asks too often here."""
    made = WebCompany.of(saved_company, tmp_path, pages={"per_minute": 10_000})
    yield made
    made.office.close()


def visitors(company: WebCompany) -> list[Who]:
    return [
        (PRIYA, Purpose.VOICE, company.third_voice_id()),
        (DANA, Purpose.CONTRACT, company.held_session().id),
        (DANA, Purpose.TIME, company.next_session().id),
        (SAM, Purpose.ME, ""),
        (DANA, Purpose.TEAM, ""),
        (OPERATOR, Purpose.STATUS, ""),
    ]


def token_of(company: WebCompany, client: FlaskClient, page: str) -> str:
    for where in (page, page + "/write"):
        answer = client.get(where, follow_redirects=True)
        if answer.status_code == 200 and 'name="token"' in answer.get_data(as_text=True):
            return hidden(answer, "token")
    return ""


@pytest.mark.proof
@pytest.mark.timeout(3600 if FULL else 170)
def test_no_request_is_answered_by_an_error(open_company: WebCompany) -> None:
    """Every page with fields that no form of ours sends: digits that are none, thousands of them, NUL, half a pair of
    surrogates, the same field twice, another type of body."""
    dice, names, asked = random.Random(11), parameters(), 0
    pages = {
        one: pages_of(open_company, one) for one in visitors(open_company)
    }  # before a form ends what they are about
    for one, found in pages.items():
        client = open_company.visitor(*one)
        pages_there = [(method, where) for method, where in found if not where.endswith("/leave")]
        token = token_of(open_company, client, pages_there[0][1])
        assert token
        for method, where in pages_there:
            for _ in range(ROUNDS):
                query = encoded(fields_of(dice, names))
                body = encoded([("token", token), *fields_of(dice, names)]) if method == "POST" else None
                kind = "application/x-www-form-urlencoded"
                answer = client.open(f"{where}?{query}", method=method, data=body, content_type=kind)
                assert answer.status_code < 500, (method, where, query, body)
                asked += 1
            answer = client.open(where, method=method, json={"version": [1, {}], "do": None, "token": token})
            assert answer.status_code < 500, (method, where)
    assert asked > 300


@pytest.mark.parametrize("hostile", HOSTILE)
def test_each_field_of_a_draft_takes_anything(open_company: WebCompany, hostile: str) -> None:
    client, page = open_company.open_contract_form()
    opened = client.get(page)
    for name in ("version", "after", "do", "manager-0-due", "reviews-0-month", "report-²-text", "report-٣-text"):
        sent = {
            "token": hidden(opened, "token"),
            "version": "0",
            "after": "0",
            **FILLED,
            "do": "preview",
            name: hostile,
        }
        answer = client.post(page, data=encoded(list(sent.items())), content_type="application/x-www-form-urlencoded")
        assert answer.status_code in (303, 409, 422), (name, answer.status_code)
    assert open_company.browser().get(f"/contract/{percent(hostile)}").status_code < 500
    assert client.get(f"{page}?said={percent(hostile)}&wrong={percent(hostile)}").status_code == 200


def test_an_address_with_a_null_byte_is_nowhere(open_company: WebCompany) -> None:
    """PostgreSQL takes none, so that looking for one would fail."""
    client = open_company.visitor(DANA, Purpose.TEAM)
    for where in ("/team/contract/a%00", "/team/person/%00", "/in/%00", "/asset/%00", "/%00"):
        assert client.get(where).status_code == 404, where


def test_numbers_are_a_few_ascii_digits() -> None:
    assert [parse_number(text) for text in ("0", "7", "000012", "999999")] == [0, 7, 12, 999999]
    for hostile in (
        "",
        "²",
        "٣",
        "５",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1_0",
        "1.0",
        "1\n",
        "9" * 7,
        "9" * 5000,
        "\ud800",
        "\0",
    ):
        assert parse_number(hostile) is None, hostile[:10]


def test_days_and_instants_are_of_this_century_and_instants_have_a_zone() -> None:
    assert (parse_day("2026-10-20"), parse_instant("2026-10-20T10:00+02:00")) != (None, None)
    for hostile in ("٢٠٢٦-01-01", "1999-12-31", "9999-12-31", "2026-02-30", "\0", "\ud800"):
        assert parse_day(hostile) is None, hostile
    for hostile in ("2026-10-20T10:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "²", "\ud800"):
        assert parse_instant(hostile) is None, hostile


def test_a_line_that_is_no_number_is_not_removed() -> None:
    form = ContractForm.from_request({"manager-0-text": "Introduce Sam"})
    for what in ("drop-manager-²", "drop-manager-", "drop-manager-x", "drop-manager-7"):
        form.change_lines(what)
    assert form.lists["manager"][0]["text"] == "Introduce Sam"


# --- two presses ---


def test_two_presses_of_send_at_once_both_say_that_it_is_recorded(
    company: WebCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-15: both have read the draft before either records it; one contract, one mail to each, and no refusal."""
    client, page = company.open_contract_form()
    send_fields(client, page)
    session, where = page.split("/")[2], page.replace("write", "send")
    cookie = cookie_of(company, (DANA, Purpose.CONTRACT, session))
    draft = company.office.store.content.get_contract_draft(session)
    assert draft is not None
    fields = {"token": company.app.extensions["longarc"].links.sign_text(cookie, "form"), "version": str(draft.version)}
    together, record = Barrier(2), company.office.worker.contracts.record

    def wait_and_record(session: str, contract: Contract, **how: Any) -> RecordResult:
        together.wait(10)
        return record(session, contract, **how)

    monkeypatch.setattr(company.office.worker.contracts, "record", wait_and_record)
    answers: list[str] = []

    def press() -> None:
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        answer = company.app.test_client(use_cookies=False).post(where, data=fields, headers=headers)
        answers.append(f"{answer.status_code} {answer.headers.get('Location')}")

    presses = [Thread(target=press) for _ in range(2)]
    for one in presses:
        one.start()
    for one in presses:
        one.join(30)
    assert answers == [f"303 {page.replace('/write', '')}?said=sent"] * 2
    assert len(company.office.store.content.list_revisions(session)) == 1
    company.office.tick()
    assert len(company.office.mails("contract_summary")) == 2


def test_a_second_press_of_send_says_that_it_is_recorded(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fields, where = send_fields(client, page), page.replace("write", "send")
    for _ in range(2):
        answer = client.post(where, data=fields, follow_redirects=True)
        assert "Recorded. Both of you get it by mail" in text(answer)


def test_two_presses_of_a_time_are_one_move(company: WebCompany) -> None:
    """T-12: taking the time that it has already is no other time."""
    session = company.next_session().id
    client = company.visitor(DANA, Purpose.TIME, session)
    page = client.get(f"/time/{session}")
    fields = {name: hidden(page, name) for name in ("token", "version", "start", "end")}
    counts = []
    for _ in range(2):
        assert client.post(f"/time/{session}", data=fields).status_code == 303
        chosen = company.office.store.queries.get_session(session)
        assert chosen is not None and chosen.start is not None
        assert chosen.start.isoformat() == fields["start"]
        counts.append(chosen.count)
    assert counts[0] == counts[1]
