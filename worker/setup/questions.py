"""The questions of `longarc init`, as data: what is asked, which answers are valid, and which setting they become.

A person chooses a way to reach calendars and mail; which questions follow depends on the way. Answers are saved as the
text that a person would type: `yes` and `no`, and lists with commas.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from worker.providers.google.auth import EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE
from worker.settings.parsers import (
    make_choice_parser,
    parse_address,
    parse_boolean,
    parse_country,
    parse_date,
    parse_locale,
    parse_zone,
)
from worker.settings.url_parsers import (
    make_url_parser,
    parse_base_url,
    parse_caldav_url,
    parse_database,
    parse_notify_url,
)
from worker.setup.parsers import (
    DIRECTORY,
    keep_as_text,
    parse_address_list,
    parse_certificate,
    parse_file,
    parse_google_key,
    parse_host,
    parse_identifier,
    parse_list,
    parse_people,
    parse_port,
    parse_way,
    parse_yes_or_no,
    split_list,
)
from worker.setup.ways import Way

ALL_WAYS = frozenset(Way)
#: The ways that reach services of the company. Only these have further questions: `embedded` needs no more answers.
_CONNECTED_WAYS = ALL_WAYS - {Way.EMBEDDED}
_GOOGLE_WAYS = frozenset({Way.GOOGLE_DOMAIN, Way.GOOGLE_ACCOUNT})
_MICROSOFT_WAYS = frozenset({Way.MICROSOFT_APP, Way.MICROSOFT_ACCOUNT})
_DIRECTORY_WAYS = frozenset(way for way in Way if way.has_directory)

#: The answers so far, by the names of the questions. `folder` is the folder of the installation, and no question.
Answers = Mapping[str, str]


class Step(StrEnum):
    """A step of the set-up. The answers of one step are checked before the questions of the next step are asked."""

    SERVICES = "services"  #: calendars, mail, pages, the database
    PEOPLE = "people"
    PILOT = "pilot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. Two questions of different ways may have the same name."""

    name: str  #: the key in the answers file
    text: str
    explanation: str  #: what `?` shows
    step: Step = Step.SERVICES
    ways: frozenset[Way] = _CONNECTED_WAYS  #: the ways with which the question is asked
    parse: Callable[[str], str] = str  #: returns the answer as it is saved, or raises InvalidValue
    setting: str = ""  #: the setting that the answer becomes, with its section; empty for none
    to_setting: Callable[[str], Any] = str  #: returns the value of the setting for a saved answer
    variable: str = ""  #: the environment variable of a secret; empty for an answer that is not secret
    is_optional: bool = False  #: whether the answer may be empty
    find_default: Callable[[Answers], str] = lambda _: ""  #: returns the default, given the earlier answers
    is_asked: Callable[[Answers], bool] = lambda _: True  #: whether the earlier answers call for this question
    shows_managers: bool = False  #: whether a numbered list of managers is shown, whose numbers may be the answer
    #: Regular expressions. When one of them matches the text of an error, its remedy says how to correct this answer.
    error_patterns: tuple[str, ...] = ()

    @property
    def is_secret(self) -> bool:
        return bool(self.variable)


# --- the questions ---------------------------------------------------------------------------------------------------


def _get_operator(answers: Answers) -> str:
    return answers.get("operator", "")


def _suggest_sender(answers: Answers) -> str:
    return answers.get("account") or _get_operator(answers)


def _suggest_people(answers: Answers) -> str:
    if Way(answers["way"]).has_directory:
        return DIRECTORY
    return "people.csv" if Path("people.csv").is_file() else ""


