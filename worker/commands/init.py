"""`longarc init`: sets up an installation, from the first question to a plan for the company's own people.

The questions are asked in three steps, and the answers of each step are checked before the next step is asked. Answers
are kept in the folder of the installation, so that a set-up that was stopped continues with them.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker import private_files
from worker.clock import utcnow
from worker.commands.base import Command, CommandFailed, get_global_options
from worker.commands.example import EXAMPLE_FILES, read_example
from worker.commands.init_dialog import (
    ask_question,
    choose_question,
    show_answers,
    show_findings,
    show_next_steps,
    show_pilot_candidates,
    show_roster,
    show_ways,
)
from worker.commands.terminal import find_program, name_program, print_line, print_paragraph
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.providers.base import Finding
    from worker.settings.load import Settings
    from worker.setup.pilot import PilotCandidate
    from worker.setup.questions import Question, Step
    from worker.setup.ways import Way

PREVIEW_FILE = "preview.html"
_SIGN_IN_SECONDS = 300  #: how long the sign-in of a Google account may take
#: The questions whose answers the grant of a signed-in account depends on.
_SIGN_IN_ANSWERS = frozenset({"account", "client_id", "tenant", "google_client_id", "google_client_secret"})
#: The heading of each step.
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
@click.option(
    "--questions", "way", metavar="WAY", help="Print an answers file for a way, to be filled in, and do nothing else."
)
@click.option("--mail/--no-mail", "sends_mail", default=True, help="Send a test mail to you.")
@click.option("--browser/--no-browser", default=True, help="Open the browser for a sign-in, or only print its address.")
def init(folder: Path, answers_file: Path | None, way: str | None, sends_mail: bool, browser: bool) -> None:
    """Set up an installation in FOLDER (the current one, if none is named).

    It asks how calendars and mail are reached, who works here and who begins, tries each answer at once, and shows the
    plan: on the terminal, and as a page for others to read. Nobody gets a mail but you, and nothing is booked.

    If you stop it at any question, it continues there when it is started again, and offers to change earlier answers.
    `?` explains a question.
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
        raise CommandFailed(setup.describe_stop()) from None


def _print_questions(way: str) -> None:
    """Print an answers file for this way, every question with its explanation and its default."""
    from worker.setup.answers import render_questions
    from worker.setup.ways import Way

    if way not in set(Way):
        raise click.UsageError(f"There is no way `{way}`. Take one of {', '.join(Way)}.")
    click.echo(render_questions(Way(way)), nl=False)


