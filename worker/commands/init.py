"""`longarc init`: sets up an installation, from the first question to the plan of one's own company.

The questions are asked part by part, and what was answered is checked before the next part. Everything is kept in one
folder, so that a set-up that was stopped goes on where it was.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker import private_files
from worker.clock import utcnow
from worker.commands.base import Command, CommandFailed, get_global_options
from worker.commands.example import EXAMPLE_FILES, read_example
from worker.commands.terminal import (
    find_program,
    format_count,
    name_program,
    print_finding,
    print_line,
    print_paragraph,
)
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.providers.base import Finding
    from worker.settings.load import Settings
    from worker.setup.questions import Part, Question
    from worker.setup.roster_summary import RosterSummary
    from worker.setup.ways import Way

PREVIEW_FILE = "preview.html"
#: How many pairs, managers and time zones are named in the summary of the roster.
MAX_SHOWN = 5
#: How many warnings are printed; the rest are only counted.
MAX_WARNINGS = 10
_SIGN_IN_SECONDS = 300
#: What each part is called while it is asked.
_HEADINGS = {
    "services": "1 of 3  Calendars and mail",
    "people": "2 of 3  Who works here",
    "pilot": "3 of 3  Who begins",
}


@click.command("init", cls=Command, short_help="Set up: asks, checks each answer, and shows what would happen.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option(
    "--answers",
    "answers_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take the answers from a TOML file instead of asking; secrets come from the environment.",
)
@click.option("--questions", "way", metavar="WAY", help="Print an answers file for a way, to be filled, and stop.")
@click.option("--mail/--no-mail", "sends_mail", default=True, help="Send a test mail to you.")
@click.option("--browser/--no-browser", default=True, help="Open the browser for a sign-in, or only print its address.")
def init(folder: Path, answers_file: Path | None, way: str | None, sends_mail: bool, browser: bool) -> None:
    """Set up an installation in FOLDER (the current one, if none is named).

    It asks how calendars and mail are reached, who works here and who begins, tries each answer at once, and shows the
    plan: on the terminal, and as a page for others to look at. Nobody is written to but you, and nothing is booked.

    Stopped at any question, it goes on from there when it is started again. `?` explains a question.
    """
    if way is not None:
        _print_questions(way)
        return
    from worker.setup.files import refuse_used_folder

    folder = folder.expanduser().absolute()
    refuse_used_folder(folder)
    setup = _Setup(folder, is_asking=answers_file is None, sends_mail=sends_mail, opens_browser=browser)
    try:
        setup.run(answers_file)
    except click.Abort:
        click.echo(err=True)
        raise CommandFailed(
            f"Stopped. What was answered is kept: `longarc init {folder}` goes on from here.\n"
            "Where nobody can be asked, give the answers in a file: see `longarc init --help`."
        ) from None


def _print_questions(way: str) -> None:
    """Print an answers file for this way, every question with its explanation and its default."""
    from worker.setup.answers import render_questions
    from worker.setup.ways import Way

    if way not in set(Way):
        raise click.UsageError(f"There is no way `{way}`. Take one of {', '.join(Way)}.")
    click.echo(render_questions(Way(way)), nl=False)


@dataclass(slots=True)
class _Setup:
    """One run of the set-up: the answers so far, and how they are had."""

    folder: Path
    is_asking: bool  #: at a terminal; otherwise everything was answered in a file
    sends_mail: bool
    opens_browser: bool
    answers: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    more_settings: Mapping[str, Any] = field(default_factory=dict)

    def run(self, answers_file: Path | None) -> None:
        from worker.setup.questions import Part
        from worker.setup.ways import Way

        self._begin(answers_file)
        if self.is_asking:
            self._ask_way()
        if Way(self.answers["way"]) is Way.EMBEDDED:
            _try_embedded(self.folder)
            return
        self._take_part(Part.SERVICES, self._check_services)
        self._take_part(Part.PEOPLE, self._check_people)
        self._take_part(Part.PILOT, self._check_all)
        self._finish()

    # --- answers ---

    def _begin(self, answers_file: Path | None) -> None:
        """Take the answers of the file, or those of an earlier run, and the key of the environment. Raises Problems."""
        from worker.settings.environment import KEY_VARIABLE
        from worker.setup.answers import answer_all, read_answers, read_secret
        from worker.setup.files import ANSWERS_FILE

        kept = self.folder / ANSWERS_FILE
        if answers_file is not None:
            given = read_answers(answers_file)
            self.answers, self.secrets = answer_all(given, os.environ, self.folder)
            self.more_settings = given.more_settings
        else:
            self.answers = {"folder": str(self.folder)}
            if kept.exists():
                given = read_answers(kept)
                self.answers |= given.values
                self.more_settings = given.more_settings
                print_line(f"Going on with the answers in {kept}.", "dim")
        if key := read_secret(KEY_VARIABLE, os.environ):
            self.secrets[KEY_VARIABLE] = key

    def _ask_way(self) -> None:
        from worker.setup.questions import QUESTIONS
        from worker.setup.ways import DESCRIPTIONS

        if "way" not in self.answers:
            print_paragraph("Longarc keeps time for career conversations. Nobody is written to before you say so.")
            print_paragraph("`?` explains a question. Ctrl-C stops; what you answered is kept.", "dim")
            print_line()
            for way, description in DESCRIPTIONS.items():
                print_line(f"  {way.value:<18} {description}")
            self._ask(QUESTIONS[0])

    def _take_part(self, part: "Part", check: "Callable[[], Iterable[Finding]]") -> None:
        """Ask what has no answer yet, write the files, and check them, until it works or the person goes on."""
        if self.is_asking:
            print_line(f"\n{_HEADINGS[part.value]}\n", "bold cyan")
        while True:
            self._ask_missing(part)
            self._write()
            try:
                findings = list(check())
            except LongarcError as error:
                findings = None
                print_paragraph(str(error), "red")
            if findings is not None and _show_findings(findings):
                return
            if not self.is_asking:
                raise CommandFailed("Nothing was booked, and nobody was written to. Fix this, and run it again.")
            choices = click.Choice(["again", "change", "later"])
            choice = click.prompt("Try again, change the answers, or fix it later?", default="again", type=choices)
            if choice == "later":
                return
            if choice == "change":
                self._ask_anew(part)

    def _ask_missing(self, part: "Part") -> None:
        if not self.is_asking:
            return
        while question := next((one for one in self._list_questions(part) if not self._is_answered(one)), None):
            self._ask(question)

    def _ask_anew(self, part: "Part") -> None:
        """Ask every question of the part, with the answers so far as defaults."""
        asked: set[str] = set()
        while question := next((one for one in self._list_questions(part) if one.name not in asked), None):
            asked.add(question.name)
            self._ask(question)

    def _list_questions(self, part: "Part") -> "list[Question]":
        from worker.setup.questions import list_questions

        return [one for one in list_questions(self.answers) if one.part is part and one.name != "way"]

    def _is_answered(self, question: "Question") -> bool:
        from worker.settings.load import SECRETS_FOLDER

        if question.is_secret:
            stored = self.folder / SECRETS_FOLDER / question.variable
            return question.name in self.answers or stored.exists()
        return question.name in self.answers

    def _ask(self, question: "Question") -> None:
        from worker.setup.answers import save_answers
        from worker.setup.files import ANSWERS_FILE, write_secret

        default = self.answers.get(question.name) or question.find_default(self.answers)
        answer = _prompt(question, default)
        if question.is_secret and answer:
            write_secret(self.folder, question.variable, answer)
            return
        self.answers[question.name] = answer
        private_files.make_folder(self.folder)
        save_answers(self.folder / ANSWERS_FILE, self.answers, self.more_settings)

    def _write(self) -> None:
        """Write the settings and secrets as far as they are answered, and let the commands that follow use them."""
        from worker.setup.answers import save_answers
        from worker.setup.files import ANSWERS_FILE, write_installation

        try:
            private_files.make_folder(self.folder)
            save_answers(self.folder / ANSWERS_FILE, self.answers, self.more_settings)
            settings = write_installation(self.folder, self.answers, self.secrets, self.more_settings)
        except OSError as error:
            raise LongarcError(f"{self.folder} can't be written: {error.strerror}. Name another folder.") from error
        get_global_options().config = str(settings)

    def _load_settings(self) -> "Settings":
        from worker.commands.context import load_settings

        return load_settings()

    # --- checks ---

    def _check_services(self) -> "Iterable[Finding]":
        from worker.setup.checks import check_connections
        from worker.setup.ways import Way

        way, settings = Way(self.answers["way"]), self._load_settings()
        if way.is_one_account:
            self._sign_in(way, settings)
        print_line("\nTrying calendar and mail …", "dim")
        person = self.answers.get("account") or self.answers["first_manager"]
        findings = list(check_connections(settings, way, person))
        if all(finding.ok for finding in findings) and self.sends_mail:
            self._send_test_mail(way, settings)
        return findings

    def _sign_in(self, way: "Way", settings: "Settings") -> None:
        """Have the account sign in, unless its grant is kept already."""
        from worker.commands.connect import connect_google_account, connect_outlook_account
        from worker.setup.ways import Way

        if way is Way.GOOGLE_ACCOUNT:
            folder = settings.calendars.google.token_folder
            if not (folder.is_dir() and any(folder.glob("*.sealed"))):
                connect_google_account(
                    settings, self.answers["account"], opens_browser=self.opens_browser, wait=_SIGN_IN_SECONDS
                )
        elif not settings.calendars.outlook.account_file.exists():
            connect_outlook_account(settings)

    def _send_test_mail(self, way: "Way", settings: "Settings") -> None:
        from worker.setup.checks import send_test_mail

        to = self.answers["operator"]
        if self.is_asking and not click.confirm(f"Send a test mail to {to}?", default=True):
            return
        send_test_mail(settings, way, to, utcnow(), self.folder)
        print_paragraph(f"A test mail is on its way to {to}, from {settings.mail.sender}.", "green")
        self.sends_mail = False  # once is enough

    def _check_people(self) -> "Iterable[Finding]":
        from worker.engine.roster_reader import RosterReader
        from worker.setup.roster_summary import list_roster_findings, summarize_roster

        now = utcnow()
        reading = RosterReader(self._load_settings()).read(now)
        _show_roster(summarize_roster(reading.roster, now))
        return list_roster_findings(reading)

    def _check_all(self) -> "Iterable[Finding]":
        from worker.commands.context import find_settings_path
        from worker.ops.checks import run_checks

        print_line("\nTrying everything once, with the calendars of those who begin …", "dim")
        return run_checks(find_settings_path(), os.environ, utcnow())

    # --- the end ---

    def _finish(self) -> None:
        from getpass import getuser

        from worker.commands.plan import show_plan_and_write_page
        from worker.setup.files import SERVICE_FILE, SETTINGS_FILE, render_service

        page = self.folder / PREVIEW_FILE
        print_line("\nThis is what would happen if it ran now. Nothing is booked or mailed.\n", "bold")
        show_plan_and_write_page(page)
        template = read_example(EXAMPLE_FILES["service"]).decode("utf-8")
        unit = render_service(template, self.folder, find_program(), getuser())
        private_files.write(self.folder / SERVICE_FILE, unit.encode("utf-8"))
        (self.folder / "var").mkdir(mode=private_files.FOLDER_MODE, exist_ok=True)
        print_line()
        _show_commands(
            ("show it to HR", str(page)),
            ("begin", f"{name_program()} --config {self.folder / SETTINGS_FILE} run"),
            ("or as a service", f"see the first lines of {self.folder / SERVICE_FILE}"),
            ("look again first", f"{name_program()} --config {self.folder / SETTINGS_FILE} plan"),
        )


def _prompt(question: "Question", default: str) -> str:
    """Ask until the answer can be used. `?` explains, `-` answers an optional question with nothing."""
    from worker.settings.parsers import InvalidValue

    print_paragraph(question.text, "bold")
    while True:
        text = click.prompt(
            " >",
            prompt_suffix=" ",
            default=default or ("" if question.is_optional else None),
            show_default=bool(default),
            hide_input=question.is_secret,
        ).strip()
        if text == "?":
            print_paragraph(question.explanation, "dim", indent=2)
            continue
        if question.is_optional and text in ("", "-"):
            return ""
        try:
            return question.parse(text)
        except InvalidValue as error:
            print_paragraph(f"{error.what} {error.build_remedy()}", "yellow", indent=2)


def _show_findings(findings: "Iterable[Finding]") -> bool:
    """Print what is wrong or should be changed, and how much is well. True when nothing is wrong."""
    ok_count = failed = warnings = 0
    for finding in findings:
        if finding.ok and not finding.remedy:
            ok_count += 1
            continue
        failed += not finding.ok
        warnings += finding.ok
        if finding.ok and warnings > MAX_WARNINGS:
            continue
        print_finding(finding)
    if warnings > MAX_WARNINGS:
        print_line(f"! and {format_count(warnings - MAX_WARNINGS, 'more warning')}: see `longarc check`", "yellow")
    if ok_count:
        print_line(f"✓ {format_count(ok_count, 'check')} passed", "green")
    return not failed


def _show_roster(summary: "RosterSummary") -> None:
    print_line(
        f"\n{format_count(summary.people, 'person', 'people')}, {format_count(summary.managers, 'manager')}, "
        f"{format_count(summary.pairs, 'pair')} of a manager and a report",
        "bold",
    )
    zones = [f"{zone} {count:,}" for zone, count in summary.zones]
    if summary.people:
        print_line(f"  time zones: {_shorten(zones)}")
        print_line(f"  without a manager: {summary.without_manager:,}")
    if summary.many_reports:
        managers = [f"{who} ({count})" for who, count in summary.many_reports]
        print_line(f"! more than ten reports: {_shorten(managers)}", "yellow")
    if summary.never_together:
        apart = [f"{manager} and {report}" for manager, report in summary.never_together]
        print_line(f"! never at work at the same time: {_shorten(apart)}", "yellow")


def _shorten(items: list[str]) -> str:
    more = f" and {len(items) - MAX_SHOWN:,} more" if len(items) > MAX_SHOWN else ""
    return ", ".join(items[:MAX_SHOWN]) + more


def _show_commands(*commands: tuple[str, str]) -> None:
    for what, command in commands:
        print_line(f"  {what:<17} {command}")


def _try_embedded(folder: Path) -> None:
    """Make a folder for the built-in servers, and show the plan of the example company on them."""
    from worker.commands.context import load_settings
    from worker.commands.embedded import EmbeddedFolder
    from worker.commands.plan import show_plan_and_write_page
    from worker.engine.roster_reader import read_people

    embedded = EmbeddedFolder(folder)
    embedded.write_missing_files()
    get_global_options().config = str(embedded.config)
    settings = load_settings()
    page = folder / PREVIEW_FILE
    with embedded.start_servers(settings, read_people(settings, utcnow()).persons.values()):
        show_plan_and_write_page(page)
    print_line()
    _show_commands(
        ("the quarter", str(page)),
        ("the people", f"{folder / 'people.csv'}: an example, yours to change"),
        ("begin", f"{name_program()} run --embedded {folder}"),
    )
