"""A company's own templates and catalogues: the check finds each fault with its file and line (R-24)."""

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
    """A folder for a company's own templates, with an empty folder for the mail `operator_alert`."""
    (tmp_path / "operator_alert").mkdir()
    return tmp_path


def make_renderer(folder: Path) -> MailRenderer:
    return MailRenderer(sender="longarc@example.com", domain="example.com", overrides=folder)


@pytest.mark.parametrize("language", load_default_templates().languages.list_tags())
def test_the_default_templates_have_no_problems(language: str) -> None:
    assert ENGLISH.check_samples(list_samples(language)) == []
    names = [sample.name for sample in ENGLISH.list_first_samples() if sample.to.locale == language]
    assert names == list(KINDS), "the check did not render one sample of each mail"
    assert ENGLISH.check_templates() == []


def test_default_templates_include_files_of_their_own_folder_or_of_no_folder() -> None:
    """So a company's file in the folder of a mail changes that mail alone, and the check renders no other mail."""
    folder = find_template_folder() / "emails"
    for template in folder.rglob("*.j2"):
        for name in re.findall(r"""(?:include|extends|import|from) ["']([^"']+)["']""", template.read_text("utf-8")):
            assert "/" not in name or name.partition("/")[0] == template.parent.name, template


def test_a_shared_template_is_checked_in_every_mail(overrides: Path) -> None:
    (overrides / "operator_alert" / "subject.txt.j2").write_text("Please come")
    assert make_renderer(overrides).check_templates() == []
    shared = overrides / "_notes.txt.j2"  # `operator_alert` does not include it
    shared.write_text("{% if %}")
    (problem,) = make_renderer(overrides).check_templates()
    assert problem.where == f"{shared}:1"


def test_a_company_replaces_single_templates_and_the_style(overrides: Path) -> None:
    (overrides / "operator_alert" / "subject.txt.j2").write_text("Bitte\n kommen: {{ product }}\n")
    (overrides / "_style.css").write_text("p { margin: 1px }")
    emails = make_renderer(overrides)
    mail = render(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="<Why>"), emails)
    assert mail.headers["Subject"] == "Bitte kommen: Longarc"
    assert '<p style="margin: 1px;">&lt;Why&gt;</p>' in mail.html
    assert emails.check_templates() == []


#: The names of all mails, those with the fewest samples first. To check a template of these is fastest.
BY_SAMPLE_COUNT = [name for name, _ in reversed(Counter(context.name for context in SAMPLES).most_common())]


def write_templates(overrides: Path, templates: Collection[tuple[str, str]]) -> dict[str, Path]:
    """Write each of these templates, a part and its source, for another mail. Return the files by the mail's name."""
    paths = {name: overrides / name / part for name, (part, _) in zip(BY_SAMPLE_COUNT, templates, strict=False)}
    for path, (_, source) in zip(paths.values(), templates, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return paths


def find_problems_by_file(overrides: Path) -> dict[str, Problem]:
    """Return the problems that the check finds by their files, of which each must have one."""
    problems = make_renderer(overrides).check_templates()
    by_file = {problem.where.partition(":")[0]: problem for problem in problems}
    assert len(by_file) == len(problems)
    return by_file


def test_broken_templates_are_found_with_file_and_line(overrides: Path) -> None:
    without_manager = "{% extends '_layout.txt.j2' %}\n{% block body %}\n\n{{ manager.name }}\n{% endblock %}"
    # the line of the fault, and words of its description
    templates = {
        ("body.txt.j2", without_manager): (4, "name"),
        ("body.html.j2", "<p>fine</p>\n\n<p\n  class='x'>{{ reason\n</p>"): (4, "unexpected"),
        ("body.txt.j2", "one\ntwo {{ nobody }}\n"): (2, "'nobody' is undefined"),
        ("body.html.j2", "<div>\n{% if %}\n</div>"): (2, "Expected an expression"),
        ("subject.txt.j2", "{% trans %}{{ now + 1 }}{% endtrans %}"): (1, "expected"),
    }
    assert BY_SAMPLE_COUNT[0] == "operator_alert"  # this mail has no manager, so `manager.name` is an error
    paths = write_templates(overrides, templates)
    problems = find_problems_by_file(overrides)
    assert problems.keys() == set(map(str, paths.values()))
    for path, (number, message) in zip(paths.values(), templates.values(), strict=True):
        problem = problems[str(path)]
        assert problem.where == f"{path}:{number}"
        assert message in problem.what
        assert problem.remedy


def test_a_missing_base_template_is_named(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.txt.j2").write_text("{% extends 'house.txt.j2' %}")
    (problem,) = make_renderer(overrides).check_templates()
    assert "house.txt.j2" in problem.what


def test_a_mail_with_an_empty_part_is_found_and_not_rendered(overrides: Path) -> None:
    invisible_html = "<!-- <p>no</p> --><style>p { margin: 0 }</style><p> </p>"
    # spaces, characters without width, and nothing
    templates = [*product(PARTS, [" \n", "\u200b\ufeff", ""]), ("body.html.j2", invisible_html)]
    paths = write_templates(overrides, templates)
    emails = make_renderer(overrides)
    assert {problem.where for problem in emails.check_templates()} == set(map(str, paths.values()))
    for name in paths:
        with pytest.raises(Problems, match="gives nothing"):
            emails.render(next(context for context in SAMPLES if context.name == name))


# a mail may have a million characters
@pytest.mark.parametrize("source", ["x" * 999_999 + "{{ product }}", "{% for n in range(10 ** 12) %}x{% endfor %}"])
def test_a_too_long_mail_is_found_and_not_rendered(overrides: Path, source: str) -> None:
    paths = write_templates(overrides, [(part, source) for part in PARTS])
    assert find_problems_by_file(overrides).keys() == set(map(str, paths.values()))
    emails = make_renderer(overrides)
    for name in paths:
        with pytest.raises((Problems, OverflowError)):
            emails.render(next(context for context in SAMPLES if context.name == name))


def test_a_template_that_includes_or_calls_itself_is_found(overrides: Path) -> None:
    loops = ["{% include name %}", "{% extends name %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"]
    sources = [
        loop.replace("name", f"'{name}/body.txt.j2'") for name, loop in zip(BY_SAMPLE_COUNT, loops, strict=False)
    ]
    paths = write_templates(overrides, [("body.txt.j2", source) for source in sources])
    problems = find_problems_by_file(overrides)
    assert problems.keys() == set(map(str, paths.values()))
    for path in paths.values():
        assert str(problems[str(path)]).startswith(f"{path}:1: This template includes or calls itself.")


def test_a_template_cannot_reach_python_or_other_files(overrides: Path) -> None:
    sources = [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ product.__class__ }}",
        "{% include '../../../etc/hostname' %}",
        "{% include '/etc/hostname' %}",
    ]
    paths = write_templates(overrides, [("body.txt.j2", f"One\n{source}\n") for source in sources])
    problems = find_problems_by_file(overrides)
    assert problems.keys() == set(map(str, paths.values()))
    for path in paths.values():
        problem = problems[str(path)]
        assert problem.where == f"{path}:2"
        assert "unsafe" in problem.what or "there is no template" in problem.what


