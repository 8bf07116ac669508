"""No request causes a server error, whatever it contains, and two presses of a button have the effect of one."""

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
from tests.support.web_company import (
    FILLED_FIELDS,
    PRIYA,
    SavedCompany,
    WebCompany,
    get_send_fields,
    hidden_value,
    text,
)
from tests.web.test_security import Visitor, list_pages, open_link
from worker import web
from worker.domain.model import Contract
from worker.engine.contracts import RecordResult
from worker.links import Purpose
from worker.web.contract_form import ContractForm, parse_day, parse_instant, parse_number
from worker.web.logins import COOKIE

ROUNDS = 60 if FULL else 6  #: how often each page is requested, each time with other fields
#: Values that no form of ours sends.
HOSTILE = (
    "²", "٣", "５", "9" * 5000, "-1", "+1", "1_0", " 1", "1e9", "0x1", "\0", "a\0b", "\ud800", "�", "", " ",
    "9999-12-31", "0001-01-01", "2026-02-30", "٢٠٢٦-01-01", "24:00", "99:99", "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-10-01T10:00", "drop-manager-²", "drop-report-99999999", "add-manager-" * 50,
    "a" * 3000, "\r\n" * 50, "{}", "[]", "null", "../..", "%00", "<script>", "{{ 7*7 }}", "\u202e", "😀" * 700,
)  # fmt: skip
#: Values that forms send, so that hostile values in other fields get past the first check.
PLAUSIBLE = ("1", "0", "2026-10-20", "2026-11", "10:00", "60", "leaving", "check-in", "series", "yes", "preview",
             "keep", "add-manager", "drop-report-0", "2026-10-20T08:00+00:00", "2026-10-20T09:00+00:00")  # fmt: skip


def list_parameters() -> list[str]:
    """Return every name that the sources of the pages read from a form or a query."""
    sources = "".join(path.read_text() for path in sorted(Path(str(web.__file__)).parent.glob("*.py")))
    names = set(re.findall(r"request\.(?:form|args)\.get\(\s*\"([\w-]+)\"", sources))
    assert {"version", "do", "due", "text", "reason", "trigger", "said", "start"} <= names
    # without the token, which must be right; with the fields that are read in other ways
    return sorted((names - {"token"}) | {"day", "hour", "minutes", "at-once", "question", "after", *FILLED_FIELDS})


def quote_value(value: str) -> str:
    """Return the value as it is sent in an address, also with half a pair of surrogates."""
    return quote(value, safe="", errors="surrogatepass")


def encode_fields(fields: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote_value(name)}={quote_value(value)}" for name, value in fields)


def choose_fields(random_source: random.Random, names: list[str]) -> list[tuple[str, str]]:
    """Return random fields with hostile and plausible values; some fields occur twice."""
    chosen_names = random_source.choices(names, k=random_source.randint(3, len(names)))
    return [
        (name, random_source.choice(HOSTILE if random_source.random() < 0.5 else PLAUSIBLE)) for name in chosen_names
    ]


@pytest.fixture
def open_company(saved_company: SavedCompany, tmp_path: Path) -> Iterator[WebCompany]:
    """The company with a limit of requests that these tests do not reach."""
    company = WebCompany.of(saved_company, tmp_path, pages={"per_minute": 10_000})
    yield company
    company.office.close()


def list_visitors(company: WebCompany) -> list[Visitor]:
    """Return one visitor for each kind of link, except for the pulse."""
    return [
        (PRIYA, Purpose.VOICE, company.third_voice_id()),
        (DANA, Purpose.CONTRACT, company.held_session().id),
        (DANA, Purpose.TIME, company.next_session().id),
        (SAM, Purpose.ME, ""),
        (DANA, Purpose.TEAM, ""),
        (OPERATOR, Purpose.STATUS, ""),
    ]


def find_token(client: FlaskClient, page: str) -> str:
    """Return the token of a form on the page, or on the page to write a contract; empty if neither has a form."""
    for path in (page, page + "/write"):
        answer = client.get(path, follow_redirects=True)
        if answer.status_code == 200 and 'name="token"' in answer.get_data(as_text=True):
            return hidden_value(answer, "token")
    return ""


@pytest.mark.proof
@pytest.mark.timeout(3600 if FULL else 170)
def test_no_hostile_request_causes_a_server_error(open_company: WebCompany) -> None:
    """Every page is requested with fields that no form sends.

    Among them are digits of other scripts, thousands of digits, NUL, half a pair of surrogates, the same field twice,
    and another type of body.
    """
    random_source, names, request_count = random.Random(11), list_parameters(), 0
    # listed before the first request, because forms end the sessions and commitments of later pages
    pages = {visitor: list_pages(open_company, visitor) for visitor in list_visitors(open_company)}
    for visitor, listed_pages in pages.items():
        client = open_company.visitor(*visitor)
        # after a visit to `/leave`, the link would open nothing more
        tested_pages = [(method, path) for method, path in listed_pages if not path.endswith("/leave")]
        _, first_path = tested_pages[0]
        token = find_token(client, first_path)
        assert token
        for method, path in tested_pages:
            for _ in range(ROUNDS):
                query = encode_fields(choose_fields(random_source, names))
                body = (
                    encode_fields([("token", token), *choose_fields(random_source, names)])
                    if method == "POST"
                    else None
                )
                content_type = "application/x-www-form-urlencoded"
                answer = client.open(f"{path}?{query}", method=method, data=body, content_type=content_type)
                assert answer.status_code < 500, (method, path, query, body)
                request_count += 1
            answer = client.open(path, method=method, json={"version": [1, {}], "do": None, "token": token})
            assert answer.status_code < 500, (method, path)
    assert request_count > 300, "the lists of pages are nearly empty"


