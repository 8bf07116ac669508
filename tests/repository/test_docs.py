"""The documentation names every setting, mail, command and column of the code."""

import re
from collections.abc import Iterator
from typing import Any

import click
import yaml

from docs.generate import EXAMPLE, list_settings, write_mails, write_settings
from tests.support import ROOT
from worker.cli import main
from worker.mail.kinds import KINDS
from worker.settings.openings_file import FILE_FORMAT
from worker.settings.people_columns import COLUMNS

DOCS = ROOT / "docs"


def test_reference_lists_every_setting_with_default_and_meaning() -> None:
    keys = re.findall(r"^#(\w+) = ", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    page = write_settings()
    rows = list(list_settings(EXAMPLE.read_text(encoding="utf-8")))
    assert [name for _, name, _, _ in rows] == keys
    assert [(section, name) for section, name, _, meaning in rows if not meaning] == []
    for section, name, default, _ in rows:
        assert f"| `{name}` | `{default}` |".replace("\\", "") in page.replace("\\", ""), (section, name)


def test_reference_shows_every_mail_in_both_languages() -> None:
    for locale in ("en", "de"):
        mail_names = [name for name, subject, html in write_mails(locale) if subject and "<html" in html]
        assert {name.partition("-")[0] for name in mail_names} == {*KINDS}


def test_every_command_has_a_short_help_text() -> None:
    context = click.Context(main, info_name="longarc")
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None and command.get_short_help_str(), name


def test_people_file_page_names_every_column() -> None:
    page = (DOCS / "reference" / "people-file.md").read_text(encoding="utf-8")
    assert {name for name in COLUMNS if f"| `{name}` |" not in page} == set()


def test_openings_file_page_names_every_column() -> None:
    page = (DOCS / "reference" / "openings-file.md").read_text(encoding="utf-8")
    assert {name for name in FILE_FORMAT.columns if f"| `{name}` |" not in page} == set()


def iter_pages(navigation: Any) -> Iterator[str]:
    """Yield the paths of the pages in a part of the navigation: a path, or a list or a dictionary of parts."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for part in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from iter_pages(part)


def test_navigation_contains_every_page() -> None:
    load: Any = yaml.safe_load  # the library has no types
    navigation = load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - set(iter_pages(navigation)) == set()


def test_no_text_installs_longarc_from_a_package_index() -> None:
    """Another program may have the name on a package index. `pip install` has to take a checkout or a wheel."""
    paths = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "worker").rglob("*.py"), *(ROOT / "config").rglob("*")]
    commands = {
        f"{path.relative_to(ROOT)}: {command}"
        for path in paths
        if path.is_file()
        for command in re.findall(r"pip install[^`\n]*\blongarc\b[^`\n]*", path.read_text(encoding="utf-8"))
        if not re.search(r"/longarc|\blongarc\S*\.whl", command)
    }
    assert commands == set()
