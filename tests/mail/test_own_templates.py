"""A company's own templates and catalogues: each fault is found with its file and line (R-24)."""

import re
from collections import Counter
from collections.abc import Collection
from itertools import product
from pathlib import Path

import pytest

from tests.i18n.test_language import write_catalogue
from tests.support.read_mails import ENGLISH, SAMPLES, render
from worker.errors import Problem, Problems
from worker.mail.context import MailContext
from worker.mail.kinds import KINDS, list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import NOW, OPERATOR
from worker.mail.templates import PARTS, find_template_folder, load_default_templates


@pytest.fixture
def overrides(tmp_path: Path) -> Path:
    (tmp_path / "operator_alert").mkdir()
    return tmp_path


def with_overrides(folder: Path) -> MailRenderer:
    return MailRenderer(sender="longarc@example.com", domain="example.com", overrides=folder)


@pytest.mark.parametrize("language", load_default_templates().languages.list_tags())
def test_our_own_templates_are_well(language: str) -> None:
    assert ENGLISH.find_rendering_problems(list_samples(language)) == []
    firsts = [sample.name for sample in ENGLISH.list_first_samples() if sample.to.locale == language]
    assert firsts == list(KINDS), "a check renders one of each"
    assert ENGLISH.check_templates() == []


def test_our_own_mails_share_nothing_but_what_lies_beside_their_folders() -> None:
    """So that a company's file in the folder of a mail changes that mail alone, and no other is looked at."""
    emails = find_template_folder() / "emails"
    for template in emails.rglob("*.j2"):
        for name in re.findall(r"""(?:include|extends|import|from) ["']([^"']+)["']""", template.read_text("utf-8")):
            assert "/" not in name or name.partition("/")[0] == template.parent.name, template


def test_what_mails_share_is_looked_at_in_each(overrides: Path) -> None:
    (overrides / "operator_alert" / "subject.txt.j2").write_text("Please come")
    assert with_overrides(overrides).check_templates() == []
    shared = overrides / "_notes.txt.j2"  # not by that mail
    shared.write_text("{% if %}")
    (problem,) = with_overrides(overrides).check_templates()
    assert problem.where == f"{shared}:1"


def test_a_company_replaces_only_what_it_wants(overrides: Path) -> None:
    (overrides / "operator_alert" / "subject.txt.j2").write_text("Bitte\n kommen: {{ product }}\n")
    (overrides / "_style.css").write_text("p { margin: 1px }")
    emails = with_overrides(overrides)
    mail = render(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="<Why>"), emails)
    assert mail.headers["Subject"] == "Bitte kommen: Longarc"
    assert '<p style="margin: 1px;">&lt;Why&gt;</p>' in mail.html
    assert emails.check_templates() == []


#: The messages of which there are the fewest samples first: to check what is wrong with them takes the least.
SMALL = [name for name, _ in reversed(Counter(letter.name for letter in SAMPLES).most_common())]


def write_each(overrides: Path, wrong: Collection[tuple[str, str]]) -> dict[str, Path]:
    """Write each of these templates, a part and its source, into a message of its own; the files by message."""
    paths = {name: overrides / name / part for name, (part, _) in zip(SMALL, wrong, strict=False)}
    for path, (_, source) in zip(paths.values(), wrong, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return paths


def problems_by_file(overrides: Path) -> dict[str, Problem]:
    """What a check finds, by the file; one problem for each file."""
    problems = with_overrides(overrides).check_templates()
    by_file = {problem.where.partition(":")[0]: problem for problem in problems}
    assert len(by_file) == len(problems)
    return by_file


def test_a_broken_template_is_found_with_its_file_and_line(overrides: Path) -> None:
    of_nobody = "{% extends '_layout.txt.j2' %}\n{% block body %}\n\n{{ manager.name }}\n{% endblock %}"
    wrong = {
        ("body.txt.j2", of_nobody): (4, "name"),
        ("body.html.j2", "<p>fine</p>\n\n<p\n  class='x'>{{ reason\n</p>"): (4, "unexpected"),
        ("body.txt.j2", "one\ntwo {{ nobody }}\n"): (2, "'nobody' is undefined"),
        ("body.html.j2", "<div>\n{% if %}\n</div>"): (2, "Expected an expression"),
        ("subject.txt.j2", "{% trans %}{{ now + 1 }}{% endtrans %}"): (1, "expected"),
    }
    assert SMALL[0] == "operator_alert", "which knows no manager"
    paths = write_each(overrides, wrong)
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path, (number, what) in zip(paths.values(), wrong.values(), strict=True):
        problem = found[str(path)]
        assert problem.where == f"{path}:{number}"
        assert what in problem.what
        assert problem.remedy


def test_a_template_that_is_nowhere_is_named(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.txt.j2").write_text("{% extends 'house.txt.j2' %}")
    (problem,) = with_overrides(overrides).check_templates()
    assert "house.txt.j2" in problem.what


def test_a_mail_with_nothing_in_it_is_found_and_never_made(overrides: Path) -> None:
    unseen = "<!-- <p>no</p> --><style>p { margin: 0 }</style><p> </p>"
    wrong = [*product(PARTS, [" \n", "\u200b\ufeff", ""]), ("body.html.j2", unseen)]
    paths = write_each(overrides, wrong)
    emails = with_overrides(overrides)
    assert {problem.where for problem in emails.check_templates()} == set(map(str, paths.values()))
    for name in paths:
        with pytest.raises(Problems, match="gives nothing"):
            emails.render(next(letter for letter in SAMPLES if letter.name == name))


@pytest.mark.parametrize("source", ["x" * 999_999 + "{{ product }}", "{% for n in range(10 ** 12) %}x{% endfor %}"])
def test_a_mail_without_end_is_found_and_never_made(overrides: Path, source: str) -> None:
    paths = write_each(overrides, [(part, source) for part in PARTS])
    assert problems_by_file(overrides).keys() == set(map(str, paths.values()))
    emails = with_overrides(overrides)
    for name in paths:
        with pytest.raises((Problems, OverflowError)):
            emails.render(next(letter for letter in SAMPLES if letter.name == name))


def test_a_template_that_comes_back_to_itself_is_found(overrides: Path) -> None:
    ways = ["{% include name %}", "{% extends name %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"]
    named = [way.replace("name", f"'{name}/body.txt.j2'") for name, way in zip(SMALL, ways, strict=False)]
    paths = write_each(overrides, [("body.txt.j2", source) for source in named])
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path in paths.values():
        assert str(found[str(path)]).startswith(f"{path}:1: This template includes or calls itself.")


def test_a_template_reaches_nothing_but_what_its_mail_speaks_of(overrides: Path) -> None:
    sources = [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ product.__class__ }}",
        "{% include '../../../etc/hostname' %}",
        "{% include '/etc/hostname' %}",
    ]
    paths = write_each(overrides, [("body.txt.j2", f"One\n{source}\n") for source in sources])
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path in paths.values():
        problem = found[str(path)]
        assert problem.where == f"{path}:2"
        assert "unsafe" in problem.what or "there is no template" in problem.what