@pytest.mark.parametrize("hostile_text", HOSTILE)
def test_no_hostile_field_of_a_contract_draft_causes_a_server_error(
    open_company: WebCompany, hostile_text: str
) -> None:
    client, page = open_company.open_contract_form()
    form = client.get(page)
    for name in ("version", "after", "do", "manager-0-due", "reviews-0-month", "report-²-text", "report-٣-text"):
        fields = {
            "token": hidden_value(form, "token"),
            "version": "0",
            "after": "0",
            **FILLED_FIELDS,
            "do": "preview",
            name: hostile_text,
        }
        answer = client.post(
            page, data=encode_fields(list(fields.items())), content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code in (303, 409, 422), (name, answer.status_code)
    assert open_company.browser().get(f"/contract/{quote_value(hostile_text)}").status_code < 500
    assert client.get(f"{page}?said={quote_value(hostile_text)}&wrong={quote_value(hostile_text)}").status_code == 200


def test_a_path_with_a_null_byte_is_not_found(open_company: WebCompany) -> None:
    """PostgreSQL accepts no null byte, so that a query with one would fail."""
    client = open_company.visitor(DANA, Purpose.TEAM)
    for path in ("/team/contract/a%00", "/team/person/%00", "/in/%00", "/asset/%00", "/%00"):
        assert client.get(path).status_code == 404, path


def test_only_one_to_six_ascii_digits_are_a_number() -> None:
    assert [parse_number(text) for text in ("0", "7", "000012", "999999")] == [0, 7, 12, 999999]
    for hostile_text in (
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
        assert parse_number(hostile_text) is None, hostile_text[:10]


def test_days_and_instants_are_of_this_century_and_instants_have_an_offset() -> None:
    assert (parse_day("2026-10-20"), parse_instant("2026-10-20T10:00+02:00")) != (None, None)
    for hostile_text in ("٢٠٢٦-01-01", "1999-12-31", "9999-12-31", "2026-02-30", "\0", "\ud800"):
        assert parse_day(hostile_text) is None, hostile_text
    for hostile_text in ("2026-10-20T10:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "²", "\ud800"):
        assert parse_instant(hostile_text) is None, hostile_text


def test_an_invalid_line_number_removes_no_line() -> None:
    form = ContractForm.from_request({"manager-0-text": "Introduce Sam"})
    for action in ("drop-manager-²", "drop-manager-", "drop-manager-x", "drop-manager-7"):
        form.change_lines(action)
    assert form.lists["manager"][0]["text"] == "Introduce Sam"


# --- two presses ---


def test_r15_two_simultaneous_presses_of_send_record_one_contract(
    company: WebCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-15: both requests read the draft before either records it; there is one mail to each person and no refusal."""
    client, page = company.open_contract_form()
    get_send_fields(client, page)  # saves the draft
    session_id, path = company.held_session().id, page.replace("write", "send")
    cookie = open_link(company, (DANA, Purpose.CONTRACT, session_id))
    draft = company.office.store.content.get_contract_draft(session_id)
    assert draft is not None
    fields = {"token": company.app.extensions["longarc"].links.sign_text(cookie, "form"), "version": str(draft.version)}
    both_have_read, record = Barrier(2), company.office.worker.contracts.record

    def wait_and_record(session_id: str, contract: Contract, **options: Any) -> RecordResult:
        both_have_read.wait(10)
        return record(session_id, contract, **options)

    monkeypatch.setattr(company.office.worker.contracts, "record", wait_and_record)
    answers: list[str] = []

    def press() -> None:
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        answer = company.app.test_client(use_cookies=False).post(path, data=fields, headers=headers)
        answers.append(f"{answer.status_code} {answer.headers.get('Location')}")

    threads = [Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [f"303 {page.replace('/write', '')}?said=sent"] * 2
    assert len(company.office.store.content.list_revisions(session_id)) == 1
    company.office.tick()
    assert len(company.office.mails("contract_summary")) == 2  # to Dana and to Sam


def test_a_second_press_of_send_shows_that_the_contract_is_recorded(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fields, path = get_send_fields(client, page), page.replace("write", "send")
    for _ in range(2):
        answer = client.post(path, data=fields, follow_redirects=True)
        assert "Recorded. Both of you get it by mail" in text(answer)


def test_t12_a_second_press_of_the_same_time_moves_nothing(company: WebCompany) -> None:
    """T-12: to choose the time that the session has already is no deferral."""
    session_id = company.next_session().id
    client = company.visitor(DANA, Purpose.TIME, session_id)
    page = client.get(f"/time/{session_id}")
    fields = {name: hidden_value(page, name) for name in ("token", "version", "start", "end")}
    counts = []
    for _ in range(2):
        assert client.post(f"/time/{session_id}", data=fields).status_code == 303
        loaded = company.office.store.queries.get_session(session_id)
        assert loaded is not None and loaded.start is not None
        assert loaded.start.isoformat() == fields["start"]
        counts.append(loaded.count)
    assert counts[0] == counts[1]