def test_the_check_finds_the_problems_of_all_parts_of_a_mail(overrides: Path) -> None:
    folder = overrides / "operator_alert"
    for part, source in zip(PARTS, ("{% if", "", "\n{{ nobody }}"), strict=True):
        (folder / part).write_text(source)
    assert [problem.where for problem in make_renderer(overrides).check_templates()] == [
        f"{folder / PARTS[0]}:1",
        f"{folder / PARTS[1]}",
        f"{folder / PARTS[2]}:2",
    ]


@pytest.mark.parametrize("target", ["body.txt.j2", "/nowhere/body.txt.j2", "."])
def test_links_and_folders_in_place_of_a_template_are_found(overrides: Path, target: str) -> None:
    path = overrides / "operator_alert" / "body.txt.j2"
    path.symlink_to(target)
    (problem,) = make_renderer(overrides).check_templates()
    assert (problem.where, problem.what) == (str(path), "is no file.")


@pytest.mark.parametrize(
    "name",
    ["operator_alert/body.txt.j2", "operator_alert/body.html.j2", "_style.css", "locale/de/LC_MESSAGES/longarc.po"],
)
def test_a_file_that_is_not_utf_8_is_found_with_its_line(overrides: Path, name: str) -> None:
    path = overrides / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("# one\n# Gruß\n".encode("latin-1"))
    (problem,) = make_renderer(overrides).check_templates()
    assert str(problem) == f"{path}:2: This line is not UTF-8. Save the file as UTF-8."


def test_misspelt_names_of_templates_and_folders_are_found(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.html").write_text("the ending .j2 is missing")
    (overrides / "operator_alert" / "notes.txt").write_text("ignored: the name is not close to one of a template")
    (overrides / "operator_alert" / "_piece.j2").write_text("ignored: templates of the company may include it")
    (overrides / "operator-alert").mkdir()
    (overrides / "operator-alert" / "body.txt.j2").write_text("misspelt")
    assert [problem.where for problem in make_renderer(overrides).check_templates()] == [
        str(overrides / "operator-alert" / "body.txt.j2"),
        str(overrides / "operator_alert" / "body.html"),
    ]


def test_a_missing_folder_of_templates_is_found(tmp_path: Path) -> None:
    (problem,) = make_renderer(tmp_path / "nowhere").check_templates()
    assert problem.where == str(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "translation", [("Hi %(name)s,", "Salut %(nom)s,"), ("Hi %(name)s,", "Salut %(name),")], ids=["name", "form"]
)
def test_a_translation_with_a_wrong_placeholder_is_found(overrides: Path, translation: tuple[str, str]) -> None:
    path = write_catalogue(overrides / "locale", "fr", translation)
    problems = make_renderer(overrides).check_templates()
    assert [problem.where for problem in problems] == [f"{path}:4"]


def test_every_wrong_line_of_a_catalogue_is_found(overrides: Path) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text('msgid "Why"\nmsgstr "Pourquoi\n\nmsgid "When"\nmeans "Quand"\n')
    problems = make_renderer(overrides).check_templates()
    assert {problem.where for problem in problems} == {f"{path}:2", f"{path}:5"}


def test_a_line_that_the_parser_refuses_is_named_once(overrides: Path) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text('"Why"\nmsgid "When"\nmsgstr "Quand"\n')
    (problem,) = make_renderer(overrides).check_templates()
    assert problem.where == f"{path}:1"
    assert problem.what == 'Got line starting with " but not in msgid, msgstr or msgctxt.'


@pytest.mark.parametrize(
    "header",
    ["Content-Type: text/plain; charset=none", "PO-Revision-Date: soon", "Plural-Forms: nplurals=2; plural=m();"],
)
def test_a_wrong_header_of_a_catalogue_is_found(overrides: Path, header: str) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text(f'msgid ""\nmsgstr "{header}\\n"\n\nmsgid "Why"\nmsgstr "Pourquoi"\n')
    (problem,) = make_renderer(overrides).check_templates()
    assert problem.where == f"{path}:1"
    assert "header" in problem.what