def test_all_that_is_wrong_with_a_mail_is_told_at_once(overrides: Path) -> None:
    folder = overrides / "operator_alert"
    for part, source in zip(PARTS, ("{% if", "", "\n{{ nobody }}"), strict=True):
        (folder / part).write_text(source)
    assert [problem.where for problem in with_overrides(overrides).check_templates()] == [
        f"{folder / PARTS[0]}:1",
        f"{folder / PARTS[1]}",
        f"{folder / PARTS[2]}:2",
    ]


@pytest.mark.parametrize("target", ["body.txt.j2", "/nowhere/body.txt.j2", "."])
def test_what_is_no_file_where_one_should_be_is_found(overrides: Path, target: str) -> None:
    path = overrides / "operator_alert" / "body.txt.j2"
    path.symlink_to(target)
    (problem,) = with_overrides(overrides).check_templates()
    assert (problem.where, problem.what) == (str(path), "is no file.")


@pytest.mark.parametrize(
    "name",
    ["operator_alert/body.txt.j2", "operator_alert/body.html.j2", "_style.css", "locale/de/LC_MESSAGES/longarc.po"],
)
def test_what_is_no_utf_8_is_told_by_its_line(overrides: Path, name: str) -> None:
    path = overrides / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("# one\n# Gruß\n".encode("latin-1"))
    (problem,) = with_overrides(overrides).check_templates()
    assert str(problem) == f"{path}:2: This line is not UTF-8. Save the file as UTF-8."


def test_a_file_that_no_mail_uses_is_found(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.html").write_text("half a name")
    (overrides / "operator_alert" / "notes.txt").write_text("ignored: nobody could mean it for a mail")
    (overrides / "operator_alert" / "_piece.j2").write_text("a piece of theirs")
    (overrides / "operator-alert").mkdir()
    (overrides / "operator-alert" / "body.txt.j2").write_text("misspelt")
    assert [problem.where for problem in with_overrides(overrides).check_templates()] == [
        str(overrides / "operator-alert" / "body.txt.j2"),
        str(overrides / "operator_alert" / "body.html"),
    ]


def test_a_folder_that_is_not_there_is_found(tmp_path: Path) -> None:
    (problem,) = with_overrides(tmp_path / "nowhere").check_templates()
    assert problem.where == str(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "translation", [("Hi %(name)s,", "Salut %(nom)s,"), ("Hi %(name)s,", "Salut %(name),")], ids=["name", "form"]
)
def test_a_translation_that_lost_a_name_is_found(overrides: Path, translation: tuple[str, str]) -> None:
    path = write_catalogue(overrides / "locale", "fr", translation)
    problems = with_overrides(overrides).check_templates()
    assert [problem.where for problem in problems] == [f"{path}:4"]


def test_a_catalogue_that_cannot_be_read_is_found(overrides: Path) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text('msgid "Why"\nmsgstr "Pourquoi\n\nmsgid "When"\nmeans "Quand"\n')
    problems = with_overrides(overrides).check_templates()
    assert {problem.where for problem in problems} == {f"{path}:2", f"{path}:5"}


def test_a_line_that_the_parser_refuses_has_one_number(overrides: Path) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text('"Why"\nmsgid "When"\nmsgstr "Quand"\n')
    (problem,) = with_overrides(overrides).check_templates()
    assert problem.where == f"{path}:1"
    assert problem.what == 'Got line starting with " but not in msgid, msgstr or msgctxt.'


@pytest.mark.parametrize(
    "header",
    ["Content-Type: text/plain; charset=none", "PO-Revision-Date: soon", "Plural-Forms: nplurals=2; plural=m();"],
)
def test_a_catalogue_whose_header_says_nothing_is_found(overrides: Path, header: str) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text(f'msgid ""\nmsgstr "{header}\\n"\n\nmsgid "Why"\nmsgstr "Pourquoi"\n')
    (problem,) = with_overrides(overrides).check_templates()
    assert problem.where == f"{path}:1"
    assert "header" in problem.what
