"""The SCIM server: who may push, and which requests it refuses."""

import json
import logging
import sys
from pathlib import Path

import pytest

from tests.support.pushing import OTHER_TOKEN, PATCH_OP, TOKEN, Directory, PushedCompany, make_user, open_company
from worker.errors import LongarcError
from worker.web.app import make_app
from worker.web.scim.dialects import MAX_DEPTH, MAX_ITEMS, MAX_TEXT
from worker.web.scim.endpoint import MAX_BODY_BYTES, MAX_FILTER, MAX_REFUSED_PER_MINUTE

ANN = "ann@x.example"
#: Paths of every kind, also such as do not exist.
PATHS = (
    "/Users",
    "/Users/7",
    "/Groups",
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/Schemas",
    "/",
    "/Bulk",
    "/nothing",
)


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN.upper()}",
    ],
)
def test_requests_without_the_token_are_refused(directory: Directory, credentials: str) -> None:
    for path in PATHS:
        answer = directory.client.get(f"/scim/v2{path}", headers={"Authorization": credentials})
        body = directory.body(answer)
        assert (answer.status_code, body["status"]) == (401, "401"), path
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="SCIM"'


def test_two_tokens_are_valid_during_a_change_of_tokens(directory: Directory) -> None:
    for token in (TOKEN, OTHER_TOKEN):
        directory.token = token
        assert directory.send("GET", "/Users").status_code == 200


def test_every_request_is_refused_without_a_token_in_the_settings(tmp_path: Path) -> None:
    company = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", scim_tokens=())
    for token in ("", TOKEN):
        company.directory.token = token
        assert company.directory.send("GET", "/Users").status_code == 401
    company.close()


def test_the_scim_server_exists_only_with_the_source_scim(tmp_path: Path) -> None:
    company = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", roster={"source": "file"})
    answer = company.directory.send("GET", "/Users")
    assert (answer.status_code, answer.content_type) == (404, "text/html; charset=utf-8")
    company.close()


def test_the_error_about_the_missing_library_says_what_to_install(
    company: PushedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "worker.web.scim.endpoint")
    monkeypatch.setitem(sys.modules, "scim2_server.handler", None)
    with pytest.raises(LongarcError, match=r"pip install 'path/to/checkout\[scim\]'"):
        make_app(company.worker)


def test_guesses_of_tokens_are_limited_and_the_directory_is_not(directory: Directory) -> None:
    """The limit counts refused requests alone, so that the directory can push from the same address."""
    directory.token = "wrong"
    answers = [directory.send("GET", "/Users") for _ in range(MAX_REFUSED_PER_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [401] * MAX_REFUSED_PER_MINUTE + [429]
    assert directory.body(answers[-1])["status"] == "429" and answers[-1].headers["Retry-After"] == "60"
    directory.token = TOKEN
    assert directory.send("GET", "/Users").status_code == 200


def make_nested_body(levels: int) -> bytes:
    """Return JSON objects inside each other."""
    return b'{"name":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        (b"{", 400, "invalidSyntax"),
        (b"\xff\xfe", 400, "invalidSyntax"),
        (b"[" * 30_000, 400, "invalidSyntax"),
        (make_nested_body(MAX_DEPTH + 1), 400, "invalidValue"),
        (b"[]", 400, None),
        (b"7", 400, None),
        (b"{}", 400, "invalidValue"),
        (json.dumps({"userName": ""}).encode(), 400, "invalidValue"),
        (json.dumps({"userName": "a\0b"}).encode(), 400, "invalidValue"),
        (b'{"userName": "\\ud800"}', 400, "invalidValue"),
        (json.dumps({"userName": "x" * (MAX_TEXT + 1)}).encode(), 400, "invalidValue"),
        (json.dumps({"userName": "x", "emails": [{}] * (MAX_ITEMS + 1)}).encode(), 400, "invalidValue"),
        (json.dumps({"userName": ["x", "y"]}).encode(), 400, "invalidValue"),
        (b" " * (MAX_BODY_BYTES + 1), 413, None),
    ],
)
def test_an_invalid_body_gets_one_clear_error(
    directory: Directory, body: bytes, status: int, scim_type: str | None
) -> None:
    answer = directory.send("POST", "/Users", body)
    error = directory.body(answer)
    assert (answer.status_code, error["status"]) == (status, str(status))
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert scim_type is None or error["scimType"] == scim_type
    assert "\n" not in error["detail"] and "pydantic" not in error["detail"]
    assert directory.find("userName pr") == []


@pytest.mark.parametrize(
    ("filter_text", "status"),
    [
        ("userName eq", 400),
        ('foo eq "x"', 400),
        ('userName eq "x', 400),
        ("not (" * 190 + "userName pr", 400),  # deeply nested and never closed
        ('userName eq "' + "x" * (MAX_FILTER + 1) + '"', 400),
        ('userName eq "\0"', 400),
    ],
)
def test_invalid_filters_are_refused(directory: Directory, filter_text: str, status: int) -> None:
    answer = directory.send("GET", "/Users", filter=filter_text)
    assert (answer.status_code, directory.body(answer)["scimType"]) == (status, "invalidFilter")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Users/nobody", 404),
        ("PUT", "/Users/nobody", 404),
        ("PATCH", "/Users/nobody", 404),
        ("DELETE", "/Users/nobody", 404),
        ("GET", "/Users/%00", 404),
        ("GET", "/Nothing", 404),
        ("GET", "/Users/a/b/c", 404),
        ("DELETE", "/Users", 405),
        ("PUT", "/Schemas", 405),
        ("OPTIONS", "/Users", 405),
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
    ],
)
def test_unknown_paths_and_methods_get_the_standards_status(
    directory: Directory, method: str, path: str, status: int
) -> None:
    operations = [{"op": "add", "path": "displayName", "value": "x"}]
    bodies = {"POST": make_user(ANN), "PUT": make_user(ANN), "PATCH": {"schemas": [PATCH_OP], "Operations": operations}}
    answer = directory.send(method, path, bodies.get(method))
    assert (answer.status_code, directory.body(answer)["status"]) == (status, str(status))


def test_reading_people_changes_nothing(company: PushedCompany) -> None:
    company.directory.create(make_user(ANN))
    before = company.worker.store.pushed_people.get_push_log()
    for path in PATHS:
        company.directory.send("GET", path)
        company.directory.send("HEAD", path)
    company.directory.send("POST", "/Users/.search", {"filter": "userName pr"})
    assert company.worker.store.pushed_people.get_push_log() == before


def test_logs_contain_no_name_no_address_and_no_token(company: PushedCompany, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    company.directory.create(make_user(ANN, "Ann Doe"))
    company.directory.send("GET", "/Users", filter=f'userName eq "{ANN}"')
    company.directory.send("POST", "/Users", make_user(ANN, "Ann Doe"))
    company.directory.send("POST", "/Users", b"{ann@x.example")
    company.directory.send("GET", f"/Users/{ANN}")
    assert "/scim/v2/<path:path> 201" in caplog.text
    for secret in (TOKEN, ANN, "Ann Doe"):
        assert secret not in caplog.text
