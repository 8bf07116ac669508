"""The findings of `longarc check` about Microsoft 365. Each part is tried; nothing is changed."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from worker.clock import utcnow
from worker.domain.model import Address, Span
from worker.errors import ProviderError
from worker.providers.base import Finding
from worker.providers.outlook import events, schedule
from worker.providers.outlook.client import Graph
from worker.providers.outlook.refusals import UnknownUser

_STEPS = "docs/how-to/microsoft.md"  #: where the steps are that an administrator takes
_CONSENT_REMEDY = (
    f"Have an administrator consent to it in Entra, or assign it with RBAC for Applications (see {_STEPS})."
)
_SCOPE_REMEDY = f'Give the app the role "Application Calendars.Read" for the reports as well (see {_STEPS}).'
#: The most reports that are named in a finding, and whose own mailboxes are tried.
_MAX_REPORTS_NAMED = 3
#: Permissions that an app must not have for every mailbox.
_WIDE_PERMISSIONS = ("Calendars.ReadWrite", "Mail.Send", "Mail.ReadWrite", "MailboxSettings.Read")


def check_calendar(graph: Graph, person: Address, *, teams: bool, reports: Sequence[Address] = ()) -> list[Finding]:
    """Try everything that booking for `person`, the organizer, needs, and read the reports' free/busy through that
    person's mailbox. `teams`: whether events get a Teams link."""
    return list(_iter_calendar_findings(graph, person, teams, reports))


def _iter_calendar_findings(
    graph: Graph, person: Address, teams: bool, reports: Sequence[Address]
) -> Iterator[Finding]:
    # `own_account`: Longarc is signed in as this user, and not as an app
    title = "Microsoft 365 lets Longarc in" + (f" as {graph.own_account}" if graph.own_account else " as an app")
    try:
        permissions = read_permissions(graph.get_token())
    except ProviderError as error:
        yield Finding(title, ok=False, remedy=str(error))
        return
    yield Finding(title, ok=True)
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
    yield _check_attempt(  # our events are told apart by their key, which is in an extended property
        f"Our events on {person}'s calendar can be told apart",
        lambda: graph.get(person, "events", select="id", expand=events.EXPAND_KEY, top=1),
    )
    yield _check_free_busy(graph, person)
    yield from _check_reports(graph, person, reports[: schedule.PEOPLE_PER_REQUEST])
    yield from _check_reach(graph, permissions)


def _check_attempt(title: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except ProviderError as error:
        return Finding(title, ok=False, remedy=str(error))
    return Finding(title, ok=True)


def _check_free_busy(graph: Graph, person: Address) -> Finding:
    title = f"Free and busy can be asked for through {person}'s mailbox"
    now = utcnow()
    try:
        answers = schedule.read_free_busy(graph, [person], Span(now, now + timedelta(days=1)), mailboxes=[person])
    except ProviderError as error:
        return Finding(title, ok=False, remedy=str(error))
    free_busy = answers[person]
    remedy = "" if free_busy.is_known else f"{free_busy.reason} {_CONSENT_REMEDY}"
    return Finding(title, ok=free_busy.is_known, remedy=remedy)


def _check_reports(graph: Graph, person: Address, reports: Sequence[Address]) -> Iterator[Finding]:
    """Check whether the reports' free/busy can be read through the mailbox of their manager.

    Whether RBAC for Applications allows it for people outside the app's scope differs between tenants, so it is tried.
    """
    if not reports:
        return
    named_reports = reports[:_MAX_REPORTS_NAMED]
    unnamed_count = len(reports) - len(named_reports)
    unreachable = [] if graph.own_account else _list_unreachable(graph, named_reports)
    title = f"{person}'s mailbox tells when {', '.join(named_reports)}"
    title += f" and {unnamed_count} more reports are free" if unnamed_count else " can be met"
    if unreachable:
        title += f" ({', '.join(unreachable)} outside the app's scope)"
    now = utcnow()
    try:
        free_busy = schedule.read_free_busy(graph, reports, Span(now, now + timedelta(days=1)), mailboxes=[person])
    except ProviderError as error:
        yield Finding(title, ok=False, remedy=str(error))
        return
    unknown = [who for who in reports if not free_busy[who].is_known]
    if not unknown:
        yield Finding(title, ok=True)
        return
    reason = free_busy[unknown[0]].reason
    yield Finding(title, ok=False, remedy=f"Nothing is told of {', '.join(unknown)}. {reason} {_SCOPE_REMEDY}")


def _list_unreachable(graph: Graph, people: Sequence[Address]) -> list[Address]:
    """Return the people whose own mailbox the app may not read."""
    return [who for who in people if not _check_attempt("", partial(graph.get, who, "calendar", select="id")).ok]


def _check_reach(graph: Graph, permissions: list[str]) -> Iterator[Finding]:
    """Yield a finding when the app has permissions in Entra that reach every mailbox unless a policy limits them.

    Longarc can't see whether a policy does, so the finding reports no fault, and tells the operator to prove it.
    """
    wide_permissions = ", ".join(name for name in _WIDE_PERMISSIONS if name in permissions)
    if not graph.own_account and wide_permissions:
        yield Finding(
            f"The app holds {wide_permissions} in Entra: {_STEPS} says how to prove that it reaches only who it should",
            ok=True,
        )


def check_mail(graph: Graph, mailbox: Address, mode: str, *, exactly_once: bool) -> list[Finding]:
    """Try everything that sending mail needs, without sending.

    `mode`: how reliably a mail goes out once, as the text of `mail.describe_mode`. `exactly_once` needs Mail.ReadWrite,
    too: each mail is looked up among drafts and sent messages before it is sent.
    """
    title = f"Mail goes out by Microsoft 365 from {mailbox or 'the sender'}, {mode}"
    try:
        permissions = read_permissions(graph.get_token())
    except ProviderError as error:
        return [Finding(title, ok=False, remedy=str(error))]
    needed_permissions = ["Mail.Send", *(["Mail.ReadWrite"] if exactly_once else [])]
    missing_permissions = [name for name in needed_permissions if name not in permissions]
    # an account's token lists all that is granted, an app's not what RBAC grants: an app without Mail.Send in its token
    # is taken to have its permissions by RBAC
    is_list_complete = bool(graph.own_account) or "Mail.Send" in permissions
    if missing_permissions and is_list_complete:
        remedy = f"{' and '.join(missing_permissions)} is not granted. {_CONSENT_REMEDY}"
        return [Finding(title, ok=False, remedy=remedy)]
    if exactly_once:
        return [_check_attempt(title, lambda: graph.get(mailbox, "messages", select="id", top=1))]
    return [Finding(title, ok=True)]


def read_permissions(token: str) -> list[str]:
    """Return the permissions in a token: an app's roles, or an account's scopes; an empty list when it can't be
    read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return [*claims.get("roles", ()), *str(claims.get("scp") or "").split()]
    except (ValueError, IndexError, AttributeError, TypeError):
        return []