@dataclass(slots=True)
class _Setup:
    """One run of the set-up: it collects answers, checks them, and writes the files of the installation."""

    folder: Path
    is_asking: bool  #: whether a person is asked; otherwise all answers come from a file
    sends_mail: bool  #: whether a test mail is still to be sent
    opens_browser: bool
    answers: dict[str, str] = field(default_factory=dict)  #: by the name of the question
    secrets: dict[str, str] = field(default_factory=dict)  #: those set in the environment, by the name of the variable
    more_settings: Mapping[str, Any] = field(default_factory=dict)  #: settings that no question asks about
    pilot_candidates: "list[PilotCandidate]" = field(default_factory=list)  #: empty until the roster was read
    must_sign_in: bool = False  #: whether an answer was changed that the stored grant depends on

    def run(self, answers_file: Path | None) -> None:
        """Set up the installation, with the answers of that file unless a person is asked. Raises LongarcError."""
        from worker.setup.questions import Step
        from worker.setup.ways import Way

        self._load_answers(answers_file)
        if self.is_asking:
            self._ask_way()
        for step in Step:
            # During a step, the person can change the way to the embedded one, which has no steps.
            if self._get_way() is not Way.EMBEDDED:
                self._complete_step(step)
        if self._get_way() is Way.EMBEDDED:
            _try_embedded(self.folder)
        else:
            self._finish()

    def describe_stop(self) -> str:
        """Return what is said when the person stops: how to go on, and how to answer without a terminal."""
        stopped = "Stopped. Nothing was answered, and nothing was written."
        if "way" in self.answers:
            command = f"{name_program()} init {shlex.quote(str(self.folder))}"
            stopped = f"Stopped. To go on from here, or to change an answer:\n  {command}"
        return f"{stopped}\nWithout a terminal, give the answers in a file: see `longarc init --help`."

    def _get_way(self) -> "Way":
        from worker.setup.ways import Way

        return Way(self.answers["way"])

    # --- answers ---

    def _load_answers(self, answers_file: Path | None) -> None:
        """Load the answers of the file or of an earlier run, and the encryption key if the environment has one.

        Raises Problems.
        """
        from worker.settings.environment import KEY_VARIABLE
        from worker.setup.answers import answer_all, read_answers, read_secret
        from worker.setup.files import ANSWERS_FILE

        saved_file = self.folder / ANSWERS_FILE
        if answers_file is not None:
            given_answers = read_answers(answers_file)
            self.answers, self.secrets = answer_all(given_answers, os.environ, self.folder)
            self.more_settings = given_answers.more_settings
        else:
            self.answers = {"folder": str(self.folder)}
            if saved_file.exists():
                saved_answers = read_answers(saved_file)
                self.answers |= saved_answers.values
                self.more_settings = saved_answers.more_settings
                print_paragraph(f"Continuing with the answers in {saved_file}.", "dim")
        if key := read_secret(KEY_VARIABLE, os.environ):
            self.secrets[KEY_VARIABLE] = key

    def _ask_way(self) -> None:
        """Ask the first question, which is about the way, after a short introduction.

        When an earlier run has answered it, let the person change the answers of that run instead.
        """
        from worker.setup.questions import QUESTIONS, Step

        if "way" in self.answers:
            self._change_answers(Step.PILOT, asks_missing=False)  # up to the last step
            return
        print_paragraph("Longarc keeps time for career conversations. Nobody is written to before you say so.")
        print_paragraph("`?` explains a question. Ctrl-C stops; start again to go on, or to change an answer.", "dim")
        self._ask(QUESTIONS[0])

    def _complete_step(self, step: "Step") -> None:
        """Ask the questions of a step that have no answer yet, write the files, and check the answers.

        When a check fails, the person may change answers, also of earlier steps, and have them checked again, or leave
        it for later. Without a person to ask, a failed check raises CommandFailed.
        """
        from worker.setup.ways import Way

        if self.is_asking:
            print_line(f"\n{_HEADINGS[step.value]}\n", "bold cyan")
            self._ask_missing(step)
        steps_to_check = {step}
        while True:
            self._write_files()
            if self._check_steps(steps_to_check):
                return
            if not self.is_asking:
                raise CommandFailed("Nothing was booked, and nobody was written to. Fix this, and run it again.")
            choices = click.Choice(["again", "change", "later"])
            choice = click.prompt("Try again, change an answer, or fix it later?", default="again", type=choices)
            if choice == "later":
                return
            if choice == "change":
                steps_to_check |= self._change_answers(step, asks_missing=True)
                if self._get_way() is Way.EMBEDDED:
                    return

    def _ask_missing(self, last_step: "Step") -> None:
        """Ask the questions without an answer, up to the end of that step. Each answer can call for more questions."""

        def find_missing() -> "Question | None":
            questions = self._list_questions(last_step)
            return next((question for question in questions if not self._is_answered(question)), None)

        while question := find_missing():
            self._ask(question)

    def _change_answers(self, last_step: "Step", *, asks_missing: bool) -> "set[Step]":
        """Let the person change answers one by one, up to the end of that step; return the steps to check again.

        `asks_missing`: whether to ask, after each change, the further questions that the changed answer calls for.
        """
        listed: list[Question] = []
        changed_steps: set[Step] = set()
        while True:
            questions = [question for question in self._list_questions(last_step) if self._is_answered(question)]
            if questions != listed:
                show_answers(questions, self.answers)
                listed = questions
            question = choose_question(questions)
            if question is None:
                return changed_steps
            changed_steps |= self._change_answer(question)
            if asks_missing:
                self._ask_missing(last_step)

    def _change_answer(self, question: "Question") -> "set[Step]":
        """Ask an answered question again, and delete what the former answer alone called for.

        Return the steps that have to be checked again.
        """
        from worker.setup.questions import Step, list_questions

        former_way, former_questions = self._get_way(), list(list_questions(self.answers))
        self._ask(question)
        has_other_way = self._get_way() is not former_way
        if has_other_way:
            self._leave_way(former_way)
        self._delete_unneeded_secrets(former_questions)
        self.must_sign_in |= has_other_way or question.name in _SIGN_IN_ANSWERS
        if has_other_way or question.step is Step.PEOPLE:
            self.pilot_candidates = []  # they came from the roster before the change
        return set(Step) if has_other_way else {question.step}

    def _leave_way(self, former_way: "Way") -> None:
        """Keep only the answers to questions of both ways, and delete the files that were written for the former."""
        from worker.setup.files import delete_files_of_way
        from worker.setup.questions import QUESTIONS

        ways = {former_way, self._get_way()}
        kept_names = {"folder", *(question.name for question in QUESTIONS if ways <= question.ways)}
        self.answers = {name: answer for name, answer in self.answers.items() if name in kept_names}
        delete_files_of_way(self.folder)
        self._save_answers()

    def _list_questions(self, last_step: "Step") -> "list[Question]":
        """Return the questions that the answers call for, from the first step to that one."""
        from worker.setup.questions import Step, list_questions

        steps = list(Step)[: list(Step).index(last_step) + 1]
        return [question for question in list_questions(self.answers) if question.step in steps]

    def _is_answered(self, question: "Question") -> bool:
        return question.name in self.answers or self._is_stored(question)

    def _is_stored(self, question: "Question") -> bool:
        """Return whether the question asks for a secret, and the folder has one."""
        from worker.settings.load import SECRETS_FOLDER

        return question.is_secret and (self.folder / SECRETS_FOLDER / question.variable).exists()

    def _ask(self, question: "Question") -> None:
        """Ask one question, with the answer so far as its default, and save the answer."""
        from worker.setup.files import delete_secret, write_secret
        from worker.setup.pilot import MAX_LISTED, replace_line_numbers

        def parse(text: str) -> str:
            return question.parse(replace_line_numbers(text, listed_addresses) if listed_addresses else text)

        if question.name == "way":
            show_ways()
        candidates = self.pilot_candidates if question.shows_managers else []
        listed_addresses = [candidate.address for candidate in candidates[:MAX_LISTED]]
        if candidates:
            show_pilot_candidates(candidates, MAX_LISTED)
        default = self.answers.get(question.name) or question.find_default(self.answers)
        answer = ask_question(question, default, parse, is_stored=self._is_stored(question))
        if answer is None:  # the person keeps the stored secret
            return
        if question.is_secret and answer:
            write_secret(self.folder, question.variable, answer)
            return
        if question.is_secret:  # an empty answer: there is no secret, and the question is not asked again
            delete_secret(self.folder, question.variable)
        self.answers[question.name] = answer
        self._save_answers()

    def _delete_unneeded_secrets(self, former_questions: "list[Question]") -> None:
        """Delete the secrets that a changed answer no longer calls for. Otherwise a service would still use them.

        `former_questions`: those that the answers called for before the change.
        """
        from worker.setup.files import delete_secret
        from worker.setup.questions import list_questions

        variables = {question.variable for question in list_questions(self.answers)}
        for question in former_questions:
            if question.is_secret and question.variable not in variables:
                delete_secret(self.folder, question.variable)

    def _write_files(self) -> None:
        """Write the settings and secrets as far as they are answered, and let the commands that follow use them."""
        from worker.setup.files import write_installation

        self._save_answers()
        with self._convert_write_errors():
            settings_file = write_installation(self.folder, self.answers, self.secrets, self.more_settings)
        get_global_options().config = str(settings_file)

    def _save_answers(self) -> None:
        """Save the answers so far in the folder, and create the folder if there is none. Raises LongarcError."""
        from worker.setup.answers import save_answers
        from worker.setup.files import ANSWERS_FILE

        with self._convert_write_errors():
            private_files.make_folder(self.folder)
            save_answers(self.folder / ANSWERS_FILE, self.answers, self.more_settings)

    @contextmanager
    def _convert_write_errors(self) -> Iterator[None]:
        """Raise LongarcError, which names the folder, in place of an OSError in the block."""
        try:
            yield
        except OSError as error:
            raise LongarcError(f"{self.folder} can't be written: {error.strerror}. Name another folder.") from error

    def _load_settings(self) -> "Settings":
        from worker.commands.context import load_settings

        return load_settings()

    # --- checks ---

    def _check_steps(self, steps: "set[Step]") -> bool:
        """Check the answers of these steps, print what was found, and return whether all checks passed.

        After a step with a failed check, the following steps are not checked.
        """
        from worker.setup.questions import Step
        from worker.setup.remedies import reword_finding, reword_remedy

        checks = {Step.SERVICES: self._check_services, Step.PEOPLE: self._check_people, Step.PILOT: self._check_all}
        for step in Step:
            if step not in steps:
                continue
            questions = self._list_questions(step) if self.is_asking else []
            try:
                findings = list(checks[step]())
            except LongarcError as error:
                print_paragraph(reword_remedy(str(error), questions, os.environ), "red")
                return False
            if not show_findings(reword_finding(finding, questions, os.environ) for finding in findings):
                return False
        return True

    def _check_services(self) -> "Iterable[Finding]":
        """Try calendar and mail, after the sign-in of a single account, and send a test mail when both work."""
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
        """Let the manager sign in, unless the grant is stored and no answer that the grant depends on was changed.

        An outdated grant is deleted first: if the sign-in is stopped, the next run does not take it for a valid one.
        """
        from worker.commands.connect import connect_google_account, connect_outlook_account
        from worker.providers.google.auth import TokenFolder
        from worker.setup.ways import Way

        account, outlook_grant = self.answers["account"], settings.calendars.outlook.account_file
        # without encryption keys, since grants are only listed and deleted here
        google_grants = TokenFolder(settings.calendars.google.token_folder, keys=())
        if self.must_sign_in:
            google_grants.delete(account)
            outlook_grant.unlink(missing_ok=True)
        is_google = way is Way.GOOGLE_ACCOUNT
        has_grant = account in google_grants.list_people() if is_google else outlook_grant.exists()
        if has_grant:
            return
        if is_google:
            connect_google_account(settings, account, opens_browser=self.opens_browser, wait_seconds=_SIGN_IN_SECONDS)
        else:
            connect_outlook_account(settings)
        self.must_sign_in = False

    def _send_test_mail(self, way: "Way", settings: "Settings") -> None:
        from worker.setup.checks import send_test_mail

        recipient = self.answers["operator"]
        if self.is_asking and not click.confirm(f"Send a test mail to {recipient}?", default=True):
            return
        send_test_mail(settings, way, recipient, utcnow(), self.folder)
        print_paragraph(f"A test mail is on its way to {recipient}, from {settings.mail.sender}.", "green")
        self.sends_mail = False  # one test mail is enough

    def _check_people(self) -> "Iterable[Finding]":
        """Read the roster, print its summary, and keep the managers for the question about the pilot."""
        from worker.engine.roster_reader import RosterReader
        from worker.setup.pilot import list_pilot_candidates
        from worker.setup.roster_summary import list_roster_findings, summarize_roster

        now = utcnow()
        reading = RosterReader(self._load_settings()).read(now)
        summary = summarize_roster(reading.roster, now)
        self.pilot_candidates = list_pilot_candidates(
            reading.roster, summary.pairs_without_shared_hours, account=self.answers.get("account", "")
        )
        show_roster(summary)
        return list_roster_findings(reading)

    def _check_all(self) -> "Iterable[Finding]":
        """Run the checks of `longarc check`, and return their findings."""
        from worker.commands.context import find_settings_path
        from worker.ops.checks import run_checks

        print_line("\nTrying everything once, with the calendars of those who begin …", "dim")
        return run_checks(find_settings_path(), os.environ, utcnow())

    # --- the end ---

    def _finish(self) -> None:
        """Show the plan, write it as a page, write the service unit, and say how to continue."""
        from getpass import getuser

        from worker.commands.plan import show_plan_and_write_page
        from worker.setup.files import SERVICE_FILE, SETTINGS_FILE, render_service

        page = self.folder / PREVIEW_FILE
        print_line("\nThis is what would happen if it ran now. Nothing is booked or mailed.\n", "bold")
        show_plan_and_write_page(page)
        template = read_example(EXAMPLE_FILES["service"]).decode("utf-8")
        unit = render_service(template, self.folder, find_program(), getuser())
        private_files.write(self.folder / SERVICE_FILE, unit.encode("utf-8"))
        # the only folder to which the service unit lets Longarc write
        (self.folder / "var").mkdir(mode=private_files.FOLDER_MODE, exist_ok=True)
        print_line()
        program = f"{name_program()} --config {shlex.quote(str(self.folder / SETTINGS_FILE))}"
        show_next_steps(
            ("show it to HR", str(page)),
            ("begin", f"{program} run"),
            ("or as a service", f"see the first lines of {self.folder / SERVICE_FILE}"),
            ("show the plan", f"{program} plan"),
        )


def _try_embedded(folder: Path) -> None:
    """Write the files for the built-in servers, start the servers, and show the plan of the example company."""
    from worker.commands.context import load_settings
    from worker.commands.embedded import EmbeddedFolder
    from worker.commands.plan import show_plan_and_write_page
    from worker.engine.roster_reader import read_people

    embedded = EmbeddedFolder(folder)
    embedded.write_missing_files()
    get_global_options().config = str(embedded.settings_file)
    settings = load_settings()
    page = folder / PREVIEW_FILE
    with embedded.start_servers(settings, read_people(settings, utcnow()).persons.values()):
        show_plan_and_write_page(page)
    print_line()
    show_next_steps(
        ("the plan", str(page)),
        ("the people", f"{folder / 'people.csv'}: an example, yours to change"),
        ("begin", f"{name_program()} run --embedded {shlex.quote(str(folder))}"),
    )
