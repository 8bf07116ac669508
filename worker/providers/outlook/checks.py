"""Checks for `longarc check` whether Longarc can use a person's calendar and mailbox in Microsoft 365.

Each requirement is tried by itself. Nothing is changed and no mail is sent.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from worker.clock import utcnow
from worker.domain.counts import format_count
from worker.domain.model import Address, Span
from worker.errors import ProviderError
from worker.providers.base import Finding
from worker.providers.outlook import events, schedule
from worker.providers.outlook.client import Graph
from worker.providers.outlook.refusals import UnknownUser

_GUIDE = "docs/how-to/microsoft.md"  #: the steps that an administrator has to take
_CONSENT_REMEDY = (
    f"Have an administrator consent to it in Entra, or assign it with RBAC for Applications (see {_GUIDE})."
)
_SCOPE_REMEDY = f'Give the app the role "Application Calendars.Read" for the reports as well (see {_GUIDE}).'
#: The most reports that a finding names and whose own mailboxes are tried.
_MAX_REPORTS_NAMED = 3
#: The permissions that an app should not have for every mailbox of a tenant.
_WIDE_PERMISSIONS = ("Calendars.ReadWrite", "Mail.Send", "Mail.ReadWrite", "MailboxSettings.Read")


def check_calendar(graph: Graph, person: Address, *, teams: bool, reports: Sequence[Address] = ()) -> list[Finding]:
    """Check everything that Longarc needs to book for `person`, a manager, and for the reports; return the findings.

    The free/busy of the reports is read through the manager's mailbox. `teams` says whether events get a Teams link.
    """
    return list(_iter_calendar_findings(graph, person, teams=teams, reports=reports))


def _iter_calendar_findings(
    graph: Graph, person: Address, *, teams: bool, reports: Sequence[Address]
) -> Iterator[Finding]:
    statement = f"Longarc can sign in to Microsoft 365 as {graph.own_account or 'an app'}"
    try:
        permissions = read_permissions(graph.get_token())
    except ProviderError as error:
        yield Finding(statement, ok=False, remedy=str(error))
        return
    yield Finding(statement, ok=True)
    try:
        settings = graph.get(person, "calendar", select="id,canEdit,allowedOnlineMeetingProviders")
    except UnknownUser as error:
        yield Finding(f"{person} is known to Microsoft 365 by that address", ok=False, remedy=str(error))
        return
    except ProviderError as error:
        yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", ok=False, remedy=str(error))
        return
    yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", ok=True)
    is_writable = settings.get("canEdit") is not False
    yield Finding(
        f"{person}'s calendar can be written to",
        ok=is_writable,
        remedy="" if is_writable else f"Give write access. {_CONSENT_REMEDY}",
    )
    if teams:
        offered_services = settings.get("allowedOnlineMeetingProviders")
        has_teams = not isinstance(offered_services, list) or "teamsForBusiness" in offered_services
        remedy = "" if has_teams else "Give the person Teams, or write `teams = false` under [calendars.outlook]."
        yield Finding(f"{person} can hold Teams meetings", ok=has_teams, remedy=remedy)
    yield _check_attempt(
        f"{person}'s time zone and working hours can be read (MailboxSettings.Read)",
        lambda: graph.get(person, "mailboxSettings"),
    )
    yield _check_attempt(  # our events are recognized by their key, which is in an extended property
        f"Our events on {person}'s calendar can be recognized",
        lambda: graph.get(person, "events", select="id", expand=events.EXPAND_KEY, top=1),
    )
    yield _check_free_busy(graph, person)
    yield from _check_reports(graph, person, reports[: schedule.PEOPLE_PER_REQUEST])
    yield from _check_wide_permissions(graph, permissions)


def _check_attempt(statement: str, attempt: Callable[[], object]) -> Finding:
    """Return a finding that is `ok` when `attempt` raises no ProviderError."""
    try:
        attempt()
    except ProviderError as error:
        return Finding(statement, ok=False, remedy=str(error))
    return Finding(statement, ok=True)


def _check_free_busy(graph: Graph, person: Address) -> Finding:
    statement = f"Free/busy can be read through {person}'s mailbox"
    now = utcnow()
    window = Span(now, now + timedelta(days=1))
    try:
        free_busy = schedule.read_free_busy(graph, [person], window, mailboxes=[person])[person]
    except ProviderError as error:
        return Finding(statement, ok=False, remedy=str(error))
    remedy = "" if free_busy.is_known else f"{free_busy.reason} {_CONSENT_REMEDY}"
    return Finding(statement, ok=free_busy.is_known, remedy=remedy)


def _check_reports(graph: Graph, person: Address, reports: Sequence[Address]) -> Iterator[Finding]:
    """Check whether the free/busy of the reports can be read through the mailbox of `person`, their manager.

    Tenants differ in whether RBAC for Applications allows this for people outside the app's scope, so it is tried.
    """
    if not reports:
        return
    named_reports = reports[:_MAX_REPORTS_NAMED]
    unnamed_count = len(reports) - len(named_reports)
    out_of_scope = [] if graph.own_account else _list_inaccessible_people(graph, named_reports)
    statement = f"The free/busy of {', '.join(named_reports)}"
    statement += f" and {format_count(unnamed_count, 'more report')}" if unnamed_count else ""
    statement += f" can be read through {person}'s mailbox"
    if out_of_scope:
        statement += f" ({', '.join(out_of_scope)} outside the app's scope)"
    now = utcnow()
    try:
        free_busy = schedule.read_free_busy(graph, reports, Span(now, now + timedelta(days=1)), mailboxes=[person])
    except ProviderError as error:
        yield Finding(statement, ok=False, remedy=str(error))
        return
    unknown_reports = [report for report in reports if not free_busy[report].is_known]
    if not unknown_reports:
        yield Finding(statement, ok=True)
        return
    reason = free_busy[unknown_reports[0]].reason
    remedy = f"The free/busy of {', '.join(unknown_reports)} is unknown. {reason} {_SCOPE_REMEDY}"
    yield Finding(statement, ok=False, remedy=remedy)


def _list_inaccessible_people(graph: Graph, people: Sequence[Address]) -> list[Address]:
    """Return the people whose own mailbox the app may not read."""
    inaccessible_people = []
    for person in people:
        try:
            graph.get(person, "calendar", select="id")
        except ProviderError:
            inaccessible_people.append(person)
    return inaccessible_people


def _check_wide_permissions(graph: Graph, permissions: list[str]) -> Iterator[Finding]:
    """Yield a finding when the app has permissions in Entra that include every mailbox, unless a policy limits them.

    Longarc can't see whether there is such a policy. So the finding is `ok`, and asks the operator to verify the limit.
    """
    wide_permissions = ", ".join(name for name in _WIDE_PERMISSIONS if name in permissions)
    if not graph.own_account and wide_permissions:
        yield Finding(
            f"The app has {wide_permissions} in Entra: {_GUIDE} says how to verify for whom they are valid",
            ok=True,
        )


def check_mail(graph: Graph, mailbox: Address, guarantee: str, *, exactly_once: bool) -> list[Finding]:
    """Check everything that sending mail needs, without sending any; return the findings.

    `guarantee` is the text of `mail.describe_guarantee`. With `exactly_once`, Mail.ReadWrite is needed as well, because
    each mail is looked up among drafts and sent messages before it is sent.
    """
    statement = f"Mail is sent by Microsoft 365 from {mailbox or 'the sender'}, {guarantee}"
    try:
        permissions = read_permissions(graph.get_token())
    except ProviderError as error:
        return [Finding(statement, ok=False, remedy=str(error))]
    needed_permissions = ["Mail.Send", *(["Mail.ReadWrite"] if exactly_once else [])]
    missing_permissions = [name for name in needed_permissions if name not in permissions]
    # The token of an account lists all its permissions. The token of an app does not list those that RBAC grants. So an
    # app without Mail.Send in its token is assumed to have its permissions by RBAC.
    is_list_complete = bool(graph.own_account) or "Mail.Send" in permissions
    if missing_permissions and is_list_complete:
        remedy = f"{' and '.join(missing_permissions)} is not granted. {_CONSENT_REMEDY}"
        return [Finding(statement, ok=False, remedy=remedy)]
    if exactly_once:
        return [_check_attempt(statement, lambda: graph.get(mailbox, "messages", select="id", top=1))]
    return [Finding(statement, ok=True)]


def read_permissions(token: str) -> list[str]:
    """Return the permissions in an access token: the roles of an app, or the scopes of an account.

    The list is empty when the token can't be parsed.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return [*claims.get("roles", ()), *str(claims.get("scp") or "").split()]
    except (ValueError, IndexError, AttributeError, TypeError):
        return []