def _reads_directory(answers: Answers) -> bool:
    """Return whether people are read from the company's directory, rather than from a people file."""
    return answers.get("people") == DIRECTORY


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="way",
        text="How are calendars and mail reached?",
        explanation=(
            "Write one of the names above. Take `embedded` to see Longarc work first, without any account; your own "
            "services can be set up later, in another folder."
        ),
        ways=ALL_WAYS,
        parse=parse_way,
        find_default=lambda _: Way.EMBEDDED.value,
    ),
    Question(
        name="company",
        text="What is the company called in mails?",
        explanation="Mails name the company where they explain what Longarc is. The answer may be left empty.",
        setting="company",
        is_optional=True,
    ),
    Question(
        name="operator",
        text="Your own mail address?",
        explanation="This address gets a mail about all that only a person can repair, never with content of "
        "conversations.",
        parse=parse_address,
        setting="operator",
    ),
    Question(
        name="locale",
        text="In which language are mails written when a person's language is not known?",
        explanation="A code, as en or de. People whose language is known get mails in that language.",
        parse=keep_as_text(parse_locale),
        setting="locale",
        find_default=lambda _: "en",
    ),
    # --- Google
    Question(
        name="google_key",
        text="Where is the JSON key file of the service account?",
        explanation=(
            "console.cloud.google.com, APIs & Services, Library: enable the Google Calendar API and the Gmail API. "
            "IAM & Admin, Service accounts: create one, then Keys, Add key, JSON. In admin.google.com, Security, API "
            "controls, Domain-wide delegation, add its client id with these scopes: "
            f"{OWNED_EVENTS_SCOPE}, {EVENTS_READ_SCOPE}, {GMAIL_SEND_SCOPE}. "
            "The file is copied into the folder of the installation."
        ),
        ways=frozenset({Way.GOOGLE_DOMAIN}),
        parse=parse_google_key,
        setting="calendars.google.service_account",
    ),
    Question(
        name="google_client_id",
        text="The id of the OAuth client?",
        explanation=(
            "console.cloud.google.com, APIs & Services, Library: enable the Google Calendar API and the Gmail API. "
            "Google Auth Platform, Clients, Create client, Desktop app. The id ends in .apps.googleusercontent.com."
        ),
        ways=frozenset({Way.GOOGLE_ACCOUNT}),
        parse=parse_identifier,
        setting="calendars.google.client_id",
        error_patterns=("client_id",),
    ),
    Question(
        name="google_client_secret",
        text="The secret of the OAuth client?",
        explanation="Google shows it once, when the client is created. It is kept in a file that only you may read.",
        ways=frozenset({Way.GOOGLE_ACCOUNT}),
        variable="LONGARC_GOOGLE_CLIENT_SECRET",
    ),
    # --- Microsoft 365
    Question(
        name="tenant",
        text="The tenant: its id or its domain?",
        explanation="entra.microsoft.com, App registrations, your app, Overview: Directory (tenant) ID.",
        ways=frozenset({Way.MICROSOFT_APP}),
        parse=parse_identifier,
        setting="calendars.outlook.tenant",
    ),
    Question(
        name="tenant",
        text="The tenant of the app: its id or its domain (empty: the app is for accounts of any organization)?",
        explanation=(
            "entra.microsoft.com, App registrations, your app, Overview: Directory (tenant) ID. An app that was "
            "registered for one organization needs the tenant."
        ),
        ways=frozenset({Way.MICROSOFT_ACCOUNT}),
        parse=parse_identifier,
        setting="calendars.outlook.tenant",
        is_optional=True,
    ),
    Question(
        name="client_id",
        text="The id of the app?",
        explanation="entra.microsoft.com, App registrations, your app, Overview: Application (client) ID.",
        ways=_MICROSOFT_WAYS,
        parse=parse_identifier,
        setting="calendars.outlook.client_id",
    ),
    Question(
        name="certificate",
        text="The PEM file with the app's private key and certificate, if the app logs in with a certificate?",
        explanation="Leave it empty to log in with a client secret. A certificate is safer: its key stays here.",
        ways=frozenset({Way.MICROSOFT_APP}),
        parse=parse_certificate,
        setting="calendars.outlook.certificate",
        is_optional=True,
    ),
    Question(
        name="client_secret",
        text="The client secret of the app?",
        explanation="entra.microsoft.com, App registrations, your app, Certificates & secrets: the value, not its id.",
        ways=frozenset({Way.MICROSOFT_APP}),
        variable="LONGARC_OUTLOOK_SECRET",
        is_asked=lambda answers: not answers.get("certificate"),
    ),
    Question(
        name="account",
        text="The address of the manager who signs in?",
        explanation="The sign-in follows at once, in a browser. Only this manager's conversations are booked.",
        ways=frozenset({Way.GOOGLE_ACCOUNT, Way.MICROSOFT_ACCOUNT}),
        parse=parse_address,
        find_default=_get_operator,
    ),
    # --- CalDAV and SMTP
    Question(
        name="caldav_url",
        text="The address of a person's calendar, with {email} or {user} in it?",
        explanation="As https://calendar.example.com/{email}/calendar/. {user} is the part before the @.",
        ways=frozenset({Way.CALDAV}),
        parse=parse_caldav_url,
        setting="calendars.caldav.url",
    ),
    Question(
        name="caldav_username",
        text="The user name of the log-in to the calendars?",
        explanation="An account that may read and write the calendars of all managers, and read those of reports.",
        ways=frozenset({Way.CALDAV}),
        setting="calendars.caldav.username",
        is_optional=True,
    ),
    Question(
        name="caldav_password",
        text="The password of the log-in to the calendars?",
        explanation="It is kept in a file that only you may read, and is not shown.",
        ways=frozenset({Way.CALDAV}),
        variable="LONGARC_CALDAV_PASSWORD",
        error_patterns=("caldav.username and its password",),
        is_asked=lambda answers: bool(answers.get("caldav_username")),
    ),
    Question(
        name="attendee_copies",
        text="Does the calendar server have no scheduling, so that Longarc delivers invitations (yes or no)?",
        explanation="Yes for Radicale and other plain servers: a copy is then put on each attendee's calendar.",
        ways=frozenset({Way.CALDAV}),
        parse=parse_yes_or_no,
        setting="calendars.caldav.attendee_copies",
        to_setting=parse_boolean,
        find_default=lambda _: "no",
    ),
    Question(
        name="smtp_host",
        text="The mail server?",
        explanation="The server that takes mail for sending, as mail.example.com.",
        ways=frozenset({Way.CALDAV}),
        parse=parse_host,
        setting="mailers.smtp.host",
        find_default=lambda _: "localhost",
    ),
    Question(
        name="smtp_security",
        text="How is the connection to the mail server secured: starttls, tls or none?",
        explanation="starttls is usual (port 587); tls is port 465; none is for a server on this machine alone.",
        ways=frozenset({Way.CALDAV}),
        parse=make_choice_parser(("starttls", "tls", "none")),
        setting="mailers.smtp.security",
        find_default=lambda _: "starttls",
    ),
    Question(
        name="smtp_port",
        text="The port of the mail server (0 for the usual port)?",
        explanation="The usual ports are 587 for starttls, 465 for tls and 25 for none.",
        ways=frozenset({Way.CALDAV}),
        parse=parse_port,
        setting="mailers.smtp.port",
        to_setting=int,
        find_default=lambda _: "0",
    ),
    Question(
        name="smtp_username",
        text="The user name of the log-in to the mail server, if it asks for a log-in?",
        explanation="Leave it empty for a server that takes mail from this machine without a log-in.",
        ways=frozenset({Way.CALDAV}),
        setting="mailers.smtp.username",
        is_optional=True,
    ),
    Question(
        name="smtp_password",
        text="The password of the log-in to the mail server?",
        explanation="It is kept in a file that only you may read, and is not shown.",
        ways=frozenset({Way.CALDAV}),
        variable="LONGARC_SMTP_PASSWORD",
        error_patterns=("smtp.username and its password",),
        is_asked=lambda answers: bool(answers.get("smtp_username")),
    ),
    # --- mail, pages, database
    Question(
        name="sender",
        text="The address that mails come from?",
        explanation="People see and answer this address. With Google or Microsoft 365 it has to be a mailbox there.",
        parse=parse_address,
        setting="mail.from",
        find_default=_suggest_sender,
    ),
    Question(
        name="base_url",
        text="The address of the pages, as https://longarc.example.com (empty: no pages)?",
        explanation=(
            "Mails then lead to pages on which people write contracts and choose times. Without pages, mails name "
            "commands, which is enough for a trial. A proxy with TLS has to forward requests to this machine: see "
            "docs/how-to/pages.md. Pages can be added later."
        ),
        parse=parse_base_url,
        setting="base_url",
        is_optional=True,
        error_patterns=(r"\bbase_url\b",),
    ),
    Question(
        name="notify_url",
        text="The public address at which Google or Microsoft can reach Longarc (empty: none)?",
        explanation="Longarc then sees a change on a calendar within seconds. Only the path /notify/ has to be public.",
        ways=_GOOGLE_WAYS | _MICROSOFT_WAYS,
        parse=parse_notify_url,
        setting="sync.notify_url",
        is_optional=True,
        is_asked=lambda answers: bool(answers.get("base_url")),
    ),
    Question(
        name="database",
        text="The database: a SQLite file, or postgresql://user@host/name?",
        explanation="SQLite is right for one machine. With PostgreSQL, the next question asks for its password.",
        parse=parse_database,
        setting="database",
        find_default=lambda answers: f"sqlite:///{answers['folder']}/var/longarc.db",
    ),
    Question(
        name="database_url",
        text="The address of the database with its password, if it needs one?",
        explanation="As postgresql://user:password@host/name. It is kept in a file that only you may read.",
        parse=make_url_parser("postgresql"),
        variable="LONGARC_DATABASE_URL",
        is_optional=True,
        is_asked=lambda answers: answers.get("database", "").startswith("postgres"),
    ),
    Question(
        name="first_manager",
        text="A manager whose calendar is tried now?",
        explanation="Longarc reads this calendar, and changes nothing on it.",
        ways=_CONNECTED_WAYS - {Way.GOOGLE_ACCOUNT, Way.MICROSOFT_ACCOUNT},
        parse=parse_address,
        find_default=_get_operator,
    ),
    # --- people
    Question(
        name="people",
        step=Step.PEOPLE,
        text="Who works here: a people file (CSV), or `directory` for the company's directory?",
        explanation=(
            "An export of the HR system: address, name, manager, time zone, country. Column names of Workday, "
            "BambooHR, Personio, HiBob and SuccessFactors are understood. `directory` reads Google Workspace or Entra."
        ),
        ways=_DIRECTORY_WAYS,
        parse=parse_people,
        find_default=_suggest_people,
    ),
    Question(
        name="people",
        step=Step.PEOPLE,
        text="The people file (CSV)?",
        explanation=(
            "An export of the HR system: address, name, manager, time zone, country. Column names of Workday, "
            "BambooHR, Personio, HiBob and SuccessFactors are understood. `longarc example people` writes an example."
        ),
        ways=_CONNECTED_WAYS - _DIRECTORY_WAYS,
        parse=parse_file,
        find_default=_suggest_people,
    ),
    Question(
        name="directory_admin",
        step=Step.PEOPLE,
        text="The address of the administrator on whose behalf users are read?",
        explanation="The account needs the admin role Users > Read: admin.google.com, Account, Admin roles.",
        ways=frozenset({Way.GOOGLE_DOMAIN}),
        parse=parse_address,
        setting="roster.google.admin",
        find_default=_get_operator,
        is_asked=_reads_directory,
    ),
    Question(
        name="country",
        step=Step.PEOPLE,
        text="The country of people whose country is not known, as DE (empty: none)?",
        explanation="Public holidays follow from the country. Many directories name no countries.",
        ways=_DIRECTORY_WAYS,
        parse=parse_country,
        setting="roster.country",
        is_optional=True,
        is_asked=_reads_directory,
    ),
    Question(
        name="time_zone",
        step=Step.PEOPLE,
        text="The time zone of people whose zone is not known, as Europe/Berlin (empty: none)?",
        explanation="The directory of Google has no time zones. In Microsoft 365 each mailbox has one.",
        ways=_DIRECTORY_WAYS,
        parse=parse_zone,
        setting="roster.time_zone",
        is_optional=True,
        is_asked=_reads_directory,
    ),
    # --- the pilot
    Question(
        name="pilot",
        step=Step.PILOT,
        text="Who begins: everybody, groups, managers or addresses?",
        explanation="Begin with a pilot: a department, or a few managers. The settings can add people at any time.",
        parse=make_choice_parser(("everybody", "groups", "managers", "addresses")),
        find_default=lambda _: "managers",
    ),
    Question(
        name="pilot_groups",
        step=Step.PILOT,
        text="Which groups (departments), with commas between them?",
        explanation="Write the names as they are in the roster. A pair takes part when its report is in such a group.",
        parse=parse_list,
        setting="rollout.groups",
        to_setting=split_list,
        is_asked=lambda answers: answers.get("pilot") == "groups",
    ),
    Question(
        name="pilot_managers",
        step=Step.PILOT,
        text="Which managers, with commas between them?",
        explanation="Write the managers' addresses. All their reports take part.",
        shows_managers=True,
        find_default=lambda answers: answers.get("account", ""),
        parse=parse_address_list,
        setting="rollout.managers",
        to_setting=split_list,
        is_asked=lambda answers: answers.get("pilot") == "managers",
    ),
    Question(
        name="pilot_addresses",
        step=Step.PILOT,
        text="Which people, by address, with commas between them?",
        explanation="With a manager's address, all their reports take part; with a report's, only that report.",
        shows_managers=True,
        parse=parse_address_list,
        setting="rollout.addresses",
        to_setting=split_list,
        is_asked=lambda answers: answers.get("pilot") == "addresses",
    ),
    Question(
        name="start",
        step=Step.PILOT,
        text="The first day, as 2027-01-11 (empty: at once)?",
        explanation="Before this day nobody hears of Longarc, and nothing is booked.",
        parse=keep_as_text(parse_date),
        setting="rollout.start",
        to_setting=date.fromisoformat,
        is_optional=True,
    ),
)


def list_questions(answers: Answers) -> Iterator[Question]:
    """Yield the questions that these answers call for, in order. Until the way is answered, it is the only question."""
    yield QUESTIONS[0]
    way = answers.get("way", "")
    if way in set(Way):
        yield from (question for question in QUESTIONS[1:] if Way(way) in question.ways and question.is_asked(answers))
