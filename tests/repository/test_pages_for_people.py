"""Everything that the pages in `docs/people` name exists: permissions, tables, settings, commands and mails."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.generate import EXAMPLE, list_settings, write_mails
from tests.support import ROOT
from worker.cli import main
from worker.mail.context import Reader
from worker.mail.kinds import KINDS
from worker.providers.google import auth as google
from worker.providers.outlook.auth import DELEGATED_SCOPES, EXACTLY_ONCE_SCOPE
from worker.roster.outlook import LEAST_PERMISSION
from worker.store.tables import metadata

FOLDER = ROOT / "docs" / "people"
PAGES = sorted(FOLDER.glob("*.md"))
#: Permissions that are needed only where `longarc check` says so.
ON_DEMAND = {"Calendars.Read"}


def read_page(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def list_code(text: str) -> Iterator[str]:
    """Yield each text between backquotes."""
    for code in re.findall(r"`([^`]+)`", text):
        yield " ".join(code.split())


def list_first_cells(text: str) -> Iterator[str]:
    """Yield the first cell of each row of a table, if it begins with a code."""
    yield from re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)


def test_page_of_the_it_department_names_exactly_the_needed_permissions() -> None:
    page_codes = {code for cell in list_first_cells(read_page("it.md")) for code in list_code(cell)}
    code_scopes = {value.rpartition("/auth/")[2] for name, value in vars(google).items() if name.endswith("_SCOPE")}
    account_scopes = {scope.rpartition("/auth/")[2] for scope in google.ACCOUNT_SCOPES}
    # only connected accounts need it, and the page names those scopes in a sentence
    code_scopes -= {"calendar.events.freebusy"}
    assert {name for name in page_codes if name.startswith(("calendar.", "gmail.", "admin."))} == code_scopes
    assert account_scopes <= {*list_code(read_page("it.md"))}
    microsoft_permissions = {name for name in page_codes if re.fullmatch(r"[A-Z]\w+\.[A-Z]\w+(\.[A-Z]\w+)?", name)}
    assert microsoft_permissions == {*DELEGATED_SCOPES, EXACTLY_ONCE_SCOPE, LEAST_PERMISSION, *ON_DEMAND}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_setting_on_the_page_exists(page: Path) -> None:
    settings = {f"{section}.{name}".lstrip(".") for section, name, _, _ in list_settings(EXAMPLE.read_text("utf-8"))}
    sections = {name.partition(".")[0] for name in settings if "." in name}
    page_names = {code for code in list_code(page.read_text("utf-8")) if re.fullmatch(r"[a-z]+(\.[a-z_]+)+", code)}
    assert {code for code in page_names if code.partition(".")[0] in sections} - settings == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_the_page_exists_with_its_options(page: Path) -> None:
    context = click.Context(main, info_name="longarc")
    for code in list_code(page.read_text("utf-8")):
        if not code.startswith("longarc "):
            continue
        command: click.Command | None = main
        arguments = code.split()[1:]
        while isinstance(command, click.Group) and arguments:
            command = command.get_command(context, arguments.pop(0))
        assert command is not None, code
        options = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options, code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_mail_link_on_the_page_leads_to_a_sample(page: Path) -> None:
    mail_names = {name for name, _, _ in write_mails("en")}
    assert {*re.findall(r"reference/mails\.md#([\w-]+)", page.read_text("utf-8"))} - mail_names == set()


def test_pages_for_managers_and_reports_link_to_every_mail_they_may_get() -> None:
    for page, reader in (("managers.md", Reader.MANAGER), ("reports.md", Reader.REPORT)):
        described = {*re.findall(rf"reference/mails\.md#(\w+)-{reader}", read_page(page))}
        assert described == {kind.name for kind in KINDS.values() if reader in kind.readers}, page


def test_page_for_hr_lists_every_table_of_the_database() -> None:
    page_names = {code for cell in list_first_cells(read_page("hr.md")) for code in list_code(cell)}
    assert {table.name for table in metadata.sorted_tables} - page_names == set()


@pytest.mark.parametrize("name", ["managers.md", "reports.md"])
def test_every_button_and_link_on_the_page_exists(name: str) -> None:
    """R-38: the pages name buttons and links by the words that a web page or a mail uses."""
    templates = " ".join(path.read_text("utf-8") for path in sorted((ROOT / "templates").rglob("*.j2")))
    text = " ".join(read_page(name).split())
    labels = re.findall(r"(?:[Pp]ress|[Ff]ollow|, or) \*([^*]+)\*", text)
    assert "Another time, by one press" in labels and "Find another time" in labels
    assert [label for label in labels if label not in templates] == []
